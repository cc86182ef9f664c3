"""What `prm compare` prints: the differences, a few rows that moved, and in the last line what to conclude."""

from __future__ import annotations

from collections.abc import Iterator

import typer

from prm import console
from prm.benchmarks.comparing import Comparison, Moved, PairedDifference
from prm.benchmarks.report.wording import NOTHING, interval, is_lower_better, number, title_of, unit_of
from prm.benchmarks.results import is_share

SURE = 0.05
"""A difference whose corrected p is below is called one."""
_LONGEST = 240
"""Characters of a text that are shown."""


def show_comparison(found: Comparison, moved: int) -> None:
    """Print a comparison on stdout, with so many rows that moved each way."""
    _show_differences(found)
    for text in _moved_texts(found, moved):
        typer.echo(text)
    typer.echo(conclusion(found))


def _show_differences(found: Comparison) -> None:
    rows = [
        [
            d.group or "all",
            f"{d.b} \u2212 {d.a}",
            f"{d.rows:,}",
            number(found.metric, d.value_a),
            number(found.metric, d.value_b),
            _signed(found.metric, d.difference),
            interval(found.metric, d.low, d.high) or NOTHING,
            _p(d.p),
            _p(d.p_holm),
            NOTHING if d.gained is None else f"+{d.gained} \u2212{d.lost}",
        ]
        for d in found.differences
    ]
    title = (
        f"{found.suite}: {title_of(found.metric)}{unit_of(found.metric)} ({found.split}), {found.rows:,} shared rows"
    )
    header = ["rows of", "b \u2212 a", "n", "a", "b", "difference", "95%", "p", "p (Holm)", "moved"]
    console.table(title, header, rows, keys=2)
    for cost in dict.fromkeys(name for own in found.costs.values() for name in own):
        each = ", ".join(f"{side} {own[cost]:,.4g}" for side, own in found.costs.items() if cost in own)
        typer.echo(f"{cost} of scoring a row: {each}")
    for reason, count in found.left_out.items():
        typer.echo(f"left out: {count:,} {reason}")
    for reason, count in found.ungrouped.items():
        typer.echo(f"in no group: {count:,} {reason}")


def _signed(metric: str, value: float) -> str:
    return ("+" if value > 0 else "") + number(metric, value)


def _p(p: float | None) -> str:
    """A p-value as text.

    >>> _p(0.0312), _p(0.00001), _p(None)
    ('0.031', '<0.001', '-')
    """
    return NOTHING if p is None else "<0.001" if p < 0.0005 else f"{p:.3f}"


def conclusion(found: Comparison) -> str:
    """One line: which side is better, or that these rows cannot tell; of several differences, how many are sure."""
    sure = [d for d in found.differences if d.p_holm is not None and d.p_holm < SURE]
    if not found.differences:
        return f"{title_of(found.metric)} is undefined on these rows."
    first = _of_one(found.metric, found.differences[0])
    if len(found.differences) == 1:
        return first
    return f"{first}; in all, {len(sure)} of {len(found.differences)} differences are sure (p < {SURE} after Holm)"


def _of_one(metric: str, d: PairedDifference) -> str:
    unit = " points" if is_share(metric) else ""
    evidence = f"95% {interval(metric, d.low, d.high) or NOTHING}, p {_p(d.p)}"
    evidence += "" if d.p == d.p_holm else f", {_p(d.p_holm)} after Holm"
    if d.p_holm is None or d.p_holm >= SURE:
        return f"{d.b} and {d.a} cannot be told apart: {_signed(metric, d.difference)}{unit} ({evidence})"
    word = "better" if (d.difference < 0) == is_lower_better(metric) else "worse"
    return f"{d.b} is {word} than {d.a}: {_signed(metric, d.difference)}{unit} ({evidence})"


def _moved_texts(found: Comparison, most: int) -> Iterator[str]:
    """The first rows that moved each way, of every two sides."""
    for a, b in dict.fromkeys((row.a, row.b) for row in found.moved):
        own = [row for row in found.moved if (row.a, row.b) == (a, b)]
        for word, rows in (
            ("worse", [row for row in own if row.outcome_b < row.outcome_a]),
            ("better", [row for row in own if row.outcome_b > row.outcome_a]),
        ):
            if rows and most:
                yield f"\n{b} is {word} than {a} in {len(rows):,} rows{', such as' if len(rows) > most else ''}:"
            for row in rows[:most]:
                yield "\n".join(_texts_of(row))


def _texts_of(row: Moved) -> Iterator[str]:
    yield f"\n  {row.id} ({row.split}): {row.outcome_a:.3g} \u2192 {row.outcome_b:.3g}"
    if row.problem:
        yield f"    problem: {_short(row.problem)}"
    if row.answer is not None:
        yield f"    answer: {_short(row.answer)}"
    if "steps" in row.truth:
        yield from _steps(row)
    else:
        yield from _answers(row)


def _steps(row: Moved) -> Iterator[str]:
    """Each step with its truth and both scores."""
    steps = next(iter(row.texts.values()), ())
    truth = row.truth["steps"] if len(row.truth["steps"]) == len(steps) else [None] * len(steps)
    for i, (text, is_right) in enumerate(zip(steps, truth, strict=True)):
        scores = " \u2192 ".join(f"{own[i]:.3g}" if i < len(own) else NOTHING for own in (row.scores_a, row.scores_b))
        mark = {True: "right", False: "WRONG", None: "-"}[is_right]
        yield f"    {scores:>16}  {mark:>5}  {_short(text)}"


def _answers(row: Moved) -> Iterator[str]:
    """What each side chose; of a comparison, the responses with both scores."""
    responses = [(word, chain_id) for word in ("better", "worse") for chain_id in row.truth.get(word, ())]
    for i, (word, chain_id) in enumerate(responses):
        scores = " \u2192 ".join(f"{own[i]:.3g}" if own else NOTHING for own in (row.scores_a, row.scores_b))
        yield f"    {scores:>16}  {word:>6}  {_text(row, chain_id)}"
    for name, own in ((row.a, row.scores_a), (row.b, row.scores_b)):
        if own and not responses:
            yield f"    {name} chose {own[0]}, which scores {own[1]:.3g}: {_text(row, own[0])}"


def _text(row: Moved, chain_id: str) -> str:
    return _short("".join(row.texts.get(chain_id, ("(its text was not given)",))))


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
