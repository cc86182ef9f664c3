"""From the files of a training job to its examples: read, render, split by problem, and audit."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from prm.data.comparisons import read_values
from prm.data.drops import Drops
from prm.data.files import ProblemFile, by_id, read_records, sound_chains
from prm.data.joining import join_rows
from prm.data.preferences import Preference, read_preferences
from prm.data.records import StepLabels
from prm.data.splits import SplitProof, hold_out, prove, text_digest
from prm.errors import InputError
from prm.models.checkpoint import Metadata, context_length, load_tokenizer, renderer_of
from prm.models.heads import HEADS
from prm.models.layouts import StepRenderer

from .audit import audit
from .examples import (
    GroupExample,
    Recipe,
    class_weights,
    label_examples,
    preference_examples,
    reweighted,
    unlabeled,
)
from .objectives import need_pairs
from .settings import DEFAULT_SHARE, TrainSettings


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything that a training needs but the weights of the model."""

    tokenizer: Any
    metadata: Metadata
    train: list[GroupExample]
    held_out: list[GroupExample]
    drops: Drops
    found: dict[str, Any]
    """See `prm.training.audit.audit`."""
    pad_id: int | None
    """The token that pads; None if the tokenizer has no special token."""


def prepare(settings: TrainSettings, files: Mapping[str, Path], evaluation: Mapping[str, Path]) -> Prepared:
    """Read and split the examples of a job.

    Args:
        settings: how to train.
        files: `problems` and `chains` with `labels`, `values` or both; or `preferences`.
        evaluation: the same of other problems to measure on; empty to hold some out.

    Raises:
        PrmError: a file or the model cannot be used.
    """
    context = context_length(settings.base)
    drops, metadata = (
        Drops(),
        Metadata(
            settings.objective,
            settings.separator_text,
            settings.chat,
            settings.score_means,
            members=settings.members,
            is_beta="beta-binomial" in settings.terms,
            form=settings.form,
            template=settings.template,
        ),
    )
    tokenizer = load_tokenizer(settings.base)
    renderer = renderer_of(tokenizer, metadata)
    recipe = Recipe(
        heads=frozenset(HEADS[settings.objective]),
        labels_as=settings.labels_as,
        steps=settings.steps,
        max_length=settings.max_length or sys.maxsize,
        context=context,
        too_long=settings.too_long,
        needs_pairs=need_pairs(settings.terms),
    )
    data = _read(settings, files, renderer, recipe, drops)
    other = _read(settings, evaluation, renderer, recipe, drops) if evaluation else None
    train, held_out, proof = _split(data, settings.held_out) if other is None else _apart(data, other)
    if settings.class_balance:
        weights = class_weights(train)
        train = [reweighted(group, *weights) for group in train]
    found = audit(train, held_out, proof, data.labels, drops)
    return Prepared(tokenizer, metadata, train, held_out, drops, found, _padding(tokenizer, [*train, *held_out]))


def _padding(tokenizer: Any, groups: Iterable[GroupExample]) -> int | None:
    """The token that pads: the tokenizer's own or, where it has none, its end of text.

    A token that ends a chain cannot pad, for a sequence classifier is read before its padding: the tokenizer then gets
    another special token for that.
    """
    last = {chain.ids[-1] for group in groups for chain in group.chains}
    given = (tokenizer.pad_token_id, tokenizer.eos_token_id, *tokenizer.all_special_ids)
    possible: list[int] = [i for i in given if i is not None]
    found = next((i for i in possible if i not in last), next(iter(possible), None))
    if possible and found != possible[0]:
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(found)
    return found


@dataclass(frozen=True, slots=True)
class _Data:
    """What the files of one side hold."""

    groups: list[GroupExample]
    texts: Mapping[str, str]
    """Text of each problem by id."""
    labels: Sequence[StepLabels] = ()
    """The labels that were read."""

    def distinct(self, prefix: str = "") -> _Data:
        """The same, with one id for problems of the same text, which count as one."""
        texts = {group.problem_id: self.texts[group.problem_id] for group in self.groups}
        first: dict[str, str] = {}
        ids = {identity: first.setdefault(text_digest(text), prefix + identity) for identity, text in texts.items()}
        groups = [replace(group, problem_id=ids[group.problem_id]) for group in self.groups]
        return _Data(groups, {ids[identity]: text for identity, text in texts.items()}, self.labels)


def _read(
    settings: TrainSettings, files: Mapping[str, Path], renderer: StepRenderer, recipe: Recipe, drops: Drops
) -> _Data:
    if "values" in files:
        recipe = replace(recipe, values=read_values(files["values"]))
    if "preferences" not in files:
        return _read_labels(files, settings.splitter, renderer, recipe, drops)
    return _read_preferences(files, settings.splitter if settings.form == "steps" else None, renderer, recipe, drops)


def _read_labels(
    files: Mapping[str, Path], splitter: str, renderer: StepRenderer, recipe: Recipe, drops: Drops
) -> _Data:
    problems = ProblemFile(files["problems"])
    chains = by_id(sound_chains(files["chains"], splitter, problems, drops.add))
    if "labels" in files:
        labels = list(read_records(files["labels"], StepLabels))
    else:
        labels = [unlabeled(chain) for chain in chains.values()]
    rows = join_rows(problems, chains, labels, drops)
    texts = {identity: problem.text for identity, problem in problems.items()}
    return _Data(label_examples(rows, renderer, recipe, drops), texts, labels)


def _read_preferences(
    files: Mapping[str, Path], splitter: str | None, renderer: StepRenderer, recipe: Recipe, drops: Drops
) -> _Data:
    if "step" in recipe.heads:
        raise InputError("preferences hold no step labels", "train an ORM on them")
    rows = list(read_preferences(files["preferences"], drops))
    groups = preference_examples(rows, renderer, recipe, splitter, drops)
    return _Data(groups, {row.id: _context_text(row) for row in rows})


def _context_text(preference: Preference) -> str:
    context = preference.context
    return context if isinstance(context, str) else "\n\n".join(f"{m.role}: {m.content}" for m in context)


_Sides = tuple[list[GroupExample], list[GroupExample], SplitProof]
"""Examples to learn from, and to measure on, and that they share no problem."""


def _split(data: _Data, share: float | None) -> _Sides:
    """Hold out a share of the problems."""
    share = DEFAULT_SHARE if share is None else share
    data = data.distinct()
    out = hold_out(data.texts, share)
    if share and not out and data.texts:
        raise InputError("there is only one problem to learn from: nothing can be held out", "give held_out=0")
    sides: tuple[list[GroupExample], list[GroupExample]] = ([], [])
    for group in data.groups:
        sides[group.problem_id in out].append(group)
    used = [dict.fromkeys(group.problem_id for group in side) for side in sides]
    return *sides, prove(*([(identity, data.texts[identity]) for identity in ids] for ids in used))


def _apart(data: _Data, other: _Data) -> _Sides:
    """Learn from the one and measure on the other."""
    data, other = data.distinct(), other.distinct("evaluation/")
    return data.groups, other.groups, prove(data.texts.items(), other.texts.items())
