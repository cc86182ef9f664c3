"""Choose one of a problem's chains: best-of-n, majority vote or weighted vote.

A chain without an answer is never chosen while another has one, whatever its score: scorers have rarely seen empty or
truncated texts, and such texts win best-of-n by accident. A chain that the scorer refuses ranks last. Ties go to the
first chain, so a result never depends on chance.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, get_args

from prm.data.identity import digest_of
from prm.data.records import Asked, Choice, Problem, StepScores
from prm.data.steps import split_steps
from prm.errors import InputError, require_known, require_number
from prm.statistics.aggregation import aggregate as aggregate_scores
from prm.statistics.aggregation import aggregator_named, blaming
from prm.verifiers import Checker, Outcome, Policy, answer_key, extract_answer
from prm.verifiers.checkers import RULES, Named, Rules

from .checking import job_checker, verdict
from .scorer import EMPTY, Refusal, ScoreKind, Scorer, Scores, as_list, checked, checked_scores, posed

PLAIN = "0"
"""What any answer is compared with in no time, unless it takes too long by itself."""


def rerank(
    problem: Problem | Asked | Sequence[Mapping[str, Any]],
    solutions: Iterable[str],
    scorer: Scorer,
    *,
    aggregate: str = "min",
    selection: str = "best-of-n",
    checker: Named = "exact",
    splitter: str = "newline",
) -> Choice:
    """Choose one of the solutions of a problem.

    Args:
        problem: a record, the text of the problem, or messages if the scorer takes them, each a `prm.Message` or a
            mapping with `role` and `content`.
        solutions: at least one text.
        scorer: see `prm.load_scorer`.
        aggregate: name in `prm.AGGREGATORS`; ignored for an ORM, which gives a single score.
        selection: name in `SELECTIONS`; votes group answers by value (`0.5` with `1/2`).
        checker: decides which answers are equal; see `group_answers`.
        splitter: how to split the solutions into steps.

    Returns:
        The choice, with the scores of all solutions in the order given. A solution that is empty or that the scorer
        refuses ranks last; `Choice.refusals` has the reason.

    Raises:
        InputError: an argument cannot be used, there is no solution, or the aggregator, selection or splitter is
            unknown.
        ModelError: the scorer returns anything but scores and refusals.
    """
    require_options(aggregate, selection)
    judge = job_checker(checker)
    _require_scorer(scorer)
    texts, given = _texts(solutions), posed(problem)
    if isinstance(given, Refusal):
        raise InputError(str(given), given.hint)
    chains = [split_steps(text, splitter) for text in texts]
    scored = [steps for steps in chains if steps]
    results = iter(checked_scores(scorer, [given] * len(scored), scored))
    found = [next(results) if steps else Refusal(EMPTY) for steps in chains]
    record = problem if isinstance(problem, Problem) else ""
    return choose(record, texts, found, kind=scorer.kind, aggregate=aggregate, selection=selection, checker=judge)


def require_options(aggregate: str, selection: str) -> None:
    """Refuse an unknown aggregator or selection, whatever the solutions and the kind of the scores."""
    aggregator_named(aggregate)
    require_known("selection", selection, SELECTIONS)


def _require_scorer(scorer: object) -> None:
    if not isinstance(scorer, Scorer):
        hint = f"prm.load_scorer({scorer!r})" if isinstance(scorer, str) else "pass what prm.load_scorer returns"
        raise InputError(f"scorer is a {type(scorer).__name__}, not a prm.Scorer", hint)


def _texts(solutions: object) -> list[str]:
    """Solutions as a list of at least one text."""
    texts = as_list(solutions)
    if texts is None:
        what = "one text" if isinstance(solutions, str) else f"a {type(solutions).__name__}"
        raise InputError(f"solutions is {what}, not a list of solutions", "pass a list of at least one text")
    if not texts:
        raise InputError("there is no solution to choose from", "pass a list of at least one text")
    for place, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"solution {place} is a {type(text).__name__}, not a text", "join steps to one text")
    return texts


def choose(
    problem: Problem | str,
    solutions: Iterable[str],
    results: Iterable[Scores | Refusal],
    *,
    kind: ScoreKind = "prm",
    aggregate: str = "min",
    selection: str = "best-of-n",
    checker: Named = "exact",
    stop_when: float | None = None,
    groups: Iterable[int | None] | None = None,
) -> Choice:
    """Choose by the results that a scorer of this `kind` gave, one per solution; see `rerank`.

    Of the problem, its id is enough, unless a checker of yours looks at the record. `stop_when`: see `settled`.
    `groups`: the `group_answers` of the solutions, which are asked for only where there is a vote.
    """
    require_options(aggregate, selection)
    _require_stop(selection, stop_when)
    require_known("kind", kind, get_args(ScoreKind))
    texts = _texts(solutions)
    found = checked(results, [1 if kind == "orm" else None] * len(texts), _unmatched)
    by = "last" if kind == "orm" else aggregate
    scores = [None if isinstance(item, Refusal) else aggregate_scores(item, by) for item in found]
    record = problem if isinstance(problem, Problem) else None
    judge = job_checker(checker)
    groups = _numbers(texts, AnswerGroups(judge, record)) if groups is None else groups
    read = None
    if stop_when is not None:
        groups = list(groups)
        read = settled(groups, stop_when)
    index = _selected(scores[:read], [_has_answer(text, judge) for text in texts[:read]], groups, selection)
    return Choice(
        problem_id=record.id if record else str(problem),
        best=texts[index],
        index=index,
        answer=extract_answer(texts[index]),
        scores=tuple(scores),
        step_scores=tuple(() if isinstance(item, Refusal) else item for item in found),
        refusals=tuple(str(item) if isinstance(item, Refusal) else None for item in found),
        read=read,
    )


def _require_stop(selection: str, stop_when: float | None) -> None:
    if stop_when is None:
        return
    require_number("stop_when", stop_when, "(0.5, 1)")
    if selection == "best-of-n":
        raise InputError("stop_when needs a vote: the next solution may be the best", "choose majority or weighted")


def settled(groups: Sequence[int | None], stop_when: float) -> int:
    """How many solutions, from the first on, settle a vote on their answers; all of them if none do.

    Adaptive consistency (arXiv 2305.11860, section 3, Beta criterion): with v votes for the first answer and w for the
    second, the first wins if its share of both is above one half, whose probability is that of a Beta(v + 1, w + 1).

    Args:
        groups: the `group_answers` of the solutions in the order in which they were drawn.
        stop_when: probability that is enough, in (0.5, 1).

    >>> settled([0, 0, 0, 0, 0, 1, 1], 0.95), settled([0, 1, 0, 1], 0.95)
    (4, 4)
    """
    from scipy.special import betainc

    votes = Counter[int]()
    for number, group in enumerate(groups, start=1):
        if group is None:
            continue
        votes[group] += 1
        (_, first), (_, second) = [*votes.most_common(2), (None, 0)][:2]
        if 1 - betainc(first + 1, second + 1, 0.5) >= stop_when:
            return number
    return len(groups)


def _unmatched(what: str) -> InputError:
    return InputError(what, "pass one result per solution: a tuple of floats or a prm.Refusal")


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
        InputError: the selection is unknown, or gives neither None nor a weight per chain.
    """
    require_known("selection", selection, SELECTIONS)
    return _selected(scores, [group is not None for group in groups], groups, selection)


