"""Labels parts on this machine: in this process, or in several."""

from __future__ import annotations

import multiprocessing
import signal
import warnings
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from tagdesk.bulk.cores import running_on, share
from tagdesk.bulk.done import Done
from tagdesk.bulk.job import Job
from tagdesk.bulk.label import label
from tagdesk.bulk.parts import Part, read_parts
from tagdesk.dataset import File
from tagdesk.errors import ArtefactError, TagdeskError
from tagdesk.model import Model
from tagdesk.scorers.base import Progress

_AHEAD = 2  # parts for each worker that are read and not yet taken; more would only take memory


@dataclass(frozen=True, slots=True)
class Here:
    """This process, one part after the other."""

    model: Model

    def run(self, job: Job, source: File, start: int, progress: Progress) -> Generator[Done, None, None]:
        """The finished parts from number `start` on."""
        for part in read_parts(source, job.part_rows, start):
            yield label(self.model, job, part, progress)


@dataclass(frozen=True, slots=True)
class Processes:
    """Several processes, each with a model of its own, which share the cores evenly.

    `model` is a folder or `starter`. A worker ends when its pipe does, so none outlives this process, however it ends;
    the pools of the standard library leave theirs behind when they are killed.
    """

    model: str | Path
    workers: int

    def run(self, job: Job, source: File, start: int, progress: Progress) -> Generator[Done, None, None]:  # noqa: ARG002 - as `Here`
        """The finished parts from number `start` on, in order."""
        with closing(read_parts(source, job.part_rows, start)) as parts, _workers(self, job) as pipes:
            yield from _in_order(parts, pipes)


def open_model(place: str | Path, job: Job) -> Model:
    """The model of a job in another process; raises ArtefactError where another one has taken its place."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what there is to say of it was said where the job was made
        model = Model.load(place, tier=job.tier)
    if model.id != job.model:
        raise ArtefactError(
            f"Model {place} has id {model.id} where {job.model} is expected. Keep it as it is while it works.",
            code="wrong_id",
        )
    return model


def worker_died() -> TagdeskError:
    """What to raise where a worker ended and should not have."""
    return TagdeskError(
        "A worker was ended from outside, perhaps because the memory was full. "
        "Run the same command again; fewer --workers need less memory.",
        code="worker_died",
    )


def _in_order(parts: Iterator[Part], pipes: list[Connection]) -> Iterator[Done]:
    """Hand parts to whoever is free, and give back what becomes of them in their order."""
    numbered = enumerate(parts)
    upcoming = next(numbered, None)
    idle, busy = list(pipes), dict[Connection, int]()
    ready: dict[int, Done | Exception] = {}
    turn = 0
    while upcoming or busy or ready:
        while upcoming and idle and upcoming[0] < turn + _AHEAD * len(pipes):
            pipe = idle.pop()
            busy[pipe] = upcoming[0]
            _send(pipe, upcoming[1])
            upcoming = next(numbered, None)
        if turn in ready:
            answer = ready.pop(turn)
            if isinstance(answer, Exception):
                raise answer
            yield answer
            turn += 1
            continue
        awake = wait(list(busy))
        for pipe in [pipe for pipe in busy if pipe in awake]:
            ready[busy.pop(pipe)] = _receive(pipe)
            idle.append(pipe)


def _work(pipe: Connection, place: str | Path, job: Job) -> None:
    """What a worker does until its pipe ends."""
    model: Model | None = None
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            part: Part = pipe.recv()
            try:
                model = model or open_model(place, job)
                pipe.send(label(model, job, part))
            except (BrokenPipeError, ConnectionResetError):
                return
            except Exception as error:  # noqa: BLE001 - it is raised where the parts are read
                pipe.send(error)


@contextmanager
def _workers(engine: Processes, job: Job) -> Iterator[list[Connection]]:
    """A pipe to each of the workers, which are gone afterwards."""
    context = multiprocessing.get_context("spawn")
    processes: list[SpawnProcess] = []
    pipes: list[Connection] = []
    try:
        for number in range(engine.workers):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, engine.model, job), daemon=True)
            with theirs, running_on(share(number, engine.workers)), _no_interrupt():
                process.start()
            processes.append(process)
            pipes.append(ours)
        yield pipes
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()
        for pipe in pipes:
            pipe.close()


def _send(pipe: Connection, part: Part) -> None:
    try:
        pipe.send(part)
    except OSError as error:
        raise worker_died() from error


def _receive(pipe: Connection) -> Done | Exception:
    try:
        answer: Done | Exception = pipe.recv()
    except (EOFError, OSError) as error:
        raise worker_died() from error
    return answer


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Keep Ctrl-C from processes that begin meanwhile: it is this one that ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
