"""From the files of a training job to its examples: read, render, split by problem, and audit.

What is made is kept in a directory, with a fingerprint of all that it depends on. A job that is resumed, and the other
processes of one that is not, find it there and read nothing again.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from prm.data.comparisons import read_values
from prm.data.drops import Drops
from prm.data.files import ProblemFile, read_records, sound_chains
from prm.data.joining import join_rows
from prm.data.manifest import content_digest
from prm.data.preferences import Preference, RatedAnswer, read_preferences, read_rated
from prm.data.records import Message, StepLabels
from prm.data.splits import SplitProof, hold_out, prove, text_digest
from prm.data.writing import whole_directory, write_json
from prm.errors import InputError
from prm.models.checkpoint import Metadata, context_length, load_tokenizer, renderer_of
from prm.models.dialects import Dialect, make_renderer
from prm.models.families import DIALECTS
from prm.models.layouts import StepRenderer
from prm.models.rendering import PLACE, prompt_of
from prm.statistics.arrays import Bools

from ..examples import (
    GroupExample,
    Recipe,
    class_weights,
    label_examples,
    preference_examples,
    rated_examples,
    reweighted,
    unlabeled,
)
from ..objectives import heads_of, need_pairs
from ..settings import DEFAULT_SHARE, TrainSettings
from .audit import audit
from .storage import Changed, Columns, Groups, Writer

FORMAT = 2
"""Of the directory. Another number, and no directory made before is used."""
_NOTES, _EXAMPLES = "prepared.json", "examples"


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything that a training needs but the weights of the model."""

    tokenizer: Any
    reading: Metadata | Dialect
    """How the model is fed and read: a dialect for an implicit PRM."""
    train: Sequence[GroupExample]
    held_out: Sequence[GroupExample]
    drops: Drops
    found: dict[str, Any]
    """See `prm.training.data.audit.audit`."""
    pad_id: int | None
    """The token that pads; None if the tokenizer has no special token."""


def prepare(
    settings: TrainSettings,
    files: Mapping[str, Path],
    evaluation: Mapping[str, Path],
    place: Path,
    *,
    waits: bool = False,
) -> Prepared:
    """Read and split the examples of a job, unless an earlier call with the same arguments has.

    Args:
        settings: how to train.
        files: `problems` and `chains` with `labels`, `values` or both; or `preferences`; or `values` of answers alone.
        evaluation: the same of other problems to measure on; empty to hold some out.
        place: directory that keeps what is made; one with other contents is replaced.
        waits: whether another process makes it.

    Raises:
        PrmError: a file or the model cannot be used.
    """
    context = context_length(settings.base)
    reading = _reading(settings)
    tokenizer = load_tokenizer(settings.base)
    recipe = Recipe(
        heads=frozenset(heads_of(settings.objective)),
        labels_as=settings.labels_as,
        steps=settings.steps,
        max_length=settings.max_length or sys.maxsize,
        context=context,
        too_long=settings.too_long,
        needs_pairs=need_pairs(settings.terms),
        outputs=len(settings.outputs) or 1,
    )
    making = _Making(settings, files, evaluation, tokenizer, reading, recipe)
    fingerprint = making.fingerprint()
    notes = _notes(place, fingerprint)
    while notes is None:
        if waits:
            time.sleep(0.1)
        else:
            making.write(place, fingerprint)
        notes = _notes(place, fingerprint)
    return _load(place, notes, tokenizer, reading)


def _reading(settings: TrainSettings) -> Metadata | Dialect:
    """How the model will be fed and read, in training and in scoring."""
    if settings.objective == "implicit":
        return _implicit(settings)
    return Metadata(
        settings.objective,
        settings.separator_text,
        settings.chat,
        settings.score_means,
        members=settings.members,
        outputs=settings.outputs,
        is_beta="beta-binomial" in settings.terms,
        form=settings.form,
        template=settings.template,
    )


