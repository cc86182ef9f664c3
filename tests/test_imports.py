"""Imports point one way, light imports stay light, and `__all__` says what is there."""

from __future__ import annotations

import ast
import subprocess
import sys
import types

import pytest
from places import ROOT

import prm
from prm import verifiers

HEAVY = ("torch", "vllm", "sympy", "numpy", "scipy", "jinja2")
ROOMS = ["verifiers", "errors", "console", "plots", "statistics", "data", "models", "scoring", "training", "generation"]
"""In their order: each may import those before it. `training` and `generation` stand beside each other."""
MAY_IMPORT = {
    "verifiers": set(),
    "errors": set(),
    "console": {"errors"},
    "plots": {"errors"},
    **{room: set(ROOMS[:i]) for i, room in enumerate(ROOMS) if i >= ROOMS.index("statistics")},
    "search": {*ROOMS, "serving"} - {"training"},
    "rl": set(ROOMS) - {"training", "generation"},
    "labeling": set(ROOMS) - {"training"},
    "serving": set(ROOMS) - {"training", "generation"},
    "benchmarks": {*ROOMS, "search", "rl"},
    "": {*ROOMS, "search", "labeling", "benchmarks", "serving"},  # the façade
    "cli": {*ROOMS, "search", "labeling", "benchmarks", "serving"},
}
MAY_IMPORT["generation"] -= {"training"}


def module_parts(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts if parts[0] == "prm" else ("prm", *parts)
    return parts[:-1] if parts[-1] == "__init__" else parts


def imported(path):
    """Modules that a module imports anywhere in it, inside functions too, each as its full name in parts."""
    package = module_parts(path) if path.name == "__init__.py" else module_parts(path)[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = (*base, *(node.module or "").split(".")) if node.module else base
            yield from ((*module, alias.name) for alias in node.names)


def modules():
    found = [m for top in ("prm", "verifiers", "labeling", "benchmarks") for m in sorted((ROOT / top).rglob("*.py"))]
    return [m for m in found if not any(parent.is_symlink() for parent in m.parents)]


def room_of(parts):
    return parts[1] if len(parts) > 1 and parts[0] == "prm" else ""


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_imports_point_one_way(room):
    own = [m for m in modules() if room_of(module_parts(m)) == room]
    assert own, f"{room} has no module"
    wrong = {
        f"{path.relative_to(ROOT)} imports {'.'.join(name)}"
        for path in own
        for name in imported(path)
        if name[0] == "prm" and room_of(name) not in {*MAY_IMPORT[room], room}
    }
    assert not wrong


def test_every_module_stands_in_a_room():
    assert {room_of(module_parts(m)) for m in modules()} == set(MAY_IMPORT)


def test_own_packages_are_imported_by_the_name_they_have_when_installed():
    """`verifiers` alone may be another distribution's; within a package names are relative."""
    wrong = {
        f"{path.relative_to(ROOT)}: {'.'.join(name)}"
        for path in [*modules(), *(ROOT / "tests").rglob("*.py")]
        for name in imported(path)
        if name[0] in ("verifiers", "labeling", "benchmarks")
    }
    assert not wrong


def test_verifiers_need_no_model():
    names = {name[0] for m in (ROOT / "verifiers").glob("*.py") for name in imported(m)}
    assert not names & {"torch", "transformers", "vllm"}


def test_few_modules_import_vllm():
    """One starts it, one scores and one generates with it; and two measurements have to run it bare."""
    users = {m.relative_to(ROOT).as_posix() for m in modules() if "vllm" in {name[0] for name in imported(m)}}
    own = {"prm/scoring/vllm_backend.py", "prm/models/vllm_process.py", "prm/generation/vllm_engine.py"}
    assert users == own | {"benchmarks/perf/label_throughput.py", "benchmarks/perf/engines/seeds.py"}


def test_no_folder_is_a_corridor():
    """A folder that one cannot take in at a glance is to be cut into rooms."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    if not tracked:
        pytest.skip("not a checkout of git")
    folders = [line.rpartition("/")[0] for line in tracked.splitlines()]
    assert max(map(folders.count, set(folders))) <= 15


def python(code):
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("package", ["prm", "prm.verifiers"])
def test_import_is_light(package):
    done = python(f"import sys, {package}; print([m for m in {HEAVY} if m in sys.modules])")
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["label", "--help"], ["train", "--help"]])
def test_help_is_light(arguments):
    code = f"""
import sys
from prm.cli import app
try:
    app({arguments})
except SystemExit as error:
    print("loaded:", [m for m in {HEAVY} if m in sys.modules], "exit:", error.code)
"""
    done = python(code)
    assert "Usage" in done.stdout, done.stderr
    assert done.stdout.strip().endswith("loaded: [] exit: 0")


def test_the_facade_has_what_it_says():
    """The table of homes, what a type checker sees, and what is there are the same names."""
    tree = ast.parse((ROOT / "prm" / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    checked = {f"{node.module}.{alias.name}" for node in block.body for alias in node.names}
    assert checked == {f"{home}.{name}" for name, home in prm._HOME_OF.items()}
    assert all(getattr(prm, name) is not None for name in prm.__all__)
    assert set(prm.__all__) <= set(dir(prm))
    with pytest.raises(AttributeError, match="'nothing'"):
        prm.nothing  # noqa: B018


def test_all_equals_reality():
    skipped = (types.ModuleType, type(annotations))
    names = {name for name, value in vars(verifiers).items() if name[0] != "_" and not isinstance(value, skipped)}
    assert set(verifiers.__all__) == names
    assert len(verifiers.__all__) == len(names)
