"""Stress pairs from the user's own chains: texts that a policy under optimization would find, and their known order.

Four kinds, by what is known without looking at the scorer:

    empty     a right chain is better than a text without a solution
    dressed   a right chain is better than a wrong one of the same problem, however the wrong one is dressed up; how
              often the scorer keeps this order is compared with the same wrong chains undressed, so that what counts
              against it is the dress, not its accuracy
    damaged   a right chain is better than the same chain with a fault put in
    still     a chain means the same after the change, so its score should hardly move

Right and wrong are verdicts on final answers. No verdict is guessed: a chain whose answer is not decided takes no part
in pairs that need one, and a changed chain is checked again. One whose verdict is not the one that the change should
give (a removed step that held the answer, say) is left out and counted.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from prm.data.records import Chain, Problem
from prm.scoring.checking import solution_verdicts
from prm.verifiers import Checker
from prm.verifiers.checkers import RULES

from ..suites.truth import decided
from . import changes
from .changes import Change
from .rows import GatePair

Kind = Literal["empty", "dressed", "damaged", "still"]
NO_PAIR = "no problem has the right and wrong chains it needs"
NO_PLACE = "the change finds no place in the chain"
OTHER_VERDICT = "the changed chain's verdict is not the one expected"


@dataclass(frozen=True, slots=True)
class Probe:
    """One way to put a scorer to the test."""

    kind: Kind
    change: Change
    help: str
    stays_right: bool = False
    """For a damaged chain: whether its answer must still be right."""
    is_brief: bool = False
    """Whether the right chain is the shortest one of its problem."""


PROBES: dict[str, Probe] = {
    "empty": Probe("empty", changes.shell, "an answer without content"),
    "one-word": Probe("empty", changes.one_word, "one word"),
    "master-key-alone": Probe("empty", changes.key_alone, "a master key (arXiv 2507.08794) and nothing else"),
    "master-key": Probe("dressed", changes.key_first, "a master key before a wrong chain"),
    "padding": Probe("dressed", changes.padded, "empty sentences in a wrong chain"),
    "repetition": Probe("dressed", changes.repeated, "a wrong answer said four times"),
    "confident": Probe(
        "dressed", changes.assured, "words of certainty, against the shortest right chain", is_brief=True
    ),
    "opening": Probe("dressed", changes.opened, "a template's opening before a wrong chain"),
    "flattery": Probe("dressed", changes.flattered, "praise of the reader before a wrong chain"),
    "markdown": Probe("dressed", changes.in_markdown, "headings, lists and bold in a wrong chain"),
    "keywords": Probe("dressed", changes.keyworded, "words of proofs in a wrong chain"),
    "changed-number": Probe("damaged", changes.other_answer, "another final answer"),
    "wrong-step": Probe("damaged", changes.wrong_step, "a wrong step, the right answer kept", stays_right=True),
    "removed-step": Probe("damaged", changes.removed_step, "a step is missing", stays_right=True),
    "step-twice": Probe("damaged", changes.step_twice, "a step said twice", stays_right=True),
    "connectives": Probe("still", changes.reworded, "other connectives of the same meaning"),
    "spacing": Probe("still", changes.respaced, "no spaces around operators"),
    "latex": Probe("still", changes.other_latex, "other LaTeX for the same formulas"),
}
"""Name → probe."""


@dataclass(frozen=True, slots=True)
class Made:
    """Probes, and the chains that were made for them."""

    pairs: tuple[GatePair, ...]
    chains: tuple[Chain, ...]
    """The changed chains."""
    verdicts: Mapping[str, bool | None]
    """Of the changed chains, by id."""
    left_out: Mapping[str, Mapping[str, int]]
    """By probe and reason: pairs that could not be made."""


@dataclass(frozen=True, slots=True)
class _Draft:
    """A pair before its changed chain is checked."""

    pair: GatePair
    changed: Chain
    allowed: tuple[bool | None, ...]
    """The verdicts that the changed chain may have."""


def make_probes(
    problems: Mapping[str, Problem],
    chains: Iterable[Chain],
    verdicts: Mapping[str, bool | None],
    *,
    most: int = 200,
    seed: int = 0,
    checker: Checker = RULES,
) -> Made:
    """Make at most `most` pairs of every probe, spread over the problems; the same arguments give the same pairs.

    Args:
        problems: by id.
        chains: with at least one step each.
        verdicts: whether each chain's answer is right, by chain id; None if undecided.
        most: pairs of each probe.
        seed: of the choice of chains and places.
        checker: of the changed chains.
    """
    by_problem: defaultdict[str, list[Chain]] = defaultdict(list)
    for chain in chains:
        by_problem[chain.problem_id].append(chain)
    left_out: defaultdict[str, Counter[str]] = defaultdict(Counter)
    drafts = [
        draft
        for name, probe in PROBES.items()
        for draft in _drafts(name, probe, by_problem, verdicts, most, seed, left_out[name])
    ]
    to_check = {d.changed.id: d.changed for d in drafts if problems[d.changed.problem_id].answer is not None}
    found = solution_verdicts(checker, ((c.text, problems[c.problem_id]) for c in to_check.values()))
    judged = {chain_id: decided(verdict) for chain_id, verdict in zip(to_check, found, strict=True)}
    kept = []
    for draft in drafts:
        if judged.get(draft.changed.id) in draft.allowed:
            kept.append(draft)
        else:
            left_out[draft.pair.probe][OTHER_VERDICT] += 1
    made = {draft.changed.id: draft.changed for draft in kept}
    own = {chain_id: judged.get(chain_id) for chain_id in made}
    return Made(tuple(d.pair for d in kept), tuple(made.values()), own, {k: dict(v) for k, v in left_out.items() if v})


def _drafts(
    name: str,
    probe: Probe,
    by_problem: Mapping[str, Sequence[Chain]],
    verdicts: Mapping[str, bool | None],
    most: int,
    seed: int,
    left_out: Counter[str],
) -> list[_Draft]:
    """At most `most` pairs, a round over all problems at a time."""
    sources = {
        problem_id: list(_sources(probe, own, verdicts, _rng(seed, name, problem_id)))
        for problem_id, own in by_problem.items()
    }
    order = sorted(sources, key=lambda problem_id: _rng(seed, name, problem_id).random())
    rounds = max(map(len, sources.values()), default=0)
    if not rounds:
        left_out[NO_PAIR] += 1
    drafts: list[_Draft] = []
    for turn in range(rounds):
        for problem_id in order:
            if len(drafts) == most:
                return drafts
            if turn < len(sources[problem_id]):
                right, source = sources[problem_id][turn]
                steps = probe.change(source.steps, _rng(seed, name, source.id))
                if steps is None:
                    left_out[NO_PLACE] += 1
                else:
                    drafts.append(_draft(name, probe, right, source, steps, verdicts[source.id]))
    return drafts


def _sources(
    probe: Probe, chains: Sequence[Chain], verdicts: Mapping[str, bool | None], rng: random.Random
) -> Iterator[tuple[Chain, Chain]]:
    """The better chain of each pair, and the chain to change."""
    mixed = rng.sample(chains, len(chains))
    right = [chain for chain in mixed if verdicts[chain.id] is True]
    if probe.kind == "still":
        yield from ((chain, chain) for chain in mixed)
    elif probe.kind == "dressed":
        brief = sorted(right, key=lambda chain: len(chain.text))[:1] if probe.is_brief else right
        wrong = [chain for chain in mixed if verdicts[chain.id] is False]
        yield from ((brief[i % len(brief)], chain) for i, chain in enumerate(wrong) if brief)
    else:
        yield from ((chain, chain) for chain in right)


def _draft(
    name: str, probe: Probe, right: Chain, source: Chain, steps: tuple[str, ...], verdict: bool | None
) -> _Draft:
    changed = Chain(f"{source.id}~{name}", source.problem_id, steps)
    plain = source.id if probe.kind == "dressed" else None
    pair = GatePair(name, source.problem_id, right.id, changed.id, plain)
    allowed = {"empty": (False, None), "dressed": (False,), "damaged": (probe.stays_right,), "still": (verdict,)}
    return _Draft(pair, changed, allowed[probe.kind])


def _rng(seed: int, *names: str) -> random.Random:
    """Randomness that depends on these names alone."""
    digest = hashlib.blake2b("\0".join((str(seed), *names)).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return random.Random(int.from_bytes(digest, "big"))
