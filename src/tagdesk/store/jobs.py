"""Bulk jobs and how far they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, or_, select, update

from tagdesk.store.database import Database
from tagdesk.store.errors import Conflict, NotFound
from tagdesk.store.failpoints import reach
from tagdesk.store.limits import MOST_ROWS, check_count, check_id, check_ids, check_limit, check_note
from tagdesk.store.tables import jobs

FORGOTTEN = timedelta(minutes=5)


def anywhere(_id: str) -> bool:
    """That a job can be done wherever its files are."""
    return True


class State(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen."""
        return self not in {State.QUEUED, State.RUNNING}


@dataclass(frozen=True, slots=True)
class Job:
    """A job; `details` says what is to be done, as JSON holds it, `counts` how much of it is, `error` why it failed."""

    id: str
    tenant: str
    who: str
    created: datetime
    updated: datetime
    state: State = State.QUEUED
    details: Mapping[str, Any] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    error: str = ""


class Jobs:
    """The jobs of a store; the one thing in it that changes in place."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, job: Job) -> None:
        """Keep a new job; raises Conflict where its id is taken."""
        _check(job)
        check_id("job id", job.id)
        check_id("tenant", job.tenant)
        check_id("name of who asks", job.who)
        row = {
            "id": job.id,
            "tenant": job.tenant,
            "who": job.who,
            "created": job.created,
            "details": dict(job.details),
            **_progress(job),
        }
        with self._database.write() as connection:
            insert = self._database.insert_new(jobs).values(row).returning(jobs.c.id)
            if connection.execute(insert).first() is None:
                raise Conflict("A job of that id is there already. Give the job a new id.")

    def get(self, id_: str, *, tenant: str | None) -> Job | None:
        """A job; None where it is not the tenant's. None as the tenant stands for any."""
        check_id("job id", id_)
        query = select(jobs).where(jobs.c.id == id_)
        with self._database.read() as connection:
            row = connection.execute(query if tenant is None else query.where(jobs.c.tenant == tenant)).one_or_none()
        return None if row is None else _from_row(row)

    def of(self, ids: Sequence[str]) -> list[Job | None]:
        """The jobs of these ids, whoever's they are, in their order; None where there is none."""
        check_ids("job id", ids)
        found: dict[str, Job] = {}
        with self._database.read() as connection:
            for start in range(0, len(ids), MOST_ROWS):
                some = select(jobs).where(jobs.c.id.in_(ids[start : start + MOST_ROWS]))
                found.update((row.id, _from_row(row)) for row in connection.execute(some))
        return [found.get(id_) for id_ in ids]

    def newest(self, *, tenant: str | None, limit: int = 100) -> list[Job]:
        """The last `limit` (1 to 1,000) jobs, newest first."""
        check_limit(limit)
        query = select(jobs).order_by(jobs.c.created.desc(), jobs.c.id.desc()).limit(limit)
        with self._database.read() as connection:
            rows = connection.execute(query if tenant is None else query.where(jobs.c.tenant == tenant))
            return [_from_row(row) for row in rows]

    def take(
        self, *, now: datetime, forgotten: timedelta = FORGOTTEN, is_here: Callable[[str], bool] = anywhere
    ) -> Job | None:
        """Begin the oldest job that waits, or that nobody has updated for longer than `forgotten`; None without one.

        Of several processes that ask at once each gets another job, of those whose id `is_here` accepts.
        """
        waits = jobs.c.state == State.QUEUED.value
        lost = (jobs.c.state == State.RUNNING.value) & (jobs.c.updated < now - forgotten)
        is_free = or_(waits, lost)
        with self._database.read() as connection:  # most of the time there is none, and nobody who writes must wait
            ids = connection.scalars(select(jobs.c.id).where(is_free).order_by(jobs.c.created, jobs.c.id)).all()
        for id_ in filter(is_here, ids):
            begun = update(jobs).where(jobs.c.id == id_, is_free).values(state=State.RUNNING.value, updated=now)
            with self._database.write() as connection:
                row = connection.execute(begun.returning(jobs)).one_or_none()
            if row is not None:  # else somebody was quicker
                return _from_row(row)
        return None

    def update(self, job: Job, *, expected: State) -> None:
        """Write a job's state, counts, error and time of update down.

        Raises:
            NotFound: where there is no such job.
            Conflict: where it is in another state than `expected`, or in a final one.
        """
        _check(job)
        with self._database.write() as connection:
            row = connection.execute(select(jobs).where(jobs.c.id == job.id).with_for_update()).one_or_none()
            if row is None:
                raise NotFound("There is no such job.")
            if State(row.state) is not expected or expected.is_final:
                raise Conflict("The job is in another state by now. Look at it, and decide again.")
            connection.execute(update(jobs).where(jobs.c.id == job.id).values(_progress(job)))
            reach("job_mid")


def _check(job: Job) -> None:
    check_note("error", job.error)
    check_ids("count's name", job.counts)
    check_count("count", *job.counts.values())


def _progress(job: Job) -> dict[str, Any]:
    return {"state": job.state.value, "updated": job.updated, "counts": dict(job.counts), "error": job.error}


def _from_row(row: Row[Any]) -> Job:
    return Job(
        row.id, row.tenant, row.who, row.created, row.updated, State(row.state), row.details, row.counts, row.error
    )
