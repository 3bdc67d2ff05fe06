"""What comes of answers besides reviews, what a shadow said, and who was picked to be looked at."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make their tables, and let the cases of an experiment be found."""
    op.create_table(
        "outcomes",
        sa.Column("number", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("tenant", sa.String(200), nullable=False),
        _case("outcomes_case"),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.String(200)),
        sa.UniqueConstraint("tenant", "key", name="outcomes_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("outcomes_of_case", "outcomes", ["case_id", "number"])
    op.create_table(
        "shadows",
        sa.Column("number", NUMBER, primary_key=True, autoincrement=True),
        _case("shadows_case"),
        sa.Column("variant", sa.String(200), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("scores", sa.Text(), nullable=False),
        sa.Column("decisions", sa.Text(), nullable=False),
        sa.Column("flags", sa.Text(), nullable=False),
        sa.Column("out_of_scope", sa.Double()),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("policy", sa.String(200), nullable=False),
        sa.UniqueConstraint("case_id", "variant", name="shadows_of_case"),
        sqlite_autoincrement=True,
    )
    op.create_index("shadows_variant", "shadows", ["variant", "number"])
    op.create_table(
        "picks",
        sa.Column("number", NUMBER, primary_key=True, autoincrement=True),
        _case("picks_case"),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("probability", sa.Double(), nullable=False),
        sa.Column("is_audit", sa.Boolean(), nullable=False),
        sa.UniqueConstraint("case_id", name="picks_of_case"),
        sqlite_autoincrement=True,
    )
    op.create_index("cases_variant", "cases", ["variant", "time", "id"])


def _case(name: str) -> sa.Column[str]:
    reference = sa.ForeignKey("cases.id", name=name, ondelete="CASCADE")
    return sa.Column("case_id", sa.String(200), reference, nullable=False)
