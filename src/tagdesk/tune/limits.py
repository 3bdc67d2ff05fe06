"""When a search ends, and how far it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Limits:
    """When a search ends: after so many trials of the study, whoever did them, or so many seconds from now."""

    trials: int = 60
    seconds: float = 900.0


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a search is.

    Attributes:
        done: trials that have ended.
        trials: that there shall be.
        best: the highest value so far; None before there is one.
        recipe: the name of the recipe that has it.
        seconds_left: until the search ends, as far as one can say.
        reading: texts that an encoder has read, and shall read; None where none reads.
        is_judging: whether no more trials are done, and the best and the default meet the tickets that were kept.
    """

    done: int
    trials: int
    best: float | None
    recipe: str
    seconds_left: float
    reading: tuple[int, int] | None = None
    is_judging: bool = False


Watch: TypeAlias = Callable[[Standing], None]


def unwatched(_standing: Standing) -> None:
    """A search that nobody watches."""
