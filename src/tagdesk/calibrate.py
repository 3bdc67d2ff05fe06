"""Turns a scorer's raw probabilities into ones that mean what they say."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tagdesk.arrays import BoolArray, FloatArray, Probs, Targets
from tagdesk.errors import ArtefactError, UsageError
from tagdesk.label_sets import LabelSets

METHODS = ("platt", "none")
FILE = "calibration.json"

# Strength of the Gaussian priors on (log slope, intercept), as 1 / variance; see docs/decisions/0003-calibration.md.
POOLED_PRIOR = 1.0  # of the curve common to all labels, around "leave it as it is"
LABEL_PRIOR = 2.0  # of each label's curve, around the common one
# Probabilities are kept this far from 0 and 1 before their logit is taken.
EDGE = 1e-7
LARGEST = 1e6  # a slope or an intercept beyond it is a broken file


@dataclass(frozen=True, eq=False)
class Calibration:
    """Per column a slope and an intercept for the logit of the raw probability; then labels learn of each other.

    The columns are the labels; one more at the end, where the scorer has learned it, is "none of these".

    Attributes:
        slopes: (columns,), above 0, so that the order of tickets within a column never changes.
        intercepts: (columns,).
        method: how they were found: one of `METHODS`.
        sets: which labels go together; None leaves each label to itself.

    >>> Calibration.identity(2).apply(np.array([[0.2, 1.0]], dtype=np.float32)).tolist()
    [[0.20000000298023224, 1.0]]
    """

    slopes: FloatArray
    intercepts: FloatArray
    method: str = "platt"
    sets: LabelSets | None = None

    def __post_init__(self) -> None:
        slopes, intercepts = (np.array(values, dtype=np.float64) for values in (self.slopes, self.intercepts))
        if slopes.ndim != 1 or slopes.shape != intercepts.shape:
            raise ValueError(
                f"Slopes {slopes.shape} with intercepts {intercepts.shape}; expected one of each per label."
            )
        if not (np.isfinite(slopes).all() and np.isfinite(intercepts).all() and (slopes > 0).all()):
            raise ValueError("Slopes must be finite and above 0, intercepts finite.")
        if self.method not in METHODS:
            raise ValueError(f"Calibration method {self.method!r}; expected one of {', '.join(METHODS)}.")
        for name, values in (("slopes", slopes), ("intercepts", intercepts)):
            values.setflags(write=False)
            object.__setattr__(self, name, values)

    @classmethod
    def identity(cls, n_labels: int) -> Calibration:
        """The calibration that leaves probabilities as they are."""
        return cls(np.ones(n_labels), np.zeros(n_labels), "none")

    def apply(self, probs: Probs) -> Probs:
        """Calibrated probabilities (tickets, columns); finite for 0 and 1.

        >>> doubtful = Calibration(np.array([0.5]), np.array([0.0]))
        >>> doubtful.apply(np.array([[0.9], [0.5]], dtype=np.float32)).round(2).tolist()
        [[0.75], [0.5]]
        """
        if probs.ndim != 2 or probs.shape[1] != len(self.slopes):
            raise ValueError(f"Probabilities {probs.shape} for a calibration of {len(self.slopes)} columns.")
        changed = (self.slopes != 1) | (self.intercepts != 0)
        calibrated = np.array(probs, dtype=np.float32)
        calibrated[:, changed] = _sigmoid(logit(probs[:, changed]) * self.slopes[changed] + self.intercepts[changed])
        return self.sets.apply(calibrated) if self.sets else calibrated

    def to_dict(self, names: Sequence[str]) -> dict[str, Any]:
        """The calibration as `calibration.json` holds it, under the labels' names in order."""
        curves = [
            {"slope": slope, "intercept": intercept}
            for slope, intercept in zip(self.slopes.tolist(), self.intercepts.tolist(), strict=True)
        ]
        none = {"none": curves.pop()} if len(curves) == len(names) + 1 else {}
        return {
            "method": self.method,
            "labels": dict(zip(names, curves, strict=True)),
            **none,
            "sets": self.sets.to_dict(names) if self.sets else None,
        }

    @classmethod
    def from_dict(cls, document: Any, names: Sequence[str]) -> Calibration:
        """Read `calibration.json` for a taxonomy of the given names; raises ArtefactError that says what is wrong."""
        if not isinstance(document, Mapping) or set(document) - {"none"} != {"method", "labels", "sets"}:
            raise _broken("its keys are not `method`, `labels` and `sets`, with or without `none`")
        if document["method"] not in METHODS:
            raise _broken(f"method {document['method']!r} is none of {', '.join(METHODS)}")
        labels = document["labels"]
        if not isinstance(labels, Mapping) or set(labels) != set(names):
            raise _broken("its labels are not exactly those of taxonomy.toml")
        rows = [_slope_and_intercept(name, labels[name]) for name in names]
        if "none" in document:
            rows.append(_slope_and_intercept("none", document["none"]))
        try:
            sets = None if document["sets"] is None else LabelSets.from_dict(document["sets"], names)
        except ValueError as error:
            raise _broken(str(error)) from error
        slopes, intercepts = (np.array([row[place] for row in rows]) for place in (0, 1))
        return cls(slopes, intercepts, document["method"], sets)


