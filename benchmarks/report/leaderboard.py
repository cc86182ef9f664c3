r"""Several results as one table: one row per scorer, one column per suite, the suite's main metric in the cells.

    prm leaderboard runs/*/eval.json --format markdown

Results of one suite share a column only if their convention, settings and data are equal. Settings with one value per
scorer, such as thresholds, are compared for the scorers in both results.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from prm.errors import InputError

from ..results import Metric, Result
from .wording import NOTHING, is_lower_better, number, owner, title_of, unit_of

BoardFormat = Literal["markdown", "json", "latex", "lm-eval"]
_SCHEMA = "leaderboard/1"
ALL = "all"
"""Selects every variant."""
_HALF = "± is half the width of the 95% interval."


@dataclass(frozen=True, slots=True)
class Cell:
    """The result of one scorer on one suite."""

    metric: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    is_best: bool
    """Best among the scorers, after rounding; never true of a baseline."""


@dataclass(frozen=True, slots=True)
class LeaderboardRow:
    """One scorer or baseline."""

    name: str
    is_baseline: bool
    """Needs no scorer: majority, pass@k, length."""
    cells: Mapping[str, Cell]
    """By suite; suites it was not measured on are absent."""


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """A table of scorers over suites."""

    suites: Mapping[str, tuple[str, ...]]
    """Suite to the names of the metrics in its column."""
    rows: tuple[LeaderboardRow, ...]
    """Scorers, those with the most cells first, then by their average rank on the suites; baselines last."""
    notes: tuple[str, ...]
    """Caveats for the reader, such as results with different settings."""


@dataclass(frozen=True, slots=True)
class _Entry:
    file: str
    suite: str
    metric: Metric
    name: str


def leaderboard(
    results: Mapping[str, Result], variants: Sequence[str] = (), *, allow_mixed: bool = False
) -> Leaderboard:
    """Combine results into one table.

    Args:
        results: by file name, which messages quote.
        variants: variants to show of a scorer with several numbers on a suite, such as one per aggregator; `ALL` shows
            every one. A scorer with none of these variants shows its first. A note names the choice.
        allow_mixed: combine results of one suite even if settings or data differ; a note says how.

    Raises:
        InputError: results of one suite differ in settings or data, or give one scorer two numbers; or no scorer has
            one of the variants.
    """
    results = dict(sorted(results.items()))
    _require_known(results.values(), variants)
    mixed = list(_mixed(results))
    entries = [entry for file, result in results.items() for entry in _entries(file, result, variants)]
    mixed += _double(entries)
    if mixed and not allow_mixed:
        raise InputError(
            f"the results cannot share a table: {mixed[0]}" + (f" (and {len(mixed) - 1} more)" if mixed[1:] else ""),
            "evaluate with equal settings and data, or accept the mix with --allow-mixed",
        )
    named = [entry for name, same in _by_name(entries).items() for entry in _told_apart(name, same)]
    suites = sorted({entry.suite for entry in named})
    metrics = {s: tuple(sorted({entry.metric.name for entry in named if entry.suite == s})) for s in suites}
    halves = [_HALF] if any(plus_minus(_cell_of(entry, {})) for entry in named) else []
    notes = (
        *halves,
        *_official(results.values()),
        *_choices(results.values(), variants),
        *(f"Mixed: {text}." for text in mixed),
    )
    return Leaderboard(metrics, tuple(_ordered(_rows(named))), notes)


def _require_known(results: Iterable[Result], variants: Sequence[str]) -> None:
    known = dict.fromkeys([ALL, *(m.variant for result in results for m in result.headline if m.scorer and m.variant)])
    if unknown := next((variant for variant in variants if variant not in known), None):
        raise InputError(f"no scorer has the variant {unknown!r}", f"choose from {', '.join(known)}")


def _mixed(results: Mapping[str, Result]) -> Iterator[str]:
    """Yield the differences between the first result of each suite and the others."""
    first: dict[str, str] = {}
    for file, result in results.items():
        other = first.setdefault(result.suite, file)
        if differing := ", ".join(_differing(results[other], result)):
            yield f"{result.suite} in {other} and {file}: {differing}"


def _differing(one: Result, two: Result) -> list[str]:
    """List the settings and data that differ; equal digests mean equal data, whatever was dropped."""
    same_rows = one.data.get("digest") is not None and one.data.get("digest") == two.data.get("digest")
    sides = [
        {"protocol": r.protocol, "convention": r.convention, **_flat("settings", r.settings, r.scorers)}
        | ({} if same_rows else _flat("data", r.data, ()))
        for r in (one, two)
    ]
    both = set(one.scorers) & set(two.scorers)
    keys = [key for key in dict.fromkeys([*sides[0], *sides[1]]) if _is_shared(key, both)]
    return [
        f"{_key_name(key)} is {_shown(sides[0].get(key))} and {_shown(sides[1].get(key))}"
        for key in keys
        if sides[0].get(key) != sides[1].get(key)
    ]


_OfScorer = tuple[str, str]
"""Key of a setting with one value per scorer: (setting, scorer)."""


def _flat(name: str, value: Any, scorers: Sequence[str]) -> dict[str | _OfScorer, Any]:
    if not isinstance(value, Mapping):
        return {name: value}
    if value and set(value) <= set(scorers):
        return {(name, scorer): own for scorer, own in value.items()}
    return {key: own for part, inner in value.items() for key, own in _flat(f"{name}.{part}", inner, scorers).items()}


def _is_shared(key: str | _OfScorer, scorers: set[str]) -> bool:
    return isinstance(key, str) or key[1] in scorers


def _key_name(key: str | _OfScorer) -> str:
    return key if isinstance(key, str) else f"{key[0]} of {key[1]}"


def _shown(value: Any) -> str:
    return "not given" if value is None else json.dumps(value, ensure_ascii=False)


def _entries(file: str, result: Result, variants: Sequence[str]) -> Iterator[_Entry]:
    """Yield an entry per number shown; where a scorer keeps several, their names say how they differ."""
    kept = _kept(result.headline, variants)
    for metric in kept:
        own = [m for m in kept if (m.scorer, owner(m)) == (metric.scorer, owner(metric))]
        apart = [mine for mine, *others in zip(*map(_traits, [metric, *own]), strict=True) if set(others) != {mine}]
        detail = ", ".join(filter(None, apart))
        yield _Entry(file, result.suite, metric, f"{owner(metric)} ({detail})" if detail else owner(metric))


def _kept(headline: Sequence[Metric], variants: Sequence[str]) -> list[Metric]:
    kept = []
    for metric in headline:
        own = [m.variant for m in headline if m.scorer == metric.scorer]
        wanted = own if ALL in variants else [v for v in own if v in variants] or own[:1]
        if not metric.scorer or metric.variant in wanted:
            kept.append(metric)
    return kept


def _choices(results: Iterable[Result], variants: Sequence[str]) -> Iterator[str]:
    """Yield a note on the variants shown, for suites where a scorer has several numbers."""
    found: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for result in results:
        times = Counter(m.scorer for m in result.headline if m.scorer)
        for metric in _kept(result.headline, variants) if ALL not in variants else ():
            if times[metric.scorer] > 1:
                found[result.suite][metric.variant or "plain score"].add(metric.scorer)
    for suite, chosen in sorted(found.items()):
        texts = [f"{variant} ({', '.join(sorted(scorers))})" for variant, scorers in sorted(chosen.items())]
        yield f"Variants shown on {suite}: {', '.join(texts)}."


def _official(results: Iterable[Result]) -> Iterator[str]:
    """Yield a note on the suites that are counted as their authors do."""
    if suites := sorted({result.suite for result in results if result.convention == "official"}):
        yield f"Official convention, as the authors' code counts: {', '.join(suites)}."


def _traits(metric: Metric) -> tuple[str, str, str]:
    return title_of(metric.name), metric.split, metric.variant


def _by_name(entries: Sequence[_Entry]) -> dict[tuple[str, bool], list[_Entry]]:
    groups: defaultdict[tuple[str, bool], list[_Entry]] = defaultdict(list)
    for entry in entries:
        groups[entry.name, not entry.metric.scorer].append(entry)
    return groups


def _double(entries: Sequence[_Entry]) -> list[str]:
    """Describe each name with two numbers on one suite."""
    return [
        f"{name} has different numbers on {', '.join(suites)} in several results"
        for (name, _), same in _by_name(entries).items()
        if (suites := _disputed(same))
    ]


def _disputed(same: Sequence[_Entry]) -> list[str]:
    """Suites on which these entries of one name disagree."""
    found: defaultdict[str, set[tuple[float | None, ...]]] = defaultdict(set)
    for entry in same:
        found[entry.suite].add((entry.metric.value, entry.metric.low, entry.metric.high))
    return sorted(suite for suite, values in found.items() if len(values) > 1)


def _told_apart(name: tuple[str, bool], same: Sequence[_Entry]) -> list[_Entry]:
    """Return the entries; if they disagree, add the file to their names."""
    if not _disputed(same):
        return list(same)
    return [_Entry(e.file, e.suite, e.metric, f"{name[0]} [{e.file}]") for e in same]


def _rows(entries: Sequence[_Entry]) -> Iterator[LeaderboardRow]:
    best = _best(entries)
    for (name, is_baseline), own in _by_name(entries).items():
        yield LeaderboardRow(
            name, is_baseline, {e.suite: _cell_of(e, best) for e in sorted(own, key=lambda e: e.suite)}
        )


def _cell_of(entry: _Entry, best: Mapping[tuple[str, str], str]) -> Cell:
    m = entry.metric
    is_best = bool(m.scorer) and best.get((entry.suite, m.name)) == number(m.name, m.value)
    return Cell(m.name, m.value, m.low, m.high, m.n, is_best)


def _best(entries: Sequence[_Entry]) -> dict[tuple[str, str], str]:
    """Best number of the scorers, as displayed, by suite and metric."""
    found: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for entry in entries:
        if entry.metric.scorer and entry.metric.value is not None:
            found[entry.suite, entry.metric.name].append(entry.metric.value)
    return {key: number(key[1], (min if is_lower_better(key[1]) else max)(values)) for key, values in found.items()}


def _ordered(rows: Iterable[LeaderboardRow]) -> list[LeaderboardRow]:
    """Rows in the order of `Leaderboard.rows`."""
    rows = list(rows)
    columns: defaultdict[tuple[bool, str, str], list[float]] = defaultdict(list)
    for row in rows:
        for suite, cell in row.cells.items():
            if cell.value is not None:
                columns[row.is_baseline, suite, cell.metric].append(_goodness(cell.metric, cell.value))
    return sorted(rows, key=lambda row: _rank(row, columns))


def _goodness(metric: str, value: float) -> float:
    return -value if is_lower_better(metric) else value


def _rank(
    row: LeaderboardRow, columns: Mapping[tuple[bool, str, str], Sequence[float]]
) -> tuple[bool, int, float, float, str]:
    """Sort key. Suites measure different things, so it averages ranks, and values only break ties."""
    cells = [(suite, c.metric, _goodness(c.metric, c.value)) for suite, c in row.cells.items() if c.value is not None]
    ranks = [_rank_of(value, columns[row.is_baseline, suite, metric]) for suite, metric, value in cells]
    count = max(1, len(cells))
    return row.is_baseline, -len(cells), sum(ranks) / count, -sum(value for *_, value in cells) / count, row.name


def _rank_of(value: float, column: Sequence[float]) -> float:
    """Rank from 1, the mean of ties: Demsar 2006, Statistical Comparisons of Classifiers, section 3.2.2."""
    return 0.5 + sum(other > value for other in column) + 0.5 * column.count(value)


def write(board: Leaderboard, form: BoardFormat) -> str:
    """Format the table; the text ends with a newline."""
    return _WRITERS[form](board)


def plus_minus(cell: Cell) -> str:
    """Half the width of the interval; "" without one."""
    return "" if cell.low is None or cell.high is None else number(cell.metric, (cell.high - cell.low) / 2)


def heading(suite: str, metrics: Sequence[str]) -> str:
    """Heading of a column: the suite and its metrics."""
    return f"{suite} ({' / '.join(title_of(name) + unit_of(name) for name in metrics)})"


def _markdown(board: Leaderboard) -> str:
    header = ["scorer", *(_plain(heading(suite, metrics)) for suite, metrics in board.suites.items())]
    lines = [_line(header), _line([":--", *("--:" for _ in board.suites)])]
    for row in board.rows:
        name = f"*{_plain(row.name)}*" if row.is_baseline else _plain(row.name)
        lines.append(_line([name, *(_markdown_cell(row.cells.get(suite)) for suite in board.suites)]))
    return "\n".join([*lines, "", *(f"{_plain(note)}  " for note in board.notes)]).rstrip() + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


_MARKDOWN = str.maketrans({c: f"\\{c}" for c in "\\`*_{}[]<>#|~$"} | {"\n": " ", "\r": " "})


def _plain(text: str) -> str:
    return text.translate(_MARKDOWN)


def _markdown_cell(cell: Cell | None) -> str:
    return _cell(cell, lambda text: f"**{text}**", " ± ")


def _cell(cell: Cell | None, bold: Callable[[str], str], between: str) -> str:
    if cell is None:
        return NOTHING
    value, half = number(cell.metric, cell.value), plus_minus(cell)
    return (bold(value) if cell.is_best else value) + (between + half if half else "")


def _json(board: Leaderboard) -> str:
    rows = [asdict(row) for row in board.rows]
    whole = {"schema": _SCHEMA, "suites": dict(board.suites), "rows": rows, "notes": board.notes}
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def _lm_eval(board: Leaderboard) -> str:
    """Scorer to an object in the shape of lm-evaluation-harness's results; "none" is its name for no filter."""
    return json.dumps({row.name: _lm_eval_row(row) for row in board.rows}, indent=2, ensure_ascii=False) + "\n"


