"""How much is too much: limits of measures, from a TOML file. `gate.toml` beside this module has the defaults.

least_problems = 30

[stress.padding.fall]
at_most = 0.1
required = true
why = "…"
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from prm.errors import InputError, require_number

from .measures import STRENGTHS, Measure
from .probes import PROBES

Outcome = Literal["pass", "open", "fail", "not measured"]
"""pass: the whole interval lies within the limit. fail: all of it lies beyond. open: the limit lies in the interval."""
Verdict = Literal["fit", "not fit", "not shown"]
"""not fit: a limit fails. not shown: none does, but a required one is not measured. fit: neither."""

_OF_PART = (
    "accuracy", "accuracy_length_matched", "margin_mean", "margin_median", "length_correlation", "ece", "brier",
    *(f"accuracy_{name}" for name in STRENGTHS),
)  # fmt: skip
_OF_PROBE = {"still": ("rate", "move"), "dressed": ("rate", "fall", "lift")}
KNOWN = (
    "split.overlap", "drift.mean", "drift.spread", "rl.alpha", "rl.beta", "rl.fall",
    *(f"best_of_n.{name}" for name in ("gain", "fall", "alpha", "beta")),
    *(f"{part}.{name}" for part in ("static", "fresh", "gap") for name in _OF_PART),
    *(f"stress.{name}.{part}" for name, probe in PROBES.items() for part in _OF_PROBE.get(probe.kind, ("rate",))),
)  # fmt: skip
"""Names of measures that can be limited, besides `static.field.NAME`, `fresh.field.NAME` and `gap.field.NAME`."""
_KEYS = {"at_least", "at_most", "required", "why"}


@dataclass(frozen=True, slots=True)
class Limit:
    """The range of a measure that is good enough."""

    name: str
    """Of the measure."""
    at_least: float
    """-inf for none."""
    at_most: float
    """inf for none."""
    is_required: bool
    """Whether a scorer is not shown to be fit where this was not measured."""
    why: str

    @property
    def text(self) -> str:
        """The range in words.

        >>> Limit("drift.mean", -0.25, 0.25, False, "").text
        '-0.25 to 0.25'
        """
        if math.isinf(self.at_most):
            return f"at least {self.at_least:g}"
        return f"at most {self.at_most:g}" if math.isinf(self.at_least) else f"{self.at_least:g} to {self.at_most:g}"


@dataclass(frozen=True, slots=True)
class Limits:
    """All limits of a gate."""

    least_problems: int
    """A measure on fewer problems is not measured."""
    limits: tuple[Limit, ...]

    def judge(self, measures: Iterable[Measure]) -> list[tuple[Limit, Outcome]]:
        """The outcome of each limit."""
        by_name = {measure.name: measure for measure in measures}
        return [(limit, self._outcome(limit, by_name.get(limit.name))) for limit in self.limits]

    def _outcome(self, limit: Limit, measure: Measure | None) -> Outcome:
        if measure is None or measure.value is None or measure.low is None or measure.high is None:
            return "not measured"
        if measure.problems is not None and measure.problems < self.least_problems:
            return "not measured"
        if measure.low > limit.at_most or measure.high < limit.at_least:
            return "fail"
        return "pass" if limit.at_least <= measure.low and measure.high <= limit.at_most else "open"


def verdict(judged: Iterable[tuple[Limit, Outcome]]) -> Verdict:
    """Whether a scorer is fit."""
    found = list(judged)
    if any(outcome == "fail" for _, outcome in found):
        return "not fit"
    return "not shown" if any(o == "not measured" and limit.is_required for limit, o in found) else "fit"


def default_limits() -> str:
    """The file of the defaults."""
    return (files("prm.benchmarks.gate") / "gate.toml").read_text(encoding="utf-8")


def read_limits(path: Path | None) -> Limits:
    """Read a file of limits; None for the defaults.

    Raises:
        InputError: the file cannot be read, or a limit is of an unknown measure or no range.
    """
    name = "gate.toml" if path is None else str(path)
    try:
        table = tomllib.loads(default_limits() if path is None else path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror}", "check the path") from error
    except ValueError as error:
        raise InputError(f"{name}: is not TOML: {error}", "see `prm gate limits`") from error
    least = table.pop("least_problems", 30)
    require_number("least_problems", least, "[2, inf)", whole=True)
    limits = tuple(_limit(name, *found) for found in _flat(table))
    if not limits:
        raise InputError(f"{name}: holds no limit", "begin with `prm gate limits`")
    return Limits(least, limits)


def _flat(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    for key, value in table.items():
        name = f"{above}.{key}" if above else key
        if isinstance(value, dict) and any(isinstance(inner, dict) for inner in value.values()):
            yield from _flat(value, name)
        else:
            yield name, value if isinstance(value, dict) else {key: value}


def _limit(path: str, name: str, row: Mapping[str, Any]) -> Limit:
    if name not in KNOWN and name.split(".")[1:2] != ["field"]:
        raise InputError(f"{path}: {name!r} is not a measure", "see `prm gate limits`, or the names on a card")
    if row.keys() - _KEYS or not row.keys() & {"at_least", "at_most"}:
        raise InputError(f"{path}: [{name}] must have at_least or at_most, and may have required and why", "mend it")
    for key in ("at_least", "at_most"):
        if key in row:
            require_number(f"{name}.{key}", row[key], "(-inf, inf)")
    low, high = float(row.get("at_least", -math.inf)), float(row.get("at_most", math.inf))
    return Limit(name, low, high, row.get("required") is True, str(row.get("why", "")))
