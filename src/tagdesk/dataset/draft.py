"""A file that appears whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from tagdesk.errors import TagdeskError, UsageError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def draft(path: Path, *, force: bool = False, inputs: Sequence[Path] = ()) -> Iterator[BinaryIO]:
    """A handle whose content becomes `path` when the block ends well, and vanishes when it does not.

    The content is written beside `path`, synced, and renamed. Raises UsageError before anything is written if `path`
    exists and `force` is not set, is one of `inputs`, or cannot be written; TagdeskError (`disk_full`) if there is no
    room.
    """
    target = refuse_target(path, force=force, inputs=inputs)
    part = target.with_name(f".tagdesk-{secrets.token_hex(8)}.part")
    try:
        lock = _swept(target.parent)
        handle = part.open("xb")
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be written: {error.strerror}. Name another place.", code="unwritable"
        ) from error
    try:
        yield handle
        handle.flush()
        os.fsync(handle.fileno())
        handle.close()
        refuse_target(path, force=force)  # somebody may have written it in the meantime
        part.replace(target)
    except BaseException as error:
        with suppress(OSError):
            handle.close()
        part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in _FULL:
            raise TagdeskError(
                f"{path}: no room left on the device. Nothing was kept; make room or name another place.",
                code="disk_full",
            ) from error
        raise
    finally:
        os.close(lock)
    sync_folder(target.parent)


def refuse_target(path: Path, *, force: bool, inputs: Sequence[Path] = ()) -> Path:
    """The real file behind `path`; raises UsageError if it must not be written."""
    try:
        target = Path(os.path.realpath(path))
        found = target.stat() if target.exists() else None
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{str(path)!r}: cannot be written: {error}. Name another place.", code="unwritable"
        ) from error
    if found is None:
        return target
    if any(source.exists() and source.samefile(target) for source in inputs):
        raise UsageError(f"{path}: is also what is read. Name another file for the result.", code="same_file")
    if stat.S_ISDIR(found.st_mode):
        raise UsageError(f"{path}: is a folder. Name a file for the result.", code="unwritable")
    if not stat.S_ISREG(found.st_mode):
        raise UsageError(f"{path}: is there and is no plain file. Name another file.", code="unwritable")
    if not force:
        raise UsageError(f"{path}: is there already. Name another file, or overwrite it with --force.", code="exists")
    return target


def _swept(folder: Path) -> int:
    """A lock on a folder; who gets it alone knows that nobody writes, and removes what killed processes left."""
    lock = os.open(folder, os.O_RDONLY)
    with suppress(OSError):  # somebody else is writing; or the file system has no locks, and nothing is swept
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for left in folder.glob(".tagdesk-*.part"):
            left.unlink(missing_ok=True)
    with suppress(OSError):
        fcntl.flock(lock, fcntl.LOCK_SH)
    return lock


def sync_folder(folder: Path) -> None:
    """Make the rename last through a power cut, where the system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
