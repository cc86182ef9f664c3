"""From raw scores to calibrated probabilities, or to rewards with a known mean and spread.

A calibration is fitted once, on labeled chains that the scorer was not trained on, and then applied to each score. It
never reverses the order of two scores. Temperature, Platt and isotonic act on the score's log-odds; a probability of
exactly 1, whose log-odds would be infinite, counts as the next lower 32-bit float, and one of 0 as equally far from 0.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq, isotonic_regression, minimize
from scipy.special import expit, logit

from prm.errors import InputError, require_known

from .aggregation import AGGREGATORS
from .arrays import Floats

Method = Literal["temperature", "platt", "isotonic", "standardize"]
"""Ways to calibrate; the first three give probabilities, the last any real number."""
Scale = Literal["probability", "log-probability", "reward"]
"""The scale of a score: in [0, 1], such as a PRM's step score; in [-inf, 0], such as `aggregate(…, "product")`; or any
real number, such as an ORM's reward, which is taken as log-odds."""

PARAMETERS: dict[Method, tuple[str, ...]] = {
    "temperature": ("temperature",),
    "platt": ("slope", "offset"),
    "isotonic": ("log_odds", "probabilities"),
    "standardize": ("mean", "deviation"),
}
"""Names of each method's parameters."""

LEAST_POINTS = 10
"""The fewest scores that a calibration is fitted to."""
TEMPERATURES = (0.01, 100.0)
"""The range of the temperature. If the scores separate right from wrong perfectly, the best temperature would be 0; if
they rank no better than chance, it would be infinite."""

_RESOLUTION = 2.0**-24
"""Distance from 1 to the next lower 32-bit float, the closest that a softmax can come to 1."""
_LIMIT = math.log((1 - _RESOLUTION) / _RESOLUTION)
_LARGEST = 1e100
"""The largest reward: its product with a slope does not overflow."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """A non-decreasing function from scores to calibrated scores."""

    method: Method
    scale: Scale
    """The scale of the scores it takes."""
    parameters: Mapping[str, Any]
    """As listed in `PARAMETERS`. `temperature` (above 0) divides the log-odds; `slope` (at least 0) multiplies them,
    then `offset` is added; `log_odds` (tuple, increasing) and `probabilities` (same length, non-decreasing) are points
    to interpolate between; `mean` is subtracted from the score, and the rest divided by `deviation` (above 0)."""
    aggregator: str | None = None
    """How step scores were combined into the chain scores it was fitted to; None for step scores and rewards."""

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

    def apply(self, scores: ArrayLike) -> Floats:
        """Calibrate scores.

        Args:
            scores: of any shape, on this calibration's scale. -inf counts as the lowest score of the scale;
                `standardize` leaves it as it is.

        Returns:
            Floats of the same shape: probabilities in [0, 1]; for `standardize`, any real numbers.

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
        """The calibration that `to_json` wrote, from the object itself or after a round trip through JSON.

        Raises:
            ValueError: the object is not a calibration; the message says why.
        """
        if not isinstance(row, Mapping):
            raise ValueError("a calibration must be a JSON object")
        missing = {"method", "scale", "parameters"} - set(row)
        unknown = set(row) - {"method", "scale", "parameters", "aggregator"}
        if missing or unknown or not isinstance(row["parameters"], Mapping):
            raise ValueError("a calibration must have method, scale, parameters (an object) and aggregator")
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
            raise ValueError(f"{name} must be at least 0, not {value!r}: it would reverse the order of scores")


def _require_points(parameters: Mapping[str, Any]) -> None:
    places, values = parameters["log_odds"], parameters["probabilities"]
    for name, points in parameters.items():
        if not isinstance(points, tuple) or not points or not all(map(_is_number, points)):
            raise ValueError(f"{name} must be a non-empty list of finite numbers")
    if len(places) != len(values):
        raise ValueError("log_odds and probabilities must have the same length")
    if not all(a < b for a, b in pairwise(places)):
        raise ValueError("log_odds must be increasing")
    if not all(a <= b for a, b in pairwise(values)) or values[0] < 0 or values[-1] > 1:
        raise ValueError("probabilities must lie in [0, 1] and be non-decreasing")


def _checked(scores: ArrayLike, scale: Scale) -> Floats:
    """The scores as an array, checked to be on the scale."""
    values = np.asarray(scores, dtype=float)
    highest = {"probability": 1.0, "log-probability": 0.0, "reward": _LARGEST}[scale]
    lowest = 0.0 if scale == "probability" else -_LARGEST
    is_wrong = ~((values >= lowest) & (values <= highest) | (values == -np.inf))
    if is_wrong.any():
        raise InputError(f"the score {values[is_wrong].flat[0]} is not a {scale}", "are these the right scores?")
    return values


def _log_odds(scores: Floats, scale: Scale) -> Floats:
    """Finite log-odds of checked scores."""
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
    """Fit a calibration to scores with known labels.

    `temperature`: the maximum-likelihood temperature (Guo et al. 2017, On Calibration of Modern Neural Networks, arXiv
    1706.04599, section 4.2), within `TEMPERATURES`. It corrects over- and underconfidence, and leaves a score of 0.5,
    or a reward of 0, unchanged.

    `platt`: the maximum-likelihood slope and offset (Platt 1999, Probabilistic Outputs for Support Vector Machines),
    with his targets (N+ + 1)/(N+ + 2) and 1/(N- + 2) instead of 1 and 0, which keep them finite if the scores separate
    right from wrong perfectly. Differs from Platt: a slope below 0 becomes 0.

    `isotonic`: non-decreasing least squares (Zadrozny and Elkan 2002, Transforming Classifier Scores into Accurate
    Multiclass Probability Estimates). Differs: values are interpolated between the blocks' mean log-odds (Oron and
    Flournoy 2017, Centered Isotonic Regression), so that fewer scores become ties than with a step function.

    `standardize`: the mean of these scores becomes 0 and their standard deviation 1.

    Args:
        method: see above.
        scores: shape (points,), on `scale`.
        labels: shape (points,), the share that is right, in [0, 1]; None for `standardize`.
        weights: shape (points,), the number of draws behind each point, at least 0; None for one each.
        scale: the scale of the scores.
        aggregator: how step scores were combined into these scores, stored with the calibration.

    Raises:
        InputError: there are fewer than `LEAST_POINTS` points with a weight above 0, the scores are all equal, the
            labels are all right or all wrong, a number is out of range, or labels are missing or not used by the
            method.

    >>> found = fit("temperature", [0.8, 0.2] * 5, [0.9, 0.1] * 5)
    >>> round(found.parameters["temperature"], 4)  # the log-odds are log 4 and should be log 9
    0.6309
    """
    require_known("method", method, get_args(Method))
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


