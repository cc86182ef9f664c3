"""The commands that the documents and the help show exist, with those options."""

import re
import shlex

import pytest
import typer
from places import ROOT

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
        is_named = not words[0].startswith("-")
        command = command.commands[words.pop(0) if is_named else next(iter(command.commands))]
    options = {option for parameter in command.params for option in parameter.opts + parameter.secondary_opts}
    assert {w.partition("=")[0] for w in words if re.match(r"-[-a-z]", w)} <= options


def test_the_readme_names_only_files_that_are_there():
    for target in re.findall(r"\]\(([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8")):
        assert target.startswith("http") or (ROOT / target.partition("#")[0]).exists(), target
