"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make them."""
    _cases()
    _reviews()
    _decisions()
    _service()


def _cases() -> None:
    op.create_table(
        "answers",
        _counted(),
        _id("caller"),
        _id("key"),
        _id("digest"),
        sa.Column("response", sa.Text()),
        _time("time"),
        sa.UniqueConstraint("caller", "key", name="answers_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("answers_time", "answers", ["time"])
    op.create_table(
        "cases",
        sa.Column("id", sa.String(200), primary_key=True),
        _id("tenant"),
        _time("time"),
        *(sa.Column(name, sa.String(200)) for name in ("ticket", "source", "unit", "variant")),
        sa.Column("text", sa.Text()),
        *(_text(name) for name in ("labels", "scores", "decisions", "flags")),
        sa.Column("out_of_scope", sa.Double()),
        _id("model"),
        _id("policy"),
        sa.Column("answer", _NUMBER, sa.ForeignKey("answers.number", name="cases_answer", ondelete="SET NULL")),
    )
    op.create_index("cases_time", "cases", ["time", "id"])
    op.create_index("cases_tenant", "cases", ["tenant", "time", "id"])
    op.create_index("cases_unit", "cases", ["unit"])
    op.create_index("cases_ticket", "cases", ["ticket"])
    op.create_index("cases_answered", "cases", ["answer"])


def _reviews() -> None:
    op.create_table(
        "reviews",
        _counted(),
        _id("tenant"),
        sa.Column(
            "case_id",
            sa.String(200),
            sa.ForeignKey("cases.id", name="reviews_case", ondelete="CASCADE"),
            nullable=False,
        ),
        _text("labels"),
        _id("reviewer"),
        _time("time"),
        _id("source"),
        sa.Column("key", sa.String(200)),
        _text("note"),
        sa.Column("settles", sa.Boolean(), nullable=False),
        sa.UniqueConstraint("tenant", "key", name="reviews_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("reviews_of_case", "reviews", ["case_id", "number"])


def _decisions() -> None:
    op.create_table(
        "promotions",
        _counted(),
        sa.Column("previous", _NUMBER, nullable=False, unique=True),
        _id("model"),
        _id("policy"),
        _id("kind"),
        _id("who"),
        _time("time"),
        _text("why"),
        sa.Column("verdict", sa.Text()),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "experiments",
        _counted(),
        _id("name"),
        sa.Column("version", _NUMBER, nullable=False),
        _text("definition"),
        _id("who"),
        _time("time"),
        sa.UniqueConstraint("name", "version", name="experiments_version"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "erasures",
        _counted(),
        _id("kind"),
        _id("who"),
        _time("time"),
        *(sa.Column(name, _NUMBER, nullable=False) for name in ("cases", "reviews", "answers")),
        sqlite_autoincrement=True,
    )


def _service() -> None:
    op.create_table(
        "keys",
        sa.Column("name", sa.String(200), primary_key=True),
        _id("tenant"),
        _text("scopes"),
        sa.Column("hash", sa.String(200), nullable=False, unique=True),
        _id("created_by"),
        _time("created"),
        sa.Column("revoked_by", sa.String(200)),
        sa.Column("revoked", sa.BigInteger()),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(200), primary_key=True),
        _id("tenant"),
        _id("state"),
        _id("who"),
        _time("created"),
        _time("updated"),
        *(_text(name) for name in ("details", "counts", "error")),
    )
    op.create_index("jobs_state", "jobs", ["state", "created", "id"])
    op.create_index("jobs_tenant", "jobs", ["tenant", "created", "id"])


def _counted() -> sa.Column[int]:
    return sa.Column("number", _NUMBER, primary_key=True, autoincrement=True)


def _id(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String(200), nullable=False)


def _time(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)
