"""The figures of a comparison of two windows as people read them."""

from __future__ import annotations

from tagdesk.drift.shift import Shift, Verdict

HEAD = ("what", "before", "now", "change", "95 % interval", "p, adjusted", "verdict")
_POINTS = " points"


def rows(verdict: Verdict) -> list[tuple[str, ...]]:
    """What was tested, under `HEAD`, a row each."""
    return [
        (
            shift.what,
            _figure(shift, shift.difference.reference),
            _figure(shift, shift.difference.current),
            _change(shift, shift.difference.effect),
            _interval(shift),
            _p(shift.adjusted),
            shift.verdict,
        )
        for shift in verdict.shifts
    ]


def left_out(verdict: Verdict) -> dict[str, list[str]]:
    """What was not tested, by the reason."""
    found: dict[str, list[str]] = {}
    for each in verdict.left_out:
        found.setdefault(each.why, []).append(each.what)
    return found


def sizes(verdict: Verdict) -> str:
    """How many tickets there were in both windows, and how many of them were counted."""
    before, now = (
        f"{tickets:,} tickets" + (f" ({different:,} different texts)" if different < tickets else "")
        for tickets, different in zip(verdict.tickets, verdict.different, strict=True)
    )
    return f"Before: {before}. Now: {now}."


def percent(share: float) -> str:
    """A share as people say it; .996 is not yet all.

    >>> percent(0.19), percent(0.004)
    ('19%', '0.4%')
    """
    return f"{share:.1%}" if 0 < share < 0.01 or 0.99 < share < 1 else f"{share:.0%}"


def _figure(shift: Shift, value: float) -> str:
    """A figure as people read it."""
    if shift.kind == "calibration":
        return _change(shift, value)  # how far scores are from the truth
    return f"{100 * value:.1f}%" if shift.is_share else f"{value:.2f}"


def _change(shift: Shift, value: float) -> str:
    return f"{100 * value:+.1f}{_POINTS}" if shift.is_share else f"{value:+.2f}"


def _interval(shift: Shift) -> str:
    return f"{_change(shift, shift.difference.low).removesuffix(_POINTS)} to {_change(shift, shift.difference.high)}"


def _p(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"
