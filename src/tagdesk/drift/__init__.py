"""Whether the traffic of now still looks like the traffic that a model was measured on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tagdesk.drift.measures import measured
from tagdesk.drift.settings import Settings
from tagdesk.drift.several import holm
from tagdesk.drift.shift import LeftOut, Shift, State, Verdict
from tagdesk.drift.texts import Texts, read_texts
from tagdesk.drift.visible import visible_rise
from tagdesk.drift.window import Meaning, Window
from tagdesk.errors import InputError

__all__ = ["LeftOut", "Meaning", "Settings", "Shift", "Texts", "Verdict", "Window", "compare", "read_texts", "shortage"]

DEFAULTS = Settings()


def compare(reference: Window, current: Window, settings: Settings = DEFAULTS) -> Verdict:
    """Say whether two windows of one model and policy hold the same kind of traffic.

    Every text counts once in its window: a hundred copies of one mail are one thing that happened, not a hundred. The
    p-values make allowance for the many tests by Holm's method, so that windows of the same traffic are called drifted
    no more often than `settings.false_alarms`; and a change must be as large as `settings` say to be worth an alarm.

    Raises InputError (`mixed_models`) where the windows are of different models, policies or labels.

    >>> generator = np.random.default_rng(0)
    >>> def window(rate: float) -> Window:
    ...     probs = generator.random((500, 2)).astype(np.float32)
    ...     return Window(("Billing", "Access"), probs, probs < [rate, 0.2])
    >>> compare(window(0.1), window(0.3)).sentence
    "Drifted: 'Billing' is given to 33% of tickets, 8% before; and 3 more changes."
    >>> compare(window(0.1), window(0.1)).state
    'steady'
    """
    for what in ("names", "model", "policy"):
        if getattr(reference, what) != getattr(current, what) and min(len(reference), len(current)):
            raise InputError(
                f"The windows differ in {what}: {str(getattr(reference, what))[:200]} and "
                f"{str(getattr(current, what))[:200]}. Score the tickets of both with one model and policy.",
                code="mixed_models",
            )
    tickets = len(reference), len(current)
    if reference.texts is None or current.texts is None:  # then both go by scores to find what is the same
        reference, current = replace(reference, texts=None), replace(current, texts=None)
    reference, current = reference.once(), current.once()
    different = len(reference), len(current)
    lacking = shortage(tickets, different, settings)
    if lacking is not None:
        return lacking
    shifts, left_out = measured(reference, current, settings)
    adjusted = holm(np.array([each.difference.p for each in shifts]), np.array([each.weight for each in shifts]))
    judged = [
        replace(each, adjusted=p, is_proven=p <= settings.false_alarms)
        for each, p in zip(shifts, adjusted.tolist(), strict=True)
    ]
    judged.sort(key=lambda each: (not each.is_drift, each.place if each.is_drift else 0, each.adjusted))
    state: State = "drifted" if judged and judged[0].is_drift else "steady"
    visible = _visible(shifts, different, settings)
    return Verdict(state, tickets, different, settings.fewest, tuple(judged), tuple(left_out), visible)


def shortage(tickets: tuple[int, int], different: tuple[int, int], settings: Settings) -> Verdict | None:
    """The verdict where there are too few tickets for any, before they are scored; None where there are enough.

    Both arguments are of the reference and of the current window: its tickets, and how many different texts they have.
    """
    enough = min(different) >= settings.fewest
    return None if enough else Verdict("too few", tickets, different, settings.fewest)


def _visible(shifts: Sequence[Shift], different: tuple[int, int], settings: Settings) -> float | None:
    """The rise of a label of middling rate that would have been an alarm nine times in ten."""
    rates = [each for each in shifts if each.kind == "label_rate"]
    if not rates:
        return None
    level = settings.false_alarms * rates[0].weight / sum(each.weight for each in shifts)
    middling = float(np.median([each.difference.reference for each in rates]))
    return max(settings.points, visible_rise(middling, *different, level=level))
