"""Check the predictions in a file, or its gold answers alone.

    report = prm.verify("outputs.jsonl", prediction="completion", gold="answer")
    report.accuracy, report.of_all.interval, report.outcomes, report.disagreements

    for refused in prm.audit_golds("problems.jsonl").refused: ...

Correct and incorrect are evidence. No answer, timeout and error are counted apart: never as incorrect.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import tee
from pathlib import Path
from typing import Any

from prm import console
from prm.data.drops import Drops
from prm.data.jobs import Output, Source, Workspace, making, write_drops
from prm.data.manifest import Job
from prm.data.reading import read_each_row, read_rows, sound
from prm.data.records import Problem
from prm.data.rows import Row, RowError, golds_of, optional_text, question_of
from prm.data.writing import write_lines
from prm.errors import InputError, require_number
from prm.statistics.intervals import credible_interval
from prm.verifiers import DEFAULT_TIMEOUT, Checker, Outcome, Verdict, gold_problem
from prm.verifiers.checkers import Named, Rules
from prm.verifiers.checking import MAX_TIMEOUT

from .checking import command_files, job_checker, recorded, solution_verdicts, verdicts

PREDICTIONS = (
    *("prediction", "pred", "completion", "solution_str", "model_output", "response", "output", "generation"),
    "llm_response",
)
GOLDS = ("gold", "answer", "solution", "ground_truth", "target", "reference", "gold_answer")
LABELS = ("label", "correct", "is_correct", "gold_correct", "gold_judgment")
"""Usual names of fields, in the order in which they are looked for in the first row. The last ones are those of
VerifyBench and VerifierBench."""

_LABEL_VALUES: dict[Any, bool] = {
    **dict.fromkeys((True, "true", "1", "correct", "right", "+"), True),
    **dict.fromkeys((False, "false", "0", "incorrect", "wrong", "-"), False),
}
"""How files write a verdict. The numbers 1, 1.0, 0 and 0.0 are equal to the truth values."""
_JUDGMENTS: dict[Any, bool] = {**_LABEL_VALUES, "a": True, "b": False, "c": False}
"""VerifierBench's: A is correct, B incorrect; C, a question or response that is no good, counts as incorrect
(open-compass/CompassVerifier, README.md)."""


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of a row that are read."""

    prediction: str
    gold: str
    label: str | None
    """Holds a stored verdict; None if there is none."""