def _selected(
    scores: Sequence[float | None], has_answer: Sequence[bool], groups: Iterable[int | None], selection: str
) -> int:
    """As `select`; the groups are only asked for where there is a vote."""
    known = [-math.inf if score is None else score for score in scores]
    answered = [i for i, has in enumerate(has_answer) if has and scores[i] is not None]
    if not answered:
        return max(range(len(known)), key=known.__getitem__)
    weights = _weights(selection, {i: known[i] for i in answered})
    if weights is None:
        return max(answered, key=known.__getitem__)
    numbers, totals = list(groups), dict[int | None, float]()
    for i in answered:
        totals[numbers[i]] = totals.get(numbers[i], 0.0) + weights[i]
    winner = max(totals, key=totals.__getitem__)
    return max((i for i in answered if numbers[i] == winner), key=lambda i: weights[i])


Weights = dict[int, float]
"""By index of the chain, for the chains with an answer."""


def _weights(selection: str, scores: Weights) -> Weights | None:
    hint = "a selection gives None, or a finite weight for each chain it is given"
    with blaming(f"selection {selection!r}", scores, hint):
        found = SELECTIONS[selection](scores)
        weights = None if found is None else {i: float(found[i]) for i in scores}
    if weights is not None and not all(map(math.isfinite, weights.values())):
        raise InputError(f"selection {selection!r} gives weights that are not finite", hint)
    return weights


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


