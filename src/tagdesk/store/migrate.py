"""Brings the tables of an open store to what this version of tagdesk expects, whole or not at all."""

from __future__ import annotations

import threading
from pathlib import Path

from sqlalchemy import Connection, String, column, inspect, select, table

from tagdesk.errors import ArtefactError, MissingExtra
from tagdesk.store.tables import VERSION_TABLE

VERSIONS = ("0001", "0002", "0003")  # the migrations, oldest first
HEAD = VERSIONS[-1]

_ONE_AT_A_TIME = threading.Lock()  # Alembic keeps what it works on in its module
_VERSION = table(VERSION_TABLE, column("version_num", String))


def migrate(connection: Connection) -> None:
    """Take what steps are missing within the open transaction of `connection`, which nobody else may be in.

    Raises ArtefactError where a newer version of tagdesk has been here.
    """
    found = version_of(connection)
    if found != HEAD:
        with _ONE_AT_A_TIME:
            _refuse_newer(found)
            upgrade(connection)


def version_of(connection: Connection) -> str | None:
    """The migration that the tables stand at; None where there are none yet."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(select(_VERSION.c.version_num)).scalar_one_or_none()


def upgrade(connection: Connection, *, to: str = HEAD) -> None:
    """Take the steps up to a migration."""
    try:  # here, for most stores need no migration
        from alembic import command  # noqa: PLC0415
        from alembic.config import Config  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtra("The store", "serve") from error
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    command.upgrade(config, to)


def _refuse_newer(found: str | None) -> None:
    if found is not None and found not in VERSIONS:
        raise ArtefactError(
            f"The store is at version {found!r}, which this tagdesk does not know; it knows up to {HEAD}. "
            "Use the version of tagdesk that wrote it, or a later one.",
            code="newer_store",
        )