@dataclass(frozen=True, slots=True)
class CheckedRow:
    """The verdict on one row."""

    line: int
    """Of its file, from 1."""
    id: str | None
    """Of the row, if it has one."""
    outcome: Outcome
    reason: str
    """See `prm.verifiers.Verdict`."""
    answer: str | None
    """Extracted from the prediction."""
    gold: str
    """The gold answer as the row has it; several, joined by " | "."""
    label: bool | None
    """The stored verdict, if the row has one."""

    @property
    def is_disagreement(self) -> bool:
        """Whether the verdict is evidence against the stored one."""
        return self.label is not None and self.outcome == (Outcome.INCORRECT if self.label else Outcome.CORRECT)

    def to_json(self) -> str:
        """One line of a file of verdicts."""
        return json.dumps({"schema": "verdict/1", **asdict(self)}, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a whole."""

    part: int
    whole: int

    @property
    def value(self) -> float:
        """In [0, 1]; NaN if the whole is empty."""
        return self.part / self.whole if self.whole else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """95% credible interval, see `prm.statistics.intervals`."""
        return credible_interval(self.part, self.whole - self.part)


class VerifyReport(Output):
    """Accuracy, and verdicts with their reasons. Iterate over it for each row's verdict."""

    def __init__(self, path: Path, counts: dict[str, Any], place: Workspace, fields: Fields) -> None:
        super().__init__(path, counts, place)
        self.fields = fields
        """The fields that were read."""
        self.outcomes = Counter[tuple[Outcome, str]]()
        """Number of rows by outcome and reason."""
        self.stored = Counter[tuple[bool, Outcome]]()
        """Number of rows by stored verdict and outcome."""
        self.disagreements: list[CheckedRow] = []
        """Rows whose stored verdict is contradicted by evidence."""
        for row in self:
            self._count(row)

    def __iter__(self) -> Iterator[CheckedRow]:
        for _, row in read_rows(self.path):
            yield CheckedRow(
                **{name: row[name] for name in CheckedRow.__slots__} | {"outcome": Outcome(row["outcome"])}
            )

    def _count(self, row: CheckedRow) -> None:
        self.outcomes[row.outcome, row.reason] += 1
        if row.label is not None:
            self.stored[row.label, row.outcome] += 1
        if row.is_disagreement:
            self.disagreements.append(row)

    def __repr__(self) -> str:
        (low, high), share = self.of_all.interval, self.of_all
        return f"<VerifyReport: {share.part} of {share.whole} correct, 95% interval {low:.3f}-{high:.3f}>"

    @property
    def accuracy(self) -> float:
        """Share of the checked rows that are correct, in [0, 1]."""
        return self.of_all.value

    @property
    def of_all(self) -> Share:
        """Correct rows, of all that were checked."""
        return Share(self.count(Outcome.CORRECT), self.outcomes.total())

    @property
    def of_decided(self) -> Share:
        """Correct rows, of those with the outcome correct or incorrect."""
        correct = self.count(Outcome.CORRECT)
        return Share(correct, correct + self.count(Outcome.INCORRECT))

    def count(self, outcome: Outcome) -> int:
        """Number of rows with this outcome."""
        return sum(number for (found, _), number in self.outcomes.items() if found == outcome)


def verify(
    predictions: Source,
    *,
    prediction: str | None = None,
    gold: str | None = None,
    label: str | None = None,
    checker: Named = "exact",
    timeout: float = DEFAULT_TIMEOUT,
    out: str | Path | None = None,
    overwrite: bool = False,
) -> VerifyReport:
    """Check predictions against gold answers, and against verdicts that are stored beside them.

    Args:
        predictions: a row for each prediction, see `prm.Source`.
        prediction: field with the solution or bare answer; None for the first of `PREDICTIONS` in the first row.
        gold: field with the gold answer; None for the first of `GOLDS`.
        label: field with a stored verdict to compare with; None for the first of `LABELS` that holds one in the first
            row, where a later value that is no verdict counts as missing.
        checker: decides whether an answer is right; see `prm.verifiers.checkers.checker_of`. The fields of a row are
            the `meta` of the problem that it gets.
        timeout: seconds that the algebra of one row may take, in (0, 86400]; only for our own rules.
        out: file of verdicts, with a manifest beside it; None for a temporary file.
        overwrite: whether to replace an existing output.

    Raises:
        PrmError: an input or the output cannot be used.
    """
    judge = _checker(checker, timeout)
    place = Workspace(out, "verdicts.jsonl")
    file = place.files(predictions=predictions)["predictions"]
    fields = find_fields(file, prediction, gold, label)
    stored = fields.label and repr(fields.label)
    console.say(f"{file}: prediction = {fields.prediction!r}, gold = {fields.gold!r}, stored verdict = {stored}")
    counts = dict[str, Any]()
    write = partial(_write_verdicts, file, fields, judge, place.out, is_guessed=label is None)
    if out is None:
        write(counts)
    else:
        settings = {**asdict(fields), "timeout": timeout, **recorded(judge)}
        job = Job(place.out, "verify", settings, {"file": file} | command_files(judge))
        with making(job, "verdicts", overwrite) as made:
            if made is not None:
                write(made)
        counts = job.counts()
    return VerifyReport(place.out, counts, place, fields)


def _checker(given: Named, timeout: float) -> Checker:
    """The checker that is meant, with the time limit if it is our own."""
    require_number("timeout", timeout, f"(0, {MAX_TIMEOUT}]")
    checker = job_checker(given, timeout=timeout)
    if timeout != DEFAULT_TIMEOUT and not isinstance(checker, Rules):
        raise InputError("timeout has no effect on this checker", "a command has its own: 'command(seconds=10): …'")
    return checker


def find_fields(file: Path, prediction: str | None, gold: str | None, label: str | None) -> Fields:
    """Complete the names of fields from the first row.

    Raises:
        InputError: the file has no row, or its first row has no field with a usual name.
    """
    first = _first_row(file)
    prediction = prediction or _found(file, first, "prediction", [name for name in PREDICTIONS if name != gold])
    gold = gold or _found(file, first, "gold", [name for name in GOLDS if name != prediction])
    stored = (name for name in LABELS if name not in (prediction, gold) and _truth(first.get(name), name) is not None)
    return Fields(prediction, gold, label or next(stored, None))


def _first_row(file: Path) -> Row:
    """The first row that can be read; the first fault if there is none."""
    rows = read_each_row(file)
    number, first = next(rows, (0, None))
    if first is None:
        raise InputError(f"{file}: holds no rows", "is it the right file?")
    if isinstance(first, RowError):
        return next((row for _, row in rows if not isinstance(row, RowError)), None) or sound(file, number, first)
    return first


def _found(file: Path, first: Row, what: str, names: Iterable[str]) -> str:
    found = next((name for name in names if name in first), None)
    if found is None:
        raise InputError(f"{file}:1: has no field for the {what}: it has {', '.join(first)}", f"name it with `{what}`")
    return found


def _truth(value: Any, name: str | None) -> bool | None:
    """The truth value of a stored verdict in a field; None if the value is not a verdict."""
    if isinstance(value, bool | int | float | str):
        values = _JUDGMENTS if name == "gold_judgment" else _LABEL_VALUES
        return values.get(value.strip().lower() if isinstance(value, str) else value)
    return None


@dataclass(frozen=True, slots=True)
class _Case:
    """One row that can be checked."""

    line: int
    identity: str | None
    prediction: str
    label: bool | None
    problem: Problem


def _cases(file: Path, fields: Fields, drops: Drops, strange: list[int] | None) -> Iterator[_Case]:
    """The rows that can be checked; the others go to `drops`.

    `strange` receives the numbers of rows whose label is no verdict; None to raise at the first.
    """
    for number, row in read_each_row(file):
        if isinstance(row, RowError):
            drops.add(f"{file}:{number}", row.reason, row.detail)
            continue
        prediction, golds = _text(row.get(fields.prediction)), _golds(row.get(fields.gold))
        if prediction is None or not golds:
            name = fields.prediction if prediction is None else fields.gold
            drops.add(f"{file}:{number}", f"field {name!r} holds no text")
            continue
        label, problem = _label(file, number, row, fields.label, strange), _problem(file, number, row, golds)
        yield _Case(number, optional_text(row, "id"), prediction, label, problem)


def _problem(file: Path, number: int, row: Row, golds: tuple[str, ...]) -> Problem:
    """The problem of a row, with all that the row holds; without a text of its own, the row's id stands for it."""
    identity = optional_text(row, "id") or f"{file.stem}-{number}"
    text, meta = question_of(row), row.get("meta")
    is_text = isinstance(text, str) and text.strip()
    about = row | (meta if isinstance(meta, dict) else {})
    return Problem(identity, text if is_text else identity, next(iter(golds), None), about, golds[1:])


def _golds(value: Any) -> tuple[str, ...]:
    """The gold answers in a field; none if it holds something else."""
    if isinstance(value, str):
        return (value,)
    try:
        return golds_of(value)
    except ValueError:
        return ()


def _text(value: Any) -> str | None:
    """A text, or a number as text."""
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None


def _label(file: Path, number: int, row: Row, name: str | None, strange: list[int] | None) -> bool | None:
    value = None if name is None else row.get(name)
    truth = _truth(value, name)
    if value is not None and truth is None and strange is not None:
        strange.append(number)
    elif value is not None and truth is None:
        raise InputError(
            f"{file}:{number}: field {name!r} is {value!r}, which is not a verdict",
            "use true, false, 1, 0, correct or incorrect; or name another field with `label`",
        )
    return truth


def _write_verdicts(
    file: Path, fields: Fields, checker: Checker, out: Path, counts: dict[str, Any], *, is_guessed: bool
) -> None:
    """Write the verdicts; `is_guessed`: whether the field of the labels was found, and not named."""
    drops = Drops()
    rows = _verdicts(file, fields, checker, drops, is_guessed=is_guessed)
    counts["verdicts"] = write_lines(out, map(CheckedRow.to_json, rows))
    write_drops(drops, out, counts)


def _verdicts(file: Path, fields: Fields, checker: Checker, drops: Drops, *, is_guessed: bool) -> Iterator[CheckedRow]:
    """A verdict on each row that can be checked. Reads the whole file first, so that one without use costs no work."""
    strange: list[int] | None = [] if is_guessed else None
    total = sum(1 for _ in _cases(file, fields, drops, strange))
    if not total:
        raise InputError(f"{file}: no row can be used: {'; '.join(drops.by_reason())}", "name the fields to read")
    if strange:
        what = f"rows whose {fields.label!r} is no verdict, and counts as missing"
        console.say(f"{what}: {len(strange):,}, the first is {file}:{strange[0]}")
    cases, again = tee(_cases(file, fields, Drops(), strange))
    checked = solution_verdicts(checker, ((case.prediction, case.problem) for case in again))
    for case, verdict in console.tracked(zip(cases, checked, strict=True), "checking", total):
        yield CheckedRow(
            case.line, case.identity, verdict.outcome, verdict.reason, verdict.answer, " | ".join(case.problem.golds),
            case.label,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class RefusedGold:
    """A gold answer that the checker cannot use, or does not accept against itself."""

    line: int
    """Of its file, from 1."""
    id: str | None
    """Of the row, if it has one."""
    gold: str | None
    """None if the field holds no text."""
    reason: str


@dataclass(frozen=True, slots=True)
class GoldAudit:
    """Which gold answers the checker refuses."""

    field: str
    """The field that was read."""
    total: int
    """Number of rows."""
    refused: tuple[RefusedGold, ...]


def audit_golds(
    problems: Source, *, gold: str | None = None, checker: Named = "exact", timeout: float = DEFAULT_TIMEOUT
) -> GoldAudit:
    """Check each gold answer against itself: worth knowing before any labeling or training.

    Args:
        problems: rows with a gold answer each, see `prm.Source`.
        gold: field with the gold answer; None for the first of `GOLDS` in the first row.
        checker: as in `verify`.
        timeout: seconds that the algebra of one row may take, in (0, 86400]; only for our own rules.

    Raises:
        InputError: the rows cannot be read, or have no field with a usual name.
    """
    judge = _checker(checker, timeout)
    place = Workspace(None, "golds")
    file = place.files(problems=problems)["problems"]
    name = gold or _found(file, _first_row(file), "gold", GOLDS)
    console.say(f"{file}: gold = {name!r}")
    total = sum(1 for _ in read_rows(file))  # a broken line is found before any work
    each = ((number, row, _golds(row.get(name))) for number, row in read_rows(file))
    golds, again = tee((number, row, gold) for number, row, golds in each for gold in golds or (None,))
    questions = ((gold or "", gold or "", _problem(file, number, row, (gold or "",))) for number, row, gold in again)
    checked = zip(golds, verdicts(judge, questions), strict=True)
    refused = [
        RefusedGold(number, optional_text(row, "id"), gold, reason)
        for (number, row, gold), verdict in console.tracked(checked, "checking", total)
        if (reason := _refusal(name, gold, verdict, is_ours=isinstance(judge, Rules)))
    ]
    return GoldAudit(name, total, tuple(refused))


def _refusal(name: str, gold: str | None, verdict: Verdict, *, is_ours: bool) -> str:
    """Why a gold answer is refused; empty if it is not."""
    if gold is None:
        return f"field {name!r} holds no text"
    against_itself = "" if verdict.is_correct else f"against itself it is {verdict.outcome}: {verdict.reason}"
    return (gold_problem(gold) if is_ours else None) or against_itself
