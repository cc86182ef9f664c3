"""From what a scorer says to a probability that can be taken at its word, or to a reward of known mean and spread.

A calibration is fitted once, on chains with labels that the scorer was not trained on, and then applied to each score.
None turns the order of two scores around. Temperature, Platt and isotonic act on the score's log-odds; a probability of
exactly 0 or 1, whose log-odds would be infinite, counts as the nearest that 32-bit numbers tell from 1, or as far from
0.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq, isotonic_regression, minimize
from scipy.special import expit, logit

from prm.errors import InputError

from .aggregation import AGGREGATORS

Array = NDArray[np.float64]

Method = Literal["temperature", "platt", "isotonic", "standardize"]
"""Ways to calibrate; the first three give probabilities, the last any real number."""
Scale = Literal["probability", "log-probability", "reward"]
"""What a score is: in [0, 1], as of a PRM's step; in [-inf, 0], as of `aggregate(…, "product")`; or any real number,
as of an ORM, which stands for log-odds as it is."""

PARAMETERS: dict[Method, tuple[str, ...]] = {
    "temperature": ("temperature",),
    "platt": ("slope", "offset"),
    "isotonic": ("log_odds", "probabilities"),
    "standardize": ("mean", "deviation"),
}
"""Names of each method's parameters."""

LEAST_POINTS = 10
"""Fewer scores than this are not fitted to."""
TEMPERATURES = (0.01, 100.0)
"""Lowest and highest temperature that is looked for. Where the scores part right from wrong without a mistake the best
would be 0, and where they rank no better than chance it would be infinite."""

