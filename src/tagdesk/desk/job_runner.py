"""Runs bulk jobs one after the other, each in a process that yields to whoever answers people."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

from tagdesk.desk.job_failures import told
from tagdesk.desk.job_folder import JobFolder
from tagdesk.store import Conflict, Job, NotFound, State, Store, StoreUnavailable

LOG = logging.getLogger("tagdesk.desk")

PAUSE = 2.0  # seconds between two looks for a job, and between two notes of how far one is
LOST_AFTER = timedelta(seconds=20)  # without such a note a job is taken up by another process
TIDY_EVERY = 30.0  # seconds
MOST_ATTEMPTS = 5  # runs in a row that finish no part; whatever kills them will kill the next too
BUSY = 75  # how the process ends where another one does the job already
COUNTED = ("read", "accepted", "rejected", "skipped", "without_label", "flagged")  # of a job that is done


@dataclass(frozen=True, slots=True)
class JobTools:
    """What running jobs takes.

    Attributes:
        store: where the jobs are.
        folder: where their files are.
        models: the folder of models.
        keep: how long the files of a finished job are kept.
        now: the time, in UTC.
    """

    store: Store
    folder: JobFolder
    models: Path
    keep: timedelta
    now: Callable[[], datetime]


class JobRunner:
    """A thread that takes jobs, has them done, and clears up after them."""

    def __init__(self, tools: JobTools) -> None:
        self._tools = tools
        self._changed = threading.Event()
        self._is_open = True
        self._tidied = -TIDY_EVERY
        self._thread = threading.Thread(target=self._work, name="tagdesk-jobs", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Look at once whether there is something to do."""
        self._tidied = -TIDY_EVERY
        self._changed.set()

    def close(self) -> None:
        """End; a job that is not done waits for the next process, which goes on where this one was."""
        self._is_open = False
        self._changed.set()
        if self._thread.is_alive():
            self._thread.join()

    def _work(self) -> None:
        while self._is_open:
            try:
                job = self._next()
                if job is not None:
                    self._run(job)
                    continue
            except StoreUnavailable:
                pass
            except Exception:
                LOG.exception("job_failed")
            self._changed.wait(PAUSE)
            self._changed.clear()

    def _next(self) -> Job | None:
        """A job that is this process's to do; None without one."""
        tools = self._tools
        if not tools.folder.root.is_dir():  # no job ever came
            return None
        if time.monotonic() - self._tidied >= TIDY_EVERY:
            self._tidied = time.monotonic()
            tidy(tools)
        return tools.store.jobs.take(now=tools.now(), forgotten=LOST_AFTER, is_here=tools.folder.holds)

    def _run(self, job: Job) -> None:
        attempts = job.counts.get("attempts", 0) + 1
        if attempts > MOST_ATTEMPTS:
            self._end(replace(job, state=State.FAILED, error=told("worker_died")))
            return
        job = replace(job, counts={**job.counts, "attempts": attempts})
        with Labelling(_task(job, self._tools), self._changed.set) as labelling:
            while self._is_open and labelling.exit_code is None:
                job = labelling.counted(job)
                if not self._note(job):
                    self._tidied = -TIDY_EVERY
                    return
                self._changed.wait(PAUSE)
                self._changed.clear()
        if labelling.exit_code != BUSY:
            self._end(labelling.outcome(job))

    def _note(self, job: Job) -> bool:
        """Write down how far a job is; False where it is not ours any more."""
        try:
            self._tools.store.jobs.update(replace(job, updated=self._tools.now()), expected=State.RUNNING)
        except StoreUnavailable:  # the work goes on, and its files are locked
            return True
        except (Conflict, NotFound):
            return False
        return True

    def _end(self, job: Job) -> None:
        """Write down what became of a job, as soon as the store takes it; clear up."""
        LOG.info("job", extra={"job": job.id, "state": job.state.value, "error": job.error.partition(":")[0]})
        while True:
            try:
                self._tools.store.jobs.update(replace(job, updated=self._tools.now()), expected=State.RUNNING)
                break
            except StoreUnavailable:
                if not self._is_open:
                    return  # who takes it up finds the result finished
                self._changed.wait(PAUSE)
                self._changed.clear()
            except (Conflict, NotFound):
                break
        self._tidied = -TIDY_EVERY


class Labelling:
    """A process that labels the file of a job; it is gone when the block ends.

    Attributes:
        exit_code: how it ended; None while it works.
    """

    def __init__(self, task: Mapping[str, Any], when_it_ends: Callable[[], None]) -> None:
        self._task = task
        self._when_it_ends = when_it_ends
        self._said: Mapping[str, Any] = {}
        self._began: tuple[float, int] | None = None  # when it first told of rows, and how many those were
        self._pace = 0
        self.exit_code: int | None = None

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tagdesk.bulk.apart", json.dumps(dict(self._task))]
        self._process = subprocess.Popen(  # noqa: S603 - our own
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._reader = threading.Thread(target=self._listen, name="tagdesk-job", daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def counted(self, job: Job) -> Job:
        """The job with how far it is. Where the run began further on than the last, earlier attempts are forgiven."""
        if self._began is None:
            return job
        begins = self._began[1]
        attempts = 1 if begins > job.counts.get("begins", begins) else job.counts["attempts"]
        rows = {"rows": self._said["rows"], "of": self._said["of"]}
        rows |= {"per_second": self._pace} if self._pace else {}  # before the second word of rows nobody knows
        return replace(job, counts={**job.counts, **rows, "begins": begins, "attempts": attempts})

    def outcome(self, job: Job) -> Job:
        """What became of the job; where the process ended and should not have, it waits for the next."""
        job = self.counted(job)
        summary, code = self._said.get("summary"), self._said.get("failed")
        if summary is not None:
            counts = {name: summary[name] for name in COUNTED}
            return replace(job, state=State.DONE, counts={**job.counts, **counts, "rows": summary["read"]})
        if code is None:
            return replace(job, state=State.QUEUED)
        if code == "internal":
            LOG.error("job_internal", extra={"job": job.id, "where": self._said.get("where")})
        return replace(job, state=State.FAILED, error=told(code))

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            said = json.loads(line)
            if "rows" in said:
                now = time.monotonic()
                began, before = self._began = self._began or (now, said["rows"])
                self._pace = round((said["rows"] - before) / (now - began)) if now > began else 0
            self._said = {**self._said, **said}
        self.exit_code = self._process.wait()
        self._when_it_ends()


def tidy(tools: JobTools) -> None:
    """Delete the files that nobody needs any more; accept those whose receiver was killed before it could."""
    folder = tools.folder
    folder.sweep()
    uploads = folder.uploads()
    for (id_, is_left), job in zip(uploads, tools.store.jobs.of([id_ for id_, _ in uploads]), strict=True):
        if job is not None:
            folder.accept(id_)
        elif is_left:
            folder.remove(id_)
    ids = folder.ids()
    for job in tools.store.jobs.of(ids):
        if job is None or not job.state.is_final:  # of another store, or at work
            continue
        if job.state is State.DONE and job.updated + tools.keep > tools.now():
            folder.forget_source(job.id)
        else:
            folder.remove(job.id)


def _task(job: Job, tools: JobTools) -> dict[str, Any]:
    """The job as `tagdesk.bulk.apart` takes it."""
    wanted = job.details
    return {
        "source": str(tools.folder.source(job.id, wanted["source"])),
        "out": str(tools.folder.result(job.id, wanted["output"])),
        "models": str(tools.models),
        **{name: wanted[name] for name in ("model", "policy", "text", "encoding", "delimiter", "scores")},
    }
