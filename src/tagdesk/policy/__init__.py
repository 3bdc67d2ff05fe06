"""Says from which probability on a label is suggested or given without asking, and when a ticket is out of scope."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tagdesk.arrays import BoolArray, Decisions, Probs, Targets, Thresholds
from tagdesk.errors import ArtefactError, UsageError
from tagdesk.policy.objective import Objective, parse_objective
from tagdesk.policy.thresholds import best, cuts_between, proven

__all__ = ["FILE", "Objective", "Policy", "fit", "parse_objective"]

FILE = "policy.json"
REFUSED = 0.025  # share of the tickets with labels that may lose the labels they were given as out of scope
SLACK = 0.01  # share of the tickets that may get other than exactly their labels so that fewer get needless ones
FEWEST = 30  # tickets with labels from which the out-of-scope cut is found


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
        out_of_scope: the probability of "none of these" from which a ticket gets no label, in 0..1, or inf for never.

    >>> Policy.uniform(["A", "B"], 0.5, 0.9).decide(np.array([[0.5, 0.95], [0.1, 0.6]], dtype=np.float32)).tolist()
    [[1, 2], [0, 1]]
    """

    names: tuple[str, ...]
    suggest: Thresholds
    automate: Thresholds
    objective: str = ""
    fitted_on: int = 0
    out_of_scope: float = math.inf

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
        if not (0 <= self.out_of_scope <= 1 or self.out_of_scope == math.inf):
            raise ValueError("The out-of-scope cut must lie in 0..1, or be inf for never.")

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

    def refuses(self, none: Probs) -> BoolArray:
        """Which tickets are out of scope, (tickets,), by their probabilities of "none of these", (tickets,)."""
        return none >= np.float32(self.out_of_scope)

    def decide(self, probs: Probs, none: Probs | None = None) -> Decisions:
        """What may be done with each label of each ticket, (tickets, labels), as `Decision` numbers it.

        `none` holds the probabilities of "none of these", (tickets,), where the model has learned it.
        """
        if probs.ndim != 2 or probs.shape[1] != len(self.names):
            raise ValueError(f"Probabilities {probs.shape} for a policy of {len(self.names)} labels.")
        decisions = (probs >= self.suggest.astype(np.float32)).astype(np.int8)
        decisions += probs >= self.automate.astype(np.float32)
        if none is not None:
            decisions[self.refuses(none)] = 0
        return decisions

    def to_dict(self) -> dict[str, Any]:
        """The policy as `policy.json` holds it; null stands for never."""
        return {
            "objective": self.objective,
            "fitted_on": self.fitted_on,
            "suggest": _by_name(self.names, self.suggest),
            "automate": _by_name(self.names, self.automate),
            **({"out_of_scope": self.out_of_scope} if math.isfinite(self.out_of_scope) else {}),
        }

    @classmethod
    def from_dict(cls, document: Any, names: Sequence[str]) -> Policy:
        """Read `policy.json` for a taxonomy of the given names; raises ArtefactError that says what is wrong."""
        keys = {"objective", "fitted_on", "suggest", "automate"}
        if not isinstance(document, Mapping) or set(document) - {"out_of_scope"} != keys:
            raise _broken(f"its keys are not {', '.join(sorted(keys))}, with or without out_of_scope")
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
        cut = _number(document.get("out_of_scope"), "`out_of_scope`")
        return cls(tuple(names), suggest, automate, objective, fitted_on, cut)


def fit(
    targets: Targets,
    probs: Probs,
    names: Sequence[str],
    objective: Objective,
    *,
    none: Probs | None = None,
    automate_precision: float = 0.95,
) -> Policy:
    """Find the thresholds that serve an objective, from calibrated scores of tickets that the scorer was not fitted on.

    A promise about precision ("precision>=x" for `suggest`, and always for `automate`) is not the precision observed on
    these tickets, but the lower end of its 95 % confidence interval; where so few tickets cannot prove it the threshold
    is inf. A label with fewer than five positives shares a common threshold, so that none vanishes unnoticed.

    Args:
        targets: (tickets, labels).
        probs: (tickets, labels).
        names: the labels in order.
        objective: what `suggest` is fitted to.
        none: (tickets,), probabilities of "none of these", from which the out-of-scope cut is found: of those that get
            about the most tickets exactly right, and take the labels they were given from no more than `REFUSED` of
            those that should have some, the one that refuses the most of the others.
        automate_precision: what `automate` promises for every label, between 0 and 1; raises UsageError outside.

    >>> targets = np.array([[True]] * 6 + [[False]] * 6)
    >>> probs = np.array([[0.875]] * 6 + [[0.125]] * 6, dtype=np.float32)
    >>> fit(targets, probs, ["A"], parse_objective("exact_match")).suggest.tolist()
    [0.5]
    """
    if targets.shape != probs.shape or targets.ndim != 2 or targets.shape[1] != len(names):
        raise ValueError(f"Targets {targets.shape}, probabilities {probs.shape}, {len(names)} names; these must agree.")
    if not 0 < automate_precision < 1:
        raise UsageError(
            f"automate_precision {automate_precision:g}: expected a share between 0 and 1.", code="bad_threshold"
        )
    if objective.kind == "precision":
        suggest = proven(targets, probs, objective.precision, np.zeros(len(names)))
    else:
        suggest = best(targets, probs, objective)
    automate = proven(targets, probs, automate_precision, suggest)
    cut = math.inf if none is None else _scope_cut(targets, probs >= suggest.astype(np.float32), none)
    return Policy(tuple(names), suggest, automate, str(objective), len(targets), cut)


def _scope_cut(targets: Targets, given: BoolArray, none: Probs) -> float:
    """The cut for tickets whose labels are `given` (tickets, labels) where nothing is refused; see `fit`."""
    labelled, exact = np.any(targets, axis=1), np.all(given == targets, axis=1)
    if labelled.sum() < FEWEST:
        return math.inf
    cuts = cuts_between(~labelled, none)
    gain = cuts_between(~labelled & ~exact, none).hits - cuts_between(labelled & exact, none).hits
    lost = cuts_between(labelled & np.any(given, axis=1), none).hits  # who is given no label anyway has none to lose
    allowed = lost <= REFUSED * labelled.sum()
    good = allowed & (gain >= gain[allowed].max(initial=0) - SLACK * len(none))
    refused = np.where(good, cuts.hits, 0)
    return float(cuts.thresholds[refused.argmax()]) if refused.any() else math.inf


def _by_name(names: Sequence[str], thresholds: Thresholds) -> dict[str, float | None]:
    rows = zip(names, thresholds.tolist(), strict=True)
    return {name: threshold if math.isfinite(threshold) else None for name, threshold in rows}


def _thresholds_from(entry: Any, kind: str, names: Sequence[str]) -> Thresholds:
    if not isinstance(entry, Mapping) or set(entry) != set(names):
        raise _broken(f"the labels of `{kind}` are not exactly those of taxonomy.toml")
    return np.array([_number(entry[name], f"`{kind}` of label {name!r}") for name in names], dtype=np.float64)


def _number(value: Any, what: str) -> float:
    """A threshold from JSON; null stands for never."""
    if value is None:
        return math.inf
    # Comparing refuses NaN and integers too long for a float.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise _broken(f"{what} is {str(value)[:40]!r}")
    return float(value)


def _broken(problem: str) -> ArtefactError:
    return ArtefactError(
        f"{FILE}: {problem}. Expected for every label of the taxonomy `suggest` and a not lower `automate`, each a "
        "number from 0 to 1 or null for never. Restore the model folder from where it came, or fit the policy again.",
        code="bad_policy",
    )