_RESOLUTION = 2.0**-24
"""Distance from 1 to the number before it, in 32 bits: what a softmax can give."""
_LIMIT = math.log((1 - _RESOLUTION) / _RESOLUTION)
_LARGEST = 1e100
"""The greatest reward: no product of it with a slope overflows."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """A function from scores to calibrated scores, non-decreasing."""

    method: Method
    scale: Scale
    """What the scores are that it takes."""
    parameters: Mapping[str, Any]
    """Those of `PARAMETERS`. `temperature` (above 0) divides the log-odds; `slope` (from 0) multiplies them, then
    `offset` is added; `log_odds` (tuple, rising) and `probabilities` (as many, not falling) are points to interpolate
    between; `mean` is taken from the score itself and the rest divided by `deviation` (above 0)."""
    aggregator: str | None = None
    """How the scores of the chains it was fitted to came from those of their steps; None for scores of steps and
    rewards."""

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise ValueError(f"method must be one of {get_args(Method)}, not {self.method!r}")
        if self.scale not in get_args(Scale):
            raise ValueError(f"scale must be one of {get_args(Scale)}, not {self.scale!r}")
        if self.aggregator is not None and self.aggregator not in tuple(AGGREGATORS):
            raise ValueError(f"aggregator must be null or one of {', '.join(AGGREGATORS)}, not {self.aggregator!r}")
        names = PARAMETERS[self.method]
        if not isinstance(self.parameters, Mapping) or set(self.parameters) != set(names):
            raise ValueError(f"parameters of {self.method} must be {' and '.join(names)}")
        if self.method == "isotonic":
            _require_points(self.parameters)
        else:
            _require_numbers(self.parameters)

    def apply(self, scores: ArrayLike) -> Array:
        """Calibrate scores.

        Args:
            scores: of any shape, on this calibration's scale. -inf, which `aggregate` gives a chain without steps,
                counts as the lowest score there is; `standardize` leaves it.

        Returns:
            Array of the same shape: probabilities in [0, 1]; for `standardize` numbers of any size.

        Raises:
            InputError: a score is not on the scale.

        >>> Calibration("temperature", "probability", {"temperature": 2.0}).apply([0.0, 0.5, 0.9]).round(3).tolist()
        [0.0, 0.5, 0.75]
        """
        values, p = _checked(scores, self.scale), self.parameters
        if self.method == "standardize":
            return np.asarray((values - p["mean"]) / p["deviation"])
        log_odds = _log_odds(values, self.scale)
        if self.method == "isotonic":
            return np.asarray(np.interp(log_odds, p["log_odds"], p["probabilities"]))
        if self.method == "temperature":
            return np.asarray(expit(log_odds / p["temperature"]))
        return np.asarray(expit(p["slope"] * log_odds + p["offset"]))

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, row: object) -> Calibration:
        """The calibration that `to_json` made an object of, also after a way through JSON.

        Raises:
            ValueError: it is none; the message says why.
        """
        if not isinstance(row, Mapping):
            raise ValueError("a calibration must be a JSON object")
        missing = {"method", "scale", "parameters"} - set(row)
        unknown = set(row) - {"method", "scale", "parameters", "aggregator"}
        if missing or unknown or not isinstance(row["parameters"], Mapping):
            raise ValueError("a calibration must hold method, scale, parameters (an object) and aggregator")
        parameters = {k: tuple(v) if isinstance(v, list) else v for k, v in row["parameters"].items()}
        return cls(row["method"], row["scale"], parameters, row.get("aggregator"))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _require_numbers(parameters: Mapping[str, Any]) -> None:
    for name, value in parameters.items():
        if not _is_number(value):
            raise ValueError(f"{name} must be a finite number, not {value!r}")
        if name in ("temperature", "deviation") and value <= 0:
            raise ValueError(f"{name} must be above 0, not {value!r}")
        if name == "slope" and value < 0:
            raise ValueError(f"{name} must not be below 0, as {value!r} is: it would turn the order of scores around")


def _require_points(parameters: Mapping[str, Any]) -> None:
    places, values = parameters["log_odds"], parameters["probabilities"]
    for name, points in parameters.items():
        if not isinstance(points, tuple) or not points or not all(map(_is_number, points)):
            raise ValueError(f"{name} must be a list of finite numbers that is not empty")
    if len(places) != len(values):
        raise ValueError("log_odds and probabilities must be as many")
    if not all(a < b for a, b in pairwise(places)):
        raise ValueError("log_odds must rise")
    if not all(a <= b for a, b in pairwise(values)) or values[0] < 0 or values[-1] > 1:
        raise ValueError("probabilities must lie in [0, 1] and not fall")


def _checked(scores: ArrayLike, scale: Scale) -> Array:
    """The scores as an array, after a look at whether they are on the scale."""
    values = np.asarray(scores, dtype=float)
    highest = {"probability": 1.0, "log-probability": 0.0, "reward": _LARGEST}[scale]
    lowest = 0.0 if scale == "probability" else -_LARGEST
    is_wrong = ~((values >= lowest) & (values <= highest) | (values == -np.inf))
    if is_wrong.any():
        raise InputError(f"the score {values[is_wrong].flat[0]} is no {scale}", "are these the right scores?")
    return values


def _log_odds(scores: Array, scale: Scale) -> Array:
    """Log-odds of checked scores, finite."""
    if scale == "reward":
        return np.maximum(scores, -_LARGEST)
    if scale == "probability":
        inside = np.clip(scores, _RESOLUTION, 1 - _RESOLUTION)
        return np.asarray(np.log(inside) - np.log1p(-inside))
    below_one = np.minimum(scores, -_RESOLUTION)
    return np.asarray(np.clip(below_one - np.log(-np.expm1(below_one)), -_LIMIT, _LIMIT))


def fit(
    method: Method,
    scores: ArrayLike,
    labels: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    *,
    scale: Scale = "probability",
    aggregator: str | None = None,
) -> Calibration:
    """Fit a calibration to scores whose labels are known.

    `temperature`: the one number that makes the labels likeliest (Guo et al. 2017, On Calibration of Modern Neural
    Networks, arXiv 1706.04599, section 4.2), within `TEMPERATURES`. It mends too much or too little confidence, and
    leaves a score of 0.5, or a reward of 0, where it is.

    `platt`: slope and offset that make the labels likeliest (Platt 1999, Probabilistic Outputs for Support Vector
    Machines), with his targets (N+ + 1)/(N+ + 2) and 1/(N- + 2) in place of 1 and 0, which keep them finite where the
    scores part right from wrong without a mistake. Differs from Platt: a slope below 0 becomes 0.

    `isotonic`: non-decreasing least squares (Zadrozny and Elkan 2002, Transforming Classifier Scores into Accurate
    Multiclass Probability Estimates). Differs: between the blocks' mean log-odds their values are interpolated (Oron
    and Flournoy 2017, Centered Isotonic Regression), so that fewer scores become ties than with their staircase.

    `standardize`: the mean of these scores becomes 0 and their standard deviation 1.

    Args:
        method: see above.
        scores: shape (points,), on `scale`.
        labels: shape (points,), the share that is right, in [0, 1]; `standardize` takes none.
        weights: shape (points,), how many draws a point stands for, from 0; None for one each.
        scale: what the scores are.
        aggregator: how they came from the scores of steps, to be kept with the calibration.

    Raises:
        InputError: fewer than `LEAST_POINTS` points of a weight above 0, all scores equal, labels that are all right
            or all wrong, a number out of its range, or labels given or lacking against the method.

    >>> found = fit("temperature", [0.8, 0.2] * 5, [0.9, 0.1] * 5)
    >>> round(found.parameters["temperature"], 4)  # log-odds of log 4 that should be log 9
    0.6309
    """
    if method not in get_args(Method):
        raise InputError(f"there is no method {method!r}", f"choose from {', '.join(get_args(Method))}")
    if (labels is None) != (method == "standardize"):
        raise InputError(f"{method} {'needs' if labels is None else 'takes no'} labels", "change labels or method")
    values, counts = _points(scores, weights, scale)
    keep = counts > 0
    if labels is None:
        found = _fit_standardize(values[keep], counts[keep])
    else:
        shares, log_odds = _shares(labels, counts), _log_odds(values[keep], scale)
        _require_spread(log_odds)
        found = _FITS[method](log_odds, shares[keep], counts[keep])
    return Calibration(method, scale, found, aggregator)


def _points(scores: ArrayLike, weights: ArrayLike | None, scale: Scale) -> tuple[Array, Array]:
    """Scores and weights, as they are fitted to."""
    values = _checked(scores, scale)
    counts = np.ones_like(values) if weights is None else np.asarray(weights, dtype=float)
    if values.ndim != 1 or counts.shape != values.shape:
        raise InputError("scores and weights must be lists of one length", "give one weight a score")
    if not (np.isfinite(counts) & (counts >= 0)).all():
        raise InputError("weights must be finite numbers from 0", "give numbers of draws")
    used = np.count_nonzero(counts)
    if used < LEAST_POINTS:
        raise InputError(f"{used} scores are too few to calibrate on", f"give at least {LEAST_POINTS}")
    return values, counts


def _require_spread(values: Array) -> None:
    if values.min() == values.max():
        raise InputError("all scores are the same: there is nothing to calibrate", "are these the right scores?")


def _shares(labels: ArrayLike, counts: Array) -> Array:
    """Labels, as they are fitted to."""
    shares = np.asarray(labels, dtype=float)
    if shares.shape != counts.shape:
        raise InputError("scores and labels must be lists of one length", "give one label a score")
    if not ((shares >= 0) & (shares <= 1)).all():
        raise InputError("labels must be numbers in [0, 1]", "give the share that is right")
    right, wrong = counts @ shares, counts @ (1 - shares)
    if not right or not wrong:
        raise InputError(f"all labels are {'right' if right else 'wrong'}", "give some of both kinds")
    return shares


def _fit_standardize(scores: Array, weights: Array) -> dict[str, Any]:
    if not np.isfinite(scores).all():
        raise InputError("standardize takes finite scores only", "use another aggregator, or drop empty chains")
    _require_spread(scores)
    mean = float(np.average(scores, weights=weights))
    return {"mean": mean, "deviation": float(np.sqrt(np.average((scores - mean) ** 2, weights=weights)))}


def _fit_temperature(log_odds: Array, labels: Array, weights: Array) -> dict[str, Any]:
    def slope_of_loss(sharpness: float) -> float:
        """Rises with the sharpness, the temperature's inverse: the loss is convex in it."""
        return float((weights * log_odds) @ (expit(sharpness * log_odds) - labels))

    lowest, highest = TEMPERATURES
    if slope_of_loss(1 / highest) >= 0:
        return {"temperature": highest}
    if slope_of_loss(1 / lowest) <= 0:
        return {"temperature": lowest}
    return {"temperature": 1 / brentq(slope_of_loss, 1 / highest, 1 / lowest, xtol=1e-12)}


