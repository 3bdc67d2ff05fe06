"""What was claimed, what the bar is, what was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Claim:
    """A claim with the figure that was found; `about` holds what else is worth knowing of it."""

    claim: str
    bar: str
    figure: str
    holds: bool
    about: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The claim as JSON holds it."""
        return asdict(self)


def none_of(claim: str, wrong: int, of: int, about: Mapping[str, Any] | None = None, *, least: int = 1) -> Claim:
    """A claim that nothing of so much went wrong; where less than `least` was tried, nothing is proven.

    >>> none_of("lost reviews", 0, 10).figure
    '0 of 10'
    """
    return Claim(claim, "0", f"{wrong:,} of {of:,}", wrong == 0 and of >= least, about or {})


def at_most(claim: str, value: float, bar: float, unit: str, about: Mapping[str, Any] | None = None) -> Claim:
    """A claim that a figure stays below a bar.

    >>> at_most("p99", 0.5, 2, "s").bar
    '<= 2 s'
    """
    return Claim(claim, f"<= {bar:g} {unit}", f"{value:.4g} {unit}", value <= bar, about or {})


def at_least(claim: str, value: float, bar: float, unit: str, about: Mapping[str, Any] | None = None) -> Claim:
    """A claim that a figure reaches a bar.

    >>> at_least("goodput", 95, 90, "%").holds
    True
    """
    return Claim(claim, f">= {bar:g} {unit}", f"{value:.4g} {unit}", value >= bar, about or {})
