"""From the files of a training job to its examples: read, render, split by problem, and audit."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from prm.data.comparisons import read_values
from prm.data.drops import Drops
from prm.data.files import by_id, read_chains, read_problems, read_records
from prm.data.joining import join_rows
from prm.data.preferences import Preference, read_preferences
from prm.data.records import StepLabels
from prm.data.splits import SplitProof, hold_out, prove, text_digest
from prm.errors import InputError
from prm.models.checkpoint import Metadata, context_length, load_tokenizer, renderer_of, require_base
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
from .settings import TrainSettings


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


def prepare(settings: TrainSettings, files: Mapping[str, Path]) -> Prepared:
    """Read and split the examples of a job.

    Args:
        settings: how to train.
        files: `problems` and `chains` with `labels`, `values` or both; or `preferences`.

    Raises:
        PrmError: a file or the model cannot be used.
    """
    require_base(settings.base)
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
        context=context_length(settings.base),
        too_long=settings.too_long,
        needs_pairs=need_pairs(settings.terms),
        values=read_values(files["values"]) if "values" in files else None,
    )
    if "preferences" in files:
        splitter = settings.splitter if settings.form == "steps" else None
        groups, texts, labels = _read_preferences(files, splitter, renderer, recipe, drops)
    else:
        groups, texts, labels = _read_labels(files, settings.splitter, renderer, recipe, drops)
    train, held_out, proof = _split(groups, texts, settings.held_out)
    if settings.class_balance:
        weights = class_weights(train)
        train = [reweighted(group, *weights) for group in train]
    found = audit(train, held_out, proof, labels, drops)
    return Prepared(tokenizer, metadata, train, held_out, drops, found, _padding(tokenizer, groups))


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


_Read = tuple[list[GroupExample], Mapping[str, str], Sequence[StepLabels]]
"""Examples, the text of each problem by id, and the labels that were read."""


def _read_labels(
    files: Mapping[str, Path], splitter: str, renderer: StepRenderer, recipe: Recipe, drops: Drops
) -> _Read:
    problems = by_id(read_problems(files["problems"]))
    chains = by_id(read_chains(files["chains"], splitter))
    if "labels" in files:
        labels = list(read_records(files["labels"], StepLabels))
    else:
        labels = [unlabeled(chain) for chain in chains.values()]
    rows = join_rows(problems, chains, labels, drops)
    texts = {identity: problem.text for identity, problem in problems.items()}
    return label_examples(rows, renderer, recipe, drops), texts, labels


def _read_preferences(
    files: Mapping[str, Path], splitter: str | None, renderer: StepRenderer, recipe: Recipe, drops: Drops
) -> _Read:
    if "step" in recipe.heads:
        raise InputError("preferences hold no step labels", "train an ORM on them")
    rows = list(read_preferences(files["preferences"], drops))
    groups = preference_examples(rows, renderer, recipe, splitter, drops)
    return groups, {row.id: _context_text(row) for row in rows}, ()


def _context_text(preference: Preference) -> str:
    context = preference.context
    return context if isinstance(context, str) else "\n\n".join(f"{m.role}: {m.content}" for m in context)


def _split(
    groups: Sequence[GroupExample], texts: Mapping[str, str], share: float
) -> tuple[list[GroupExample], list[GroupExample], SplitProof]:
    """The examples of both sides; those of the same text get one problem id, since they count as one problem."""
    texts = {group.problem_id: texts[group.problem_id] for group in groups}
    out = hold_out(texts, share)
    if share and not out and texts:
        raise InputError("there is only one problem to learn from: nothing can be held out", "give held_out=0")
    first: dict[str, str] = {}
    same = {identity: first.setdefault(text_digest(text), identity) for identity, text in texts.items()}
    sides: tuple[list[GroupExample], list[GroupExample]] = ([], [])
    for group in groups:
        sides[group.problem_id in out].append(replace(group, problem_id=same[group.problem_id]))
    proof = prove(*([(group.problem_id, texts[group.problem_id]) for group in side] for side in sides))
    return *sides, proof
