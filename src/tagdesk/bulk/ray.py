"""Labels parts on a Ray cluster: one task reads them, actors with a model of their own label them."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import tempfile
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tagdesk.bulk.cores import available, running_on
from tagdesk.bulk.done import Done
from tagdesk.bulk.job import Job
from tagdesk.bulk.label import label
from tagdesk.bulk.local import open_model, worker_died
from tagdesk.bulk.parts import read_parts
from tagdesk.dataset import File
from tagdesk.errors import MissingExtra, TagdeskError, UsageError
from tagdesk.model import Model
from tagdesk.scorers.base import Progress

try:
    import pandas as pd
    import ray
    import ray.data
    from ray.data import DataContext
    from ray.data.block import BlockMetadata
    from ray.exceptions import RayError
    from ray.util.annotations import RayDeprecationWarning
except ImportError as error:
    raise MissingExtra("The engine 'ray'", "ray") from error

_PATIENCE = 5.0  # seconds
_LOUD = logging.CRITICAL  # Ray tells of each step, and of each error before it raises it


@dataclass(frozen=True, slots=True)
class Cluster:
    """The Ray cluster at an address, or without one a cluster of its own on this machine while the work lasts.

    `model` is a folder or `starter`. On a cluster of several machines all must have tagdesk installed, and find the
    model and the source at the same paths. Each worker uses one core.
    """

    model: str | Path
    workers: int
    address: str | None = None

    def run(self, job: Job, source: File, start: int, progress: Progress) -> Generator[Done, None, None]:  # noqa: ARG002 - as others
        """The finished parts from number `start` on, in order."""
        source = replace(source, path=source.path.absolute())
        with _connected(self.address, self.workers), DataContext.current(_context()):
            parts = ray.data.read_datasource(_Parts(source, job.part_rows, start), override_num_blocks=1, num_cpus=0)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RayDeprecationWarning)  # of `max_restarts`, which has no successor yet
                answers = parts.map_batches(
                    _Labeller,
                    fn_constructor_args=(self.model, job),
                    batch_size=1,
                    batch_format="pandas",
                    compute=ray.data.ActorPoolStrategy(min_size=1, initial_size=self.workers, max_size=self.workers),
                    num_cpus=1,
                    max_restarts=0,  # Ray would start a worker that dies anew without end
                )
            try:
                for row in answers.iter_rows():
                    if isinstance(row["answer"], TagdeskError):
                        raise row["answer"]
                    yield row["answer"]
            except RayError as error:
                raise worker_died() from error


class _Parts(ray.data.Datasource):  # type: ignore[misc] # Ray's types are not followed
    """The parts of a source, which one task reads in order; each is a row, since Ray never cuts a row."""

    def __init__(self, source: File, part_rows: int, start: int) -> None:
        super().__init__()
        self._source = source
        self._part_rows = part_rows
        self._start = start

    def estimate_inmemory_data_size(self) -> int | None:
        """Nobody knows."""
        return None

    def get_read_tasks(self, *_: Any, **__: Any) -> list[Any]:
        """The one task."""
        about = BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
        return [ray.data.ReadTask(self._read, about)]

    def _read(self) -> Iterator[Any]:
        try:
            for part in read_parts(self._source, self._part_rows, self._start):
                yield pd.DataFrame({"part": [part]})
        except TagdeskError as error:
            yield pd.DataFrame({"part": [error]})


class _Labeller:
    """An actor with its model; what goes wrong is an answer too, so that it is told in the order of the parts."""

    def __init__(self, place: str | Path, job: Job) -> None:
        self._place = place
        self._job = job
        self._model: Model | None = None

    def __call__(self, batch: Any) -> Any:
        part = batch["part"].iloc[0]
        return pd.DataFrame({"answer": [part if isinstance(part, TagdeskError) else self._labelled(part)]})

    def _labelled(self, part: Any) -> Done | TagdeskError:
        try:
            if self._model is None:
                with running_on(set(available()[:1])):
                    self._model = open_model(self._place, self._job)
            return label(self._model, self._job, part)
        except TagdeskError as error:
            return error


@contextmanager
def _connected(address: str | None, workers: int) -> Iterator[None]:
    """A connection to a cluster; raises UsageError where there is none, or none that is large enough."""
    if ray.is_initialized():  # by whoever called
        yield
        return
    terminate = signal.getsignal(signal.SIGTERM)  # Ray takes it
    with tempfile.TemporaryDirectory(prefix="tagdesk-", ignore_cleanup_errors=True) as scratch:
        quiet: dict[str, Any] = {"logging_level": _LOUD, "log_to_driver": False}
        try:
            if address is None:
                _keep_to_ourselves()
                ray.init("local", num_cpus=workers + 1, include_dashboard=False, _temp_dir=scratch, **quiet)
            else:
                _connect(address, workers, quiet)
            signal.signal(signal.SIGTERM, terminate)
            yield
        finally:
            ray.shutdown()


def _connect(address: str, workers: int, quiet: dict[str, Any]) -> None:
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=_PATIENCE).close()  # Ray alone would try for minutes
        ray.init(address, **quiet)
    except (OSError, OverflowError, RuntimeError, ValueError) as error:
        raise UsageError(
            f"No Ray cluster answers at {address!r}; expected host:port. Start one, or leave out --ray-address.",
            code="no_cluster",
        ) from error
    cores = int(ray.cluster_resources().get("CPU", 0))
    if cores < workers:
        raise UsageError(
            f"The Ray cluster has {cores} cores, too few for {workers} workers. Ask for fewer --workers.",
            code="no_cluster",
        )


def _keep_to_ourselves() -> None:
    """Report nothing to Ray's makers, and give the cluster, whose ports are open to all, a token of this process.

    Ray asks for a token by itself, and would else keep one in the home folder for good.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))


def _context() -> Any:
    """Ray's settings for parts: in order, each a block of its own so that workers share them out, without a word."""
    context = DataContext.get_current().copy()
    context.execution_options.preserve_order = True
    context.target_max_block_size = 1  # byte, so that no two parts are put together
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(_LOUD)
    return context
