"""An open database: transactions to read and to write in, and its faults by our names."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from tagdesk.errors import TagdeskError
from tagdesk.store.errors import StoreBusy, no_store
from tagdesk.store.migrate import HEAD, migrate, version_of


class Database(ABC):
    """What the parts of a store need of SQLite and PostgreSQL.

    Where a transaction cannot be had, or not be committed, `read` and `write` raise StoreUnavailable or StoreBusy; what
    was written is kept if, and only if, the block of `write` ends without an error.
    """

    file: Path | None = None  # that holds all of it
    place = "the database"  # in words, without a password

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._driver_error: type[Exception] = engine.dialect.loaded_dbapi.Error

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction to read in; short, for on SQLite a writer waits for it."""
        with self.naming_faults(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction to write in, committed when the block ends well."""
        with self.naming_faults(), self._writing() as connection:
            yield connection

    @contextmanager
    def naming_faults(self) -> Iterator[None]:
        """Raise our own errors for what a database says of its state; what is a mistake in tagdesk passes unchanged."""
        try:
            yield
        except NoConnectionFree as error:
            raise StoreBusy from error
        except (DBAPIError, self._driver_error) as error:
            fault = self._fault(getattr(error, "orig", error))
            if fault is None:
                raise
            raise fault from error
        except StatementError as error:  # a value of ours that is none, before the database has seen it
            raise (error.orig or error) from error

    def migrate(self) -> None:
        """Bring the tables to this version of tagdesk, one process at a time; nobody waits where they are there."""
        if self.version() == HEAD:
            return
        with self.naming_faults(), self._migrating() as connection:
            migrate(connection)

    def version(self) -> str | None:
        """The migration that the tables stand at; None where there are none."""
        with self.read() as connection:
            return version_of(connection)

    def refuse_nothing(self) -> None:
        """Raise UsageError (`no_store`) where nobody has made the tables yet."""
        if self.version() is None:
            raise no_store(self.place)

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()

    def insert_new(self, table: Table) -> Any:
        """An insert that does nothing where a row with the same unique values is there."""
        dialect = sqlite if self.engine.dialect.name == "sqlite" else postgresql
        return dialect.insert(table).on_conflict_do_nothing()

    @abstractmethod
    def compact(self) -> None:
        """Let no byte of deleted rows stay in the database's files, as far as the database can."""

    @abstractmethod
    def check(self) -> list[str]:
        """What is wrong with the database, a sentence each; empty where it is sound."""

    @abstractmethod
    def backup(self, path: Path, *, force: bool = False) -> None:
        """Copy the database into a file while others go on."""

    @abstractmethod
    def _writing(self) -> AbstractContextManager[Connection]:
        """A transaction to write in."""

    @abstractmethod
    def _migrating(self) -> AbstractContextManager[Connection]:
        """A transaction to migrate in, which one process at a time has."""

    @abstractmethod
    def _fault(self, error: BaseException | None) -> TagdeskError | None:
        """What a driver's error means, where it tells of the database's state."""