def _fit_platt(log_odds: Array, labels: Array, weights: Array) -> dict[str, Any]:
    right, wrong = weights @ labels, weights @ (1 - labels)
    targets = labels * (right + 1) / (right + 2) + (1 - labels) / (wrong + 2)
    weights = weights / weights.sum()
    mean, deviation = np.average(log_odds), np.std(log_odds)
    features = np.column_stack([(log_odds - mean) / deviation, np.ones_like(log_odds)])

    def loss(x: Array) -> float:
        return float(weights @ (np.logaddexp(0, features @ x) - targets * (features @ x)))

    def gradient(x: Array) -> Array:
        return np.asarray((weights * (expit(features @ x) - targets)) @ features)

    def hessian(x: Array) -> Array:
        chance = expit(features @ x)
        return np.asarray((features.T * (weights * chance * (1 - chance))) @ features)

    start = np.array([0.0, logit(weights @ targets)])
    slope, offset = minimize(loss, start, method="trust-exact", jac=gradient, hess=hessian, options={"gtol": 1e-9}).x
    if slope < 0:
        return {"slope": 0.0, "offset": float(start[1])}
    return {"slope": float(slope / deviation), "offset": float(offset - slope * mean / deviation)}


def _fit_isotonic(log_odds: Array, labels: Array, weights: Array) -> dict[str, Any]:
    places, inverse = np.unique(log_odds, return_inverse=True)
    counts = np.bincount(inverse, weights)
    means = np.bincount(inverse, weights * labels) / counts
    found = isotonic_regression(np.clip(means, 0, 1), weights=counts)
    starts = found.blocks[:-1]
    centres = np.add.reduceat(counts * places, starts) / np.add.reduceat(counts, starts)
    apart = np.clip(centres, places[starts], places[found.blocks[1:] - 1])  # rounding must not make two centres one
    return {"log_odds": tuple(apart.tolist()), "probabilities": tuple(found.x[starts].tolist())}


_FITS: dict[Method, Callable[[Array, Array, Array], dict[str, Any]]] = {
    "temperature": _fit_temperature,
    "platt": _fit_platt,
    "isotonic": _fit_isotonic,
}
