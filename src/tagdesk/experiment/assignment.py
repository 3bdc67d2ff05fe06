"""Gives each unit its variant, by a hash alone: for good, without a memory, in every process alike."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np

from tagdesk.arrays import IntArray
from tagdesk.errors import UsageError
from tagdesk.experiment.definition import RULE, Experiment, Unit
from tagdesk.experiment.layout import PARTS, owner

_BITS = 32  # of the hash for each of the three questions


class Standing(StrEnum):
    """Whether a unit takes part in an experiment."""

    IN = "takes part"
    HELD_OUT = "held out"
    WAITING = "waits for the ramp"


@dataclass(frozen=True, slots=True)
class Assignment:
    """What an experiment has for a unit; `variant` is None where it does not take part, and gets what is current."""

    unit: str
    standing: Standing
    variant: str | None


def unit_of(experiment: Experiment, customer: str | None, ticket: str) -> str:
    """The unit that a ticket belongs to: its customer where one is known and counts, else the ticket itself.

    >>> from tagdesk.experiment.definition import Variant
    >>> half = Experiment("colder", (Variant("a", 0.5), Variant("b", 0.5)))
    >>> unit_of(half, "c-1", "7"), unit_of(half, None, "7")
    ('customer:c-1', 'ticket:7')
    """
    if experiment.unit is Unit.CUSTOMER and customer:
        return f"customer:{customer}"
    if not ticket:
        raise UsageError(
            "The ticket has neither a customer nor an id. Expected one of them, or nothing would keep its variant; "
            "send an id.",
            code="no_unit",
        )
    return f"ticket:{ticket}"


def assign(experiment: Experiment, unit: str, now: datetime) -> Assignment:
    """What an experiment has for a unit, which is the same always but for the ramp, in which units only ever enter.

    >>> from tagdesk.experiment.definition import Variant
    >>> from datetime import UTC
    >>> half = Experiment("colder", (Variant("a", 0.5), Variant("b", 0.5)))
    >>> assign(half, "customer:c-1", datetime(2026, 5, 1, tzinfo=UTC)).variant
    'a'
    """
    part, held, ramp = (int(number) for number in places(experiment, [unit])[0])
    if held < round(experiment.holdout * PARTS):
        return Assignment(unit, Standing.HELD_OUT, None)
    if ramp >= round(experiment.exposed(now) * PARTS):
        return Assignment(unit, Standing.WAITING, None)
    return Assignment(unit, Standing.IN, owner(experiment.segments, part))


def variants_of(experiment: Experiment, units: Sequence[str]) -> IntArray:
    """The number of each unit's variant, (units,), for those that take part; holdout and ramp are not asked.

    >>> from tagdesk.experiment.definition import Variant
    >>> half = Experiment("colder", (Variant("a", 0.5), Variant("b", 0.5)))
    >>> variants_of(half, ["customer:c-1", "customer:c-4"]).tolist()
    [0, 1]
    """
    ends = [segment.end for segment in experiment.segments]
    numbers = np.array([list(experiment.shares).index(segment.variant) for segment in experiment.segments])
    found: IntArray = numbers[np.searchsorted(ends, places(experiment, units)[:, 0], side="right")]
    return found


def places(experiment: Experiment, units: Sequence[str]) -> IntArray:
    """Three independent numbers below `PARTS` for each unit, (units, 3): of its variant, the holdout, and the ramp.

    They come from 96 bits of BLAKE2b over the experiment's name and salt, and the unit: nothing of the process, the
    machine or the version of Python goes into them.
    """
    named = json.dumps([RULE, experiment.name, experiment.salt]).encode()
    # Hashed first, the names are of one length, so that no other names and unit can come to the same bytes.
    begun = hashlib.blake2b(hashlib.blake2b(named, digest_size=32).digest(), digest_size=3 * _BITS // 8)
    digests = bytearray()
    for unit in units:
        one = begun.copy()
        one.update(unit.encode("utf-8", "surrogatepass"))
        digests += one.digest()
    bits = np.frombuffer(bytes(digests), dtype=">u4").astype(np.uint64).reshape(-1, 3)
    return ((bits * np.uint64(PARTS)) >> np.uint64(_BITS)).astype(np.int64)
