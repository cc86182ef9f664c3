"""Records → training examples: the chains and steps that a model learns from, and their labels."""

from __future__ import annotations

import sys
from array import array
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import groupby, islice
from typing import Literal, TypeVar

from prm.data.drops import Drops
from prm.data.joining import LabeledChain
from prm.data.preferences import Preference, RatedAnswer
from prm.data.records import Chain, Known, StepLabels
from prm.data.rows import Values
from prm.data.steps import split_steps
from prm.errors import RenderError
from prm.models.layouts import StepRenderer
from prm.models.rendering import Rendered

Targets = Literal["hard", "soft", "pooled", "relative", "denoised", "counts"]
"""A view of step labels; `counts` are soft labels, each weighted by its number of draws."""
Steps = Literal["all", "first-error", "one-past"]
"""The labeled steps to learn from: all; those up to and including the first whose hard label is wrong; or one more."""
TooLong = Literal["drop", "whole-steps"]
"""What to do with a chain that is too long: drop it, or keep the whole steps that fit. No step is ever cut."""

ROUND = 256
"""Chains rendered at a time."""


@dataclass(frozen=True, slots=True)
class ChainExample:
    """A chain as a model reads it. The tuples have one entry per step."""

    chain_id: str
    ids: array[int]
    """Token ids of the problem and the steps."""
    step_ends: tuple[int, ...]
    """Index in `ids` of each step's last token."""
    targets: tuple[float | None, ...]
    """Label of each step in [0, 1]; None for a step that is not learned from."""
    weights: tuple[float, ...]
    """Weight of each target."""
    values: tuple[float | None, ...]
    """Value of the chain for each output: 1 right, 0 wrong, or a given number; None where it is unknown or not
    learned. As many in all examples of a training; one, unless the model has several outputs."""
    known: tuple[Known, ...] = ()
    """How each label is known; empty if there are none."""
    reference: float = 0.0
    """For an implicit reward: log-probability of the solution by the reference model."""

    @property
    def has_target(self) -> bool:
        """Whether any step is learned from."""
        return any(target is not None for target in self.targets)

    @property
    def has_value(self) -> bool:
        """Whether the value of any output is learned from."""
        return any(value is not None for value in self.values)

    @property
    def value(self) -> float | None:
        """The value by which chains are compared: that of the first output, for only a single one learns from pairs."""
        return self.values[0]


@dataclass(frozen=True, slots=True)
class GroupExample:
    """Chains of one problem that stay in one batch: a single one for a PRM, all that are compared for an ORM."""

    problem_id: str
    prompt_length: int
    """Number of ids before the first step."""
    chains: tuple[ChainExample, ...]
    margin: float | None = None
    """How much better the better of two chains is; None where the preference row does not say."""
    agreement: float | None = None
    """Share of the votes for the better chains, in [0, 1]; None where the preference row does not say."""
    weight: float = 1.0
    """How much the values of its chains, and the pairs of them, count; above 0."""


