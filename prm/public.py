"""Public data sets with step ratings → our records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from prm.errors import InputError
from prm.files import Row, read_rows
from prm.records import Chain, Problem, StepLabels


def read_step_ratings(path: Path, *, neutral_is_right: bool = True) -> Iterator[tuple[Problem, Chain, StepLabels]]:
    """Yield chains with a person's rating of each step, as in PRM800K.

    Args:
        path: JSONL rows with `id`, `problem`, `steps` and `step_ratings` (1 good, 0 neutral, -1 bad, null unrated).
        neutral_is_right: whether a rating of 0 counts as right. OpenAI, Qwen and PURE say yes, TRL said no.

    Raises:
        InputError: naming file, line and field.
    """
    for number, row in read_rows(path):
        try:
            yield _rated(row, neutral_is_right)
        except KeyError as error:
            raise InputError(f"{path}:{number}: lacks the field {error}", "is it a file of step ratings?") from error
        except (ValueError, TypeError) as error:
            raise InputError(f"{path}:{number}: {error}", "mend or delete that row") from error


def _rated(row: Row, neutral_is_right: bool) -> tuple[Problem, Chain, StepLabels]:
    steps, ratings = row["steps"], row["step_ratings"]
    if not isinstance(steps, list) or not all(isinstance(s, str) for s in steps):
        raise ValueError("field 'steps' must be a list of texts")
    if not isinstance(ratings, list) or not all(r is None or isinstance(r, int | float) for r in ratings):
        raise ValueError("field 'step_ratings' must be a list of numbers or null")
    if len(ratings) != len(steps):
        raise ValueError(f"field 'step_ratings' has {len(ratings)} entries for {len(steps)} steps")
    lowest = 0 if neutral_is_right else 1
    right = tuple(int(r is not None and r >= lowest) for r in ratings)
    wrong = tuple(int(r is not None and r < lowest) for r in ratings)
    identity, problem_id = str(row["id"]), f"problem-of-{row['problem']}"
    return (
        Problem(id=problem_id, text=row["problem"], answer=row.get("final_answer")),
        Chain(id=identity, problem_id=problem_id, steps=tuple(s.rstrip("\n") + "\n" for s in steps)),
        StepLabels(
            chain_id=identity,
            problem_id=problem_id,
            right=right,
            wrong=wrong,
            undecided=(0,) * len(ratings),
            known=tuple("none" if r is None else "human" for r in ratings),
            outcome="incorrect" if any(wrong) else "correct",
        ),
    )
