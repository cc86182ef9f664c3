"""Suites that judge each step as right or wrong, whatever comes before it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import cycle
from typing import Any

from prm.data.formats.prm800k import prm800k as read_solutions
from prm.data.formats.solutions import Reading, texts, typed
from prm.data.records import Chain
from prm.data.rows import Row, RowError, optional_text

from .building import Judged, judged_chain, make_problem
from .fields import UNREADABLE, Place, answer_text, require_equal, step_index, verdict, whole_number
from .stored import line_scores, lines_of, usefulness
from .truth import Found, StepTruth, Truth

_ORIGINAL, _WITH_ORIGINALS = "correct", "redundency"
"""PRMBench's name for the solutions as they were, and the class from whose rows its code takes them."""
_ENCRYPTED = ("question", "model_response_by_step", "human_labels")


def prmbench(row: Row, place: Place) -> Iterator[Found]:
    """`error_steps` counts from 1 over `modified_process`; it is empty in the class multi_solutions.

    A row with a step beyond the end is dropped. Differs from ssmisya/PRMBench, mr_eval, whose convention is official:
    it ignores such a step and keeps the row, and of rows with the same idx and class it keeps only the first; and it
    compares each solution with the original one, which it takes from the rows of the class redundency.
    """
    steps, kind = texts(row, "modified_process"), typed(row, "classification", str)
    wrong = [whole_number(number) for number in typed(row, "error_steps", list)]
    if None in wrong:
        raise RowError(UNREADABLE, f"error_steps: {row['error_steps']!r}")
    if not place.takes_all:
        for number in wrong:
            step_index(number, 1, len(steps))
    own = typed(row, "idx", str)
    identity = place.id(own if own.startswith(kind) else f"{kind}/{own}", is_unique=True)
    original = place.id(f"{_ORIGINAL}/{own.removeprefix(f'{kind}_')}", is_unique=True) if place.takes_all else None
    yield judged_chain(
        make_problem(identity, typed(row, "modified_question", str)),
        identity,
        steps,
        tuple(i not in wrong for i in range(1, len(steps) + 1)),
        kind,
        original=original,
        judges_blank=place.takes_all,
    )
    if original is not None and kind == _WITH_ORIGINALS:
        before = texts(row, "original_process")
        problem = make_problem(original, typed(row, "original_question", str))
        all_right = (True,) * len(before)
        yield judged_chain(
            problem, original, before, all_right, _ORIGINAL, original=original, judges_blank=place.takes_all
        )


def hard2verify(row: Row, place: Place) -> Iterator[Found]:
    """`human_labels`, 1 or 0 for each of `model_response_by_step`; a step that builds on a wrong one is wrong.

    The published rows are encrypted against contamination, with the row's own `canary` as key; see `_decrypted`.
    """
    row = _decrypted(row)
    steps, labels = texts(row, "model_response_by_step"), typed(row, "human_labels", list)
    require_equal("labels and steps", len(labels), len(steps))
    identity = place.id(optional_text(row, "unique_id", "id"))
    problem = make_problem(identity, typed(row, "question", str))
    yield judged_chain(problem, identity, steps, tuple(map(verdict, labels)), place.stem)


def _decrypted(row: Row) -> Row:
    """The row with its encrypted fields as JSON values; as it is without a `canary`, or where they are plain.

    Base64 of the text's bytes, combined by exclusive or with the SHA-256 of the canary, repeated (`decrypt_sample` in
    SalesforceAIResearch/Hard2Verify, utils.py).
    """
    canary = row.get("canary")
    if not isinstance(canary, str):
        return row
    key = hashlib.sha256(canary.encode()).digest()
    return row | {name: _plain(row[name], key) for name in _ENCRYPTED if isinstance(row.get(name), str)}


def _plain(text: str, key: bytes) -> Any:
    try:
        mixed = base64.b64decode(text, validate=True)
        plain = bytes(a ^ b for a, b in zip(mixed, cycle(key), strict=False)).decode()
    except ValueError:
        return text
    try:
        return json.loads(plain)
    except ValueError:
        return plain


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
