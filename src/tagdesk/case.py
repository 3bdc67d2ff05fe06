"""A case: what was predicted for one ticket, as the desk logged it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tagdesk.prediction import Prediction

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Case:
    """A prediction, for whom and when.

    `tenant` owns the case; nobody else sees it. The text of `prediction` is the one to keep: the caller has removed
    personal data from it, and it is empty once the retention limit has passed. `ticket` and `source` name the ticket in
    the help desk that it came from, `unit` the customer, `variant` the arm of an experiment that answered.

    >>> from tagdesk.prediction import Decision
    >>> said = Prediction("hi", ("A",), {"A": 0.9}, {"A": Decision.SUGGEST}, "m", "p")
    >>> Case("7", "shop", datetime(2026, 5, 1, tzinfo=UTC), said, unit="c-1").has_text
    True
    """

    id: str
    tenant: str
    time: datetime
    prediction: Prediction
    ticket: str | None = None
    source: str | None = None
    unit: str | None = None
    variant: str | None = None

    @property
    def has_text(self) -> bool:
        """Whether the text is still kept."""
        return bool(self.prediction.text)

    def to_dict(self) -> dict[str, Any]:
        """The case as JSON holds it."""
        return {
            "id": self.id,
            "tenant": self.tenant,
            "time": self.time.isoformat(),
            "ticket": self.ticket,
            "source": self.source,
            "unit": self.unit,
            "variant": self.variant,
            **self.prediction.to_dict(),
        }


def sortable_id(now: datetime, chance: bytes) -> str:
    """A UUID of version 7: ids of later milliseconds sort after those of earlier ones; `chance` is 10 random bytes.

    >>> sortable_id(datetime(2026, 5, 1, tzinfo=UTC), bytes(10))
    '019de0d5-c800-7000-8000-000000000000'
    """
    if len(chance) != 10:
        raise ValueError(f"{len(chance)} random bytes; expected 10.")
    milliseconds = (now - _EPOCH) // timedelta(milliseconds=1)
    bits = milliseconds << 80 | int.from_bytes(chance)
    return str(uuid.UUID(int=bits & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62))
