"""How an experiment stands: what the store knows of it, as evidence, and what is to be done."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from tagdesk.arrays import BoolArray, FloatArray
from tagdesk.compare import Difference, Figure, Group, McNemar, difference
from tagdesk.compare.paired import mcnemar_counts
from tagdesk.experiment.assignment import unit_of
from tagdesk.experiment.decision import (
    NO_LABEL,
    OUT_OF_SCOPE,
    Day,
    Decision,
    Evidence,
    Guardrail,
    decide,
    recall_of,
)
from tagdesk.experiment.design import EXACT_MATCH, Design
from tagdesk.experiment.reviewed import ReviewShares, review_shares, review_weights
from tagdesk.experiment.sample_ratio import SampleRatio, sample_ratio
from tagdesk.experiment.sequential import Mixture, watch
from tagdesk.review import agreed
from tagdesk.store import Reviewed, Selection, Store

RAIL = 0.02  # that the challenger may worsen the share without a label, and that out of scope
VARIANCE = 0.16  # of a share of 80 %, about that of exact match; what the plan's error is reckoned with
RAIL_VARIANCE = 0.05  # of a share of 5 %
AT_ONCE = 500  # cases whose picks and outcomes are fetched together
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Heard:
    """The cases of one variant, oldest first, each array (cases,).

    Attributes:
        units: whose each case is.
        days: the day of the experiment, from 0, on which it came.
        seen: the day on which what is known of its outcome was known; infinite where nothing is.
        values: the outcome; NaN where it is unknown.
        weights: how many cases each random check stands for; 0 for all others.
        no_label: whether it got no label.
        refused: whether it was called out of scope.
        truths: what reviewers agree on; None where nothing is known.
        said: the labels that were given.
    """

    units: list[str]
    days: FloatArray
    seen: FloatArray
    values: FloatArray
    weights: FloatArray
    no_label: BoolArray
    refused: BoolArray
    truths: list[frozenset[str] | None]
    said: list[frozenset[str]]


@dataclass(frozen=True, slots=True)
class Standing:
    """How an experiment stands.

    Attributes:
        design: what somebody wrote down.
        day: of the experiment.
        ratio: whether the split is as planned.
        reviews: whether the variants are reviewed alike; None for an outcome that is no review.
        looks: the challenger's difference at the end of each day so far, with intervals that hold at all of them.
        decision: what to do, by the first challenger.
        cases: by variant.
        outcomes: cases by variant whose outcome is known.
        is_weighted: whether reviews of random checks alone count, each for as many cases as it stands for.
    """

    design: Design
    day: Day
    ratio: SampleRatio
    reviews: ReviewShares | None
    looks: tuple[Difference, ...]
    decision: Decision
    cases: Mapping[str, int]
    outcomes: Mapping[str, int]
    is_weighted: bool

    def to_dict(self) -> dict[str, Any]:
        """The standing as JSON holds it."""
        return {
            "experiment": self.design.to_dict(),
            "day": self.day.today,
            "days": self.day.planned,
            "split": {"counts": dict(self.ratio.counts), "p": self.ratio.p, "is_broken": self.ratio.is_broken},
            "cases": dict(self.cases),
            "outcomes": dict(self.outcomes),
            "is_weighted": self.is_weighted,
            "reviewed_alike": None if self.reviews is None else not self.reviews.differs,
            "looks": [look.to_dict() for look in self.looks],
            "decision": self.decision.to_dict(),
        }


def standing(store: Store, design: Design, *, now: datetime) -> Standing:
    """How a split stands at a time; raises ValueError for one that was never started."""
    if design.since is None:
        raise ValueError("The experiment was never started.")
    heard = {variant: _heard(store, design, variant, design.since) for variant in design.arms}
    is_weighted = _is_weighted(heard)
    current, challenger = design.experiment.current, design.challengers[0]
    today = max(1, math.ceil((now - design.since) / DAY))
    figure = _figure(design)
    looks = _looks(figure, heard[current], heard[challenger], min(today, design.days), design.planned)
    ratio = sample_ratio({variant: len(set(one.units)) for variant, one in heard.items()}, design.experiment.shares)
    day = Day(min(today, design.days), design.days)
    cases = {variant: len(one.units) for variant, one in heard.items()}
    known = {variant: int(np.isfinite(one.values).sum()) for variant, one in heard.items()}
    reviews = review_shares(cases, known) if design.figure == EXACT_MATCH and not is_weighted else None
    evidence = Evidence(
        day,
        ratio,
        looks[-1],
        design.margin or None,
        _guardrails(heard[current], heard[challenger], design.planned),
        _secondary(heard[current], heard[challenger]) if design.figure == EXACT_MATCH else (),
        reviews,
    )
    decision = decide(evidence, who=f"'{challenger}'")
    return Standing(design, day, ratio, reviews, tuple(looks), decision, cases, known, is_weighted)


@dataclass(frozen=True, slots=True)
class ShadowStanding:
    """How a shadow stands: what it would have said, beside what was answered.

    Attributes:
        cases: that it was asked about.
        same: of them, those on which both gave the same labels.
        reviewed: of them, those whose labels people agree on.
        current_right: of the reviewed, those that what was answered got exactly right.
        shadow_right: those that the shadow got exactly right.
        swaps: which of the two got right what the other did not.
    """

    cases: int
    same: int
    reviewed: int
    current_right: int
    shadow_right: int
    swaps: McNemar

    @property
    def sentence(self) -> str:
        """What a person reads."""
        if not self.cases:
            return "The shadow has not been asked yet."
        alike = f"The shadow was asked about {self.cases:,} cases and said the same in {self.same / self.cases:.1%}."
        if not self.reviewed:
            return f"{alike} Nobody has reviewed any of them yet."
        return (
            f"{alike} Of {self.reviewed:,} that people reviewed it gets {self.shadow_right:,} exactly right, what was "
            f"answered {self.current_right:,} (p = {self.swaps.p:.2g})."
        )

    def to_dict(self) -> dict[str, Any]:
        """The standing as JSON holds it."""
        return {
            "cases": self.cases,
            "same": self.same,
            "reviewed": self.reviewed,
            "current_right": self.current_right,
            "shadow_right": self.shadow_right,
            "mcnemar_p": self.swaps.p,
            "sentence": self.sentence,
        }


def shadow_standing(store: Store, design: Design) -> ShadowStanding:
    """How a shadow stands."""
    cases = same = 0
    right: list[tuple[bool, bool]] = []
    after = 0
    while page := store.shadows.page(design.mark(design.challengers[0]), after=after):
        after = page[-1][0]
        shadows = [one for _, one in page]
        ids = [one.case for one in shadows]
        answered = store.cases.get(ids, tenant=None)
        for shadow, case, reviews in zip(shadows, answered, store.reviews.of_cases(ids, tenant=None), strict=True):
            if case is None:
                continue
            ours, theirs = frozenset(case.prediction.labels), frozenset(shadow.prediction.labels)
            cases, same = cases + 1, same + (ours == theirs)
            if (truth := agreed(reviews)) is not None:
                right.append((ours == truth, theirs == truth))
    swaps = mcnemar_counts(sum(a and not b for a, b in right), sum(b and not a for a, b in right))
    return ShadowStanding(cases, same, len(right), sum(a for a, _ in right), sum(b for _, b in right), swaps)


def _figure(design: Design) -> Figure:
    if design.figure == EXACT_MATCH:
        return Figure(EXACT_MATCH, "exact match")
    return Figure(design.figure, design.figure.replace("_", " "), design.lower_is_better, unit="")


def _heard(store: Store, design: Design, variant: str, since: datetime) -> Heard:
    units: list[str] = []
    columns: list[tuple[float, float, float, float, bool, bool]] = []
    truths: list[frozenset[str] | None] = []
    said: list[frozenset[str]] = []
    for page in _pages(store, design.mark(variant)):
        ids = [one.case.id for one in page]
        outcomes = store.outcomes.of_cases(ids, tenant=None)
        for one, picked, told in zip(page, store.picks.of_cases(ids), outcomes, strict=True):
            case, truth = one.case, agreed(one.reviews)
            given = frozenset(case.prediction.labels)
            if design.figure == EXACT_MATCH:
                value = math.nan if truth is None else float(truth == given)
                known = math.inf if truth is None else (one.reviews[-1].time - since) / DAY
            else:
                value = told.get(design.figure, math.nan)
                known = (case.time - since) / DAY if design.figure in told else math.inf
            is_check = picked is not None and picked.is_audit
            weight = float(review_weights(np.array([picked.probability]))[0]) if picked and is_check else 0.0
            flags = "out_of_scope" in case.prediction.flags
            columns.append(((case.time - since) / DAY, known, value, weight, not given, flags))
            units.append(unit_of(design.experiment, case.unit, case.ticket or case.id))
            truths.append(truth)
            said.append(given)
    rows = np.array(columns, dtype=np.float64).reshape(-1, 6)
    days, seen, values, weights = (rows[:, column] for column in range(4))
    return Heard(units, days, seen, values, weights, rows[:, 4] > 0, rows[:, 5] > 0, truths, said)


def _pages(store: Store, mark: str) -> Iterator[list[Reviewed]]:
    page: list[Reviewed] = []
    for one in store.reviews.every(Selection(None, variant=mark)):
        page.append(one)
        if len(page) == AT_ONCE:
            yield page
            page = []
    if page:
        yield page


def _is_weighted(heard: Mapping[str, Heard]) -> bool:
    """Whether anybody reviewed a random check; such reviews alone count then, for doubtful tickets are harder."""
    return any(((one.weights > 0) & np.isfinite(one.values)).any() for one in heard.values())


def _looks(figure: Figure, current: Heard, challenger: Heard, days: int, planned: int) -> list[Difference]:
    is_weighted = _is_weighted({"current": current, "challenger": challenger})
    looks = []
    for day in range(1, days + 1):
        ours, theirs = (_group(one, day, is_weighted=is_weighted) for one in (current, challenger))
        looks.append(_with_error(difference(figure, ours, theirs)))
    return watch(looks, _mixture(looks, figure, planned))


def _mixture(looks: Sequence[Difference], figure: Figure, planned: int) -> Mixture:
    """What the test looks out for; for an outcome on a scale of its own by the spread that the first look shows."""
    if figure.name == EXACT_MATCH or figure in {NO_LABEL, OUT_OF_SCOPE}:
        variance = VARIANCE if figure.name == EXACT_MATCH else RAIL_VARIANCE
        return Mixture.for_error(math.sqrt(2 * variance / planned))
    first = next((one for one in looks if one.error), None)
    error = 1.0 if first is None or first.error is None else first.error * math.sqrt(first.units / planned)
    return Mixture.for_error(max(error, 1e-9))


def _group(heard: Heard, day: int, *, is_weighted: bool) -> Group:
    """What was known at the end of a day, one row for each unit's case."""
    here = np.isfinite(heard.values) & (heard.seen <= day) & (heard.days <= day)
    if is_weighted:
        here &= heard.weights > 0
    rows = np.flatnonzero(here)
    return Group(
        heard.values[rows],
        weights=heard.weights[rows] if is_weighted else None,
        units=[heard.units[row] for row in rows],
    )


