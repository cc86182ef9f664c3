"""The sample data that these tests read; skips with a reason if it is absent."""

import json

import pytest
from places import SAMPLES


def rows(name):
    path = SAMPLES / name
    if not path.exists():
        pytest.skip(f"no sample data at {path}: set PRM_SAMPLE_DATA")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
