"""The finished parts of a result that is not finished: a hidden folder beside it, which outlives a kill."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

from tagdesk.bulk.done import Done
from tagdesk.dataset.draft import draft
from tagdesk.errors import InputError, TagdeskError, UsageError

Note: TypeAlias = Callable[[str], None]  # told in words what a person should know

_LOCK, _KEY = "lock", "key.json"


class Work:
    """The finished parts, from the first on without gaps."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._count = 0
        while self._path(self._count).exists():
            self._count += 1

    def __len__(self) -> int:
        return self._count

    @property
    def end(self) -> int:
        """How many rows of the source are finished."""
        return self.read(self._count - 1).end if self._count else 0

    def add(self, done: Done) -> None:
        """Keep the next part, through a power cut."""
        with draft(self._path(self._count)) as handle:
            handle.write(done.to_bytes())
        self._count += 1

    def read(self, number: int) -> Done:
        """A part; raises TagdeskError where it is damaged."""
        path = self._path(number)
        try:
            return Done.from_bytes(path.read_bytes())
        except (OSError, ValueError) as error:
            raise TagdeskError(
                f"{path}: the finished part is damaged. Remove that folder, and run the command again.", code="damaged"
            ) from error

    def parts(self) -> Iterator[Done]:
        """All parts in order, one in memory at a time."""
        return map(self.read, range(self._count))

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06}.done"


@contextmanager
def open_work(place: Path, key: Mapping[str, Any], note: Note) -> Iterator[Work]:
    """The work on the result at `place`, which is nobody else's meanwhile; gone when the block ends well.

    `key` maps what the finished parts depend on, in words, to a value as JSON holds it: parts of another key are thrown
    away, with a note that says in which words it differs. When the block is broken off the parts stay for the next run,
    with a note again; unless the source is at fault (InputError), for once that is mended it is another source.

    Raises UsageError where somebody else works on this result, or where nothing can be written.
    """
    digest = hashlib.sha256(os.fsencode(place.name)).hexdigest()[:12]
    folder = place.with_name(f".tagdesk-{digest}.work")
    with _locked(folder, place):
        try:
            with _speaking_of(place):
                _claim(folder, key, place, note)
                yield Work(folder)
        except BaseException as error:
            kept = Work(folder)  # counted anew: it may have been broken off just before it counted a part
            if isinstance(error, InputError) or not kept:
                shutil.rmtree(folder, ignore_errors=True)
            else:
                note(f"{kept.end:,} rows are finished and kept: the same command goes on from there.")
            raise
        shutil.rmtree(folder, ignore_errors=True)


def _claim(folder: Path, key: Mapping[str, Any], place: Path, note: Note) -> None:
    """Keep the parts that are there if they are of this key, else throw them away."""
    wanted = json.loads(json.dumps(key))
    found: Any = None
    with suppress(OSError, ValueError):
        found = json.loads((folder / _KEY).read_text(encoding="utf-8"))
    if found == wanted:
        return
    if isinstance(found, dict):
        others = " and ".join(f"another {word}" for word in wanted if found.get(word) != wanted[word])
        note(f"{place}: unfinished work was of {others or 'another kind'}. It is thrown away, and all begins anew.")
    for left in folder.iterdir():
        if left.is_dir():
            shutil.rmtree(left)
        elif left.name != _LOCK:
            left.unlink()
    with draft(folder / _KEY) as handle:
        handle.write(json.dumps(wanted).encode())


@contextmanager
def _locked(folder: Path, place: Path) -> Iterator[None]:
    """The folder for this process alone; raises UsageError."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)  # it holds what customers wrote
        lock = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR)
    except OSError as error:
        raise UsageError(
            f"{place}: cannot be written: {error.strerror}. Name another place.", code="unwritable"
        ) from error
    try:
        with suppress(OSError):  # a file system without locks
            _take(lock, folder, place)
        yield
    finally:
        os.close(lock)


def _take(lock: int, folder: Path, place: Path) -> None:
    """Lock a file that whoever holds it may be about to remove."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_ours = os.path.samestat(os.fstat(lock), (folder / _LOCK).stat())
    except (BlockingIOError, FileNotFoundError):
        is_ours = False
    if not is_ours:
        raise UsageError(
            f"{place}: another tagdesk is writing it. Wait until that ends, or name another place.", code="busy"
        )


@contextmanager
def _speaking_of(place: Path) -> Iterator[None]:
    """Let a full disk be told by the name of the result, and not by that of a part."""
    try:
        yield
    except TagdeskError as error:
        if error.code != "disk_full":
            raise
        raise TagdeskError(
            f"{place}: no room left on the device. Make room, and run the same command again.", code="disk_full"
        ) from error
