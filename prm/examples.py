"""From records to training examples: which chains and steps a model learns from, and what each is labelled."""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from prm.drops import Drops
from prm.records import Chain, Problem, StepLabels
from prm.rendering import Renderer

LabelView = Literal["hard", "soft"]
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
class PairExample:
    """Two chains of one problem, of which the first is right and the second wrong."""

    problem_id: str
    chosen: tuple[int, ...]
    rejected: tuple[int, ...]


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
        values = labels.hard if view == "hard" else labels.soft
        known = [(end, float(v)) for end, v in zip(rendered.step_ends, values, strict=True) if v is not None]
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


def pair_examples(
    rows: Iterable[Row], renderer: Renderer, max_length: int, drops: Drops, seed: int = 0
) -> list[PairExample]:
    """Pairs of a right and a wrong chain of one problem, by the chains' own answers; each chain in at least one.

    The shorter side of a problem is gone through again until the longer one is used up. Chains whose answer is
    undecided, and problems whose chains are all right or all wrong, go to `drops`.
    """
    sides: defaultdict[str, tuple[list[tuple[int, ...]], list[tuple[int, ...]]]] = defaultdict(lambda: ([], []))
    for problem, chain, labels in rows:
        ids = renderer.render(problem.text, chain.steps).ids
        if len(ids) > max_length:
            drops.add(chain.id, "longer than the model's context", f"{len(ids)} tokens")
        elif labels.outcome not in ("correct", "incorrect"):
            drops.add(chain.id, "its answer is undecided", labels.outcome)
        else:
            sides[problem.id][labels.outcome == "incorrect"].append(ids)
    rng = random.Random(seed)
    return [pair for problem_id, both in sides.items() for pair in _pairs(problem_id, both, rng, drops)]


def _pairs(
    problem_id: str,
    sides: tuple[Sequence[tuple[int, ...]], Sequence[tuple[int, ...]]],
    rng: random.Random,
    drops: Drops,
) -> list[PairExample]:
    right, wrong = (rng.sample(side, len(side)) for side in sides)
    if not right or not wrong:
        drops.add(problem_id, "all its chains are right" if right else "all its chains are wrong")
        return []
    count = max(len(right), len(wrong))
    return [PairExample(problem_id, right[i % len(right)], wrong[i % len(wrong)]) for i in range(count)]


def is_held_out(problem_id: str, share: float) -> bool:
    """Whether a problem belongs to the evaluation part: by its id alone, so it never changes sides between runs."""
    digest = hashlib.blake2b(problem_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * 2**64
