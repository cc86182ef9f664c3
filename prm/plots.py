"""Plots as PNG. They need matplotlib, an optional extra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
