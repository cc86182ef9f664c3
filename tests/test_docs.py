"""The commands that the documents and the help show exist, with those options."""

import re
import shlex
import subprocess
import sys

import pytest
import typer
from places import ROOT

import prm
from prm.cli import app

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands():
    """Every line that starts with `prm`, in fences and between backticks, and each command's own example."""
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        for found in re.findall(r"^prm [^#\n]*|(?<=`)prm [^`\n]*", text, flags=re.MULTILINE):
            yield found.strip()
    yield from (c.epilog for c in app.registered_commands if c.epilog)


@pytest.mark.parametrize("line", sorted(set(commands())))
def test_a_shown_command_exists_with_its_options(line):
    command = typer.main.get_command(app)
    words = shlex.split(line.replace("…", ""))[1:]
    while words and hasattr(command, "commands"):
        if words[0].startswith("-") and command.name not in ("label", "gate"):  # which have a first command
            break
        is_named = not words[0].startswith("-")
        command = command.commands[words.pop(0) if is_named else next(iter(command.commands))]
    options = {option for parameter in command.params for option in parameter.opts + parameter.secondary_opts}
    assert {w.partition("=")[0] for w in words if re.match(r"-[-a-z]", w)} <= options


def test_the_readme_names_only_files_that_are_there():
    for target in re.findall(r"\]\(([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8")):
        assert target.startswith("http") or (ROOT / target.partition("#")[0]).exists(), target


@pytest.mark.parametrize("document", [ROOT / "CONTRIBUTING.md", *DOCUMENTS], ids=lambda path: path.name)
def test_files_that_a_document_names_in_code_are_there(document):
    """Paths like `prm/data/files.py`; those of other projects stand with their owner, as in `openreasoner/openr, …`."""
    text = document.read_text(encoding="utf-8")
    tops = "prm|verifiers|labeling|benchmarks|tests|examples|docs"
    named = re.findall(rf"`((?:{tops})/[\w/.-]+\.(?:py|md|json|png))`", text)
    assert not [name for name in named if not (ROOT / name).exists()]


@pytest.mark.parametrize("document", [ROOT / "CONTRIBUTING.md", *DOCUMENTS], ids=lambda path: path.name)
def test_modules_that_a_document_names_are_there(document):
    """`prm.data.steps` and `python -m prm.benchmarks.perf.label_speed`; the last part may be a name in the module."""
    text = document.read_text(encoding="utf-8")
    for name in set(re.findall(r"(?<![\w./-])prm(?:\.\w+){2,}", text)):
        parts = name.split(".")
        folders = [ROOT.joinpath(*parts[:n]) for n in (len(parts), len(parts) - 1, len(parts) - 2)]
        assert any(folder.with_suffix(".py").exists() or (folder / "__init__.py").exists() for folder in folders), name


def test_the_reference_has_every_public_name(tmp_path):
    """What `make docs` builds."""
    command = [sys.executable, "-m", "pdoc", "--docformat", "google", "--output-directory", tmp_path, "prm"]
    done = subprocess.run(
        [*command, "!prm.cli", "!prm.benchmarks"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "Warn" not in done.stderr
    page = (tmp_path / "prm.html").read_text(encoding="utf-8")
    assert not [name for name in prm.__all__ if f'id="{name}"' not in page]
