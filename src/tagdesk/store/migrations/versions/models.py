"""The models that were found."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make their table."""
    op.create_table(
        "models",
        sa.Column("id", sa.String(200), primary_key=True),
        sa.Column("kind", sa.String(200), nullable=False),
        sa.Column("taxonomy", sa.String(200), nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
    )
