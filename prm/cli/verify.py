"""`prm verify`: the checker's verdicts on a file of predictions and gold answers, or on the gold answers alone."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from prm import console
from prm.data.writing import write_lines
from prm.errors import InputError
from prm.scoring import verifying
from prm.scoring.verifying import GOLDS, LABELS, PREDICTIONS, CheckedRow, Share, VerifyReport
from prm.verifiers import DEFAULT_TIMEOUT, Outcome
from prm.verifiers.checking import MAX_TIMEOUT

from .options import Checker, Overwrite

_SHOWN_CHARACTERS = 60


def verify(
    file: Annotated[Path, typer.Argument(help="file or folder with a row per prediction")],
    prediction: Annotated[
        str | None, typer.Option(help=f"field with the solution or bare answer; default: {', '.join(PREDICTIONS)}")
    ] = None,
    gold: Annotated[str | None, typer.Option(help=f"field with the gold answer; default: {', '.join(GOLDS)}")] = None,
    label: Annotated[
        str | None, typer.Option(help=f"field with a stored verdict to compare with; default: {', '.join(LABELS)}")
    ] = None,
    checker: Checker = "exact",
    timeout: Annotated[
        float, typer.Option(min=0.01, max=MAX_TIMEOUT, help="seconds that the algebra of one row may take")
    ] = DEFAULT_TIMEOUT,
    out: Annotated[Path | None, typer.Option(help="JSONL file for the verdicts")] = None,
    disagreements: Annotated[
        Path | None, typer.Option(help="JSONL file for all verdicts that differ from the stored ones")
    ] = None,
    show: Annotated[int, typer.Option(min=0, help="how many disagreements, or unusable rows, to print")] = 10,
    fail_under: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="exit with 1 if a smaller share of the checked rows is correct"),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="exit with 1 if a verdict differs from a stored one")
    ] = False,
    audit_golds: Annotated[
        bool,
        typer.Option("--audit-golds", help="check each gold answer against itself; exit with 1 if one is refused"),
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Predictions and gold answers → accuracy, verdicts with their reasons, and differences from stored verdicts.

    Only correct and incorrect are evidence; no answer, timeout and error are counted apart.
    """
    given = {
        "prediction": prediction, "label": label, "out": out, "disagreements": disagreements,
        "fail-under": fail_under, "strict": strict or None,
    }  # fmt: skip
    if audit_golds:
        _refuse([name for name, value in given.items() if value is not None], "--audit-golds reads gold answers only")
        _audit(file, gold, checker, timeout)
        return
    unused = [name for name in ("disagreements", "strict") if given[name]]
    if unused and verifying.find_fields(file, prediction, gold, label).label is None:
        _refuse(unused, f"{file}:1: has no stored verdict in {', '.join(LABELS)}; name its field with --label")
    report = verifying.verify(
        file, prediction=prediction, gold=gold, label=label, checker=checker, timeout=timeout,
        out=out, overwrite=overwrite,
    )  # fmt: skip
    if out is None:
        _say_unusable(report, show)
    _print_accuracy(file, report)
    if report.stored:
        _print_stored(file, report, show, disagreements)
    if fail_under is not None and report.accuracy < fail_under:
        console.say(f"{report.accuracy:.4f} of the checked rows are correct, below --fail-under {fail_under}")
        raise typer.Exit(1)
    if strict and report.disagreements:
        raise typer.Exit(1)


def _refuse(options: list[str], why: str) -> None:
    if options:
        raise InputError(f"--{options[0]} cannot be used: {why}", f"omit --{options[0]}, or change the others")


def _say_unusable(report: VerifyReport, show: int) -> None:
    drops = report.drops
    for reason, number in Counter(drop.reason for drop in drops).items():
        console.say(f"rows that cannot be used, {reason}: {number:,}")
    for drop in drops[:show]:
        console.say(f"  {drop.id}: {drop.reason}")


def _print_accuracy(file: Path, report: VerifyReport) -> None:
    shares = [
        ["correct of all checked", *_cells(report.of_all)],
        ["correct of the decided", *_cells(report.of_decided)],
    ]
    console.table(f"Accuracy in {file}", ["share", "rows", "%", "95% interval"], shares)
    order = list(Outcome)
    found = sorted(report.outcomes.items(), key=lambda item: (order.index(item[0][0]), -item[1], item[0]))
    rows = [[outcome, reason, f"{number:,}"] for (outcome, reason), number in found]
    console.table("Verdicts", ["outcome", "reason", "rows"], rows)


def _cells(share: Share) -> list[str]:
    low, high = share.interval
    percent = f"{100 * share.value:.1f}" if share.whole else "-"
    return [f"{share.part:,} of {share.whole:,}", percent, f"{100 * low:.1f}-{100 * high:.1f}"]


def _print_stored(file: Path, report: VerifyReport, show: int, disagreements: Path | None) -> None:
    header = ["stored", *(str(outcome) for outcome in Outcome)]
    rows = [
        ["correct" if label else "incorrect", *(f"{report.stored[label, outcome]:,}" for outcome in Outcome)]
        for label in (True, False)
    ]
    console.table("Stored verdicts against these", header, rows)
    for row in report.disagreements[:show]:
        print(_disagreement(file, row))
    console.say(f"verdicts that are not as stored: {len(report.disagreements):,} of {report.stored.total():,}")
    if disagreements is not None:
        write_lines(disagreements, map(CheckedRow.to_json, report.disagreements))
        console.say(f"  {disagreements}")


def _disagreement(file: Path, row: CheckedRow) -> str:
    stored = "correct" if row.label else "incorrect"
    answer, gold = _shortened(row.answer), _shortened(row.gold)
    return f"{file}:{row.line}: stored {stored}, found {row.outcome} ({row.reason}): {answer} for {gold}"


def _shortened(text: str | None) -> str:
    """The end of a text, where a solution has its answer, on one line."""
    if text is None or len(text) <= _SHOWN_CHARACTERS:
        return repr(text)
    return "…" + repr(text[-_SHOWN_CHARACTERS:])


def _audit(file: Path, gold: str | None, checker: str, timeout: float) -> None:
    """Print each gold answer that cannot be used, or that the checker does not accept against itself."""
    audit = verifying.audit_golds(file, gold=gold, checker=checker, timeout=timeout)
    for refused in audit.refused:
        print(f"{file}:{refused.line}: {_shortened(refused.gold)}: {refused.reason}")
    console.say(f"gold answers that are refused: {len(audit.refused):,} of {audit.total:,}")
    if audit.refused:
        raise typer.Exit(1)