def _lm_eval_row(row: LeaderboardRow) -> dict[str, Any]:
    return {
        "model_name": row.name,
        "results": {suite: _lm_eval_cell(suite, cell) for suite, cell in row.cells.items()},
        "higher_is_better": {suite: {c.metric: not is_lower_better(c.metric)} for suite, c in row.cells.items()},
        "n-samples": {suite: {"original": c.n, "effective": c.n} for suite, c in row.cells.items()},
    }


def _lm_eval_cell(suite: str, cell: Cell) -> dict[str, Any]:
    """The standard error is that of a normal distribution with this 95% interval."""
    error = "N/A" if cell.low is None or cell.high is None else (cell.high - cell.low) / (2 * 1.96)
    return {"alias": suite, f"{cell.metric},none": cell.value, f"{cell.metric}_stderr,none": error}


def _latex(board: Leaderboard) -> str:
    header = ["scorer", *(_tex(heading(suite, metrics)) for suite, metrics in board.suites.items())]
    scorers, baselines = ([r for r in board.rows if r.is_baseline is kind] for kind in (False, True))
    parts = [[_latex_row(row, board) for row in rows] for rows in (scorers, baselines) if rows]
    return "\n".join(
        [
            "% needs \\usepackage{booktabs}",
            f"\\begin{{tabular}}{{l{'r' * len(board.suites)}}}",
            "\\toprule",
            " & ".join(header) + " \\\\",
            *(line for part in parts for line in ("\\midrule", *part)),
            "\\bottomrule",
            "\\end{tabular}",
            *(f"\\par{{\\footnotesize {_tex(note)}}}" for note in board.notes),
            "",
        ]
    )


def _latex_row(row: LeaderboardRow, board: Leaderboard) -> str:
    name = f"\\emph{{{_tex(row.name)}}}" if row.is_baseline else _tex(row.name)
    cells = [_latex_cell(row.cells.get(suite)) for suite in board.suites]
    return " & ".join([name, *cells]) + " \\\\"


def _latex_cell(cell: Cell | None) -> str:
    return _tex(_cell(cell, lambda text: f"\0{text}\1", " ± ")).replace("\0", "\\textbf{").replace("\1", "}")


_TEX = str.maketrans(
    {c: f"\\{c}" for c in "#$%&_{}"}
    | {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "<": "\\textless{}"}
    | {">": "\\textgreater{}", "|": "\\textbar{}", "\u2212": "$-$", "±": "$\\pm$"}
    | {"\n": " ", "\r": " "}
)


def _tex(text: str) -> str:
    return text.translate(_TEX)


_WRITERS: dict[BoardFormat, Callable[[Leaderboard], str]] = {
    "markdown": _markdown,
    "json": _json,
    "latex": _latex,
    "lm-eval": _lm_eval,
}
