"""`prm verify`: what the checker says of a file of predictions and gold answers, or of the gold answers alone."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice, tee
from pathlib import Path
from typing import Annotated, Any

import typer

from prm import console
from prm.data.drops import Drops
from prm.data.jobs import making, write_drops
from prm.data.manifest import Job
from prm.data.rows import Row, optional_text, read_rows
from prm.data.writing import write_lines
from prm.errors import InputError
from prm.statistics.intervals import credible_interval
from prm.verifiers import DEFAULT_TIMEOUT, Outcome, Verdict, check_many, gold_problem

from .options import Overwrite

PREDICTIONS = ("prediction", "pred", "completion", "solution_str", "model_output", "response", "output", "generation")
GOLDS = ("gold", "answer", "solution", "ground_truth", "target", "reference")
LABELS = ("label", "correct", "is_correct")
"""Names of fields, each looked for in this order in the first row of a file."""

_LABEL_VALUES: dict[Any, bool] = {
    **dict.fromkeys((True, "true", "1", "correct", "right", "+"), True),
    **dict.fromkeys((False, "false", "0", "incorrect", "wrong", "-"), False),
}
"""What a stored verdict is written as; 1, 1.0, 0 and 0.0 are equal to the truth values."""
_SHOWN_CHARACTERS = 60


def verify(
    file: Annotated[Path, typer.Argument(help="JSONL, a row for each prediction")],
    prediction: Annotated[
        str | None, typer.Option(help=f"field with the solution or bare answer; default: {', '.join(PREDICTIONS)}")
    ] = None,
    gold: Annotated[str | None, typer.Option(help=f"field with the gold answer; default: {', '.join(GOLDS)}")] = None,
    label: Annotated[
        str | None, typer.Option(help=f"field with a stored verdict to compare with; default: {', '.join(LABELS)}")
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.01, help="seconds that the algebra of one row may take")] = (
        DEFAULT_TIMEOUT
    ),
    out: Annotated[Path | None, typer.Option(help="JSONL file for the verdicts")] = None,
    disagreements: Annotated[
        Path | None, typer.Option(help="JSONL file for all verdicts that are not as stored")
    ] = None,
    show: Annotated[int, typer.Option(min=0, help="how many disagreements, or unusable rows, to print")] = 10,
    fail_under: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="exit with 1 where a smaller share of the checked rows is correct"),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="exit with 1 where a verdict is not as stored")] = False,
    audit_golds: Annotated[
        bool,
        typer.Option("--audit-golds", help="check each gold answer against itself; exit with 1 where one is refused"),
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Predictions and gold answers → accuracy, verdicts with their reasons, and where they differ from stored ones.

    Only correct and incorrect are evidence; no answer, timeout and error are counted apart.
    """
    given = {
        "prediction": prediction, "label": label, "out": out, "disagreements": disagreements,
        "fail-under": fail_under, "strict": strict or None,
    }  # fmt: skip
    if audit_golds:
        _refuse(
            [name for name, value in given.items() if value is not None], "--audit-golds looks at gold answers only"
        )
        _audit(file, gold, timeout)
        return
    names = _Fields.told(file, prediction, gold, label)
    if names.label is None:
        unused = [name for name in ("disagreements", "strict") if given[name]]
        _refuse(unused, f"{file}:1: has no stored verdict in {', '.join(LABELS)}; name its field with --label")
    tally = _tally(file, names, timeout, out, overwrite, show)
    _report(file, tally)
    _report_stored(file, tally, show, disagreements)
    accuracy = tally.correct / tally.total
    if fail_under is not None and accuracy < fail_under:
        console.say(f"{accuracy:.4f} of the checked rows are correct, below --fail-under {fail_under}")
        raise typer.Exit(1)
    if strict and tally.disagreements:
        raise typer.Exit(1)


def _refuse(options: list[str], why: str) -> None:
    if options:
        raise InputError(f"--{options[0]} cannot be used: {why}", f"leave --{options[0]} out, or change the others")


# Rows in.


@dataclass(frozen=True, slots=True)
class _Fields:
    """Which field of a row is what."""

    prediction: str
    gold: str
    label: str | None
    """None where no verdict is stored."""

    @classmethod
    def told(cls, file: Path, prediction: str | None, gold: str | None, label: str | None) -> _Fields:
        """The fields that are named by options, else by the first row; says which."""
        first = _first_row(file)
        prediction = prediction or _told(file, first, "prediction", [name for name in PREDICTIONS if name != gold])
        gold = gold or _told(file, first, "gold", [name for name in GOLDS if name != prediction])
        stored = (name for name in LABELS if name not in (prediction, gold) and _truth(first.get(name)) is not None)
        label = label or next(stored, None)
        console.say(f"{file}: prediction = {prediction!r}, gold = {gold!r}, stored verdict = {label and repr(label)}")
        return cls(prediction, gold, label)