def _points(scores: ArrayLike, weights: ArrayLike | None, scale: Scale) -> tuple[Floats, Floats]:
    """Checked scores and weights, as arrays."""
    values = _checked(scores, scale)
    counts = np.ones_like(values) if weights is None else np.asarray(weights, dtype=float)
    if values.ndim != 1 or counts.shape != values.shape:
        raise InputError("scores and weights must have the same length", "give one weight per score")
    if not (np.isfinite(counts) & (counts >= 0)).all():
        raise InputError("weights must be finite and at least 0", "give numbers of draws")
    used = np.count_nonzero(counts)
    if used < LEAST_POINTS:
        raise InputError(f"{used} scores are too few for a calibration", f"give at least {LEAST_POINTS}")
    return values, counts


def _require_spread(values: Floats) -> None:
    if values.min() == values.max():
        raise InputError("all scores are the same, so there is nothing to calibrate", "are these the right scores?")


def _shares(labels: ArrayLike, counts: Floats) -> Floats:
    """Checked labels, as an array."""
    shares = np.asarray(labels, dtype=float)
    if shares.shape != counts.shape:
        raise InputError("scores and labels must have the same length", "give one label per score")
    if not ((shares >= 0) & (shares <= 1)).all():
        raise InputError("labels must be numbers in [0, 1]", "give the share that is right")
    right, wrong = counts @ shares, counts @ (1 - shares)
    if not right or not wrong:
        raise InputError(f"all labels are {'right' if right else 'wrong'}", "give some of both kinds")
    return shares


def _fit_standardize(scores: Floats, weights: Floats) -> dict[str, Any]:
    if not np.isfinite(scores).all():
        raise InputError("standardize takes only finite scores", "use another aggregator, or drop empty chains")
    _require_spread(scores)
    mean = float(np.average(scores, weights=weights))
    return {"mean": mean, "deviation": float(np.sqrt(np.average((scores - mean) ** 2, weights=weights)))}


def _fit_temperature(log_odds: Floats, labels: Floats, weights: Floats) -> dict[str, Any]:
    def slope_of_loss(sharpness: float) -> float:
        """Increases with the sharpness, the inverse temperature: the loss is convex in it."""
        return float((weights * log_odds) @ (expit(sharpness * log_odds) - labels))

    lowest, highest = TEMPERATURES
    if slope_of_loss(1 / highest) >= 0:
        return {"temperature": highest}
    if slope_of_loss(1 / lowest) <= 0:
        return {"temperature": lowest}
    return {"temperature": 1 / brentq(slope_of_loss, 1 / highest, 1 / lowest, xtol=1e-12)}


def _fit_platt(log_odds: Floats, labels: Floats, weights: Floats) -> dict[str, Any]:
    right, wrong = weights @ labels, weights @ (1 - labels)
    targets = labels * (right + 1) / (right + 2) + (1 - labels) / (wrong + 2)
    weights = weights / weights.sum()
    mean, deviation = np.average(log_odds), np.std(log_odds)
    features = np.column_stack([(log_odds - mean) / deviation, np.ones_like(log_odds)])

    def loss(x: Floats) -> float:
        return float(weights @ (np.logaddexp(0, features @ x) - targets * (features @ x)))

    def gradient(x: Floats) -> Floats:
        return np.asarray((weights * (expit(features @ x) - targets)) @ features)

    def hessian(x: Floats) -> Floats:
        chance = expit(features @ x)
        return np.asarray((features.T * (weights * chance * (1 - chance))) @ features)

    start = np.array([0.0, logit(weights @ targets)])
    slope, offset = minimize(loss, start, method="trust-exact", jac=gradient, hess=hessian, options={"gtol": 1e-9}).x
    if slope < 0:
        return {"slope": 0.0, "offset": float(start[1])}
    return {"slope": float(slope / deviation), "offset": float(offset - slope * mean / deviation)}


def _fit_isotonic(log_odds: Floats, labels: Floats, weights: Floats) -> dict[str, Any]:
    places, inverse = np.unique(log_odds, return_inverse=True)
    counts = np.bincount(inverse, weights)
    means = np.bincount(inverse, weights * labels) / counts
    found = isotonic_regression(np.clip(means, 0, 1), weights=counts)
    starts = found.blocks[:-1]
    centers = np.add.reduceat(counts * places, starts) / np.add.reduceat(counts, starts)
    apart = np.clip(centers, places[starts], places[found.blocks[1:] - 1])  # rounding must not merge two centers
    return {"log_odds": tuple(apart.tolist()), "probabilities": tuple(found.x[starts].tolist())}


_FITS: dict[Method, Callable[[Floats, Floats, Floats], dict[str, Any]]] = {
    "temperature": _fit_temperature,
    "platt": _fit_platt,
    "isotonic": _fit_isotonic,
}
