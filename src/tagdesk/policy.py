"""Says from which probability on a label is suggested, and from which it is given without asking."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tagdesk.arrays import BoolArray, Decisions, FloatArray, Probs, Targets, Thresholds
from tagdesk.errors import ArtefactError, UsageError

FILE = "policy.json"
ALLOWED = (
    "f1_macro, f1_micro, exact_match, cost:fp=1,fn=5 (any prices above 0), precision>=0.95 (any share between 0 and 1)"
)
RARE = 5  # positives; with fewer a label takes the common threshold
GRID = np.arange(1, 100) / 100  # where a common threshold is looked for
CONFIDENCE = 0.95  # one-sided, of every promise about precision
SWEEPS = 20  # of coordinate ascent, at most


@dataclass(frozen=True)
class Objective:
    """What thresholds are fitted to.

    `kind` is f1_macro, f1_micro, exact_match, cost or precision; the other fields matter to the last two.
    """

    kind: str
    false_positive: float = 1.0  # price of a label given wrongly
    false_negative: float = 1.0  # price of a label missed
    precision: float = 0.0  # to be reached by every label

    def __str__(self) -> str:
        if self.kind == "cost":
            return f"cost:fp={self.false_positive:g},fn={self.false_negative:g}"
        return f"precision>={self.precision:g}" if self.kind == "precision" else self.kind


def parse_objective(text: str) -> Objective:
    """Read an objective as recipes and options write it; raises UsageError that lists what is allowed.

    >>> parse_objective("cost:fp=1,fn=5")
    Objective(kind='cost', false_positive=1.0, false_negative=5.0, precision=0.0)
    >>> str(parse_objective("precision >= 0.95"))
    'precision>=0.95'
    """
    plain = re.sub(r"\s", "", text[:100]).lower()
    number = r"([0-9]{1,9}(?:\.[0-9]{1,9})?|\.[0-9]{1,9})"
    if plain in {"f1_macro", "f1_micro", "exact_match"}:
        return Objective(plain)
    if match := re.fullmatch(rf"cost:fp={number},fn={number}", plain):
        prices = float(match[1]), float(match[2])
        if min(prices) > 0:
            return Objective("cost", *prices)
    if match := re.fullmatch(rf"precision>={number}", plain):
        share = float(match[1])
        if 0 < share < 1:
            return Objective("precision", precision=share)
    raise UsageError(f"Objective {text[:60]!r} is unknown. Use one of: {ALLOWED}.", code="bad_objective")


@dataclass(frozen=True, eq=False)
class Policy:
    """Per label the probability from which it is suggested, and the one from which it is given without asking.

    A label reaches a threshold when its probability is at least as high. Probabilities are float32, so thresholds are
    compared as float32 too: a score of 0.35 reaches 0.35.

    Attributes:
        names: the labels, in the taxonomy's order.
        suggest: (labels,), each in 0..1, or inf for never.
        automate: (labels,), never below `suggest`.
        objective: what the thresholds were fitted to, in words; empty where somebody set them.
        fitted_on: the number of tickets they were fitted on; 0 where somebody set them.

    >>> Policy.uniform(["A", "B"], 0.5, 0.9).decide(np.array([[0.5, 0.95], [0.1, 0.6]], dtype=np.float32)).tolist()
    [[1, 2], [0, 1]]
    """

    names: tuple[str, ...]
    suggest: Thresholds
    automate: Thresholds
    objective: str = ""
    fitted_on: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        for kind in ("suggest", "automate"):
            values = np.array(getattr(self, kind), dtype=np.float64)
            if values.shape != (len(self.names),):
                raise ValueError(f"{kind} thresholds {values.shape} for {len(self.names)} labels.")
            if not (((values >= 0) & (values <= 1)) | np.isposinf(values)).all():
                raise ValueError(f"{kind} thresholds must lie in 0..1, or be inf for never.")
            values.setflags(write=False)
            object.__setattr__(self, kind, values)
        if (self.automate < self.suggest).any():
            raise ValueError("A label cannot be automated below the probability at which it is suggested.")

    @classmethod
    def uniform(cls, names: Sequence[str], threshold: float, automate: float | None = None) -> Policy:
        """One threshold for all labels, and without `automate` nothing given unasked; raises UsageError outside 0..1.

        >>> Policy.uniform(["A"], 2)
        Traceback (most recent call last):
        ...
        tagdesk.errors.UsageError: Threshold 2: expected a number from 0 to 1.
        """
        for value in (threshold, threshold if automate is None else automate):
            if not 0 <= value <= 1:
                raise UsageError(f"Threshold {value:g}: expected a number from 0 to 1.", code="bad_threshold")
        if automate is not None and automate < threshold:
            raise UsageError(
                f"Threshold {automate:g} for automation lies below {threshold:g} for suggestion; expected at least it.",
                code="bad_threshold",
            )
        higher = math.inf if automate is None else automate
        return cls(tuple(names), np.full(len(names), float(threshold)), np.full(len(names), float(higher)))

    @property
    def id(self) -> str:
        """12 hex digits over everything that the policy says."""
        content = json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False)
        return hashlib.sha256(content.encode()).hexdigest()[:12]

    def decide(self, probs: Probs) -> Decisions:
        """What may be done with each label of each ticket, (tickets, labels), as `Decision` numbers it."""
        if probs.ndim != 2 or probs.shape[1] != len(self.names):
            raise ValueError(f"Probabilities {probs.shape} for a policy of {len(self.names)} labels.")
        decisions = (probs >= self.suggest.astype(np.float32)).astype(np.int8)
        decisions += probs >= self.automate.astype(np.float32)
        return decisions

    def to_dict(self) -> dict[str, Any]:
        """The policy as `policy.json` holds it; null stands for never."""
        return {
            "objective": self.objective,
            "fitted_on": self.fitted_on,
            "suggest": _by_name(self.names, self.suggest),
            "automate": _by_name(self.names, self.automate),
        }

    @classmethod
    def from_dict(cls, document: Any, names: Sequence[str]) -> Policy:
        """Read `policy.json` for a taxonomy of the given names; raises ArtefactError that says what is wrong."""
        keys = {"objective", "fitted_on", "suggest", "automate"}
        if not isinstance(document, Mapping) or set(document) != keys:
            raise _broken(f"its keys are not {', '.join(sorted(keys))}")
        objective, fitted_on = document["objective"], document["fitted_on"]
        if (
            not isinstance(objective, str)
            or isinstance(fitted_on, bool)
            or not isinstance(fitted_on, int)
            or fitted_on < 0
        ):
            raise _broken("`objective` is not a text or `fitted_on` is not a count")
        suggest, automate = (_thresholds_from(document[kind], kind, names) for kind in ("suggest", "automate"))
        lower = [name for name, low, high in zip(names, suggest, automate, strict=True) if high < low]
        if lower:
            raise _broken(f"label {lower[0]!r} is automated below the probability at which it is suggested")
        return cls(tuple(names), suggest, automate, objective, fitted_on)


def fit(
    targets: Targets,
    probs: Probs,
    names: Sequence[str],
    objective: Objective,
    *,
    seed: int = 0,  # noqa: ARG001 - resampling is to come
    automate_precision: float = 0.95,
) -> Policy:
    """Find the thresholds that serve an objective, from calibrated scores of tickets that the scorer was not fitted on.

    Labels with fewer than `RARE` positives take the one threshold that serves best in common, so that none vanishes.
    A promise about precision ("precision>=x", and `automate` always) means the lower end of a one-sided 95 % confidence
    interval, not the precision that was observed; where the tickets cannot prove it the threshold is inf.

    Args:
        targets: (tickets, labels).
        probs: (tickets, labels).
        names: the labels in order.
        objective: what `suggest` is fitted to.
        seed: of the resampling.
        automate_precision: what `automate` promises for every label.
    """
    if targets.shape != probs.shape or targets.ndim != 2 or targets.shape[1] != len(names):
        raise ValueError(
            f"Targets {targets.shape}, probabilities {probs.shape}, {len(names)} names; expected them to agree."
        )
    if not 0 < automate_precision < 1:
        raise UsageError(
            f"automate_precision {automate_precision:g}: expected a share between 0 and 1.", code="bad_threshold"
        )
    proven = _precise(targets, probs, automate_precision)
    suggest = (
        _precise(targets, probs, objective.precision)
        if objective.kind == "precision"
        else _best(targets, probs, objective)
    )
    return Policy(tuple(names), suggest, np.maximum(proven, suggest), str(objective), len(targets))


class _Curve(NamedTuple):
    """What each possible threshold of one label would give: (cuts,), from none of the tickets to all of them."""

    thresholds: Thresholds
    hits: FloatArray  # labels given rightly
    misses: FloatArray  # labels given wrongly


def _curve(targets: BoolArray, scores: Probs, rows: BoolArray | None = None) -> _Curve:
    """Cut one label's scores (tickets,) between each pair of neighbours; `rows` limits what is counted."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order].astype(np.float64)
    counted = np.ones(len(order), dtype=np.bool_) if rows is None else rows[order]
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) if len(ranked) else np.zeros(0, dtype=np.int64)
    edges = np.concatenate([[1.0], ranked[ends], [0.0]])
    thresholds = ((edges[:-1] + edges[1:]) / 2).astype(np.float32).astype(np.float64)
    # Between two neighbours that float32 cannot part, the higher one is the cut.
    thresholds = np.where(thresholds > edges[1:], thresholds, edges[:-1])
    if len(ranked) and ranked[0] >= 1:
        thresholds[0] = math.inf  # nothing lies above 1
    hits = np.concatenate([[0], np.cumsum(targets[order] & counted)[ends]]).astype(np.float64)
    misses = np.concatenate([[0], np.cumsum(~targets[order] & counted)[ends]]).astype(np.float64)
    return _Curve(thresholds, hits, misses)


