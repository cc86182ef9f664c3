"""How a report writes numbers: names of metrics, shares in percent, and intervals."""

from __future__ import annotations

from ..results import Metric, is_count, is_share

_SPELLED = {
    "auprc": "AUPRC",
    "aurc": "AURC",
    "auroc": "AUROC",
    "brier": "Brier score",
    "ece": "ECE",
    "f1": "F1",
    "fpr": "FPR",
    "mcc": "MCC",
    "prmscore": "PRMScore",
}
_JOINED = {"first error accuracy": "first-error accuracy", "all right accuracy": "all-right accuracy"}
_LOWER = ("aurc", "brier", "ece", "error", "loss")
"""A metric whose name ends in one of these words is better the lower it is."""
NOTHING = "-"
"""Shown for an undefined number."""


def title_of(name: str) -> str:
    """The name of a metric as a heading.

    >>> title_of("step_auroc_within_position"), title_of("f1")
    ('Step AUROC within position', 'F1')
    """
    text = " ".join(_SPELLED.get(word, word) for word in name.split("_"))
    text = _JOINED.get(text, text)
    return text[:1].upper() + text[1:]


def is_lower_better(name: str) -> bool:
    """Whether a lower value is better."""
    return is_count(name) or name.split("_")[-1] in _LOWER


def unit_of(name: str) -> str:
    """Unit after the name in a heading; "" without one."""
    return ", %" if is_share(name) else ""


def scaled(name: str, value: float) -> float:
    """The value in its display unit."""
    return 100 * value if is_share(name) else value


def number(name: str, value: float | None) -> str:
    """A value of a metric as text.

    >>> number("f1", 0.7125), number("ece", 0.0413), number("all_tokens", 1234.5), number("f1", None)
    ('71.2', '0.041', '1,234', '-')
    """
    if value is None:
        return NOTHING
    text = f"{100 * value:.1f}" if is_share(name) else f"{value:,.0f}" if is_count(name) else f"{value:.3f}"
    return text.replace("-", "\u2212" if float(text.replace(",", "")) else "")


def interval(name: str, low: float | None, high: float | None) -> str:
    """An interval as text; "" without one.

    >>> interval("f1", 0.6, 0.7), interval("f1", None, None)
    ('60.0 to 70.0', '')
    """
    return "" if low is None or high is None else f"{number(name, low)} to {number(name, high)}"


def with_interval(name: str, value: float | None, low: float | None, high: float | None) -> str:
    """A value followed by its interval.

    >>> with_interval("f1", 0.65, 0.6, 0.7)
    '65.0 (60.0 to 70.0)'
    """
    behind = interval(name, low, high)
    return f"{number(name, value)} ({behind})" if behind else number(name, value)


def metric_text(metric: Metric | None) -> str:
    """A metric's value with its interval; a dash if undefined."""
    return NOTHING if metric is None else with_interval(metric.name, metric.value, metric.low, metric.high)


def owner(metric: Metric) -> str:
    """Who the number belongs to: the scorer, or the baseline that the variant names.

    >>> owner(Metric("", "accuracy", "all", "majority", 0.5))
    'majority'
    """
    return metric.scorer or metric.variant or title_of(metric.name)