def _first_row(file: Path) -> Row:
    first = next(read_rows(file), None)
    if first is None:
        raise InputError(f"{file}: holds no rows", "is it the right file?")
    return first[1]


def _told(file: Path, first: Row, what: str, names: Iterable[str]) -> str:
    found = next((name for name in names if name in first), None)
    if found is None:
        raise InputError(f"{file}:1: has no field for the {what}: it has {', '.join(first)}", f"name it with --{what}")
    return found


def _truth(value: Any) -> bool | None:
    """What a stored verdict says; None for what is none."""
    if isinstance(value, bool | int | float | str):
        return _LABEL_VALUES.get(value.strip().lower() if isinstance(value, str) else value)
    return None


@dataclass(frozen=True, slots=True)
class _Case:
    """One row that can be checked."""

    line: int
    identity: str | None
    prediction: str
    gold: str
    label: bool | None


def _cases(file: Path, names: _Fields, drops: Drops) -> Iterator[_Case]:
    """The rows that can be checked; the others go to `drops`."""
    for number, row in read_rows(file):
        texts = [_text(row.get(name)) for name in (names.prediction, names.gold)]
        if texts[0] is None or texts[1] is None:
            name = names.prediction if texts[0] is None else names.gold
            drops.add(f"{file}:{number}", f"field {name!r} holds no text")
            continue
        yield _Case(number, optional_text(row, "id"), texts[0], texts[1], _label(file, number, row, names.label))


def _text(value: Any) -> str | None:
    """A text, or a number as text."""
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None


def _label(file: Path, number: int, row: Row, name: str | None) -> bool | None:
    value = None if name is None else row.get(name)
    truth = _truth(value)
    if value is not None and truth is None:
        raise InputError(
            f"{file}:{number}: field {name!r} is {value!r}, which is no verdict",
            "needed: true, false, 1, 0, correct or incorrect; name another field with --label",
        )
    return truth


# Verdicts out.


