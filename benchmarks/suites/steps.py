"""Suites that judge each step as right or wrong, whatever comes before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from prm.data.formats.prm800k import prm800k as read_solutions
from prm.data.formats.solutions import Reading, texts, typed
from prm.data.records import Chain
from prm.data.rows import Row, RowError, optional_text

from .building import Judged, judged_chain, make_problem
from .fields import UNREADABLE, Place, answer_text, require_equal, step_index, verdict
from .stored import line_scores, lines_of, usefulness
from .truth import Found, StepTruth, Truth


def prmbench(row: Row, place: Place) -> Iterator[Found]:
    """`error_steps` counts from 1 over `modified_process`; it is empty in the class multi_solutions.

    A row with a step beyond the end is dropped. Differs from ssmisya/PRMBench, mr_eval: it ignores such a step and
    keeps the row, and of rows with the same idx and class it keeps only the first; here each different solution stays.
    """
    steps, kind = texts(row, "modified_process"), typed(row, "classification", str)
    wrong = {step_index(number, 1, len(steps)) for number in typed(row, "error_steps", list)}
    if None in wrong:
        raise RowError(UNREADABLE, f"error_steps: {row['error_steps']!r}")
    own = typed(row, "idx", str)
    identity = place.id(own if own.startswith(kind) else f"{kind}/{own}", is_unique=True)
    yield judged_chain(
        make_problem(identity, typed(row, "modified_question", str)),
        identity,
        steps,
        tuple(i not in wrong for i in range(len(steps))),
        kind,
    )


def prm800k(row: Row, place: Place) -> Iterator[Found]:
    """Human ratings, 1, 0 and -1, as `prm.data.formats.prm800k` reads them: 0 counts as right.

    A chain ends with its first wrong step, so it is of no use for localization.
    """
    for number, solution in enumerate(read_solutions(row, Reading(neutral_is_right=True))):
        problem = make_problem(place.id(solution.id), solution.problem, solution.answer)
        identity = place.id(solution.id) if solution.id else f"{place.id()}/{number}"
        judged: Judged = tuple(verdict(label) for label in solution.labels or ())
        yield judged_chain(problem, identity, solution.steps, judged, place.stem)


def rated_once(truths: Iterable[Truth], chains: Mapping[str, Chain]) -> Iterator[Truth]:
    """The truths, with a step judged only the first time it follows the same problem and steps.

    The chains of PRM800K are unrolled from trees: nine in ten of their ratings are copies, and counting them would
    measure how often a path branched. As in `prm.benchmarks.experiments.prm800k`.
    """
    seen = set[tuple[str, ...]]()
    for truth in truths:
        if isinstance(truth, StepTruth):
            steps = chains[truth.chain_id].steps
            paths = [(truth.problem_id, *steps[: i + 1]) for i in range(len(steps))]
            judged = zip(paths, truth.steps, strict=True)
            yield replace(truth, steps=tuple(None if path in seen else is_right for path, is_right in judged))
            seen |= {path for path, is_right in zip(paths, truth.steps, strict=True) if is_right is not None}
        else:
            yield truth


def mr_math_redundant(row: Row, place: Place) -> Iterator[Found]:
    """MR-MATH's redundant errors: `rating` is 1 for a useful step and 0 for a redundant one, which counts as wrong."""
    steps, places = lines_of(row)
    rating = typed(row, "rating", list)
    require_equal("ratings and steps", len(rating), len(steps))
    identity = place.id(optional_text(row, "id"))
    yield judged_chain(
        make_problem(identity, typed(row, "question", str), answer_text(row.get("ground_truth_answer"))),
        identity,
        steps,
        tuple(map(verdict, rating)),
        place.stem,
        scores=line_scores(row, places, len(steps), usefulness),
    )
