"""Bulk jobs as the service takes them in, cancels them and gives out what they made."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tagdesk.case import sortable_id
from tagdesk.desk.job_folder import JobFolder, Upload
from tagdesk.desk.job_runner import COUNTED, JobRunner, JobTools
from tagdesk.store import Conflict, Job, NotFound, State, Store

__all__ = ["COUNTED", "JobSettings", "Upload", "Wanted", "Workshop"]

MOST_TRIES = 5  # of a cancellation, against a job that changes meanwhile


@dataclass(frozen=True, slots=True)
class JobSettings:
    """How bulk jobs are kept.

    Attributes:
        folder: where their files are; None: beside the store's file, else `jobs` here.
        most_bytes: of a file.
        keep_days: how long a result can be fetched.
        reserve: bytes that stay free on the folder's device.
    """

    folder: Path | None = None
    most_bytes: int = 1_000_000_000
    keep_days: float = 7.0
    reserve: int = 256_000_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be done with a file.

    Attributes:
        source: the format of the file.
        output: the format of the result.
        model: the id of the model that labels it.
        policy: the id of that model's policy.
        text: the column of the text; None finds it by its usual name.
        encoding: of the file; None for UTF-8, or by its mark.
        delimiter: of a CSV file; None for a comma.
        scores: whether the result has the probabilities.
    """

    source: str
    output: str
    model: str
    policy: str
    text: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    scores: bool = True


class Workshop:
    """Bulk jobs: taken in here, done one at a time by a process that yields to predictions; safe to use from threads.

    Several services with one store and one folder share the work: what one leaves undone another goes on with.

    Args:
        store: where the jobs are.
        models: the folder of models.
        settings: how they are kept.
        clock: the time, in UTC.
    """

    def __init__(
        self,
        store: Store,
        models: Path,
        settings: JobSettings,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.settings = settings
        self._store = store
        self._now = clock
        self._folder = JobFolder(settings.folder or _beside(store), settings.reserve)
        keep = timedelta(days=settings.keep_days)
        self._runner = JobRunner(JobTools(store, self._folder, models, keep, clock))

    def start(self) -> None:
        """Begin to do jobs."""
        self._runner.start()

    def close(self) -> None:
        """End; a job that is not done waits for the next that starts."""
        self._runner.close()

    def receive(self, format_: str, size: int | None) -> Upload:
        """Begin to receive a file, of `size` bytes where that is known; raises TagdeskError (`disk_full`)."""
        return self._folder.receive(sortable_id(self._now(), secrets.token_bytes(10)), format_, size)

    def add(self, upload: Upload, wanted: Wanted, *, tenant: str, who: str) -> Job:
        """Make a job of a file that was received; what this returns from outlasts a power cut.

        Raises:
            StoreUnavailable: where nothing was kept.
            TagdeskError: where the disk is full (`disk_full`).
        """
        upload.finish()
        now = self._now()
        details = {**asdict(wanted), "bytes": upload.size}
        job = Job(upload.id, tenant, who, now, now, details=details)
        self._store.jobs.add(job)
        self._folder.accept(job.id)
        self._runner.wake()
        return job

    def get(self, id_: str, *, tenant: str) -> Job:
        """A job of a tenant; raises NotFound."""
        job = self._store.jobs.get(id_, tenant=tenant)
        if job is None:
            raise NotFound("There is no such job.")
        return job

    def newest(self, *, tenant: str, limit: int) -> list[Job]:
        """The last jobs of a tenant, newest first."""
        return self._store.jobs.newest(tenant=tenant, limit=limit)

    def cancel(self, id_: str, *, tenant: str) -> Job:
        """Let a job end, and delete its files; of one that has ended the files alone. Raises NotFound."""
        for _ in range(MOST_TRIES):
            job = self.get(id_, tenant=tenant)
            if not job.state.is_final:
                cancelled = replace(job, state=State.CANCELLED, updated=self._now())
                try:
                    self._store.jobs.update(cancelled, expected=job.state)
                except Conflict:
                    continue
                if job.state is State.RUNNING:
                    self._runner.wake()  # whoever runs it ends it within seconds, and deletes its files
                    return cancelled
                job = cancelled
            self._folder.remove(id_)
            return job
        raise Conflict("The job changes all the time. Try again in a moment.")

    def result(self, job: Job) -> Path | None:
        """The result of a job; None where it is not there, not yet or not any more."""
        path = self._folder.result(job.id, job.details["output"])
        return path if job.state is State.DONE and path.is_file() else None

    def rejects(self, job: Job) -> Path | None:
        """The file that says which rows were left out; None where none was, or the result is not there."""
        result = self.result(job)
        path = None if result is None else result.with_name(f"{result.name}.rejects.jsonl")
        return path if path is not None and path.is_file() else None


def _beside(store: Store) -> Path:
    return Path("jobs") if store.file is None else store.file.with_name(f"{store.file.name}.jobs")
