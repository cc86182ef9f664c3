"""The options of a training as a TOML file: written beside each checkpoint, read by `prm train --config`."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from prm.data.jobs import Source
from prm.errors import InputError

from .settings import TrainSettings

OPTIONS = "train.toml"
"""In the directory of a checkpoint: how it was made."""


def options_text(settings: TrainSettings, data: Mapping[str, Source], evaluation: Mapping[str, Source]) -> str:
    """The settings that are not the default, and where the data are, as far as these are files: TOML."""
    usual = {field.name: getattr(TrainSettings(settings.base), field.name) for field in fields(settings)}
    row = {name: value for name, value in asdict(settings).items() if name == "base" or value != usual[name]}
    if settings.head_from:
        row["head_from"] = ",".join(settings.head_from)
    if settings.report_to == ():
        row["report_to"] = ["none"]
    for name in ("lora_targets", "report_to"):
        if isinstance(row.get(name), str):
            row[name] = [row[name]]
    if settings.template is not None:  # as `--template` reads a text
        row["template"] = settings.template.replace("\\", "\\\\").replace("\n", "\\n")
    tables = {"losses": row.pop("losses", {}), "evaluation": _paths(evaluation)}
    lines = [f"{name} = {_toml(value)}" for name, value in (row | _paths(data)).items()]
    for name, table in tables.items():
        if table:
            lines += ["", f"[{name}]", *(f"{_toml(key)} = {_toml(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def _paths(sources: Mapping[str, Source]) -> dict[str, str]:
    return {name: os.fspath(source) for name, source in sources.items() if isinstance(source, (str, os.PathLike))}


def _toml(value: object) -> str:
    """A text, number, switch or list of texts; JSON has the same form for all of them."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def read_options(path: Path, known: Collection[str]) -> dict[str, Any]:
    """The options in a file, by their names on the command line, with `_` for `-`.

    Args:
        path: TOML.
        known: the names that there are.

    Raises:
        InputError: the file cannot be read, or has an option that there is not.
    """
    try:
        row = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}", "give a TOML file of options") from error
    except ValueError as error:
        raise InputError(f"{path}: is not TOML: {error}", "mend it") from error
    found = {name.replace("-", "_"): value for name, value in row.items()}
    if unknown := found.keys() - {*known, "losses"}:
        raise InputError(f"{path}: unknown option {min(unknown)!r}", f"the options are {', '.join(sorted(known))}")
    if "losses" in found:
        found["loss"] = found.pop("losses")
    for name, value in found.items():
        if isinstance(value, dict):
            found[name] = [f"{key}={part}" for key, part in value.items()]
    return found
