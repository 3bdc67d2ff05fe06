"""The gate to what the desk remembers: cases, reviews, promotions, in one SQLite file or on a PostgreSQL server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tagdesk.errors import MissingExtra, UsageError

try:
    from sqlalchemy import make_url, select
    from sqlalchemy.exc import ArgumentError
except ImportError as error:
    raise MissingExtra("The store", "serve") from error

from tagdesk.store.answers import Answer, Answers, Request
from tagdesk.store.cases import Cases, Cursor
from tagdesk.store.counts import DayCount, day_counts
from tagdesk.store.database import Database
from tagdesk.store.erasure import Erasure, Reach, erase, erasures_of, retain
from tagdesk.store.errors import Conflict, NotFound, StoreBusy, StoreUnavailable, no_store
from tagdesk.store.experiments import Experiments, ExperimentVersion
from tagdesk.store.export import EVERYTHING, export, write_export
from tagdesk.store.inspection import Inspection, inspect
from tagdesk.store.jobs import Job, Jobs, State
from tagdesk.store.keys import Key, Keys
from tagdesk.store.models import FoundModel, FoundModels
from tagdesk.store.outcomes import Outcomes
from tagdesk.store.picks import Picked, Picks
from tagdesk.store.postgres import Postgres
from tagdesk.store.promotions import Decided, Kind, Promotion, Promotions
from tagdesk.store.reviews import Receipt, Reviewed, Reviews
from tagdesk.store.selection import Selection
from tagdesk.store.shadows import Shadow, Shadows
from tagdesk.store.sqlite import Sqlite

__all__ = [
    "FILE",
    "Answer",
    "Conflict",
    "Cursor",
    "DayCount",
    "Decided",
    "Erasure",
    "ExperimentVersion",
    "FoundModel",
    "Inspection",
    "Job",
    "Key",
    "Kind",
    "NotFound",
    "Picked",
    "Promotion",
    "Reach",
    "Receipt",
    "Request",
    "Reviewed",
    "Selection",
    "Shadow",
    "State",
    "Store",
    "StoreBusy",
    "StoreUnavailable",
]

FILE = "tagdesk.db"
PATIENCE = 5.0  # seconds


class Store:
    """What the desk remembers; safe to use from several threads, and from several processes at once.

    Facts are added and never changed, but for the state of jobs. Whatever a method that writes returns from is on the
    disk. All methods raise StoreBusy or StoreUnavailable where the database cannot answer at the moment.

    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> with Store.open(Path(folder.name) / FILE) as store:
    ...     store.promotions.current() is None
    True
    >>> folder.cleanup()
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.cases = Cases(database)
        self.reviews = Reviews(database)
        self.promotions = Promotions(database)
        self.experiments = Experiments(database)
        self.outcomes = Outcomes(database)
        self.picks = Picks(database)
        self.shadows = Shadows(database)
        self.keys = Keys(database)
        self.answers = Answers(database)
        self.jobs = Jobs(database)
        self.models = FoundModels(database)

    @classmethod
    def open(cls, url: str | Path | None = None, *, patience: float = PATIENCE, make: bool = True) -> Self:
        """Open a store, make it where there is none, and bring an older one up to this version.

        Args:
            url: a file, or postgresql://user:password@host/database; without one `tagdesk.db` here.
            patience: how long to wait for others to let go, in seconds.
            make: whether to make it where there is none.

        Raises:
            UsageError: where the place makes no sense or cannot be written; where there is none to open (`no_store`).
            ArtefactError: where a newer tagdesk has written it (`newer_store`), or another program (`not_a_store`).
            MissingExtra: where PostgreSQL is asked for and its driver is not installed.
        """
        store = cls(_database(url, patience, make=make))
        try:
            if not make:
                store._database.refuse_nothing()
            store._database.migrate()
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def inspect(cls, url: str | Path | None = None, *, patience: float = PATIENCE) -> Inspection:
        """What state a store is in, without bringing it up to this version; raises as `open` with `make=False`."""
        database = _database(url, patience, make=False)
        try:
            database.refuse_nothing()
            return inspect(database)
        finally:
            database.close()

    @property
    def file(self) -> Path | None:
        """The file that holds it; None on a server."""
        return self._database.file

    def close(self) -> None:
        """Give all connections back."""
        self._database.close()

    def ping(self) -> None:
        """Ask the database for a sign of life."""
        with self._database.read() as connection:
            connection.execute(select(1)).scalar_one()

    def check(self) -> list[str]:
        """What is wrong with the database, a sentence each; empty where it is sound."""
        return self._database.check()

    def backup(self, path: Path, *, force: bool = False) -> None:
        """Copy the store into one file while others go on; on PostgreSQL raises UsageError that names pg_dump."""
        self._database.backup(path, force=force)

    def erase(self, which: Selection, *, who: str, now: datetime) -> Erasure:
        """Delete the cases of one customer, ticket or id, and what derives from them; see `erasure.erase`."""
        return erase(self._database, which, who=who, now=now)

    def retain(self, days: int, *, who: str, now: datetime) -> Erasure | None:
        """Forget texts, customers and answers older than so many days; see `erasure.retain`."""
        return retain(self._database, days, who=who, now=now)

    def erasures(self) -> list[Erasure]:
        """All erasures, oldest first."""
        return erasures_of(self._database)

    def counts(self, which: Selection) -> list[DayCount]:
        """One count for each day that has cases, oldest first."""
        return day_counts(self._database, which)

    def export(self, which: Selection = EVERYTHING) -> Iterator[dict[str, Any]]:
        """What the store knows, as JSON holds it; see `export.export`."""
        return export(self._database, which)

    def write_export(self, path: Path, which: Selection = EVERYTHING, *, force: bool = False) -> int:
        """Write what `export` gives as JSON lines, whole or not at all; give the number of lines."""
        return write_export(self._database, path, which, force=force)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _database(url: str | Path | None, patience: float, *, make: bool = True) -> Database:
    place = FILE if url is None else str(url)
    scheme, is_url, _ = place.partition("://")
    if not is_url:
        if not place:
            raise UsageError("The store's place is empty; expected a file, or postgresql://...", code="bad_url")
        if not make and not Path(place).exists():
            raise no_store(place)
        return Sqlite(Path(place), patience)
    if scheme not in {"postgresql", "postgres"}:
        raise UsageError(
            f"A store of the kind {scheme[:40]!r} is unknown; expected a file, or postgresql://...", code="bad_url"
        )
    try:
        parsed = make_url(place)
    except (ArgumentError, ValueError) as error:
        raise UsageError(
            "The store's URL cannot be read; expected postgresql://user:password@host/database.", code="bad_url"
        ) from error
    return Postgres(parsed, patience)
