"""Choose one of many chains of a problem: best-of-n, majority vote, weighted vote.

A chain without an answer is never chosen while another has one, whatever its score: a scorer has rarely seen an empty
or broken-off text, and such texts win best-of-n by accident. Ties go to the first, so a result never depends on chance.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal, Protocol, get_args

from prm.data.records import Choice, Problem, StepScores
from prm.data.steps import split_steps
from prm.errors import InputError
from prm.statistics.aggregation import aggregate as aggregate_scores
from prm.verifiers import Outcome, answer_key, check, extract_answer

Selection = Literal["best-of-n", "majority", "weighted"]
"""Highest score; most frequent answer; answer with the greatest sum of weights."""


class Scorer(Protocol):
    """Scores the steps of chains (PRM: one score a step) or chains (ORM: one score)."""

    kind: Literal["prm", "orm"]

    def score(self, problems: Sequence[str], chains: Sequence[Sequence[str]]) -> list[tuple[float, ...]]:
        """Scores of each chain, in the order given."""


def rerank(
    problem: Problem | str,
    solutions: Sequence[str],
    scorer: Scorer,
    *,
    aggregate: str = "min",
    selection: Selection = "best-of-n",
    splitter: str = "newline",
) -> Choice:
    """Choose one of the solutions of a problem.

    Args:
        problem: a record, or the text of the problem.
        solutions: at least one text.
        scorer: see `prm.load_scorer`.
        aggregate: name in `prm.AGGREGATORS`; an ORM's single score needs none and ignores it.
        selection: how to choose; votes group answers by value (`0.5` with `1/2`).
        splitter: how to cut the solutions into steps.

    Returns:
        The choice, with the scores of all solutions in the order given.

    Raises:
        InputError: no solution, or an unknown aggregator, selection or splitter.
    """
    if not solutions:
        raise InputError("there is no solution to choose from", "give at least one")
    text = problem if isinstance(problem, str) else problem.text
    chains = [split_steps(s, splitter) for s in solutions]
    step_scores = scorer.score([text] * len(chains), chains)
    problem_id = "" if isinstance(problem, str) else problem.id
    return choose(problem_id, solutions, step_scores, kind=scorer.kind, aggregate=aggregate, selection=selection)


def choose(
    problem_id: str,
    solutions: Sequence[str],
    step_scores: Sequence[tuple[float, ...]],
    *,
    kind: Literal["prm", "orm"] = "prm",
    aggregate: str = "min",
    selection: Selection = "best-of-n",
) -> Choice:
    """Choose by scores of one `kind` that are there already; see `rerank`."""
    aggregate_scores((), aggregate)  # an unknown name is refused whatever the solutions and the kind are
    if kind == "orm":
        aggregate = "last"  # its single score
    groups = group_answers(solutions)
    scores = [
        aggregate_scores(s, aggregate) if g is not None else -math.inf for s, g in zip(step_scores, groups, strict=True)
    ]
    index = select(scores, groups, selection)
    return Choice(
        problem_id=problem_id,
        best=solutions[index],
        index=index,
        answer=extract_answer(solutions[index]),
        scores=tuple(scores),
        step_scores=tuple(step_scores),
    )


def common_kind(scores: Iterable[StepScores]) -> Literal["prm", "orm"]:
    """The kind of the scores that one scorer gave; "prm" where there is none.

    Raises:
        InputError: PRM and ORM scores are mixed, which cannot be compared.
    """
    kinds = {s.kind for s in scores}
    if len(kinds) > 1:
        raise InputError("a file of scores mixes PRM and ORM scores", "one scorer a file")
    return "orm" if kinds == {"orm"} else "prm"


def select(scores: Sequence[float], groups: Sequence[int | None], selection: Selection = "best-of-n") -> int:
    """Index of the chosen chain.

    Args:
        scores: one a chain, higher is better.
        groups: `group_answers` of the chains.
        selection: see `Selection`. A weighted vote weighs a chain by its score where no score is below 0 and some
            are above, and by the exponential of its score otherwise (logarithms, rewards).

    Raises:
        InputError: there is no such selection.
    """
    if selection not in get_args(Selection):
        raise InputError(f"there is no selection {selection!r}", f"choose from {', '.join(get_args(Selection))}")
    answered = [i for i, group in enumerate(groups) if group is not None]
    if not answered:
        return max(range(len(scores)), key=scores.__getitem__)
    if selection == "best-of-n":
        return max(answered, key=scores.__getitem__)
    weights = dict.fromkeys(answered, 1.0) if selection == "majority" else _weights(scores, answered)
    totals: dict[int | None, float] = {}
    for i in answered:
        totals[groups[i]] = totals.get(groups[i], 0.0) + weights[i]
    winner = max(totals, key=totals.__getitem__)
    return max((i for i in answered if groups[i] == winner), key=lambda i: weights[i])


def _weights(scores: Sequence[float], answered: Sequence[int]) -> dict[int, float]:
    highest = max(scores[i] for i in answered)
    if highest > 0 and all(scores[i] >= 0 for i in answered):
        return {i: scores[i] for i in answered}
    if highest == -math.inf:
        return dict.fromkeys(answered, 1.0)
    return {i: math.exp(scores[i] - highest) for i in answered}


def group_answers(solutions: Sequence[str]) -> list[int | None]:
    """Number the answers: solutions with equal answers get the same number, those without an answer None.

    Answers with the same canonical text are equal; others are compared by the checker, each with the first of its
    group.
    """
    leaders: list[str] = []
    by_key: dict[str, int] = {}
    return [_group(extract_answer(solution), solution, leaders, by_key) for solution in solutions]


def _group(answer: str | None, solution: str, leaders: list[str], by_key: dict[str, int]) -> int | None:
    if answer is None:
        return None
    key = answer_key(solution) or answer
    if key not in by_key:
        same = (g for g, leader in enumerate(leaders) if check(answer, leader).outcome is Outcome.CORRECT)
        by_key[key] = next(same, len(leaders))
        if by_key[key] == len(leaders):
            leaders.append(answer)
    return by_key[key]
