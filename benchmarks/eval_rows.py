"""The rows behind a result, `<result>.rows.jsonl` (`eval-row/1`): what `prm compare` pairs.

One line for each thing that is measured as one: a judged chain, a comparison, a problem with its solutions. It holds
what is needed to measure the row again, alone or with others, and to show it to a person:

    {"schema": "eval-row/1", "id": "gsm8k-0", "problem_id": "gsm8k-0", "split": "gsm8k", "problem": "…", "answer": null,
     "fields": {"generator": "Qwen2"}, "truth": {"steps": [true, false]}, "scores": {"PRM": [0.9, 0.2]},
     "outcomes": {"f1": {"PRM": {"fixed 0.5": 1.0}}}, "texts": {"gsm8k-0": ["First …", "So …"]}}
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from prm.data.manifest import content_digest
from prm.data.reading import read_rows
from prm.errors import InputError

from .numbers import Findings
from .results import Result
from .suites.collecting import Plain, SuiteData, plain_fields

ROW_SCHEMA = "eval-row/1"
_AGAIN = "run `prm eval` again, with --overwrite, to store them"

Outcomes = Mapping[str, Mapping[str, Mapping[str, float | None]]]
"""By metric, scorer ("" for a baseline) and variant; None for a row that the metric is not about."""


Costs = Mapping[str, Mapping[str, float]]
"""What scoring the chains of a row took, by scorer and name: "tokens", "seconds". Without those that are not known."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a protocol keeps of a row."""

    id: str
    problem_id: str
    split: str
    truth: Mapping[str, Any]
    """What is known of it, as the protocol reads it again. Rows that are paired are equal in it."""
    scores: Mapping[str, Any]
    """By scorer, as the protocol reads them again."""
    chain_ids: tuple[str, ...]
    """The chains whose texts are kept."""


@dataclass(frozen=True, slots=True)
class EvalRow:
    """One row of a suite as an evaluation measured it."""

    id: str
    problem_id: str
    split: str
    problem: str
    """Its text; "" if only pools were given."""
    answer: str | None
    """Gold answer."""
    fields: Mapping[str, Plain]
    """The short values of the suite's row, for groups."""
    truth: Mapping[str, Any]
    """As in `Kept`."""
    scores: Mapping[str, Any]
    """As in `Kept`."""
    outcomes: Outcomes
    texts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Steps, by chain id."""
    costs: Costs = field(default_factory=dict)
    schema: str = ROW_SCHEMA

    @property
    def key(self) -> tuple[str, str]:
        """Which row of the suite it is."""
        return self.id, self.split

    def value_of(self, name: str) -> Plain | None:
        """The value of a field, "split" too; None if it has none."""
        return self.split if name == "split" else self.fields.get(name)


def rows_path(result: Path) -> Path:
    """Path of the rows that belong to a result."""
    return result.with_name(result.name + ".rows.jsonl")


def eval_rows(
    data: SuiteData, kept: Iterator[Kept], findings: Findings, costs: Mapping[tuple[str, str], Costs]
) -> Iterator[EvalRow]:
    """The rows of an evaluation, in the order of the suite.

    Args:
        data: the suite.
        kept: what its protocol keeps of each row.
        findings: the outcomes of their headline and of best of k.
        costs: by id and split.
    """
    outcomes = _outcomes(findings)
    for own in kept:
        problem = data.problems.get(own.problem_id)
        meta = {} if problem is None else plain_fields(problem.meta)
        yield EvalRow(
            id=own.id,
            problem_id=own.problem_id,
            split=own.split,
            problem="" if problem is None else problem.text,
            answer=None if problem is None else problem.answer,
            fields={**meta, **(data.fields.get(own.id) or data.fields.get(own.problem_id, {}))},
            truth=own.truth,
            scores=own.scores,
            outcomes=outcomes.get((own.id, own.split), {}),
            texts={i: data.chains[i].steps for i in dict.fromkeys(own.chain_ids) if i in data.chains},
            costs=costs.get((own.id, own.split), {}),
        )


def _outcomes(findings: Findings) -> dict[tuple[str, str], dict[str, dict[str, dict[str, float | None]]]]:
    """By id and split of the row."""
    told = [n for n in findings.numbers if n.rows is not None and findings.is_kept(n)]
    found: dict[tuple[str, str], dict[str, dict[str, dict[str, float | None]]]] = {}
    for number in told:
        outcomes = [] if number.rows is None else number.rows.outcomes.tolist()
        for key, value in zip(findings.keys, outcomes, strict=True):
            own = found.setdefault(key, {}).setdefault(number.name, {}).setdefault(number.scorer, {})
            own[number.variant] = None if value != value else value
    return found


def row_to_json(row: EvalRow) -> str:
    """One line of JSONL."""
    values = {name: getattr(row, name) for name in _FIELDS}
    return json.dumps({"schema": row.schema, **values}, ensure_ascii=False)


_FIELDS = tuple(name for name in EvalRow.__dataclass_fields__ if name != "schema")


def read_eval_rows(path: Path, result: Result) -> dict[tuple[str, str], EvalRow]:
    """The rows behind a result, by id and split.

    Args:
        path: of the result.
        result: what it holds.

    Raises:
        InputError: the result is of a search, which has none, or from before rows were stored; or they are missing or
            another result's.
    """
    rows = rows_path(path)
    if result.suite == "search":
        raise InputError(
            f"{path}: compares the runs of a search already, and has no rows",
            "its differences are those of `prm eval search`; give it all runs",
        )
    if not result.rows:
        raise InputError(f"{path}: has no rows stored beside it", _AGAIN)
    if not rows.exists():
        raise InputError(f"{rows}: is missing", f"move it together with {path.name}, or {_AGAIN}")
    if content_digest(rows) != result.rows:
        raise InputError(f"{rows}: holds the rows of another result than {path.name}", _AGAIN)
    try:
        read = [msgspec.convert(row, EvalRow) for _, row in read_rows(rows)]
    except ValueError as error:
        raise InputError(f"{rows}: is not a file of {ROW_SCHEMA} rows: {error}", _AGAIN) from error
    found = {row.key: row for row in read}
    if len(found) < len(read):
        raise InputError(f"{rows}: two rows have one id and split", _AGAIN)
    return found
