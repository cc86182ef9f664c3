"""Output for people: progress and summaries go to stderr, so that stdout stays free for data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Any, Protocol, TypeVar

from rich.cells import cell_len
from rich.console import Console, JustifyMethod
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from prm.errors import PrmError

T = TypeVar("T")
_LONGEST_NAME = 12
"""Width up to which a word of a column's name is kept whole."""
_SECONDS_A_LINE = 60.0
"""Between two lines of progress in a log."""
_SECONDS_OF_RATE = 600.0
"""What is left is estimated from the rate of these last seconds: a slow job may advance once in several minutes."""
_FRAME = 3
"""Width of a column's frame and padding."""
err = Console(stderr=True, highlight=False)
out = Console(highlight=False)
if not out.is_terminal:
    out.width = 160  # a log or pipe has no edge that would force a table to wrap


class Meter(Protocol):
    """Moves a progress bar."""

    def __call__(self, advance: int = 1, note: str = "") -> None:
        """Advance by this many, and show a note after the bar."""


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Meter]:
    """A bar with count, elapsed and remaining time: live on a terminal; in a log a line a minute, the bar last."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=err, speed_estimate_period=_SECONDS_OF_RATE) as bar:
        bar.add_task(what, total=total, note="")
        (task,) = bar.tasks
        told = monotonic()

        def advance(advance: int = 1, note: str = "") -> None:
            nonlocal told
            bar.advance(task.id, advance)
            if note:
                bar.update(task.id, note=note)
            if not err.is_terminal and monotonic() - told >= _SECONDS_A_LINE:
                told = monotonic()
                say(_line(task))

        yield advance


def _line(task: Task) -> str:
    """Where a task stands."""
    count = f"{task.description}: {task.completed:,.0f}" + (f" of {task.total:,.0f}" if task.total else "")
    parts = [count, _duration(task.elapsed or 0)]
    if task.total and task.time_remaining is not None:
        parts.append(f"about {_duration(task.time_remaining)} left")
    return ", ".join(filter(None, [*parts, task.fields["note"]]))


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


def tracked(items: Iterable[T], what: str, total: int | None) -> Iterator[T]:
    """Yield the items while a bar advances."""
    with progress(what, total) as advance:
        for item in items:
            yield item
            advance()


def quiet() -> None:
    """Silence progress, summaries and tables from now on, in this process."""
    err.quiet = out.quiet = True


def say(text: str) -> None:
    """Print one line on stderr."""
    err.print(escape(text), soft_wrap=True)


def failure(error: PrmError) -> None:
    """Print an error on stderr: one line, and what to do about it."""
    say(f"error: {error}")
    if error.hint:
        say(f"\nhint: {error.hint}")


def summary(title: str, counts: Mapping[str, Any], *paths: Path | None) -> None:
    """Print the last lines of a command: counts of its results, and their paths."""
    what = ", ".join(f"{_show(value)} {name}" for name, value in counts.items())
    say(f"{title}: {what}")
    for path in paths:
        if path is not None:
            say(f"  {path}")


def _show(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if isinstance(value, float) else str(value)


def table(title: str, header: list[str], rows: list[list[str]], keys: int = 1) -> None:
    """Print a table on stdout; one too wide is split into several, each with the first `keys` columns."""
    needs = [_need([row[i] for row in rows], name, whole=i == 0) for i, name in enumerate(header)]
    for part, columns in enumerate(_parts(needs, keys)):
        heading = title if part == 0 else f"{title} (part {part + 1})"
        grid = Table(title=escape(heading), title_justify="left", min_width=len(heading) + 2)
        for i in columns:
            justify: JustifyMethod = "left" if i == 0 else "right"
            grid.add_column(escape(header[i]), justify=justify, no_wrap=i == 0, overflow="fold", min_width=needs[i])
        for row in rows:
            grid.add_row(*(escape(row[i]) for i in columns))
        out.print(grid)


def _need(cells: list[str], name: str, *, whole: bool) -> int:
    """Minimum width of a column: that of its longest word, or cell if `whole`; long words of its name are folded."""
    parts = cells if whole else [word for cell in cells for word in cell.split()]
    names = min(max(map(cell_len, name.split()), default=0), _LONGEST_NAME)
    return max([names, *map(cell_len, parts)])


def _parts(needs: list[int], keys: int) -> list[list[int]]:
    """The columns of each table, so that every table fits."""
    room = out.width - 1 - sum(need + _FRAME for need in needs[:keys])
    parts, left = [list[int]()], room
    for i, need in enumerate(needs[keys:], start=keys):
        if parts[-1] and need + _FRAME > left:
            parts.append([])
            left = room
        parts[-1].append(i)
        left -= need + _FRAME
    return [[*range(keys), *part] for part in parts]