@dataclass(slots=True)
class _Tally:
    """Counts of verdicts, taken from the rows that `--out` holds."""

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By outcome and reason."""
    stored: Counter[tuple[bool, str]] = field(default_factory=Counter)
    """By stored verdict and outcome."""
    disagreements: list[Row] = field(default_factory=list)
    """Those where the two are evidence, and differ."""

    @classmethod
    def of(cls, rows: Iterable[Row]) -> _Tally:
        """Count rows of verdicts."""
        tally = cls()
        for row in rows:
            tally.outcomes[row["outcome"], row["reason"]] += 1
            if row["label"] is not None:
                tally.stored[row["label"], row["outcome"]] += 1
                if row["outcome"] == (Outcome.INCORRECT if row["label"] else Outcome.CORRECT):
                    tally.disagreements.append(row)
        return tally

    @property
    def total(self) -> int:
        """How many verdicts there are."""
        return self.outcomes.total()

    @property
    def correct(self) -> int:
        """How many predictions were shown to be correct."""
        return self.count(Outcome.CORRECT)

    def count(self, outcome: Outcome) -> int:
        """How many verdicts have this outcome."""
        return sum(number for (found, _), number in self.outcomes.items() if found == outcome)


def _tally(file: Path, names: _Fields, timeout: float, out: Path | None, overwrite: bool, show: int) -> _Tally:
    """Check the file, or read the verdicts that are there already."""
    if out is None:
        drops = Drops()
        tally = _Tally.of(_verdicts(file, names, timeout, drops))
        _say_unusable(drops, show)
        return tally
    settings = {"prediction": names.prediction, "gold": names.gold, "label": names.label, "timeout": timeout}
    with making(Job(out, "verify", settings, {"file": file}), "verdicts", overwrite) as counts:
        if counts is not None:
            drops = Drops()
            rows = _verdicts(file, names, timeout, drops)
            counts["verdicts"] = write_lines(out, (json.dumps(row, ensure_ascii=False) for row in rows))
            write_drops(drops, out, counts)
    return _Tally.of(row for _, row in read_rows(out))


def _verdicts(file: Path, names: _Fields, timeout: float, drops: Drops) -> Iterator[Row]:
    """A row of `verdict/1` for each row that can be checked; a broken line is found before any is."""
    total = sum(1 for _ in _cases(file, names, drops))
    if not total:
        raise InputError(f"{file}: no row can be used: {'; '.join(drops.by_reason())}", "name the fields by options")
    cases, again = tee(_cases(file, names, Drops()))
    checked = check_many(((case.prediction, case.gold) for case in again), timeout=timeout)
    for case, verdict in console.tracked(zip(cases, checked, strict=True), "checking", total):
        yield _verdict_row(case, verdict)


def _verdict_row(case: _Case, verdict: Verdict) -> Row:
    return {
        "schema": "verdict/1",
        "line": case.line,
        "id": case.identity,
        "outcome": str(verdict.outcome),
        "reason": verdict.reason,
        "answer": verdict.answer,
        "gold": case.gold,
        "label": case.label,
    }


def _say_unusable(drops: Drops, show: int) -> None:
    for reason, number in drops.by_reason().items():
        console.say(f"rows that cannot be used, {reason}: {number:,}")
    for row in islice(drops, show):
        console.say(f"  {row.id}: {row.reason}")


# What a person reads.


def _report(file: Path, tally: _Tally) -> None:
    decided = tally.correct + tally.count(Outcome.INCORRECT)
    shares = [
        ["correct of all checked", *_share(tally.correct, tally.total)],
        ["correct of the decided", *_share(tally.correct, decided)],
    ]
    console.table(f"Accuracy in {file}", ["share", "rows", "%", "95% interval"], shares)
    order = list(Outcome)
    found = sorted(tally.outcomes.items(), key=lambda item: (order.index(Outcome(item[0][0])), -item[1], item[0]))
    rows = [[outcome, reason, f"{number:,}"] for (outcome, reason), number in found]
    console.table("Verdicts", ["outcome", "reason", "rows"], rows)


def _share(part: int, whole: int) -> list[str]:
    low, high = credible_interval(part, whole - part)
    percent = f"{100 * part / whole:.1f}" if whole else "-"
    return [f"{part:,} of {whole:,}", percent, f"{100 * low:.1f}-{100 * high:.1f}"]


def _report_stored(file: Path, tally: _Tally, show: int, disagreements: Path | None) -> None:
    if not tally.stored:
        return
    header = ["stored", *(str(outcome) for outcome in Outcome)]
    rows = [
        ["correct" if label else "incorrect", *(f"{tally.stored[label, outcome]:,}" for outcome in Outcome)]
        for label in (True, False)
    ]
    console.table("Stored verdicts against these", header, rows)
    for row in tally.disagreements[:show]:
        print(_disagreement(file, row))
    console.say(f"verdicts that are not as stored: {len(tally.disagreements):,} of {tally.stored.total():,}")
    if disagreements is not None:
        write_lines(disagreements, (json.dumps(row, ensure_ascii=False) for row in tally.disagreements))
        console.say(f"  {disagreements}")


def _disagreement(file: Path, row: Mapping[str, Any]) -> str:
    stored = "correct" if row["label"] else "incorrect"
    answer, gold = _shortened(row["answer"]), _shortened(row["gold"])
    return f"{file}:{row['line']}: stored {stored}, found {row['outcome']} ({row['reason']}): {answer} for {gold}"


def _shortened(text: str | None) -> str:
    """Its end, where the answer of a solution stands, in one line."""
    if text is None or len(text) <= _SHOWN_CHARACTERS:
        return repr(text)
    return "…" + repr(text[-_SHOWN_CHARACTERS:])


# Gold answers alone.


def _audit(file: Path, gold: str | None, timeout: float) -> None:
    """Print each gold answer that cannot be used, or that the checker does not accept against itself."""
    name = gold or _told(file, _first_row(file), "gold", GOLDS)
    console.say(f"{file}: gold = {name!r}")
    total = sum(1 for _ in read_rows(file))  # a broken line is found before any work
    golds, again = tee(_golds(file, name))
    checked = check_many(((text or "", text or "") for _, text in again), timeout=timeout)
    refused = 0
    for (number, text), verdict in console.tracked(zip(golds, checked, strict=True), "checking", total):
        problem = f"field {name!r} holds no text" if text is None else gold_problem(text) or _refusal(verdict)
        if problem:
            refused += 1
            print(f"{file}:{number}: {_shortened(text)}: {problem}")
    console.say(f"gold answers that are refused: {refused:,} of {total:,}")
    if refused:
        raise typer.Exit(1)


def _golds(file: Path, name: str) -> Iterator[tuple[int, str | None]]:
    return ((number, _text(row.get(name))) for number, row in read_rows(file))


def _refusal(verdict: Verdict) -> str:
    return "" if verdict.is_correct else f"against itself it is {verdict.outcome}: {verdict.reason}"
