"""From records to training examples: which chains and steps a model learns from, and what each is labelled."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from prm.drops import Drops
from prm.records import Chain, LabelView, Problem, StepLabels
from prm.rendering import Rendered, Renderer

Steps = Literal["all", "first-error"]
"""Which labelled steps to learn from: all, or those up to and including the first that is called wrong."""


@dataclass(frozen=True, slots=True)
class StepExample:
    """A chain with step labels."""

    problem_id: str
    ids: tuple[int, ...]
    positions: tuple[int, ...]
    """Where in `ids` the labelled steps end."""
    targets: tuple[float, ...]
    """Their labels in [0, 1], one a position."""


@dataclass(frozen=True, slots=True)
class GroupExample:
    """Chains of one problem, at least one of them right and one wrong. All tuples have one entry a chain."""

    problem_id: str
    ids: tuple[tuple[int, ...], ...]
    step_ends: tuple[tuple[int, ...], ...]
    """Where in a chain's ids its steps end."""
    prompt_length: int
    """How many ids stand before the first step."""
    is_right: tuple[bool, ...]


Row = tuple[Problem, Chain, StepLabels]


def join_rows(
    problems: Mapping[str, Problem], chains: Mapping[str, Chain], labels: Iterable[StepLabels], drops: Drops
) -> list[Row]:
    """Bring together what belongs together; labels without their chain or problem go to `drops`."""
    rows: list[Row] = []
    for label in labels:
        chain, problem = chains.get(label.chain_id), problems.get(label.problem_id)
        if chain is None or problem is None:
            drops.add(label.chain_id, "its chain is missing" if chain is None else "its problem is missing")
        elif len(chain.steps) != len(label.right):
            drops.add(label.chain_id, "labels and steps differ in number", f"{len(label.right)}, {len(chain.steps)}")
        else:
            rows.append((problem, chain, label))
    return rows


def step_examples(
    rows: Iterable[Row], renderer: Renderer, view: LabelView, max_length: int, drops: Drops, steps: Steps = "all"
) -> list[StepExample]:
    """One example a chain. Steps whose label is not known are not trained on; a chain with none goes to `drops`.

    With `steps="first-error"` what follows the first wrong step (a label below 0.5) is left out, as in PRM800K (Let's
    Verify Step by Step, arXiv 2305.20050, section 2.4): the model learns to find an error, not to remember one.
    """
    examples: list[StepExample] = []
    for problem, chain, labels in rows:
        rendered = renderer.render(problem.text, chain.steps)
        known = [(end, float(v)) for end, v in zip(rendered.step_ends, labels.view(view), strict=True) if v is not None]
        if steps == "first-error":
            known = known[: next((i + 1 for i, (_, v) in enumerate(known) if v < 0.5), len(known))]
        if len(rendered.ids) > max_length:
            drops.add(chain.id, "longer than the model's context", f"{len(rendered.ids)} tokens")
        elif not known:
            drops.add(chain.id, f"no step has a {view} label")
        else:
            positions, targets = zip(*known, strict=True)
            examples.append(StepExample(problem.id, rendered.ids, positions, targets))
    return examples


def group_examples(rows: Iterable[Row], renderer: Renderer, max_length: int, drops: Drops) -> list[GroupExample]:
    """The chains of each problem, right or wrong by their own answers.

    Chains whose answer is undecided, and problems whose chains are all right or all wrong, go to `drops`.
    """
    groups: defaultdict[str, list[tuple[Rendered, bool]]] = defaultdict(list)
    for problem, chain, labels in rows:
        rendered = renderer.render(problem.text, chain.steps)
        if len(rendered.ids) > max_length:
            drops.add(chain.id, "longer than the model's context", f"{len(rendered.ids)} tokens")
        elif labels.outcome not in ("correct", "incorrect"):
            drops.add(chain.id, "its answer is undecided", labels.outcome)
        elif not chain.steps:
            drops.add(chain.id, "empty chain")
        else:
            groups[problem.id].append((rendered, labels.outcome == "correct"))
    return [
        _group(problem_id, members) for problem_id, members in groups.items() if _is_mixed(problem_id, members, drops)
    ]


def _is_mixed(problem_id: str, members: Sequence[tuple[Rendered, bool]], drops: Drops) -> bool:
    kinds = {is_right for _, is_right in members}
    if len(kinds) == 1:
        drops.add(problem_id, f"all its chains are {'right' if kinds == {True} else 'wrong'}")
    return len(kinds) == 2


def _group(problem_id: str, members: Sequence[tuple[Rendered, bool]]) -> GroupExample:
    return GroupExample(
        problem_id=problem_id,
        ids=tuple(rendered.ids for rendered, _ in members),
        step_ends=tuple(rendered.step_ends for rendered, _ in members),
        prompt_length=members[0][0].prompt_length,
        is_right=tuple(is_right for _, is_right in members),
    )