def _implicit(settings: TrainSettings) -> Dialect:
    """The dialect of an implicit PRM, whose reference is its backbone."""
    before, _, after = prompt_of(settings.template).text.partition(PLACE)
    return replace(
        DIALECTS["implicit"],
        layout="spans" if settings.chat else "plain",
        problem_start="" if settings.chat else before,
        problem_end="" if settings.chat else after,
        step_start="",
        joint=settings.separator_text,
        beta=settings.beta,
        hub_names=(),
        companion=settings.base,
        form=f"{'chat; the' if settings.chat else 'problem,'} steps with {settings.separator_text!r} between them",
        source="",
    )


def _notes(place: Path, fingerprint: str) -> dict[str, Any] | None:
    """What is noted in the directory; None if it does not hold what belongs to the fingerprint."""
    try:
        notes: dict[str, Any] = json.loads((place / _NOTES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return notes if notes["fingerprint"] == fingerprint else None


def _load(place: Path, notes: Mapping[str, Any], tokenizer: Any, reading: Metadata | Dialect) -> Prepared:
    columns = Columns.load(place)
    held_out = np.load(place / "held_out.npy")
    train: Sequence[GroupExample] = Groups(columns, np.flatnonzero(~held_out))
    if notes["class_weights"]:
        wrong, right = notes["class_weights"]
        train = Changed(train, partial(reweighted, wrong=wrong, right=right))
    return Prepared(
        tokenizer,
        reading,
        train,
        Groups(columns, np.flatnonzero(held_out)),
        Drops.read(place / _EXAMPLES),
        notes["audit"],
        _padding(tokenizer, set(notes["last"])),
    )


def _padding(tokenizer: Any, last: Collection[int]) -> int | None:
    """The token that pads: the tokenizer's own or, where it has none, its end of text.

    A token that ends a chain, one of `last`, cannot pad, for a sequence classifier is read before its padding: the
    tokenizer then gets another special token for that.
    """
    given = (tokenizer.pad_token_id, tokenizer.eos_token_id, *tokenizer.all_special_ids)
    possible: list[int] = [i for i in given if i is not None]
    found = next((i for i in possible if i not in last), next(iter(possible), None))
    if possible and found != possible[0]:
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(found)
    return found


@dataclass(frozen=True, slots=True)
class _Making:
    """How examples are made: all that they depend on."""

    settings: TrainSettings
    files: Mapping[str, Path]
    evaluation: Mapping[str, Path]
    tokenizer: Any
    reading: Metadata | Dialect
    recipe: Recipe

    def fingerprint(self) -> str:
        """A digest of everything that changes the examples."""
        recipe = {**asdict(self.recipe), "heads": sorted(self.recipe.heads)}
        read = [{name: content_digest(path) for name, path in side.items()} for side in (self.files, self.evaluation)]
        split = (self.settings.splitter, self.settings.held_out, self.settings.class_balance)
        versions = [version(name) for name in ("prm-toolkit", "transformers", "tokenizers")]
        facts = (FORMAT, versions, read, asdict(self.reading), recipe, split, _digest_of_tokenizer(self.tokenizer))
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def write(self, place: Path, fingerprint: str) -> None:
        """Make the examples, and write them all or nothing."""
        drops = Drops()
        with whole_directory(place) as directory:
            with Writer(directory, self.recipe.outputs) as writer:
                data = self._read(self.files, writer, drops)
                other = self._read(self.evaluation, writer, drops, "evaluation/") if self.evaluation else None
            columns = Columns.load(directory)
            held_out, proof = _split(data, self.settings.held_out) if other is None else _apart(data, other)
            np.save(directory / "held_out.npy", held_out)
            drops.write(directory / _EXAMPLES)
            train = Groups(columns, np.flatnonzero(~held_out))
            notes = {
                "fingerprint": fingerprint,
                "audit": audit(columns, held_out, proof, drops),
                "class_weights": class_weights(train) if self.settings.class_balance else None,
                "last": sorted(set(columns.ids[columns.token_starts[1:] - 1].tolist())),
            }
            write_json(directory / _NOTES, notes)

    def _read(self, files: Mapping[str, Path], writer: Writer, drops: Drops, prefix: str = "") -> _Problems:
        """Write the examples of these files; problems of the same text get one id, since they count as one."""
        renderer, recipe, outputs = self._renderer(), self.recipe, self.settings.outputs
        splitter = self.settings.splitter if self.settings.form == "steps" else None
        if "preferences" in files:
            rows = read_preferences(files["preferences"], drops)
            found = _of_answers(rows, lambda noted: preference_examples(noted, renderer, recipe, splitter, drops))
        elif "chains" not in files:
            recipe = replace(recipe, values={})  # those of the rows take the place of right and wrong
            rated = read_rated(files["values"], outputs, drops)
            found = _of_answers(rated, lambda noted: rated_examples(noted, renderer, recipe, splitter, drops))
        else:
            if "values" in files:
                recipe = replace(recipe, values=read_values(files["values"], outputs))
            found = _of_labels(files, self.settings.splitter, renderer, recipe, drops)
        problems = _Problems(prefix)
        for group, text in found:
            writer.add(replace(group, problem_id=problems.add(group.problem_id, text)))
        return problems

    def _renderer(self) -> StepRenderer:
        """The one that scoring will use."""
        if isinstance(self.reading, Dialect):
            return make_renderer(self.tokenizer, self.settings.base, self.reading)
        return renderer_of(self.tokenizer, self.reading)


class _Problems:
    """The problems of the groups that were read."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.texts: dict[str, str] = {}
        """By id, without those whose text came before under another id."""
        self.of_groups: list[str] = []
        """The id of each group's problem."""
        self._ids: dict[str, str] = {}
        self._by_text: dict[str, str] = {}

    def add(self, identity: str, text: str) -> str:
        """The id under which the next group's problem goes."""
        if identity not in self._ids:
            name = self._by_text.setdefault(text_digest(text), self.prefix + identity)
            self._ids[identity] = name
            self.texts.setdefault(name, text)
        self.of_groups.append(self._ids[identity])
        return self._ids[identity]


_Found = Iterator[tuple[GroupExample, str]]
"""Examples, and the text of each one's problem."""


def _of_labels(
    files: Mapping[str, Path], splitter: str, renderer: StepRenderer, recipe: Recipe, drops: Drops
) -> _Found:
    problems = ProblemFile(files["problems"])
    if "labels" in files:
        labels = read_records(files["labels"], StepLabels)
    else:
        labels = map(unlabeled, sound_chains(files["chains"], splitter, problems))
    rows = join_rows(problems, sound_chains(files["chains"], splitter, problems, drops.add), labels, drops)
    for group in label_examples(rows, renderer, recipe, drops):
        yield group, problems[group.problem_id].text


_Row = TypeVar("_Row", Preference, RatedAnswer)


def _of_answers(rows: Iterable[_Row], made: Callable[[Iterable[_Row]], Iterator[GroupExample]]) -> _Found:
    """What is made of rows with a context of their own."""
    texts: dict[str, str] = {}

    def noted() -> Iterator[_Row]:
        for row in rows:
            texts[row.id] = _context_text(row.context)
            yield row

    for group in made(noted()):
        yield group, texts.pop(group.problem_id)


def _context_text(context: str | tuple[Message, ...]) -> str:
    return context if isinstance(context, str) else "\n\n".join(f"{m.role}: {m.content}" for m in context)


_Sides = tuple[Bools, SplitProof]
"""Whether each group is held out, and that the two sides share no problem."""


def _split(data: _Problems, share: float | None) -> _Sides:
    """Hold out a share of the problems."""
    share = DEFAULT_SHARE if share is None else share
    out = hold_out(data.texts, share)
    if share and not out and data.texts:
        raise InputError("there is only one problem to learn from: nothing can be held out", "give held_out=0")
    sides = ([item for item in data.texts.items() if (item[0] in out) is held_out] for held_out in (False, True))
    return np.array([name in out for name in data.of_groups], dtype=bool), prove(*sides)


def _apart(data: _Problems, other: _Problems) -> _Sides:
    """Learn from the one and measure on the other."""
    held_out = np.repeat([False, True], [len(data.of_groups), len(other.of_groups)])
    return held_out, prove(data.texts.items(), other.texts.items())


def _digest_of_tokenizer(tokenizer: Any) -> str:
    """Digest of all that a tokenizer saves, its chat template included."""
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        parts = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        return hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in parts)).hexdigest()
