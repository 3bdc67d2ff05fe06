"""Which cases are meant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, true

from tagdesk.store.limits import check_id
from tagdesk.store.tables import cases


@dataclass(frozen=True, slots=True)
class Selection:
    """The cases of a tenant, or of all where that is None; from `since` on, and before `until`.

    >>> Selection("shop", unit="c-1").tenant
    'shop'
    """

    tenant: str | None
    since: datetime | None = None
    until: datetime | None = None
    unit: str | None = None
    ticket: str | None = None
    case: str | None = None
    variant: str | None = None

    def __post_init__(self) -> None:
        check_id("tenant", self.tenant)
        check_id("unit, ticket, case or variant", self.unit, self.ticket, self.case, self.variant)

    def clause(self) -> ColumnElement[bool]:
        """The condition on `cases`."""
        equal = {
            cases.c.tenant: self.tenant,
            cases.c.unit: self.unit,
            cases.c.ticket: self.ticket,
            cases.c.id: self.case,
            cases.c.variant: self.variant,
        }
        return and_(
            true(),
            *(column == value for column, value in equal.items() if value is not None),
            *([] if self.since is None else [cases.c.time >= self.since]),
            *([] if self.until is None else [cases.c.time < self.until]),
        )
