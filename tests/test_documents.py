"""What the README, the page on Python and the examples show runs, with the real engine."""

import json
import os
import subprocess
import sys

import pytest
from documents import blocks, quickstart
from places import ROOT

pytestmark = [pytest.mark.engine]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reader")
    script = ROOT / "tests" / "documents.py"
    done = subprocess.run(
        [sys.executable, script, folder],
        cwd=ROOT,
        env=os.environ | {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"},  # an engine in processes of its own takes both cores
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (folder / "results.json").exists(), done.stderr
    return json.loads((folder / "results.json").read_text())


@pytest.mark.parametrize("line", quickstart())
def test_a_command_of_the_quickstart(line, results):
    assert results[line] == ""


BLOCKS = [
    f"{name}, Python {number}"
    for name in ("README.md", "docs/python.md")
    for number in range(1, len(blocks(name, "python")) + 1)
]


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_of_python(name, results):
    assert results[name] == ""


@pytest.mark.parametrize("script", sorted(path.name for path in (ROOT / "examples").glob("*.py")))
def test_an_example(script, results):
    assert results[f"examples/{script}"] == ""
