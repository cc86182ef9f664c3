"""Suites that name the first wrong step of each chain.

Steps after the first wrong one are neither right nor wrong, and no metric counts them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from prm.data.formats.solutions import texts, typed
from prm.data.rows import Row, RowError, optional_text
from prm.data.steps import split_steps

from .building import judged_chain, make_problem, up_to
from .fields import (
    NO_SUCH_STEP,
    OTHER_TASK,
    RIGHT_WITH_ERROR,
    UNREADABLE,
    WRONG_WITHOUT_ERROR,
    Place,
    answer_text,
    present,
    step_index,
    verdict,
    whole_number,
)
from .stored import line_scores, lines_of, validity
from .truth import Found

_PROCESSBENCH = ("gsm8k", "math", "olympiadbench", "omnimath")
_MR_FIELDS = ("model_output_solution_correctness", "model_output_solution_first_error_step")
_LEVELS = ("college_", "high_school_")


def processbench(row: Row, place: Place) -> Iterator[Found]:
    """`label` counts from 0, and is -1 if no step is wrong. Blank lines between steps become newlines."""
    steps, own = texts(row, "steps"), optional_text(row, "id")
    label = present(row, "label")
    number = whole_number(label)
    if number is None:
        raise RowError(WRONG_WITHOUT_ERROR, repr(label))
    error = None if number == -1 else step_index(number, 0, len(steps))
    subset = (own or "").rpartition("-")[0]
    identity = place.id(own, is_unique=subset in _PROCESSBENCH)
    yield judged_chain(
        make_problem(identity, typed(row, "problem", str)),
        identity,
        steps,
        up_to(error, len(steps)),
        subset if subset in _PROCESSBENCH else place.stem,
        is_answer_right=verdict(row.get("final_answer_correct")),
    )


def mr_gsm8k(row: Row, place: Place) -> Iterator[Found]:
    """`model_output_solution_first_error_step` counts from 1, and is "N/A" if the solution is right.

    The optional `prm_scores` holds step scores of models; see `prm.benchmarks.suites.stored`.
    """
    steps = texts(row, "model_output_steps")
    error = step_index(_error(row, *_MR_FIELDS), 1, len(steps))
    own = optional_text(row, "uuid")
    identity = place.id(own, is_unique=True)
    yield judged_chain(
        make_problem(identity, typed(row, "question", str), answer_text(row.get("ground_truth_answer"))),
        identity,
        steps,
        up_to(error, len(steps)),
        optional_text(row, "question_type") or place.stem,
        is_answer_right=verdict(row.get("model_output_answer_correctness")),
        scores=line_scores(row, range(len(steps)), len(steps), validity),
    )


def mr_math(row: Row, place: Place) -> Iterator[Found]:
    """MR-MATH's invalid errors: as MR-GSM8K, but a step may hold several lines, each with a score.

    The score of a step is the lowest of its lines, as in ReasonEval's codes/mr-math_eval.py.
    """
    steps, places = lines_of(row)
    error = step_index(_error(row, *_MR_FIELDS), 1, len(steps))
    identity = place.id(optional_text(row, "id"))
    yield judged_chain(
        make_problem(identity, typed(row, "question", str), answer_text(row.get("ground_truth_answer"))),
        identity,
        steps,
        up_to(error, len(steps)),
        place.stem,
        is_answer_right=verdict(row.get("model_output_answer_correctness")),
        scores=line_scores(row, places, len(steps), validity),
    )


def mr_ben(row: Row, place: Place) -> Iterator[Found]:
    """`Model_Solution_First_Error_Step` is the k of the solution's own "Step k:", as text, or "N/A".

    The list `Model_Solution_Steps` holds lines, some of them blank, so k is not an index into it: a step goes from its
    "Step k:" to the next one. The coding task is left out, because its solutions are not lists of steps. The split is
    the subject without its level, as in the authors' files.
    """
    steps = split_steps("\n".join(texts(row, "Model_Solution_Steps")), "step-marker")
    number = whole_number(_error(row, "Model_Solution_Correctness", "Model_Solution_First_Error_Step"))
    subject = typed(row, "Subject", str)
    question, model = typed(row, "Question_UUID", str), typed(row, "Sampled_Model", str)
    problem = make_problem(
        place.id(question, is_unique=True),
        "\n\n".join(filter(None, (typed(row, "Question", str), optional_text(row, "Options")))),
        optional_text(row, "Ground_Truth_Answer_Modified", "Ground_Truth_Answer"),
    )
    yield judged_chain(
        problem,
        place.id(f"{question}/{model}", is_unique=True),
        steps,
        up_to(None if number is None else _labeled(steps, number), len(steps)),
        next((subject.removeprefix(level) for level in _LEVELS if subject.startswith(level)), subject),
    )


def big_bench_mistake(row: Row, place: Place) -> Iterator[Found]:
    """`mistake_index` counts from 0, and is null if no step is wrong."""
    steps = texts(row, "steps")
    error = step_index(present(row, "mistake_index"), 0, len(steps))
    answer, gold = answer_text(row.get("answer")), answer_text(row.get("target"))
    identity = place.id(optional_text(row, "id"))
    yield judged_chain(
        make_problem(identity, typed(row, "input", str), gold),
        identity,
        steps,
        up_to(error, len(steps)),
        place.stem,
        is_answer_right=None if gold is None else answer == gold,
    )


def mathcheck(row: Row, place: Place) -> Iterator[Found]:
    """The rows of process judging: `answer` is "Step k", the k of the solution's own "Step k:".

    All solutions are wrong. The sentence with the answer belongs to the last step.
    """
    task = typed(row, "task_type", str)
    if task != "process_judging":
        raise RowError(OTHER_TASK, task)
    steps = split_steps(typed(row, "solution", str), "step-marker")
    number = whole_number(present(row, "answer"))
    if number is None:
        raise RowError(WRONG_WITHOUT_ERROR, repr(row["answer"]))
    identity = place.id(optional_text(row, "id"))
    yield judged_chain(
        make_problem(identity, typed(row, "question", str)),
        identity,
        steps,
        up_to(_labeled(steps, number), len(steps)),
        optional_text(row, "question_type") or place.stem,
    )


def _error(row: Row, correctness: str, step: str) -> Any:
    """The row's first wrong step; RowError if that contradicts its verdict on the solution."""
    is_right, error = verdict(present(row, correctness)), present(row, step)
    is_none = whole_number(error) is None
    if is_right is None:
        raise RowError(UNREADABLE, f"{correctness!r} is null")
    if is_right and not is_none:
        raise RowError(RIGHT_WITH_ERROR, repr(error))
    if not is_right and is_none:
        raise RowError(WRONG_WITHOUT_ERROR, repr(error))
    return error


def _labeled(steps: Sequence[str], number: int) -> int:
    """The one step that begins with "Step `number`"."""
    found = [i for i, step in enumerate(steps) if re.match(rf"\s*Step[ \t]+{number}[ \t]*[:.]", step)]
    if len(found) != 1:
        raise RowError(NO_SUCH_STEP, f"{len(found)} steps begin with 'Step {number}:'")
    return found[0]
