"""The tables as the newest migration leaves them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

from tagdesk.store.limits import LONGEST_ID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

VERSION_TABLE = "tagdesk_version"  # where Alembic notes which migrations were made
DAY = timedelta(days=1) // _MICROSECOND  # in the unit of a `Time` column
NUMBER = BigInteger().with_variant(Integer, "sqlite")  # only so does SQLite count by itself


class Time(TypeDecorator[datetime]):
    """A moment as microseconds since 1970 in UTC: both databases compare and divide it alike, whatever their zone."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """To the database; raises ValueError for a time without a zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("A time without a zone; expected for instance datetime.now(UTC).")
        return (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """From the database, in UTC."""
        return None if value is None else _EPOCH + value * _MICROSECOND


class Json(TypeDecorator[Any]):
    """A document as text, keys in their order and in ASCII, so that both databases hold the same characters."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002
        """To the database; None is no document."""
        return None if value is None else json.dumps(value, allow_nan=False, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002
        """From the database."""
        return None if value is None else json.loads(value)


def _id(name: str, *, nullable: bool = False, primary_key: bool = False) -> Column[str]:
    return Column(name, String(LONGEST_ID), nullable=nullable, primary_key=primary_key)


def _number() -> Column[int]:
    return Column("number", NUMBER, primary_key=True, autoincrement=True)


def _case(name: str) -> Column[str]:
    return Column("case_id", String(LONGEST_ID), ForeignKey("cases.id", name=name, ondelete="CASCADE"), nullable=False)


metadata = MetaData()

answers = Table(
    "answers",
    metadata,
    _number(),
    _id("caller"),
    _id("key"),
    _id("digest"),
    Column("response", Json),  # NULL while somebody works on it
    Column("time", Time, nullable=False),
    UniqueConstraint("caller", "key", name="answers_key"),
    Index("answers_time", "time"),
    sqlite_autoincrement=True,
)

cases = Table(
    "cases",
    metadata,
    _id("id", primary_key=True),
    _id("tenant"),
    Column("time", Time, nullable=False),
    _id("ticket", nullable=True),
    _id("source", nullable=True),
    _id("unit", nullable=True),
    _id("variant", nullable=True),
    Column("text", Text),  # NULL once the retention limit has passed
    Column("labels", Json, nullable=False),
    Column("scores", Json, nullable=False),
    Column("decisions", Json, nullable=False),
    Column("flags", Json, nullable=False),
    Column("out_of_scope", Double),
    _id("model"),
    _id("policy"),
    Column("answer", NUMBER, ForeignKey("answers.number", name="cases_answer", ondelete="SET NULL")),
    Index("cases_time", "time", "id"),
    Index("cases_tenant", "tenant", "time", "id"),
    Index("cases_unit", "unit"),
    Index("cases_ticket", "ticket"),
    Index("cases_variant", "variant", "time", "id"),
    Index("cases_answered", "answer"),
)

reviews = Table(
    "reviews",
    metadata,
    _number(),
    _id("tenant"),
    _case("reviews_case"),
    Column("labels", Json, nullable=False),  # in alphabetical order
    _id("reviewer"),
    Column("time", Time, nullable=False),
    _id("source"),
    _id("key", nullable=True),
    Column("note", Text, nullable=False),
    Column("settles", Boolean, nullable=False),
    UniqueConstraint("tenant", "key", name="reviews_key"),
    Index("reviews_of_case", "case_id", "number"),
    sqlite_autoincrement=True,
)

outcomes = Table(
    "outcomes",
    metadata,
    _number(),
    _id("tenant"),
    _case("outcomes_case"),
    _id("name"),
    Column("value", Double, nullable=False),
    Column("time", Time, nullable=False),
    _id("key", nullable=True),
    UniqueConstraint("tenant", "key", name="outcomes_key"),
    Index("outcomes_of_case", "case_id", "number"),
    sqlite_autoincrement=True,
)

shadows = Table(
    "shadows",
    metadata,
    _number(),
    _case("shadows_case"),
    _id("variant"),
    Column("time", Time, nullable=False),
    Column("labels", Json, nullable=False),
    Column("scores", Json, nullable=False),
    Column("decisions", Json, nullable=False),
    Column("flags", Json, nullable=False),
    Column("out_of_scope", Double),
    _id("model"),
    _id("policy"),
    UniqueConstraint("case_id", "variant", name="shadows_of_case"),
    Index("shadows_variant", "variant", "number"),
    sqlite_autoincrement=True,
)

picks = Table(
    "picks",
    metadata,
    _number(),
    _case("picks_case"),
    Column("time", Time, nullable=False),
    Column("reason", Text, nullable=False),
    Column("probability", Double, nullable=False),
    Column("is_audit", Boolean, nullable=False),
    UniqueConstraint("case_id", name="picks_of_case"),
    sqlite_autoincrement=True,
)

promotions = Table(
    "promotions",
    metadata,
    _number(),
    Column("previous", NUMBER, nullable=False, unique=True),  # each has one successor; the first follows 0
    _id("model"),
    _id("policy"),
    _id("kind"),
    _id("who"),
    Column("time", Time, nullable=False),
    Column("why", Text, nullable=False),
    Column("verdict", Json),
    sqlite_autoincrement=True,
)

models = Table(
    "models",
    metadata,
    _id("id", primary_key=True),
    _id("kind"),
    _id("taxonomy"),
    Column("seen", Time, nullable=False),
    Column("origin", Json, nullable=False),
)

experiments = Table(
    "experiments",
    metadata,
    _number(),
    _id("name"),
    Column("version", NUMBER, nullable=False),
    Column("definition", Json, nullable=False),
    _id("who"),
    Column("time", Time, nullable=False),
    UniqueConstraint("name", "version", name="experiments_version"),
    sqlite_autoincrement=True,
)

keys = Table(
    "keys",
    metadata,
    _id("name", primary_key=True),
    _id("tenant"),
    Column("scopes", Json, nullable=False),
    Column("hash", String(LONGEST_ID), nullable=False, unique=True),
    _id("created_by"),
    Column("created", Time, nullable=False),
    _id("revoked_by", nullable=True),
    Column("revoked", Time),
)

jobs = Table(
    "jobs",
    metadata,
    _id("id", primary_key=True),
    _id("tenant"),
    _id("state"),
    _id("who"),
    Column("created", Time, nullable=False),
    Column("updated", Time, nullable=False),
    Column("details", Json, nullable=False),
    Column("counts", Json, nullable=False),
    Column("error", Text, nullable=False),
    Index("jobs_state", "state", "created", "id"),
    Index("jobs_tenant", "tenant", "created", "id"),
)

erasures = Table(
    "erasures",
    metadata,
    _number(),
    _id("kind"),
    _id("who"),
    Column("time", Time, nullable=False),
    Column("cases", NUMBER, nullable=False),
    Column("reviews", NUMBER, nullable=False),
    Column("answers", NUMBER, nullable=False),
    sqlite_autoincrement=True,
)
