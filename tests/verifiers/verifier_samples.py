"""The sample data that these tests read, and a skip with a reason where it is absent."""

import json
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SAMPLES = Path(os.environ.get("PRM_SAMPLE_DATA", ROOT / "../shared/data"))


def rows(name):
    path = SAMPLES / name
    if not path.exists():
        pytest.skip(f"no sample data at {path}: set PRM_SAMPLE_DATA")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
