"""Files with many solutions of each problem, to choose one of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from prm.data.formats.solutions import objects, texts, typed
from prm.data.records import Chain, Problem, StepScores
from prm.data.rows import Row, RowError, optional_text, question_of
from prm.data.steps import split_steps

from .building import make_problem, score
from .fields import UNEQUAL, Place, answer_text, real_number, require_equal, verdict
from .truth import Candidates, Found

_BETWEEN = ("\n\n", "\n")
"""Where search-and-learn cuts: RLHFlow's models at blank lines, Skywork's at newlines (models/reward_models.py)."""


def search_and_learn(row: Row, place: Place) -> Iterator[Found]:
    """`completions` with the scores of their steps in `scores`; without verdicts.

    The steps are those that were scored, so the splitter is ignored if the row has scores. Blank parts were scored too:
    such a part joins the step before it and replaces its score. So `agg_scores`, the very last score, is still the
    aggregate by `last`.
    """
    completions = texts(row, "completions")
    identity = place.id(optional_text(row, "unique_id", "id", "idx"))
    problem = make_problem(identity, typed(row, "problem", str), answer_text(row.get("answer")))
    if row.get("scores") is None:
        chains = _chains(identity, problem, [split_steps(text, place.splitter) for text in completions])
        yield Found(problem, chains, (_candidates(place, chains, problem),))
        return
    scores = typed(row, "scores", list)
    require_equal("completions and their scores", len(completions), len(scores))
    scored = [_scored_steps(text, values) for text, values in zip(completions, scores, strict=True)]
    chains = _chains(identity, problem, [[step for step, _ in parts] for parts in scored])
    stored = [
        score(chain, [value for _, value in parts], "prm")
        for chain, parts in zip(chains, scored, strict=True)
        if chain.steps
    ]
    yield Found(problem, chains, (_candidates(place, chains, problem),), {place.stem: tuple(stored)})


def qwen_harness(row: Row, place: Place) -> Iterator[Found]:
    """Outputs of Qwen2.5-Math's evaluation: `code` (or `response`), `score` with verdicts, `pred` with answers.

    The optional `pred_score` holds a reward model's score for each.
    """
    solutions = texts(row, "response" if row.get("code") is None else "code")
    identity = place.id(optional_text(row, "idx", "id"))
    gold = answer_text(row.get("gt", row.get("answer")))
    problem = make_problem(identity, typed(row, "question", str), gold)
    chains = _chains(identity, problem, [split_steps(text, place.splitter) for text in solutions])
    verdicts, answers, rewards = (_list(row, name, len(chains)) for name in ("score", "pred", "pred_score"))
    truth = _candidates(place, chains, problem, verdicts, answers)
    stored = {place.stem: _rewards(chains, rewards)} if rewards is not None else {}
    yield Found(problem, chains, (truth,), stored)


def candidates(row: Row, place: Place) -> Iterator[Found]:
    """`candidates`, a list of objects with `solution` and optionally `answer` and `is_correct`."""
    rows = objects(row, "candidates")
    name = next((name for name in ("question", "problem", "prompt") if name in row), "question")
    identity = place.id(optional_text(row, "id", "idx", "unique_id"))
    gold = answer_text(next((row[name] for name in ("gold", "answer") if row.get(name) is not None), None))
    problem = make_problem(identity, question_of({**row, "question": typed(row, name, str)}), gold)
    chains = _chains(identity, problem, [split_steps(typed(c, "solution", str), place.splitter) for c in rows])
    verdicts = [c.get("is_correct") for c in rows] if any("is_correct" in c for c in rows) else None
    answers = [c.get("answer") for c in rows] if any("answer" in c for c in rows) else None
    yield Found(problem, chains, (_candidates(place, chains, problem, verdicts, answers),))


def ppe(row: Row, place: Place) -> Iterator[Found]:
    """PPE's correctness sets: `response_1`, `response_2`, … and `scores` with their verdicts.

    Not every set has answers (code, instructions), so each response counts as one of its own: votes mean nothing.
    """
    verdicts = typed(row, "scores", list)
    responses = [typed(row, f"response_{i}", str) for i in range(1, len(verdicts) + 1)]
    name = next((name for name in ("prompt", "question", "problem") if name in row), "prompt")
    identity = place.id(optional_text(row, "question_id", "id"))
    problem = make_problem(identity, typed(row, name, str))
    chains = _chains(identity, problem, [split_steps(text, place.splitter) for text in responses])
    answers = [f"{i}" for i in range(len(responses))]
    yield Found(problem, chains, (_candidates(place, chains, problem, verdicts, answers),))


def _chains(identity: str, problem: Problem, solutions: Sequence[Sequence[str]]) -> tuple[Chain, ...]:
    """One chain per solution. An empty solution stays, as a chain without steps: it was drawn, so it counts among n."""
    if not solutions:
        raise RowError("no solution in it")
    return tuple(Chain(f"{identity}/{i}", problem.id, tuple(steps)) for i, steps in enumerate(solutions))


def _candidates(
    place: Place,
    chains: Sequence[Chain],
    problem: Problem,
    verdicts: Sequence[Any] | None = None,
    answers: Sequence[Any] | None = None,
) -> Candidates:
    return Candidates(
        problem_id=problem.id,
        split=place.stem,
        chain_ids=tuple(chain.id for chain in chains),
        is_right=None if verdicts is None else tuple(map(verdict, verdicts)),
        answers=None if answers is None else tuple(map(answer_text, answers)),
    )


def _list(row: Row, name: str, length: int) -> list[Any] | None:
    """A list with one entry per solution; None if the row has none."""
    if row.get(name) is None:
        return None
    values = typed(row, name, list)
    require_equal(f"{name!r} and solutions", len(values), length)
    return values


def _rewards(chains: Sequence[Chain], values: Sequence[Any]) -> tuple[StepScores, ...]:
    """One score per chain; the harness writes each as a list of one."""
    single = [value[0] if isinstance(value, list) and len(value) == 1 else value for value in values]
    return tuple(score(chain, [real_number(value)], "orm") for chain, value in zip(chains, single, strict=True))


def _scored_steps(text: str, values: Any) -> list[tuple[str, float]]:
    """The steps of a completion with their scores; none for a blank completion."""
    if not isinstance(values, list):
        raise RowError("a field of the wrong kind", "'scores' does not hold lists only")
    if not text.strip() and not values:
        return []
    steps, before = list[tuple[str, float]](), ""
    for part, value in zip(_parts(text, len(values)), map(real_number, values), strict=True):
        if part.strip():
            steps.append((before + part, value))
            before = ""
        elif steps:
            steps[-1] = (steps[-1][0] + part, value)
        else:
            before += part
    return steps


def _parts(text: str, count: int) -> list[str]:
    """The text cut into as many parts as there are scores, each with the separator that ends it."""
    cuts = {separator: text.split(separator) for separator in _BETWEEN}
    separator = next((s for s, parts in cuts.items() if len(parts) == count), None)
    if separator is None:
        counts = " or ".join(str(len(parts)) for parts in cuts.values())
        raise RowError(UNEQUAL, f"parts of a completion and their scores: {counts}, {count}")
    *parts, last = cuts[separator]
    return [part + separator for part in parts] + [last]