def _best(targets: Targets, probs: Probs, objective: Objective) -> Thresholds:
    """The thresholds (labels,) that serve the objective on these tickets, rare labels at the common one."""
    common = _common(targets, probs, objective)
    frequent = np.flatnonzero(targets.sum(axis=0) >= RARE)
    thresholds = np.full(targets.shape[1], common)
    for _ in range(SWEEPS):
        before = thresholds.copy()
        for label in frequent:
            thresholds[label] = _best_cut(targets, probs, thresholds, int(label), objective)
        if np.array_equal(before, thresholds):
            break
    return thresholds


def _best_cut(targets: Targets, probs: Probs, thresholds: Thresholds, label: int, objective: Objective) -> float:
    """The best threshold of one label while the others stay; of equally good ones the nearest to the present one."""
    others = np.arange(len(thresholds)) != label
    given = probs >= thresholds.astype(np.float32)
    rows = (given == targets)[:, others].all(axis=1) if objective.kind == "exact_match" else None
    curve = _curve(targets[:, label], probs[:, label], rows)
    wanted = float(targets[:, label].sum())
    if objective.kind == "exact_match":
        value = curve.hits - curve.misses
    elif objective.kind == "cost":
        value = objective.false_negative * curve.hits - objective.false_positive * curve.misses
    elif objective.kind == "f1_micro":
        agreed = float((given & targets)[:, others].sum())
        spoken = float(given[:, others].sum() + targets.sum())
        value = 2 * (agreed + curve.hits) / (spoken + curve.hits + curve.misses)
    else:
        value = 2 * curve.hits / (wanted + curve.hits + curve.misses)
    ties = curve.thresholds[value >= value.max() - 1e-12]
    return float(ties[np.argmin(np.abs(ties - thresholds[label]))])


