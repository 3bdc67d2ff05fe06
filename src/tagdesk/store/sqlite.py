"""A store in one SQLite file."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, create_engine, event

from tagdesk.errors import ArtefactError, TagdeskError, UsageError
from tagdesk.store.database import Database
from tagdesk.store.errors import StoreBusy, StoreUnavailable

SAFE_WAL = (3, 51, 3)  # earlier versions can damage a database in WAL mode
APPLICATION = 0x54444B31  # "TDK1", which SQLite keeps in the file's head

_UNAVAILABLE = {
    "FULL": ("The store has no room left on its device. Make room there.", "disk_full"),
    "IOERR": ("The store's device fails. Look at it.", "lost"),
    "CANTOPEN": ("The store's file cannot be opened. Look whether it is there.", "lost"),
    "NOMEM": ("The store has no memory left.", "lost"),
    "READONLY": ("The store's file cannot be written. Look at its permissions and its device.", "read_only"),
    "PERM": ("The store's file cannot be written. Look at its permissions and its device.", "read_only"),
    "CORRUPT": ("The store's file is damaged. Restore a backup.", "damaged"),
    "NOTADB": ("The store's file is damaged, or was never a store. Restore a backup, or name another.", "damaged"),
}

_WRITERS: dict[Path, threading.Lock] = {}


class Sqlite(Database):
    """A file that one writer at a time writes: threads of a process queue for a lock, processes for SQLite's own."""

    def __init__(self, path: Path, patience: float) -> None:
        self.path = self.file = _made(path)
        self.place = str(path)
        self._patience = patience
        self._writer = _WRITERS.setdefault(self.path, threading.Lock())
        super().__init__(
            create_engine(
                URL.create("sqlite+pysqlite", database=str(self.path)),
                connect_args={"timeout": patience},
                pool_timeout=patience,
                hide_parameters=True,  # an error must not tell what a customer wrote
            )
        )
        self._immediately = self.engine.execution_options(begin="BEGIN IMMEDIATE")
        event.listen(self.engine, "connect", _prepare)
        event.listen(self.engine, "begin", _begin)

    def compact(self) -> None:
        """Write the file anew; nothing of what was deleted is in the new one."""
        with self.naming_faults(), self._alone(), self.engine.connect() as connection:
            bare = connection.execution_options(begin="")
            bare.exec_driver_sql("VACUUM")
            busy, *_ = bare.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
            if busy:
                raise StoreBusy

    def check(self) -> list[str]:
        """What SQLite finds in the file."""
        try:
            with self.read() as connection:
                found = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA integrity_check") if row[0] != "ok"]
                orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        except StoreUnavailable as error:
            if error.reason != "damaged":
                raise
            return [str(error)]
        return found + [f"A row of {row[0]} belongs to a row of {row[2]} that is not there." for row in orphans]

    def backup(self, path: Path, *, force: bool = False) -> None:
        """Copy the file as it is at one moment; who writes meanwhile waits."""
        from tagdesk.dataset.draft import draft  # noqa: PLC0415 - its package is heavier than a service needs

        with draft(path, force=force, inputs=[self.path]) as handle, self.read() as connection:
            os.fchmod(handle.fileno(), 0o600)
            source: Any = connection.connection.driver_connection
            with closing(sqlite3.connect(handle.name)) as copy:
                copy.execute("PRAGMA journal_mode = OFF")  # a broken copy is thrown away
                try:
                    source.backup(copy)
                except sqlite3.OperationalError as error:
                    if error.sqlite_errorname != "SQLITE_FULL":
                        raise
                    raise TagdeskError(
                        f"{path}: no room left on the device. Make room, or name another place.", code="disk_full"
                    ) from error

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._alone(), self._immediately.begin() as connection:
            yield connection

    @contextmanager
    def _migrating(self) -> Iterator[Connection]:
        with self._writing() as connection:
            self._claim(connection)
            yield connection

    def _claim(self, connection: Connection) -> None:
        """Mark a new file as ours; raises ArtefactError for a database of another program."""
        mark = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
        if mark == APPLICATION:
            return
        if mark or connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one():
            raise ArtefactError(
                f"{self.path}: is a database of another program. Name another file, which tagdesk will make.",
                code="not_a_store",
            )
        connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION}")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._writer.acquire(timeout=self._patience):
            raise StoreBusy
        try:
            yield
        finally:
            self._writer.release()

    def _fault(self, error: BaseException | None) -> TagdeskError | None:
        name = str(getattr(error, "sqlite_errorname", "")).removeprefix("SQLITE_").partition("_")[0]
        if name in {"BUSY", "LOCKED", "PROTOCOL"}:
            return StoreBusy()
        if name in _UNAVAILABLE:
            message, reason = _UNAVAILABLE[name]
            return StoreUnavailable(message, reason=reason)
        return None


def _made(path: Path) -> Path:
    """The real file behind `path`; where there is none, an empty one is made that only its owner reads.

    One that is there is not even opened, for closing it would end the locks that this process has on it.
    """
    try:
        real = Path(os.path.realpath(path))
        if not real.exists():
            with suppress(FileExistsError):
                os.close(os.open(real, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        if real.is_file():
            return real
        problem = "it is no plain file"
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or str(error)
    raise UsageError(
        f"{str(path)!r}: the store cannot be opened: {problem}. Name a file that can be written.", code="unwritable"
    )


def _prepare(connection: Any, _record: object) -> None:
    """Set a new connection up."""
    connection.isolation_level = None  # transactions begin as `_begin` says, not as sqlite3 guesses
    journal = "WAL" if sqlite3.sqlite_version_info >= SAFE_WAL else "TRUNCATE"
    for setting in (
        f"journal_mode = {journal}",
        "synchronous = FULL",  # what is committed outlasts a power cut
        "fullfsync = ON",  # on macOS too
        "foreign_keys = ON",
        "secure_delete = ON",  # what is deleted is overwritten
        "trusted_schema = OFF",
    ):
        connection.execute(f"PRAGMA {setting}").fetchall()


def _begin(connection: Connection) -> None:
    statement = connection.get_execution_options().get("begin", "BEGIN")
    if statement:
        connection.exec_driver_sql(statement)
