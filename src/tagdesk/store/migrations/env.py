"""What Alembic runs to migrate on the connection, and in the transaction, that `migrate` hands it."""

from __future__ import annotations

from typing import Any

from alembic import context

from tagdesk.store.failpoints import reach
from tagdesk.store.tables import VERSION_TABLE, metadata


def migrate() -> None:
    """Take all steps that are asked for, in the one transaction that is open."""
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=metadata,
        version_table=VERSION_TABLE,
        on_version_apply=_between_steps,
    )
    context.run_migrations()


def _between_steps(*_: Any, **__: Any) -> None:
    reach("migration_mid")


if not __name__.startswith("tagdesk."):  # Alembic loads this file by its path; as a module it is only read
    migrate()
