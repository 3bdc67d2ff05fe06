"""What a comparison of two windows found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from tagdesk.drift.difference import Difference

State: TypeAlias = Literal["drifted", "steady", "too few"]

_UNITS: Mapping[str, str] = {"labels_per_ticket": "", "slope": ""}  # all others are shares


@dataclass(frozen=True, slots=True)
class Shift:
    """One thing that was tested, with the verdict on it.

    Attributes:
        kind: a stable word for programs, such as `label_rate`.
        label: the label that it is about; None where it is about all.
        said: what was found, as a clause; it holds the label's name as it is.
        difference: the figures; its p-value is that of this test alone.
        smallest: the smallest change that is worth an alarm.
        above: for spreads, the score or length above which the figures count tickets; None for all others.
        weight: how much of the allowance for false alarms this test may spend, in proportion to the others.
        adjusted: the p-value with allowance for the other tests.
        is_proven: whether chance alone is too unlikely, allowance made.
    """

    kind: str
    label: str | None
    said: str
    difference: Difference
    smallest: float
    above: float | None = None
    weight: float = 1.0
    adjusted: float = 1.0
    is_proven: bool = False

    @property
    def is_drift(self) -> bool:
        """Whether the change is proven and large enough to matter."""
        return self.is_proven and abs(self.difference.effect) >= self.smallest

    @property
    def verdict(self) -> str:
        """`drifted`, `too small to matter`, or `steady`."""
        return "drifted" if self.is_drift else "too small to matter" if self.is_proven else "steady"

    @property
    def what(self) -> str:
        """What was tested, in words."""
        return _named(self.kind, self.label) + ("" if self.above is None else f" above {self.above:.3g}")

    @property
    def place(self) -> int:
        """Where its kind stands among all."""
        return list(_WORDS).index(self.kind)

    @property
    def is_share(self) -> bool:
        """Whether the figures are shares, which people read as per cents."""
        return self.kind not in _UNITS

    def to_dict(self) -> dict[str, Any]:
        """The shift as JSON holds it."""
        figures = self.difference
        return {
            "kind": self.kind,
            "label": self.label,
            "said": self.said,
            "above": self.above,
            "reference": round(figures.reference, 6),
            "current": round(figures.current, 6),
            "effect": round(figures.effect, 6),
            "interval": [round(figures.low, 6), round(figures.high, 6)],
            "p": figures.p,
            "p_adjusted": self.adjusted,
            "smallest": self.smallest,
            "verdict": self.verdict,
        }


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that was not tested, and why."""

    kind: str
    label: str | None
    why: str

    @property
    def what(self) -> str:
        """What was not tested, in words."""
        return _named(self.kind, self.label)

    def to_dict(self) -> dict[str, Any]:
        """The omission as JSON holds it."""
        return {"kind": self.kind, "label": self.label, "why": self.why}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the traffic of now looks like that of before.

    Attributes:
        state: `drifted`, `steady`, or `too few` tickets to say.
        tickets: in the reference and in the current window.
        different: those of them that were counted: of each text one.
        fewest: how many different tickets a side needs.
        shifts: what was tested: drifted first, then by p-value; empty where there are too few tickets.
        left_out: what was not.
        visible: the smallest rise of a label's rate that would be proven nine times in ten, for a label of middling
            rate; None where there is no verdict.
    """

    state: State
    tickets: tuple[int, int]
    different: tuple[int, int]
    fewest: int
    shifts: tuple[Shift, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    visible: float | None = None

    @property
    def drifted(self) -> tuple[Shift, ...]:
        """What drifted."""
        return tuple(shift for shift in self.shifts if shift.is_drift)

    @property
    def sentence(self) -> str:
        """The verdict in one sentence; names of labels stand in it as they are."""
        if self.state == "too few":
            lacks = [
                f"{where} has {count:,}"
                for where, count in zip(("the reference", "the current window"), self.different, strict=True)
                if count < self.fewest
            ]
            missing = max(self.fewest - count for count in self.different)
            return (
                f"No verdict: {self.fewest:,} different tickets a side are needed, and {' and '.join(lacks)}; "
                f"{missing:,} {'is' if missing == 1 else 'are'} missing."
            )
        if self.state == "steady":
            seen = (
                ""
                if self.visible is None
                else (f"; a change of about {100 * self.visible:.0f} points in a label's rate would have been seen")
            )
            return f"No sign of drift in {self.different[1]:,} tickets{seen}."
        first, *more = self.drifted
        rest = f"; and {len(more)} more {'change' if len(more) == 1 else 'changes'}" if more else ""
        return f"Drifted: {first.said}{rest}."

    def to_dict(self) -> dict[str, Any]:
        """The verdict as JSON holds it."""
        return {
            "verdict": self.state,
            "sentence": self.sentence,
            "tickets": dict(zip(("reference", "current"), self.tickets, strict=True)),
            "different_tickets": dict(zip(("reference", "current"), self.different, strict=True)),
            "fewest": self.fewest,
            "visible_change": None if self.visible is None else round(self.visible, 4),
            "shifts": [shift.to_dict() for shift in self.shifts],
            "left_out": [left.to_dict() for left in self.left_out],
        }


def _named(kind: str, label: str | None) -> str:
    return f"{_WORDS[kind]} '{label}'" if label is not None else _WORDS[kind].removesuffix(" of")


_WORDS: Mapping[str, str] = {  # a desk notices the first ones first
    "label_rate": "rate of",
    "labels_per_ticket": "labels per ticket",
    "no_label": "tickets without a label",
    "out_of_scope": "tickets out of scope",
    "meaning": "what tickets are about",
    "script": "script of texts",
    "length": "length of texts",
    "unknown_words": "words that the encoder does not know",
    "calibration": "truth of scores of",
    "slope": "sureness of scores",
    "score": "scores of",
    "scope_score": "scores of being out of scope",
}