_BUILT_IN = dict(SELECTIONS)


def own_selection(name: str) -> dict[str, str]:
    """The setting that records a selection of the user's own; empty for a built-in one."""
    found = SELECTIONS[name]
    return {} if found is _BUILT_IN.get(name) else {"own_selection": digest_of(found)}


def group_answers(
    solutions: Sequence[str], checker: Checker = RULES, problem: Problem | None = None
) -> list[int | None]:
    """Number the answers: solutions with equal answers get the same number, those without an answer None.

    See `AnswerGroups`.
    """
    return list(_numbers(solutions, AnswerGroups(checker, problem)))


def _numbers(solutions: Iterable[str], groups: AnswerGroups) -> Iterator[int | None]:
    return (groups.number(solution) for solution in solutions)


class AnswerGroups:
    """Groups of solutions with equal answers, which grow as solutions come.

    Each solution is checked against the first answer of each group, which takes the place of the gold. Our own checker
    is only asked where the canonical texts of two answers differ; any other one is asked about the whole solution. For
    it, a solution without an answer that we can find is itself its answer, unless it is blank.

    An answer that no time is enough for, such as a double series, would cost a timeout beside every other one. Where a
    check runs out of time, each of the two is checked against `PLAIN`; one that runs out of time there too is compared
    no more, and equals only its own canonical text.
    """

    def __init__(self, checker: Checker = RULES, problem: Problem | None = None) -> None:
        self._checker, self._problem = checker, problem
        self._leaders: list[str] = []
        self._by_key: dict[str, int] = {}
        self._hopeless: dict[str, bool] = {}

    def number(self, solution: str) -> int | None:
        """The number of a solution's group, from 0 in the order in which they began; None without an answer."""
        read = _read(solution, self._checker)
        if read is None:
            return None
        if read.key not in self._by_key:
            self._by_key[read.key] = self._group_of(read)
        return self._by_key[read.key]

    def _group_of(self, read: _Read) -> int:
        for number, leader in enumerate(self._leaders):
            if self._hopeless.get(leader):
                continue
            found = verdict(self._checker, read.asked, leader, self._problem)
            if found.is_correct:
                return number
            if found.outcome is Outcome.TIMEOUT and not self._is_hopeless(leader) and self._is_hopeless(read.asked):
                self._hopeless[read.answer] = True
                break
        self._leaders.append(read.answer)
        return len(self._leaders) - 1

    def _is_hopeless(self, text: str) -> bool:
        if text not in self._hopeless:
            found = verdict(self._checker, text, PLAIN, self._problem)
            self._hopeless[text] = found.outcome is Outcome.TIMEOUT
        return self._hopeless[text]


class _Read(NamedTuple):
    """What is compared of a solution."""

    key: str
    """Equal for answers that are known to be equal without a check."""
    asked: str
    """As prediction."""
    answer: str
    """As gold."""


def _has_answer(solution: str, checker: Checker) -> bool:
    """Whether `_read` finds one, without the key that only a comparison needs."""
    if isinstance(checker, Rules):
        return extract_answer(solution, boxes=checker.policy.boxes) is not None
    return bool(solution.strip())


def _read(solution: str, checker: Checker) -> _Read | None:
    return _own_answer(solution, checker.policy) if isinstance(checker, Rules) else _any_answer(solution)


def _own_answer(solution: str, policy: Policy) -> _Read | None:
    answer = extract_answer(solution, boxes=policy.boxes)
    return None if answer is None else _Read(answer_key(f"\\boxed{{{answer}}}") or answer, answer, answer)


def _any_answer(solution: str) -> _Read | None:
    return _Read(solution, solution, extract_answer(solution) or solution) if solution.strip() else None