def _with_error(one: Difference) -> Difference:
    """The difference; one without a standard error cannot be looked at yet."""
    if one.value is not None and (one.error is None or not math.isfinite(one.error)):
        return replace(one, current=None, challenger=None, interval=None)
    return one


def _guardrails(current: Heard, challenger: Heard, planned: int) -> list[Guardrail]:
    found = []
    for figure, column in ((NO_LABEL, "no_label"), (OUT_OF_SCOPE, "refused")):
        ours, theirs = (
            Group(getattr(one, column).astype(np.float64), units=one.units) for one in (current, challenger)
        )
        apart = _with_error(difference(figure, ours, theirs))
        found.append(Guardrail(watch([apart], _mixture([apart], figure, planned))[0], RAIL))
    return found


def _secondary(current: Heard, challenger: Heard) -> list[Difference]:
    """The recall of each label that reviewers found."""
    labels = sorted({label for one in (current, challenger) for truth in one.truths if truth for label in truth})
    return [difference(recall_of(label), _recalled(current, label), _recalled(challenger, label)) for label in labels]


def _recalled(heard: Heard, label: str) -> Group:
    """Which of the cases that deserve a label got it."""
    rows = [row for row, truth in enumerate(heard.truths) if truth and label in truth]
    hits = np.array([label in heard.said[row] for row in rows], dtype=np.float64)
    return Group(hits, units=[heard.units[row] for row in rows])