def fit(targets: Targets, probs: Probs, *, method: str = "platt", with_sets: bool = False) -> Calibration:
    """Learn a calibration from scores that the scorer gave to tickets it was not fitted on.

    Platt's logistic curve is fitted to all labels in common, then to each label with a prior around the common one, so
    that a label with a handful of positives follows the others and a frequent one itself. A label without positives or
    without negatives stays as it is. With sets, labels then learn of each other (see `LabelSets`).

    Args:
        targets: (tickets, labels).
        probs: (tickets, columns), out-of-fold or validation scores; one column more than labels is "none of these".
        method: one of `METHODS`; raises UsageError for another.
        with_sets: whether to learn which labels go together.

    >>> fit(np.array([[True], [False]]), np.array([[0.9], [0.1]], dtype=np.float32), method="none").method
    'none'
    """
    if method not in METHODS:
        raise UsageError(f"Calibration {method!r} is unknown. Use one of: {', '.join(METHODS)}.", code="bad_setting")
    sets = LabelSets.fit(targets) if with_sets else None
    if targets.ndim == probs.ndim == 2 and probs.shape[1] == targets.shape[1] + 1:
        targets = with_none(targets)
    if targets.shape != probs.shape or targets.ndim != 2:
        raise ValueError(f"Targets {targets.shape} with probabilities {probs.shape}; expected (tickets, labels) twice.")
    identity = Calibration.identity(targets.shape[1])
    if method == "none":
        return replace(identity, sets=sets)
    slopes, intercepts, logits = np.array(identity.slopes), np.array(identity.intercepts), logit(probs)
    both = np.flatnonzero(targets.any(axis=0) & ~targets.all(axis=0))
    common = fit_curve(targets[:, both].ravel(), logits[:, both].ravel(), (0.0, 0.0), POOLED_PRIOR)
    for label in both:
        log_slope, intercepts[label] = fit_curve(targets[:, label], logits[:, label], common, LABEL_PRIOR)
        slopes[label] = math.exp(log_slope)
    return Calibration(slopes, intercepts, method, sets)


def with_none(targets: Targets) -> Targets:
    """Targets with one more column, "none of these": True for a ticket that carries no label.

    >>> with_none(np.array([[True, False], [False, False]])).tolist()
    [[True, False, False], [False, False, True]]
    """
    return np.column_stack([targets, ~targets.any(axis=1)])


def split_none(probs: Probs, n_labels: int) -> tuple[Probs, Probs | None]:
    """The labels' probabilities (tickets, labels), and those of "none of these", (tickets,), where there are any."""
    return probs[:, :n_labels], probs[:, n_labels] if probs.shape[1] > n_labels else None


def fit_curve(
    targets: BoolArray, logits: FloatArray, around: tuple[float, float] = (0.0, 0.0), prior: float = 0.0
) -> tuple[float, float]:
    """The most probable (log slope, intercept) for targets and logits, both (tickets,), given a prior around one.

    A score that says nine to one and is right three times in four deserves half its logit:

    >>> said = np.log([9.0, 9.0, 9.0, 9.0, 1 / 9, 1 / 9, 1 / 9, 1 / 9])
    >>> log_slope, intercept = fit_curve(np.array([1, 1, 1, 0, 0, 0, 0, 1], dtype=np.bool_), said)
    >>> round(math.exp(log_slope), 3), abs(round(intercept, 3))
    (0.5, 0.0)
    """
    from scipy.optimize import minimize  # noqa: PLC0415 - serving never pays for it

    signs = np.where(targets, 1.0, -1.0)

    def loss(point: FloatArray) -> tuple[float, FloatArray]:
        slope, away = np.exp(point[0]), point - around
        margins = signs * (slope * logits + point[1])
        pull = -signs * _sigmoid(-margins)
        gradient = np.array([slope * (pull @ logits), pull.sum()]) + prior * away
        return float(np.logaddexp(0, -margins).sum() + prior / 2 * (away @ away)), gradient

    # A slope outside 1/1000..1000 says nothing that its bound does not say.
    best = minimize(loss, np.array(around), jac=True, method="L-BFGS-B", bounds=[(-6.9, 6.9), (-50.0, 50.0)])
    return float(best.x[0]), float(best.x[1])


def logit(probs: Probs) -> FloatArray:
    """The logits of probabilities, finite for 0 and 1 too."""
    inside = np.clip(probs.astype(np.float64), EDGE, 1 - EDGE)
    return np.log(inside) - np.log1p(-inside)


def _sigmoid(logits: FloatArray) -> FloatArray:
    return 1.0 / (1.0 + np.exp(-np.clip(logits, -500.0, 500.0)))  # beyond 500 the exponential overflows


def _slope_and_intercept(name: str, entry: Any) -> tuple[float, float]:
    if not isinstance(entry, Mapping) or set(entry) != {"slope", "intercept"}:
        raise _broken(f"label {name!r} does not hold exactly `slope` and `intercept`")
    slope, intercept = entry["slope"], entry["intercept"]
    for value in (slope, intercept):
        # Comparing refuses NaN and integers too long for a float.
        if isinstance(value, bool) or not isinstance(value, int | float) or not -LARGEST <= value <= LARGEST:
            raise _broken(f"label {name!r} has {str(value)[:40]!r} where a finite number belongs")
    if slope <= 0:
        raise _broken(f"label {name!r} has slope {slope}; a slope is above 0")
    return float(slope), float(intercept)


def _broken(problem: str) -> ArtefactError:
    return ArtefactError(
        f"{FILE}: {problem}. Expected a method, and a slope above 0 with a finite intercept for every label of the "
        "taxonomy. Restore the model folder from where it came, or train the model again.",
        code="bad_calibration",
    )
