"""Verdicts on answers: which chains can be labeled, and whether each finished text is right."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import islice, tee

from prm import console
from prm.data.records import Chain, Drop, Finish, Outcome, Problem
from prm.errors import InputError
from prm.scoring.checking import solution_verdicts, trouble_of
from prm.verifiers import Checker
from prm.verifiers.checkers import Rules
from prm.verifiers.extract import is_answered

_EXAMPLES = 3
"""Unusable gold answers that an error names."""


def outcomes(checker: Checker, texts: Iterable[tuple[str, Finish]], problem: Problem) -> Iterator[Outcome]:
    """Verdicts on texts for a problem with a gold answer; one cut off by length before its answer is undecided.

    Pass only the continuation of a rollout: a number in the prefix is not the answer of a rollout without one.

    Raises:
        InputError: the checker returned something that is not a verdict, or cannot go on.
    """
    return outcomes_of_each(checker, ((text, finish, problem) for text, finish in texts))


def outcomes_of_each(checker: Checker, texts: Iterable[tuple[str, Finish, Problem]]) -> Iterator[Outcome]:
    """`outcomes` of texts for problems of their own, in order; the stream may be endless."""
    all_texts, again = tee(texts)
    found = solution_verdicts(checker, ((text, problem) for text, finish, problem in again if _is_whole(text, finish)))
    for text, finish, _ in all_texts:
        yield next(found).outcome.value if _is_whole(text, finish) else "no_answer"


def _is_whole(text: str, finish: Finish) -> bool:
    return finish != "length" or is_answered(text)


def unusable(checker: Checker, chain: Chain, problem: Problem) -> Drop | None:
    """Why a chain cannot be labeled, or None if it can."""
    if problem.answer is None:
        return Drop(chain.id, "its problem has no gold answer", problem.id)
    if trouble := gold_trouble(checker, problem):
        return Drop(chain.id, "gold answer that cannot be used", trouble)
    return None if chain.steps else Drop(chain.id, "empty chain")


def gold_trouble(checker: Checker, problem: Problem) -> str | None:
    """Why no solution of a problem can be judged; None if one can, as far as is known: only our own checker can say."""
    if problem.answer is None:
        return "has no gold answer"
    troubles = [trouble_of(gold) for gold in problem.golds] if isinstance(checker, Rules) else [None]
    return None if None in troubles else f"has {problem.answer!r:.60}: {troubles[0]}"


def require_golds(checker: Checker, problems: Mapping[str, Problem], used: Collection[str], most: float) -> None:
    """Refuse a job of which too many solutions could not be judged; before its first rollout, for they cost the most.

    Args:
        checker: of the job.
        problems: by id.
        used: ids of the problems that have chains.
        most: share of these, in [0, 1], that may have no usable gold answer.

    Raises:
        InputError: more have none; with examples.
    """
    troubles: list[str] = []
    for identity in console.tracked(used, "checking gold answers", len(used)):
        problem = problems.get(identity)
        trouble = "is not among the problems" if problem is None else gold_trouble(checker, problem)
        if trouble:
            troubles.append(f"{identity} {trouble}")
    if len(troubles) > most * len(used):
        raise InputError(
            f"{len(troubles):,} of {len(used):,} problems have no gold answer that can be used: "
            + "; ".join(troubles[:_EXAMPLES]),
            "mend them (prm verify --audit-golds lists all), or allow more: --max-unusable 1 (max_unusable=1)",
        )


_FIRST = 4096
"""Chains among which a right one must be, for a job without a right rollout to go on."""


def is_any_right(checker: Checker, chains: Callable[[], Iterable[Chain]], problems: Mapping[str, Problem]) -> bool:
    """Whether any of the first chains has a right answer."""
    usable = (c for c in islice(chains(), _FIRST) if c.problem_id in problems and problems[c.problem_id].golds)
    judged = outcomes_of_each(checker, ((c.text, c.finish, problems[c.problem_id]) for c in usable))
    return any(outcome == "correct" for outcome in judged)
