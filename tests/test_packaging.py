"""What is built from this tree is one package, `prm`; it installs into an empty environment beside others' names."""

import subprocess
import sys
import tarfile
import zipfile

import pytest
from places import ROOT


def built(kind, out):
    command = [sys.executable, "-m", "build", f"--{kind}", "--no-isolation", "--outdir", out, ROOT]
    subprocess.run(command, check=True, capture_output=True)
    return next(out.iterdir())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return built("wheel", tmp_path_factory.mktemp("wheel"))


PARTS = ["prm/verifiers/checking.py", "prm/labeling/labeler.py", "prm/benchmarks/evaluation.py", "prm/cli/__init__.py"]


def test_the_wheel_installs_prm_alone_with_the_other_three_in_it(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {n.split("/")[0] for n in names if ".dist-info" not in n} == {"prm"}
    expected = [*PARTS, "prm/benchmarks/arithmetic/policy/model.safetensors", "prm/benchmarks/report/assets/report.css"]
    assert {*expected, "prm/py.typed"} <= set(names)
    modules = [
        m.relative_to(ROOT) for top in ("verifiers", "labeling", "benchmarks") for m in (ROOT / top).rglob("*.py")
    ]
    assert {f"prm/{module.as_posix()}" for module in modules} <= set(names)


def test_the_source_distribution_holds_files_and_no_links(tmp_path):
    with tarfile.open(built("sdist", tmp_path)) as archive:
        members = {member.name.partition("/")[2]: member for member in archive.getmembers()}
    assert all(members[name].isfile() for name in PARTS)
    assert not [name for name, member in members.items() if member.issym() or member.islnk()]


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The `bin` of an environment with the wheel, beside a distribution that has a package `verifiers` of its own."""
    place = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", place / "env"], check=True)
    binaries = place / "env" / "bin"
    foreign = place / "foreign" / "verifiers"
    foreign.mkdir(parents=True)
    (foreign / "__init__.py").write_text("OWNER = 'another distribution'\n")
    site = subprocess.run(
        [binaries / "python", "-c", "import site; print(site.getsitepackages()[0])"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    (foreign.parent / "verifiers").rename(f"{site}/verifiers")
    # All that `prm --help` loads; torch and the rest are asked for by the metadata.
    light = ["typer", "rich", "filelock", "msgspec"]
    subprocess.run([binaries / "pip", "install", "-q", "--no-deps", wheel], check=True, capture_output=True)
    subprocess.run([binaries / "pip", "install", "-q", *light], check=True, capture_output=True)
    return binaries


def test_the_command_runs_where_nothing_else_is_installed(installed, tmp_path):
    said = subprocess.run([installed / "prm", "--help"], check=True, capture_output=True, text=True, cwd=tmp_path)
    assert "demo" in said.stdout
    out = tmp_path / "p.jsonl"
    subprocess.run([installed / "prm", "world", "--count", "2", "--out", out], check=True, capture_output=True)
    assert len(out.read_text().splitlines()) == 2


def test_other_packages_of_the_same_names_stay_themselves(installed, tmp_path):
    """In a folder with a `benchmarks/` of its own, beside an installed `verifiers` of somebody else."""
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "__init__.py").write_text("OWNER = 'the user'\n")
    code = "import benchmarks, verifiers, prm.verifiers; print(benchmarks.OWNER, verifiers.OWNER, prm.verifiers.check)"
    said = subprocess.run([installed / "python", "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert said.stdout.startswith("the user another distribution <function check")


def test_the_committed_policy_is_at_most_four_megabytes():
    policy = ROOT / "benchmarks" / "arithmetic" / "policy"
    assert sum(f.stat().st_size for f in policy.iterdir()) <= 4_000_000
