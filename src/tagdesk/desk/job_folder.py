"""The files of bulk jobs: a folder for each, which appears whole and goes at once."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tagdesk.errors import TagdeskError

LEFT_AFTER = 3600.0  # seconds without a byte after which an upload is one that a killed process left
ROOM = 3  # times its size that a file needs on the disk until its result is whole
CHECKED = 16_000_000  # bytes of an upload after which the room is looked at again

_SOURCE, _RESULT = "input", "result"
_UPLOAD, _GONE = ".upload", ".gone"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True, slots=True)
class JobFolder:
    """Where the files of jobs are; nothing that a client sent becomes a name in it.

    Attributes:
        root: the folder, made when the first file comes.
        reserve: bytes that stay free on its device.
    """

    root: Path
    reserve: int

    def receive(self, id_: str, format_: str, size: int | None = None) -> Upload:
        """Begin to receive a job's file, of `size` bytes where that is known; raises TagdeskError (`disk_full`)."""
        with _troubles():
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.refuse_full(ROOM * (size or 0))
            place = self.root / f"{id_}{_UPLOAD}"
            place.mkdir(mode=0o700)
            return Upload(id_, self, place / f"{_SOURCE}.{format_}")

    def refuse_full(self, size: int) -> None:
        """Raise TagdeskError (`disk_full`) where so many bytes more would touch the reserve."""
        if shutil.disk_usage(self.root).free < size + self.reserve:
            raise no_room()

    def accept(self, id_: str) -> None:
        """Let the files that were received be the job's."""
        with _troubles(), suppress(FileNotFoundError):  # somebody who cleared up has done it
            (self.root / f"{id_}{_UPLOAD}").rename(self.root / id_)
        _sync(self.root)

    def holds(self, id_: str) -> bool:
        """Whether the job's files are here."""
        return (self.root / id_).is_dir()

    def ids(self) -> list[str]:
        """The jobs whose files are here."""
        return [entry.name for entry in self._entries() if not entry.suffix]

    def uploads(self) -> list[tuple[str, bool]]:
        """The jobs whose files are on their way, and whether they were left by a killed process."""
        now = time.time()
        return [
            (entry.stem, now - _last_change(entry) > LEFT_AFTER) for entry in self._entries() if entry.suffix == _UPLOAD
        ]

    def source(self, id_: str, format_: str) -> Path:
        """The file that came with a job."""
        return self.root / id_ / f"{_SOURCE}.{format_}"

    def result(self, id_: str, format_: str) -> Path:
        """The file that a job makes."""
        return self.root / id_ / f"{_RESULT}.{format_}"

    def forget_source(self, id_: str) -> None:
        """Delete what came with a job that is done."""
        for left in (self.root / id_).glob(f"{_SOURCE}.*"):
            left.unlink(missing_ok=True)

    def remove(self, id_: str) -> None:
        """Delete all files of a job."""
        for name in (id_, f"{id_}{_UPLOAD}"):
            gone = self.root / f"{id_}{_GONE}"
            with suppress(OSError):  # none is there
                (self.root / name).rename(gone)
            shutil.rmtree(gone, ignore_errors=True)

    def sweep(self) -> None:
        """Delete what killed processes were about to delete."""
        for entry in self._entries():
            if entry.suffix == _GONE:
                shutil.rmtree(entry, ignore_errors=True)

    def _entries(self) -> Iterator[Path]:
        with suppress(OSError):
            yield from self.root.iterdir()


class Upload:
    """A file on its way to the disk; gone where the block ends before `finish`, or with an error.

    Attributes:
        id: of the job that it shall be.
        size: bytes so far.
    """

    def __init__(self, id_: str, folder: JobFolder, path: Path) -> None:
        self.id = id_
        self.size = 0
        self._folder = folder
        self._path = path
        self._handle = path.open("xb", buffering=0)
        self._is_whole = False
        self._checked = 0

    def write(self, piece: bytes) -> None:
        """Add a piece; raises TagdeskError (`disk_full`)."""
        with _troubles():
            view = memoryview(piece)
            while view:
                view = view[self._handle.write(view) :]
            self.size += len(piece)
            if self.size - self._checked >= CHECKED:
                self._checked = self.size
                self._folder.refuse_full((ROOM - 1) * self.size)

    def finish(self) -> None:
        """Make it last through a power cut; raises TagdeskError (`disk_full`)."""
        with _troubles():
            os.fsync(self._handle.fileno())
            self._handle.close()
            _sync(self._path.parent)
        self._is_whole = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._handle.close()
        if error is not None or not self._is_whole:
            shutil.rmtree(self._path.parent, ignore_errors=True)


def no_room() -> TagdeskError:
    """What to raise where the disk is full."""
    return TagdeskError(
        "There is no room for the file on the service's disk. Nothing was kept; send it again once there is.",
        code="disk_full",
    )


@contextmanager
def _troubles() -> Iterator[None]:
    """Say what is wrong with the disk without naming a place on it."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise no_room() from error
        raise TagdeskError(
            f"The service's folder of jobs cannot be written: {error.strerror}. Name another with --jobs.",
            code="jobs_unwritable",
        ) from error


def _last_change(folder: Path) -> float:
    """When a file of the folder was written last, in seconds since 1970."""
    try:
        return max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
    except OSError:  # it is gone by now
        return time.time()


def _sync(folder: Path) -> None:
    with suppress(OSError):  # a file system that cannot
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
