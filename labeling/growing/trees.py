"""The chains and rollouts of a problem as one tree, and the growth of that tree (OmegaPRM, arXiv 2406.06592).

A state is a prefix: chains that begin with the same steps share it, and all rollouts from it. OmegaPRM's search is a
loop of two commands: `prm label grow` turns the most promising wrong rollouts into chains, and `prm label --strategy
bisect --extend` labels these, with what was drawn from the states they share. The root's rollouts are the sampled
chains.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path
from typing import Any

from prm.data.drops import Drops
from prm.data.files import SCHEMAS, ProblemFile, by_id, read_chains, read_records, sound_chains, to_json
from prm.data.jobs import Output, Records, Source, Workspace, making, write_drops
from prm.data.manifest import Job
from prm.data.reading import read_rows
from prm.data.records import Chain, Outcome, Problem, Rollout, StepLabels
from prm.data.steps import split_steps
from prm.data.writing import write_bytes, write_lines
from prm.errors import InputError, require_number
from prm.generation.sampling import up_to_answer

from ..allocation import PROBLEM
from ..journal import StoredRollouts, stored_labels

ALPHA, BETA, LENGTH, EXPLORATION = 0.5, 0.9, 500, 0.125
"""OmegaPRM's constants (section 3.3): preference for states of high value, for short rollouts, relative to this number
of tokens, and for states that were rarely chosen."""


DEEPEST = 300
"""Most steps of a chain in a tree that is written: readers of JSON take no deeper nesting."""


@dataclass(slots=True)
class State:
    """A prefix of one or several chains."""

    text: str
    """Its last step; for the root, the problem."""
    counts: list[int] = field(default_factory=lambda: [0, 0, 0])
    """Right, wrong and undecided rollouts from it, and chains that end here."""
    visits: int = 0
    """How many of its rollouts became chains."""
    rollouts: list[Rollout] = field(default_factory=list)
    """The wrong ones that did not become chains."""
    children: dict[str, State] = field(default_factory=dict)
    """By their steps."""

    def count(self, outcome: Outcome) -> None:
        """Count a rollout, or a chain that ends here."""
        self.counts[{"correct": 0, "incorrect": 1}.get(outcome, 2)] += 1

    @property
    def value(self) -> float | None:
        """Share of the decided rollouts that are right; None without any."""
        right, wrong, _ = self.counts
        return right / (right + wrong) if right + wrong else None

    def depth(self) -> int:
        """The most steps below it."""
        level, found = list(self.children.values()), 0
        while level:
            found += 1
            level = [child for state in level for child in state.children.values()]
        return found

    def row(self) -> dict[str, Any]:
        """The tree below it: a node of MATH-APS, with counts and visits."""
        right, wrong, undecided = self.counts
        return {
            "text": self.text, "mc_value": self.value, "right": right, "wrong": wrong, "undecided": undecided,
            "visits": self.visits, "children": [child.row() for child in self.children.values()],
        }  # fmt: skip


def export_trees(
    labels: str | Path | Output,
    problems: Source,
    chains: Source,
    out: str | Path | None = None,
    *,
    splitter: str = "newline",
    overwrite: bool = False,
) -> Output:
    """Write one tree for each problem: its states with their steps, counts, values and visits, as JSONL.

    The rows are those of MATH-APS (`prm import --format math-aps`), with `right`, `wrong`, `undecided` and `visits`.

    Args:
        labels: what `label` made, or the path of its file, with the rollouts beside it.
        problems: the problems.
        chains: the chains that were labeled.
        out: file of the trees; None for a temporary one.
        splitter: as it was when the chains were labeled.
        overwrite: whether to replace an existing output.

    Raises:
        PrmError: an input cannot be used, or the output cannot be written.
    """
    place = Workspace(out, "trees.jsonl")
    files = place.files(problems=problems, chains=chains) | stored_labels(labels)
    job = Job(place.out, "label tree", {"splitter": splitter}, files)
    with making(job, "trees", overwrite) as counts:
        if counts is not None:
            golds, drops = ProblemFile(files["problems"]), Drops()
            known = by_id(sound_chains(files["chains"], splitter, golds, drops.add))
            rows = _rows(_trees(files, golds, known), golds, drops)
            counts["trees"] = write_lines(place.out, (json.dumps(row, ensure_ascii=False) for row in rows))
            write_drops(drops, place.out, counts)
    return place.output(job)


def grow(
    labels: str | Path | Output,
    problems: Source,
    chains: Source,
    out: str | Path | None = None,
    *,
    n: int = 1,
    splitter: str = "newline",
    overwrite: bool = False,
) -> Records[Chain]:
    """Turn wrong rollouts into chains, those from which most is to be learned first; all earlier chains come before.

    The choice is OmegaPRM's: wrong rollouts from states with a value between 0 and 1, by `ALPHA` ** (1 - value) *
    `BETA` ** (tokens / `LENGTH`), plus `EXPLORATION` times a bonus for states that were chosen rarely.

    Args:
        labels: what `label` made, or the path of its file, with the rollouts beside it.
        problems: the problems.
        chains: the chains that were labeled.
        out: file of the chains, for `label` with `extend=True`; None for a temporary one.
        n: most new chains of each problem.
        splitter: cuts rollouts into steps; as it was when the chains were labeled.
        overwrite: whether to replace an existing output.

    Raises:
        PrmError: an input cannot be used, or the output cannot be written.
    """
    require_number("n", n, "[1, inf)", whole=True)
    place = Workspace(out, "chains.jsonl")
    files = place.files(problems=problems, chains=chains) | stored_labels(labels)
    job = Job(place.out, "label grow", {"n": n, "splitter": splitter}, files)
    with making(job, "chains", overwrite) as counts:
        if counts is not None:
            golds = ProblemFile(files["problems"])
            known = by_id(read_chains(files["chains"], splitter, golds))
            _require_ids(files["chains"])
            made = [
                chain
                for _, tree in _trees(files, golds, known)
                for rollout in _chosen(tree, n)
                if (chain := _chain(rollout, known[rollout.chain_id], splitter)) is not None
            ]
            if not made:
                raise InputError(
                    f"{files['labels']}: no wrong rollout comes from a state that is sometimes solved",
                    "draw more rollouts",
                )
            earlier = files["chains"].read_bytes()
            ends = b"" if not earlier or earlier.endswith(b"\n") else b"\n"
            write_bytes(place.out, earlier + ends + "".join(f"{to_json(chain)}\n" for chain in made).encode())
            counts |= {"new chains": len(made), "chains": len(known) + len(made)}
    return place.records(job, Chain)


def _rows(
    trees: Iterable[tuple[str, State]], problems: Mapping[str, Problem], drops: Drops
) -> Iterator[dict[str, Any]]:
    """The trees as nested rows; one that is too deep to be nested in JSON goes to `drops`."""
    for name, tree in trees:
        if tree.depth() > DEEPEST:
            drops.add(name, "tree too deep for nested JSON", f"chains of more than {DEEPEST} steps")
        else:
            yield {"problem_id": name, "final_answer": problems[name].answer, **tree.row()}


def _require_ids(chains: Path) -> None:
    """Refuse a file whose chains have no ids of their own: they are named after it, and the new file has another name.

    Raises:
        InputError: a row is not a `chain/1`.
    """
    for number, row in read_rows(chains):
        if row.get("schema") != SCHEMAS[Chain]:
            raise InputError(
                f"{chains}:{number}: is not a chain of our own format, so the new file could not keep its name",
                "turn them into chains first: prm import",
            )


def _trees(
    files: Mapping[str, Path], problems: Mapping[str, Problem], chains: Mapping[str, Chain]
) -> Iterator[tuple[str, State]]:
    """The tree of each problem with a labeled chain, by problem id."""
    rollouts, labeled = StoredRollouts(files["rollouts"]), defaultdict[str, list[StepLabels]](list)
    grown = {chain.origin for chain in chains.values() if chain.origin}
    for row in read_records(files["labels"], StepLabels):
        if row.chain_id not in chains or row.problem_id not in problems:
            raise InputError(f"{files['labels']}: chain {row.chain_id!r} or its problem is missing", "give all of them")
        if len(chains[row.chain_id].steps) != len(row.known):
            raise InputError(
                f"{files['labels']}: chain {row.chain_id!r} has {len(row.known)} labels, "
                f"but {len(chains[row.chain_id].steps)} steps",
                "give the chains that were labeled, with the same splitter",
            )
        labeled[row.problem_id].append(row)
    for name, rows in labeled.items():
        root = State(problems[name].text)
        for row in rows:
            _add(root, chains[row.chain_id], row.outcome, rollouts.get(row.chain_id, ()), grown)
        yield name, root


def _add(root: State, chain: Chain, outcome: Outcome, rollouts: Any, grown: set[tuple[str, int, int]]) -> None:
    """Add a chain with its rollouts. A sampled one counts at the root; a grown one is a rollout, counted as such."""
    path = [root]
    for step in chain.steps:
        path.append(path[-1].children.setdefault(step, State(step)))
    path[-1].count(outcome)
    if chain.origin is None:
        root.count(outcome)
    for rollout in rollouts:
        if rollout.shared:
            continue
        state = path[rollout.step - PROBLEM]
        state.count(rollout.outcome)
        if (rollout.chain_id, rollout.step, rollout.draw) in grown:
            state.visits += 1
        elif rollout.outcome == "incorrect":
            state.rollouts.append(rollout)


def _chosen(root: State, n: int) -> Iterator[Rollout]:
    """The `n` best rollouts to turn into chains; a state that is chosen becomes less attractive at once."""
    states = [s for s in _below(root) if s.rollouts and s.value is not None and 0 < s.value < 1]
    visits = sum(state.visits for state in _below(root))
    for _ in range(n):
        pairs = [(_worth(s, r, visits), -i, s, r) for i, s in enumerate(states) for r in s.rollouts]
        if not pairs:
            return
        _, _, state, rollout = max(pairs, key=lambda pair: pair[:2])
        state.rollouts.remove(rollout)
        state.visits += 1
        visits += 1
        yield rollout


def _worth(state: State, rollout: Rollout, visits: int) -> float:
    assert state.value is not None
    known: float = ALPHA ** (1 - state.value) * BETA ** (rollout.tokens / LENGTH)
    return known + EXPLORATION * sqrt(visits) / (1 + state.visits)


def _below(root: State) -> Iterator[State]:
    waiting = [root]
    while waiting:
        state = waiting.pop()
        yield state
        waiting += reversed(state.children.values())


def _chain(rollout: Rollout, parent: Chain, splitter: str) -> Chain | None:
    """The chain that a rollout continues; None if it has no text of its own."""
    text, finish = up_to_answer(rollout.text, rollout.finish)
    if not text.strip():
        return None
    steps = (*parent.steps[: rollout.step - PROBLEM], *split_steps(text, splitter))
    origin = (rollout.chain_id, rollout.step, rollout.draw)
    return Chain(f"{rollout.chain_id}>{rollout.step}.{rollout.draw}", parent.problem_id, steps, finish, origin)