def _common(targets: Targets, probs: Probs, objective: Objective) -> float:
    """The one threshold that serves the objective best for all labels; of equally good ones the nearest to 0.5."""
    values = np.array([value(targets, probs >= np.float32(cut), objective) for cut in GRID])
    ties = GRID[values >= values.max() - 1e-12]
    return float(ties[np.argmin(np.abs(ties - 0.5))])


def value(targets: Targets, given: BoolArray, objective: Objective) -> float:
    """What the labels given (tickets, labels) are worth under an objective; more is better, nothing is 0."""
    hits, misses, missed = ((a & b).sum(axis=0) for a, b in ((given, targets), (given, ~targets), (~given, targets)))
    if objective.kind == "exact_match":
        return float((given == targets).all(axis=1).mean()) if len(targets) else 0.0
    if objective.kind == "cost":
        return -float(objective.false_positive * misses.sum() + objective.false_negative * missed.sum())
    if objective.kind == "f1_micro":
        return float(2 * hits.sum() / max(1, (2 * hits + misses + missed).sum()))
    per_label = 2 * hits / np.maximum(1, 2 * hits + misses + missed)
    return float(per_label.mean()) if len(per_label) else 0.0


def _precise(targets: Targets, probs: Probs, precision: float) -> Thresholds:
    """Per label the lowest threshold whose precision is proven, (labels,); inf where none is."""
    return np.array(
        [_lowest_precise(targets[:, i], probs[:, i], precision) for i in range(targets.shape[1])], dtype=np.float64
    )


def _lowest_precise(targets: BoolArray, scores: Probs, precision: float) -> float:
    from scipy.special import betaincinv  # noqa: PLC0415 - serving never pays for it

    curve = _curve(targets, scores)
    hits, misses = curve.hits, curve.misses
    some = hits > 0
    lower = np.zeros(len(hits))
    lower[some] = betaincinv(hits[some], misses[some] + 1, 1 - CONFIDENCE)  # Clopper and Pearson
    proven = np.flatnonzero(lower >= precision)
    return float(curve.thresholds[proven[-1]]) if len(proven) else math.inf


def _by_name(names: Sequence[str], thresholds: Thresholds) -> dict[str, float | None]:
    rows = zip(names, thresholds.tolist(), strict=True)
    return {name: threshold if math.isfinite(threshold) else None for name, threshold in rows}


def _thresholds_from(entry: Any, kind: str, names: Sequence[str]) -> Thresholds:
    if not isinstance(entry, Mapping) or set(entry) != set(names):
        raise _broken(f"the labels of `{kind}` are not exactly those of taxonomy.toml")
    for name in names:
        threshold = entry[name]
        if threshold is None:
            continue
        # Comparing refuses NaN and integers too long for a float.
        if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 <= threshold <= 1:
            raise _broken(f"`{kind}` of label {name!r} is {str(threshold)[:40]!r}")
    return np.array([math.inf if entry[name] is None else float(entry[name]) for name in names], dtype=np.float64)


def _broken(problem: str) -> ArtefactError:
    return ArtefactError(
        f"{FILE}: {problem}. Expected for every label of the taxonomy `suggest` and a not lower `automate`, each a "
        "number from 0 to 1 or null for never. Restore the model folder from where it came, or fit the policy again.",
        code="bad_policy",
    )
