"""What is compared between two windows, one function for each kind of evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from tagdesk.arrays import BoolArray, FloatArray, Probs, Targets
from tagdesk.drift import calibrated
from tagdesk.drift.difference import estimates, mean, shapes, shares
from tagdesk.drift.meaning import told_apart
from tagdesk.drift.settings import Settings
from tagdesk.drift.shift import LeftOut, Shift
from tagdesk.drift.window import Window
from tagdesk.drift.words import percent

Found: TypeAlias = Iterator[Shift | LeftOut]
Measure: TypeAlias = Callable[[Window, Window, Settings], Found]

NO_TEXTS = "the texts of one window are gone"
NO_EMBEDDINGS = "one window has too few embeddings"
NEVER_WRONG = "these scores are never wrong, or the labels all the same"


def measured(reference: Window, current: Window, settings: Settings) -> tuple[list[Shift], list[LeftOut]]:
    """Everything that can be tested, before allowance for the many tests, and what cannot be.

    Each kind of evidence may spend a part of the allowance of its own, in equal parts for its tests: otherwise a
    hundred labels would leave next to nothing for the embeddings.
    """
    shifts: list[Shift] = []
    left_out: list[LeftOut] = []
    for part, measure in MEASURES:
        found = list(measure(reference, current, settings))
        tested = [each for each in found if isinstance(each, Shift)]
        shifts += [replace(each, weight=part / len(tested)) for each in tested]
        left_out += [each for each in found if isinstance(each, LeftOut)]
    return shifts, left_out


def rates(reference: Window, current: Window, settings: Settings) -> Found:
    """How often each label is given."""
    for column, name in enumerate(reference.names):
        said = "is given to {} of tickets, {} before"
        yield _share("label_rate", reference.decided[:, column], current.decided[:, column], said, settings, name)


def needs(reference: Window, current: Window, settings: Settings) -> Found:
    """How many labels tickets get, how many get none, and how many are out of scope."""
    if len(reference.names) > 1:  # of one label all this is its rate
        before, now = (window.decided.sum(axis=1).astype(np.float64) for window in (reference, current))
        found = estimates(mean(before), mean(now))
        said = f"a ticket gets {found.current:.2f} labels on average, {found.reference:.2f} before"
        yield Shift("labels_per_ticket", None, said, found, settings.labels)
        without = "{} of tickets get no label, {} before"
        yield _share("no_label", before == 0, now == 0, without, settings)
    if reference.refused is None or current.refused is None:
        yield LeftOut("out_of_scope", None, "the model has not learned what is out of scope")
    else:
        beyond = "{} of tickets are out of scope, {} before"
        yield _share("out_of_scope", reference.refused, current.refused, beyond, settings)


def scores(reference: Window, current: Window, settings: Settings) -> Found:
    """How the scores of each label are spread, and those of "none of these"."""
    for column, name in enumerate(reference.names):
        yield _spread("score", reference.probs[:, column], current.probs[:, column], f"'{name}'", settings, name)
    if reference.none is not None and current.none is not None:
        yield _spread("scope_score", reference.none, current.none, "out of scope", settings)


def texts(reference: Window, current: Window, settings: Settings) -> Found:
    """How long texts are, and whether they are in another script than most were."""
    before, now = reference.texts, current.texts
    if before is None or now is None:
        yield from (LeftOut(kind, None, NO_TEXTS) for kind in ("length", "script"))
        return
    found, cut = shapes(before.lengths.astype(np.float64), now.lengths.astype(np.float64))
    said = (
        f"{percent(found.current)} of tickets are longer than {cut:.0f} characters, {percent(found.reference)} before"
    )
    yield Shift("length", None, said, found, settings.shape, cut)
    scripts, counts = np.unique(before.scripts, return_counts=True)
    usual = str(scripts[counts.argmax()])
    said_other = f"{{}} of tickets are not in {usual} script, {{}} before"
    yield _share("script", before.scripts != usual, now.scripts != usual, said_other, settings)


def meaning(reference: Window, current: Window, settings: Settings) -> Found:
    """Whether an encoder can tell the tickets of one window from those of the other."""
    before, now = reference.meaning, current.meaning
    if before is None or now is None or min(len(before), len(now)) < settings.fewest:
        yield LeftOut("meaning", None, NO_EMBEDDINGS)
        return
    found = told_apart(before.embeddings, now.embeddings, settings)
    said = f"tickets are about other things: newer ones are told from older ones in {percent(found.current)} of pairs"
    yield Shift("meaning", None, f"{said}, 50% would be chance", found, settings.separation)


def unknown_words(reference: Window, current: Window, settings: Settings) -> Found:
    """How many tickets hold words that the encoder does not know."""
    before, now = (None if window.meaning is None else window.meaning.unknown for window in (reference, current))
    if before is None or now is None or min(len(before), len(now)) < settings.fewest:
        yield LeftOut("unknown_words", None, NO_EMBEDDINGS)
    else:
        said = "{} of tickets hold words that the encoder does not know, {} before"
        yield _share("unknown_words", before > 0, now > 0, said, settings)


def calibration(reference: Window, current: Window, settings: Settings) -> Found:
    """Whether scores still mean what they say; where the reference has no labels, whether they do now.

    Where it has some it is the standard: a model that was a little off all along has not drifted.
    """
    now, before = _judged(current), _judged(reference)
    if len(now) < settings.fewest:
        why = f"{len(now):,} tickets of the current window are labelled by people; {settings.fewest:,} are needed"
        yield from (LeftOut(kind, None, why) for kind in ("calibration", "slope"))
        return
    standard = before if len(before) >= settings.fewest else None
    for column, name in enumerate(reference.names):
        yield _bias(name, None if standard is None else standard.of(column), now.of(column), settings)
    old = calibrated.RIGHT if standard is None else calibrated.slope(standard.targets, standard.probs)
    new = calibrated.slope(now.targets, now.probs)
    if old is None or new is None:
        yield LeftOut("slope", None, NEVER_WRONG)
        return
    found = estimates(old, new)
    much = "less" if found.current < found.reference else "more"
    said = f"scores should be {much} sure: the slope is {found.current:.2f}, {found.reference:.2f} before"
    yield Shift("slope", None, said, found, settings.slope)


# Most of the allowance goes to the labels, which are what a desk acts on, and to the embeddings, which alone see what
# the labels do not; scores, lengths and the like mostly move with these.
MEASURES: tuple[tuple[float, Measure], ...] = (
    (4.0, rates),
    (1.0, needs),
    (0.5, scores),
    (0.5, texts),
    (3.0, meaning),
    (0.25, unknown_words),
    (0.75, calibration),
)


@dataclass(frozen=True, slots=True)
class _Judged:
    """Labelled tickets: targets and scores, (tickets, labels)."""

    targets: Targets
    probs: Probs

    def __len__(self) -> int:
        return len(self.targets)

    def of(self, column: int) -> tuple[BoolArray, FloatArray]:
        """Those of one label, each (tickets,)."""
        return self.targets[:, column], self.probs[:, column].astype(np.float64)


def _judged(window: Window) -> _Judged:
    rows = window.labelled
    targets = np.zeros((0, len(window.names)), np.bool_) if window.targets is None else window.targets[rows]
    return _Judged(targets, window.probs[rows])


def _share(
    kind: str, before: BoolArray, now: BoolArray, said: str, settings: Settings, label: str | None = None
) -> Shift | LeftOut:
    """A share of the tickets, each (tickets,); left out where so few have it that no split of them proves anything.

    `said` has places for the share now and for that before.
    """
    if int(before.sum()) + int(now.sum()) < settings.fewest_given:
        return LeftOut(kind, label, f"it holds of fewer than {settings.fewest_given:,} tickets")
    found = shares(before, now)
    whose = "" if label is None else f"'{label}' "  # a label may hold braces
    clause = f"{whose}{said.format(percent(found.current), percent(found.reference))}"
    return Shift(kind, label, clause, found, settings.points)


def _spread(kind: str, before: Probs, now: Probs, of_what: str, settings: Settings, label: str | None = None) -> Shift:
    """How scores are spread, each (tickets,)."""
    found, cut = shapes(before.astype(np.float64), now.astype(np.float64))
    said = f"{percent(found.current)} of tickets score above {cut:.2f} for {of_what}, {percent(found.reference)} before"
    return Shift(kind, label, said, found, settings.shape, cut)


def _bias(
    name: str, before: tuple[BoolArray, FloatArray] | None, now: tuple[BoolArray, FloatArray], settings: Settings
) -> Shift | LeftOut:
    """How far a label's scores are from the truth on the whole."""
    known = [now] if before is None else [now, before]
    if any(min(true.sum(), (~true).sum()) < settings.fewest_labelled for true, _ in known):
        why = f"fewer than {settings.fewest_labelled:,} labelled tickets of a window have it, or are without it"
        return LeftOut("calibration", name, why)
    found = estimates(calibrated.NO_BIAS if before is None else calibrated.bias(*before), calibrated.bias(*now))
    told = [
        f"{percent(true.mean())} of labelled tickets where scores say {percent(probs.mean())}" for true, probs in known
    ]
    return Shift("calibration", name, f"'{name}' is true of {', before of '.join(told)}", found, settings.points)
