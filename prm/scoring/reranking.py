"""Choose one of a problem's chains: best-of-n, majority vote or weighted vote.

A chain without an answer is never chosen while another has one, whatever its score: scorers have rarely seen empty or
truncated texts, and such texts win best-of-n by accident. A chain that the scorer refuses ranks last. Ties go to the
first chain, so a result never depends on chance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from prm.data.records import Asked, Choice, Problem, StepScores
from prm.data.steps import split_steps
from prm.errors import InputError, entry
from prm.statistics.aggregation import aggregate as aggregate_scores
from prm.statistics.aggregation import aggregator_named
from prm.verifiers import Outcome, answer_key, check, extract_answer

from .scorer import Refusal, ScoreKind, Scorer, Scores


def rerank(
    problem: Problem | Asked,
    solutions: Sequence[str],
    scorer: Scorer,
    *,
    aggregate: str = "min",
    selection: str = "best-of-n",
    splitter: str = "newline",
) -> Choice:
    """Choose one of the solutions of a problem.

    Args:
        problem: a record, the text of the problem, or messages if the scorer takes them.
        solutions: at least one text.
        scorer: see `prm.load_scorer`.
        aggregate: name in `prm.AGGREGATORS`; ignored for an ORM, which gives a single score.
        selection: name in `SELECTIONS`; votes group answers by value (`0.5` with `1/2`).
        splitter: how to split the solutions into steps.

    Returns:
        The choice, with the scores of all solutions in the order given. A solution that the scorer refuses ranks last;
        `Choice.refusals` has the reason.

    Raises:
        InputError: there is no solution, or the aggregator, selection or splitter is unknown.
    """
    if isinstance(solutions, str) or not solutions:
        what = "solutions is one text, not a list of solutions" if solutions else "there is no solution to choose from"
        raise InputError(what, "pass a list of at least one text")
    given = problem.text if isinstance(problem, Problem) else problem
    chains = [split_steps(solution, splitter) for solution in solutions]
    results = scorer.score_each([given] * len(chains), chains)
    problem_id = problem.id if isinstance(problem, Problem) else ""
    return choose(problem_id, solutions, results, kind=scorer.kind, aggregate=aggregate, selection=selection)


def choose(
    problem_id: str,
    solutions: Sequence[str],
    results: Sequence[Scores | Refusal],
    *,
    kind: ScoreKind = "prm",
    aggregate: str = "min",
    selection: str = "best-of-n",
) -> Choice:
    """Choose by the results that a scorer of this `kind` gave, one per solution; see `rerank`."""
    aggregator_named(aggregate)  # refuse an unknown name, whatever the solutions and the kind
    if kind == "orm":
        aggregate = "last"  # its single score
    scores = [None if isinstance(item, Refusal) else aggregate_scores(item, aggregate) for item in results]
    index = select(scores, group_answers(solutions), selection)
    return Choice(
        problem_id=problem_id,
        best=solutions[index],
        index=index,
        answer=extract_answer(solutions[index]),
        scores=tuple(scores),
        step_scores=tuple(() if isinstance(item, Refusal) else tuple(item) for item in results),
        refusals=tuple(str(item) if isinstance(item, Refusal) else None for item in results),
    )


def common_kind(scores: Iterable[StepScores]) -> ScoreKind:
    """The kind of scores that come from one scorer; "prm" if there are none.

    Raises:
        InputError: the scores mix PRM and ORM, which cannot be compared.
    """
    kinds = {s.kind for s in scores}
    if len(kinds) > 1:
        raise InputError("the file of scores mixes PRM and ORM scores", "use one file per scorer")
    return "orm" if kinds == {"orm"} else "prm"


def select(scores: Sequence[float | None], groups: Sequence[int | None], selection: str = "best-of-n") -> int:
    """Index of the chosen chain.

    Args:
        scores: one per chain, higher is better; None for a refused chain.
        groups: the `group_answers` of the chains.
        selection: name in `SELECTIONS`.

    Raises:
        InputError: the selection is unknown.
    """
    weigh = entry("selection", selection, SELECTIONS)
    known = [-math.inf if score is None else score for score in scores]
    answered = [i for i, group in enumerate(groups) if group is not None and scores[i] is not None]
    if not answered:
        return max(range(len(known)), key=known.__getitem__)
    weights = weigh({i: known[i] for i in answered})
    if weights is None:
        return max(answered, key=known.__getitem__)
    totals: dict[int | None, float] = {}
    for i in answered:
        totals[groups[i]] = totals.get(groups[i], 0.0) + weights[i]
    winner = max(totals, key=totals.__getitem__)
    return max((i for i in answered if groups[i] == winner), key=lambda i: weights[i])


Weights = dict[int, float]
"""By index of the chain, for the chains with an answer."""


def _by_score(scores: Weights) -> Weights:
    highest = max(scores.values())
    if highest > 0 and min(scores.values()) >= 0:
        return scores
    return {i: math.exp(score - highest) for i, score in scores.items()}


SELECTIONS: dict[str, Callable[[Weights], Weights | None]] = {
    "best-of-n": lambda _: None,
    "majority": lambda scores: dict.fromkeys(scores, 1.0),
    "weighted": _by_score,
}
"""Ways to choose: from the scores of the chains with an answer, the weight of each in a vote on the answer; None for no
vote, where the highest score wins. A weighted vote weighs a chain by its score if no score is negative and some are
positive, else by the exponential of its score (logarithms, rewards)."""


def group_answers(solutions: Sequence[str]) -> list[int | None]:
    """Number the answers: solutions with equal answers get the same number, those without an answer None.

    Answers with the same canonical text are equal; others are compared by the checker with the first answer of each
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
