"""A wheel built from this tree installs into an empty environment, and its command runs."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT],
        check=True,
        capture_output=True,
    )
    return next(out.glob("*.whl"))


def test_the_wheel_holds_the_four_packages_and_the_policy_and_no_tests(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {n.split("/")[0] for n in names if ".dist-info" not in n} == {"prm", "verifiers", "labeling", "benchmarks"}
    assert "benchmarks/arithmetic/policy/model.safetensors" in names
    assert "prm/py.typed" in names


def test_it_installs_into_an_empty_environment_and_its_command_runs(wheel, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    binaries = tmp_path / "env" / "bin"
    # All that `prm --help` loads; torch and the rest are asked for by the metadata.
    light = ["typer", "rich", "filelock"]
    subprocess.run([binaries / "pip", "install", "-q", "--no-deps", wheel], check=True, capture_output=True)
    subprocess.run([binaries / "pip", "install", "-q", *light], check=True, capture_output=True)
    said = subprocess.run([binaries / "prm", "--help"], check=True, capture_output=True, text=True, cwd=tmp_path)
    assert "demo" in said.stdout
    out = tmp_path / "p.jsonl"
    subprocess.run([binaries / "prm", "world", "--count", "2", "--out", out], check=True, capture_output=True)
    assert len(out.read_text().splitlines()) == 2


def test_the_committed_policy_is_at_most_four_megabytes():
    policy = ROOT / "benchmarks" / "arithmetic" / "policy"
    assert sum(f.stat().st_size for f in policy.iterdir()) <= 4_000_000
