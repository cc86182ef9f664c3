"""Plots as PNG. They need matplotlib, an optional extra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from prm.errors import PrmError

_PANELS = (
    ("loss", ("loss",)),
    ("steps", ("eval_step_auroc", "eval_step_auroc_within_position", "eval_first_error_f1", "eval_ece")),
    ("outcome", ("eval_pair_accuracy", "eval_mean_margin")),
)


def new_figure(width: float, height: float) -> Any:
    """A new figure; width and height in inches.

    Raises:
        PrmError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise PrmError("plots need matplotlib, which is not installed", 'pip install "prm-toolkit[plots]"') from error
    return Figure(figsize=(width, height), layout="constrained")


def _as_png(figure: Any) -> bytes:
    image = BytesIO()
    figure.savefig(image, format="png", dpi=150)
    return image.getvalue()


def training_curves(log: Sequence[Mapping[str, float]]) -> bytes:
    """Loss and metrics over the optimizer steps.

    Raises:
        PrmError: matplotlib is not installed.
    """
    shown = [(title, [n for n in names if any(n in row for row in log)]) for title, names in _PANELS]
    panels = [(title, names) for title, names in shown if names]
    figure = new_figure(5 * len(panels), 3.5)
    for axes, (title, names) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for name in names:
            points = [(row["step"], row[name]) for row in log if name in row]
            axes.plot(*zip(*points, strict=True), marker=".", label=name.removeprefix("eval_").replace("_", " "))
        axes.set(title=title, xlabel="optimizer steps")
        axes.legend()
    return _as_png(figure)


def reliability_diagram(sides: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Share right against mean score, in bins; on the diagonal, scores are calibrated probabilities.

    Args:
        sides: name → measures, of which `bins` (rows of `prm.statistics.metrics.reliability`) and
            `ece` are shown.

    Raises:
        PrmError: matplotlib is not installed.
    """
    figure = new_figure(5, 5)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="gray", linestyle="dashed", linewidth=1)
    for name, measures in sides.items():
        rows = [row for row in measures["bins"] if row["count"]]
        label = f"{name}: ECE {measures['ece']:.3f}"
        axes.plot([r["mean_score"] for r in rows], [r["share_right"] for r in rows], marker="o", label=label)
    axes.set(xlabel="mean score", ylabel="share right", xlim=(0, 1), ylim=(0, 1))
    axes.legend(loc="upper left")
    return _as_png(figure)


@dataclass(frozen=True, slots=True)
class Panel:
    """Lines with a band each, over one pair of axes."""

    x: str
    """Label of the axis, as `y`."""
    y: str
    lines: dict[str, list[tuple[float, float, float | None, float | None]]]
    """By name: x, value, and the ends of its interval."""


def lines_in_panels(panels: Mapping[str, Panel]) -> bytes:
    """Panels side by side, by title; a name has the same color in all.

    Raises:
        PrmError: matplotlib is not installed.
    """
    figure = new_figure(4 * len(panels), 3.8)
    names = list(dict.fromkeys(name for panel in panels.values() for name in panel.lines))
    for axes, (title, panel) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        for name, points in panel.lines.items():
            color = f"C{names.index(name)}"
            axes.plot([p[0] for p in points], [p[1] for p in points], color=color, marker=".", label=name)
            band = [(x, low, high) for x, _, low, high in points if low is not None and high is not None]
            if band:
                axes.fill_between(*zip(*band, strict=True), color=color, alpha=0.15, linewidth=0)
        axes.set(title=title, xlabel=panel.x, ylabel=panel.y)
        axes.legend(fontsize="small")
    return _as_png(figure)
