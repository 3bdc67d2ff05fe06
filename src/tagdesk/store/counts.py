"""How many cases each day had, and which labels they got."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import JSON, BigInteger, ColumnElement, cast, exists, func, select, true, type_coerce

from tagdesk.store.database import Database
from tagdesk.store.selection import Selection
from tagdesk.store.tables import DAY, cases, reviews

_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class DayCount:
    """What a day brought, in UTC: cases, those without a label, those that somebody has reviewed, and each label's."""

    day: date
    cases: int
    without_label: int
    reviewed: int
    labels: Mapping[str, int]


def day_counts(database: Database, which: Selection) -> list[DayCount]:
    """One count for each day that has cases, oldest first."""
    day = (type_coerce(cases.c.time, BigInteger) // DAY).label("day")
    text = type_coerce(cases.c.labels, cases.c.text.type)
    is_reviewed = exists().where(reviews.c.case_id == cases.c.id)
    totals = select(day, func.count(), _number_of(text == "[]"), _number_of(is_reviewed))
    label = _labels_of(database, text)
    each = select(day, label.c.value, func.count()).select_from(cases.join(label, true()))
    by_label: defaultdict[int, dict[str, int]] = defaultdict(dict)
    with database.read() as connection:
        for number, name, count in connection.execute(
            each.where(which.clause()).group_by(day, label.c.value).order_by(day, label.c.value)
        ):
            by_label[number][name] = count
        rows = connection.execute(totals.where(which.clause()).group_by(day).order_by(day)).all()
    return [
        DayCount(_EPOCH + timedelta(days=number), count, without, reviewed, by_label[number])
        for number, count, without, reviewed in rows
    ]


def _number_of(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.count().filter(condition)


def _labels_of(database: Database, text: ColumnElement[str]) -> Any:
    """A row for each label of a case."""
    if database.engine.dialect.name == "sqlite":
        return func.json_each(text).table_valued("value", name="label")
    return func.json_array_elements_text(cast(text, JSON)).table_valued("value", name="label")
