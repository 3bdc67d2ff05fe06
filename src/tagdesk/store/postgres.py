"""A store on a PostgreSQL server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, inspect, select

from tagdesk.errors import MissingExtra, TagdeskError, UsageError
from tagdesk.store.database import Database
from tagdesk.store.errors import StoreBusy, StoreUnavailable
from tagdesk.store.tables import metadata

_MIGRATION = 0x7461676465736B  # "tagdesk", by which processes agree on who migrates
_BUSY = {"40001", "40P01", "53300", "55P03", "57014"}  # serialization, deadlock, connections, lock, cancelled
_UNAVAILABLE = {"08", "28", "3D", "53", "57", "58"}  # classes: connection, access, name, room, operator, system


class Postgres(Database):
    """A database of its own on a server, which several processes on several machines may share."""

    def __init__(self, url: URL, patience: float) -> None:
        try:
            engine = create_engine(
                url.set(drivername="postgresql+psycopg"),
                connect_args={"connect_timeout": max(2, round(patience)), "client_encoding": "utf8"},
                pool_size=10,
                pool_timeout=patience,
                pool_pre_ping=True,  # a server that was restarted is found again
                hide_parameters=True,  # an error must not tell what a customer wrote
            )
            _check_options(engine)
        except ImportError as error:
            raise MissingExtra("PostgreSQL", "postgres") from error
        super().__init__(engine)
        event.listen(engine, "connect", _Settings(patience))

    def compact(self) -> None:
        """Let the server reuse the room of deleted rows; its own log and backups are beyond reach."""
        with self.naming_faults(), self.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM cases, reviews, answers")

    def check(self) -> list[str]:
        """Whether each table can be read; the rest is for the server's own tools."""
        found = []
        with self.read() as connection:
            there = set(inspect(connection).get_table_names())
        for table in (one for one in metadata.sorted_tables if one.name in there):  # an older store has fewer
            try:
                with self.read() as connection:
                    connection.execute(select(func.count()).select_from(table)).scalar_one()
            except StoreUnavailable as error:
                if error.reason != "damaged":
                    raise
                found.append(f"{table.name}: {error}")
        return found

    def backup(self, path: Path, *, force: bool = False) -> None:  # noqa: ARG002 - as SQLite's
        """Refuse, for the server has a better tool."""
        raise UsageError("A store on PostgreSQL is backed up by its own tool: pg_dump --format=custom.", code="pg_dump")

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self.engine.begin() as connection:
            yield connection

    @contextmanager
    def _migrating(self) -> Iterator[Connection]:
        with self._writing() as connection:
            encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
            if encoding != "UTF8":
                raise UsageError(
                    f"The database has the encoding {encoding}, expected UTF8. Make one by: createdb --encoding=UTF8",
                    code="bad_encoding",
                )
            connection.exec_driver_sql("SET LOCAL lock_timeout = '60s'")  # whoever migrates may take longer
            connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION)))
            yield connection

    def _fault(self, error: BaseException | None) -> TagdeskError | None:
        state = getattr(error, "sqlstate", None)
        if state in _BUSY:
            return StoreBusy()
        if state == "53100":
            return StoreUnavailable("The store has no room left on its server. Make room there.", reason="disk_full")
        if state == "25006":
            return StoreUnavailable("The store's server takes no writes at the moment.", reason="read_only")
        if state in {"XX001", "XX002"}:
            return StoreUnavailable("The store is damaged. Restore a backup.", reason="damaged")
        if state == "25P03" or (state or "")[:2] in _UNAVAILABLE or (state is None and _is_of_connection(error)):
            return StoreUnavailable("The store's server does not answer. Look whether it runs, and lets tagdesk in.")
        return None


class _Settings:
    """What each new connection is told."""

    def __init__(self, patience: float) -> None:
        self.statements = (
            f"SET lock_timeout = {round(patience * 1000)}",  # milliseconds
            "SET synchronous_commit = on",  # what is committed outlasts a power cut
        )

    def __call__(self, connection: Any, _record: object) -> None:
        for statement in self.statements:
            connection.execute(statement)
        connection.commit()


def _check_options(engine: Engine) -> None:
    """Raise UsageError for an option that PostgreSQL's own library does not know; nothing is connected yet."""
    from psycopg import ProgrammingError  # noqa: PLC0415 - the [postgres] extra
    from psycopg.conninfo import make_conninfo  # noqa: PLC0415

    _, options = engine.dialect.create_connect_args(engine.url)
    try:
        make_conninfo(**{name: str(value) for name, value in options.items() if isinstance(value, str | int)})
    except ProgrammingError as error:
        raise UsageError("The store's URL holds an option that PostgreSQL does not know.", code="bad_url") from error


def _is_of_connection(error: BaseException | None) -> bool:
    """Whether the driver itself tells of a connection that is lost, or never was."""
    return any(kind.__name__ in {"OperationalError", "InterfaceError"} for kind in type(error).__mro__)