def blank(outputs: int) -> GroupExample:
    """One token without steps or values: adds nothing to any loss."""
    return GroupExample("", 1, (ChainExample("", array("i", [0]), (), (), (), (None,) * outputs),))


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to make examples of records."""

    heads: frozenset[str]
    """The heads to train: `step`, `outcome` or both."""
    labels_as: Targets = "hard"
    steps: Steps = "all"
    max_length: int = sys.maxsize
    """Longest chain that is wanted, in tokens."""
    context: int = sys.maxsize
    """Longest chain that the model takes, in tokens."""
    too_long: TooLong = "drop"
    needs_pairs: bool = True
    """Whether a problem whose chains all have the same value teaches nothing."""
    outputs: int = 1
    """Number of values that a chain has."""
    values: Mapping[str, Values] | None = None
    """Values of each output by chain id that replace right and wrong; None to use right and wrong."""


def unlabeled(chain: Chain) -> StepLabels:
    """Empty labels, for a chain that has nothing but a given value."""
    zeros, known = (0,) * len(chain.steps), tuple[Known, ...](["none"] * len(chain.steps))
    return StepLabels(chain.id, chain.problem_id, zeros, zeros, zeros, known, "no_answer")


def label_examples(
    rows: Iterable[LabeledChain], renderer: StepRenderer, recipe: Recipe, drops: Drops
) -> Iterator[GroupExample]:
    """Examples of labeled chains: one group per chain where only steps are learned, else one group per problem.

    Whatever teaches nothing goes to `drops`: a chain that is empty or too long, a chain whose step labels or answer
    (whichever is learned) are unknown, and, where chains are only compared, a problem whose chains all have the same
    value.
    """
    groups: defaultdict[str, list[ChainExample]] = defaultdict(list)
    lengths: dict[str, int] = {}
    for (problem, chain, labels), rendered in _rendered(rows, renderer):
        if isinstance(rendered, RenderError):
            drops.add(chain.id, rendered.reason, str(rendered))
            continue
        example = _example(labels, rendered, recipe, drops)
        if example is None:
            continue
        if recipe.heads == {"step"}:
            yield GroupExample(problem.id, rendered.prompt_length, (example,))
        else:
            groups[problem.id].append(example)
            lengths[problem.id] = rendered.prompt_length
    made = (GroupExample(identity, lengths[identity], tuple(chains)) for identity, chains in groups.items())
    yield from (group for group in made if _teaches(group, recipe, drops))


def preference_examples(
    preferences: Iterable[Preference], renderer: StepRenderer, recipe: Recipe, splitter: str | None, drops: Drops
) -> Iterator[GroupExample]:
    """Examples of preference rows: a group each, the chosen answers of value 1 and the rejected ones of value 0.

    An answer that is too long or cannot be rendered goes to `drops`; if no chosen or no rejected answer is left, the
    row does in its place.

    Args:
        preferences: the rows.
        renderer: writes the answers.
        recipe: how to make examples.
        splitter: cuts an answer into steps; None to give it to the renderer whole.
        drops: see above.
    """
    made = (_compared(*row, recipe, drops) for row in _answered(preferences, renderer, splitter))
    yield from (group for group in made if group is not None)


def rated_examples(
    rows: Iterable[RatedAnswer], renderer: StepRenderer, recipe: Recipe, splitter: str | None, drops: Drops
) -> Iterator[GroupExample]:
    """Examples of rated answers: a group for each run of answers to the same context. Arguments and drops as above."""
    answered = _answered(rows, renderer, splitter)
    for _, run in groupby(answered, key=lambda row: row[0].context):
        own = list(run)
        chains, prompt_length = list[ChainExample](), 0
        for name, values, rendered in (answer for _, answers in own for answer in answers):
            if fault := _fault(rendered, recipe):
                drops.add(name, *fault)
            elif values == (None,) * recipe.outputs:
                drops.add(name, _NO_VALUE)
            elif isinstance(rendered, Rendered):
                chains.append(_answer(name, rendered, values))
                prompt_length = rendered.prompt_length
        group = GroupExample(own[0][0].id, prompt_length, tuple(chains))
        if chains and _teaches(group, recipe, drops):
            yield group


_Row = TypeVar("_Row", Preference, RatedAnswer)
_Answered = list[tuple[str, Values, Rendered | RenderError]]
"""Name, values and text of each answer of a row."""


def _answered(rows: Iterable[_Row], renderer: StepRenderer, splitter: str | None) -> Iterator[tuple[_Row, _Answered]]:
    def render(part: Sequence[_Row]) -> list[tuple[_Row, _Answered]]:
        contexts = [row.context for row in part for _ in row.answers]
        texts = (text for row in part for _, _, text in row.answers)
        chains = [(text,) if splitter is None else split_steps(text, splitter) for text in texts]
        rendered = iter(renderer.render_many(contexts, chains))
        return [(row, [(name, values, next(rendered)) for name, values, _ in row.answers]) for row in part]

    for part in _ahead(render, _rounds(rows)):
        yield from part


def _compared(
    preference: Preference,
    answers: _Answered,
    recipe: Recipe,
    drops: Drops,
) -> GroupExample | None:
    chains, failed, prompt_length = list[ChainExample](), list[tuple[str, str, str]](), 0
    for name, values, rendered in answers:
        if fault := _fault(rendered, recipe):
            failed.append((name, *fault))
        elif isinstance(rendered, Rendered):
            chains.append(_answer(name, rendered, values))
            prompt_length = rendered.prompt_length
    if {chain.value for chain in chains} != {0.0, 1.0}:
        drops.add(preference.id, *failed[0][1:])
        return None
    for name, reason, detail in failed:
        drops.add(name, reason, detail)
    return GroupExample(
        preference.id, prompt_length, tuple(chains), preference.margin, preference.agreement, preference.weight
    )


def _fault(rendered: Rendered | RenderError, recipe: Recipe) -> tuple[str, str] | None:
    """Reason and detail of a drop; None if there is nothing wrong."""
    if isinstance(rendered, RenderError):
        return rendered.reason, str(rendered)
    length = len(rendered.ids)
    if length > recipe.context:
        return "longer than the model's context", f"{length} tokens, but the model takes {recipe.context}"
    if length > recipe.max_length:
        return "longer than max_length", f"{length} tokens, max_length {recipe.max_length}"
    return None


def _answer(identity: str, rendered: Rendered, values: Values) -> ChainExample:
    steps = len(rendered.step_ends)
    return ChainExample(identity, array("i", rendered.ids), rendered.step_ends, (None,) * steps, (1.0,) * steps, values)


def _rendered(
    rows: Iterable[LabeledChain], renderer: StepRenderer
) -> Iterator[tuple[LabeledChain, Rendered | RenderError]]:
    def render(part: Sequence[LabeledChain]) -> list[tuple[LabeledChain, Rendered | RenderError]]:
        found = renderer.render_many([problem.text for problem, _, _ in part], [chain.steps for _, chain, _ in part])
        return list(zip(part, found, strict=True))

    for part in _ahead(render, _rounds(rows)):
        yield from part


_T = TypeVar("_T")
_R = TypeVar("_R")


def _rounds(rows: Iterable[_T]) -> Iterator[list[_T]]:
    rest = iter(rows)
    while part := list(islice(rest, ROUND)):
        yield part


def _ahead(function: Callable[[_T], _R], parts: Iterable[_T]) -> Iterator[_R]:
    """The function's value for each part, in order.

    It is computed in another thread while the caller uses the one before and the next part is read: the tokenizers
    library leaves the interpreter free.
    """
    with ThreadPoolExecutor(1) as thread:
        pending: deque[Future[_R]] = deque()
        for part in parts:
            pending.append(thread.submit(function, part))
            if len(pending) > 1:
                yield pending.popleft().result()
        for last in pending:
            yield last.result()


def _example(labels: StepLabels, rendered: Rendered, recipe: Recipe, drops: Drops) -> ChainExample | None:
    """The example of a chain; None, and a note in `drops`, if it teaches nothing."""
    fitting = _fitting(labels.chain_id, rendered, recipe, drops)
    if fitting is None:
        return None
    steps = len(fitting.step_ends)
    targets = _targets(labels, recipe)[:steps] if "step" in recipe.heads else (None,) * steps
    values = _values(labels, recipe) if "outcome" in recipe.heads else (None,)
    weights = tuple(map(float, labels.evidence[:steps])) if recipe.labels_as == "counts" else (1.0,) * steps
    ids = array("i", fitting.ids)
    example = ChainExample(labels.chain_id, ids, fitting.step_ends, targets, weights, values, labels.known[:steps])
    if not (example.has_value or example.has_target):
        drops.add(labels.chain_id, _nothing_known(recipe))
        return None
    return example


def _fitting(identity: str, rendered: Rendered, recipe: Recipe, drops: Drops) -> Rendered | None:
    """The chain, or those of its whole steps that fit if the recipe keeps them; None if nothing fits."""
    ends = rendered.step_ends
    if not ends:
        drops.add(identity, "empty chain")
        return None
    kept = sum(end < min(recipe.max_length, recipe.context) for end in ends)
    if recipe.too_long == "whole-steps" and 0 < kept < len(ends):
        drops.add(identity, "steps beyond the longest length", f"{kept} of {len(ends)} steps are kept")
        return replace(rendered, ids=rendered.ids[: ends[kept - 1] + 1], step_ends=ends[:kept])
    if fault := _fault(rendered, recipe):
        drops.add(identity, *fault)
    return None if fault else rendered


def _targets(labels: StepLabels, recipe: Recipe) -> tuple[float | None, ...]:
    """The labels to learn from (Let's Verify Step by Step, arXiv 2305.20050, section 2.4, stops at the first error).

    The hard labels decide the first error in every view: a low value marks a hard way on, not an error.
    """
    found = labels.view("soft" if recipe.labels_as == "counts" else recipe.labels_as)
    hard = () if recipe.steps == "all" else labels.hard
    wrong = next((i for i, is_right in enumerate(hard) if is_right is False), len(found))
    stop = {"all": len(found), "first-error": wrong + 1, "one-past": wrong + 2}[recipe.steps]
    return tuple(float(value) if value is not None and i < stop else None for i, value in enumerate(found))


def _values(labels: StepLabels, recipe: Recipe) -> Values:
    if recipe.values is not None:
        return recipe.values.get(labels.chain_id, (None,) * recipe.outputs)
    return ({"correct": 1.0, "incorrect": 0.0}.get(labels.outcome),)


_NO_VALUE = "it has no value"


def _nothing_known(recipe: Recipe) -> str:
    if recipe.heads == {"step"}:
        return f"no step has a {recipe.labels_as} label"
    if recipe.heads == {"outcome"}:
        return "its answer is undecided" if recipe.values is None else _NO_VALUE
    return "neither its steps nor its answer are known"


def _teaches(group: GroupExample, recipe: Recipe, drops: Drops) -> bool:
    """Whether a group teaches something; one with no step labels must have chains to compare."""
    if "outcome" not in recipe.heads or not recipe.needs_pairs:
        return True
    values = {chain.value for chain in group.chains} - {None}
    if len(values) > 1 or any(chain.has_target for chain in group.chains):
        return True
    drops.add(group.problem_id, _all_alike(values, recipe))
    return False


def _all_alike(values: set[float | None], recipe: Recipe) -> str:
    worth = "worth the same" if recipe.values is not None else "right" if values == {1.0} else "wrong"
    return f"all its chains are {worth}"


def to_last_target(group: GroupExample) -> GroupExample:
    """The group with each chain cut after its last label: a decoder learns nothing from the tokens beyond."""
    return replace(group, chains=tuple(_to_last_target(chain) for chain in group.chains))


def _to_last_target(chain: ChainExample) -> ChainExample:
    kept = max(i for i, target in enumerate(chain.targets) if target is not None) + 1
    return replace(
        chain,
        ids=chain.ids[: chain.step_ends[kept - 1] + 1],
        step_ends=chain.step_ends[:kept],
        targets=chain.targets[:kept],
        weights=chain.weights[:kept],
        known=chain.known[:kept],
    )


def class_weights(groups: Iterable[GroupExample]) -> tuple[float, float]:
    """Weights of wrong and right that give both kinds of step label the same total weight.

    A target of 0.25 is three quarters wrong and one quarter right. (1, 1) if there is only one kind.
    """
    total = right = 0.0
    for chain in (chain for group in groups for chain in group.chains):
        for target, weight in zip(chain.targets, chain.weights, strict=True):
            if target is not None:
                total += weight
                right += weight * target
    if not 0 < right < total:
        return 1.0, 1.0
    return total / (2 * (total - right)), total / (2 * right)


def reweighted(group: GroupExample, wrong: float, right: float) -> GroupExample:
    """The group with each step label's weight multiplied by `right` and `wrong`, mixed by how far it is right."""
    return replace(group, chains=tuple(_reweighted(chain, wrong, right) for chain in group.chains))


def _reweighted(chain: ChainExample, wrong: float, right: float) -> ChainExample:
    pairs = zip(chain.targets, chain.weights, strict=True)
    weights = (weight * (1.0 if t is None else t * right + (1 - t) * wrong) for t, weight in pairs)
    return replace(chain, weights=tuple(weights))
