"""Where a study is kept: a journal on disk, or a database that several machines share."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from tagdesk.errors import InputError, MissingExtra, TagdeskError, UsageError

_POSTGRES = re.compile(r"postgres(?:ql)?://")
_BEGINNING = b'{"op_code":'  # of every record of a journal


def open_storage(place: str) -> tuple[BaseStorage, str]:
    """The storage at a place, and what was done to make it readable, in a sentence; mostly nothing.

    Args:
        place: a file, which is made where it does not exist, or the URL of a database.

    Raises:
        UsageError: for a place that cannot be written, or a URL that is none.
        InputError: for a file that is no journal, or a damaged one.
        MissingExtra: where the driver of a database is not installed.
        TagdeskError: `storage_lost` where the database does not answer.
    """
    if "://" in place:
        return _database(place), ""
    path, remark = Path(place), ""
    with _writable(path):
        path = Path(os.path.realpath(place))  # the lock of a journal is found by it, wherever the process goes
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = JournalFileOpenLock(str(path))
        if path.exists() and path.stat().st_size:
            lock.acquire()
            try:
                remark = _mended(path)
            finally:
                lock.release()
        with path.open("ab"):
            pass
    try:
        return JournalStorage(JournalFileBackend(str(path), lock_obj=lock)), remark
    except Exception as error:  # a record that is JSON and no record fails in a dozen ways
        raise _no_journal(path, f"a record makes no sense ({type(error).__name__})") from error


def close_storage(storage: BaseStorage) -> None:
    """Give all connections back."""
    storage.remove_session()
    if isinstance(storage, RDBStorage):
        storage.engine.dispose()


def shown(place: str) -> str:
    """A place as messages name it: without user, password and options.

    >>> shown("postgresql://ada:secret@db:5432/studies?password=secret")
    'postgresql://db:5432/studies'
    """
    if "://" not in place:
        return place
    try:
        parts = urlsplit(place)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    except ValueError:
        return f"{place.partition('://')[0]}://..."


@contextmanager
def naming_faults(place: str) -> Iterator[None]:
    """Raise our own error where a storage fails, so that no message holds a password and all say what to do."""
    try:
        yield
    except TagdeskError:
        raise
    except Exception as error:
        module = type(error).__module__.partition(".")[0]
        is_storage = isinstance(error, optuna.exceptions.StorageInternalError | OSError)
        if not is_storage and module not in {"sqlalchemy", "psycopg", "psycopg2", "sqlite3"}:
            raise
        raise TagdeskError(
            f"{shown(place)} does not take what the search found ({type(error).__name__}). What it holds is kept: "
            "call again with the same storage and study to go on.",
            code="storage_lost",
        ) from error


def _database(place: str) -> BaseStorage:
    url = _POSTGRES.sub("postgresql+psycopg://", place, count=1)
    try:
        return RDBStorage(url, engine_kwargs={"pool_pre_ping": True})
    except ImportError as error:
        if url != place:
            raise MissingExtra("A study on PostgreSQL", "postgres") from error
        raise UsageError(f"{shown(place)}: its driver is not installed. Install it.", code="bad_storage") from error
    except Exception as error:  # each driver has errors of its own
        if type(error).__name__ in {"ArgumentError", "NoSuchModuleError", "ValueError"}:
            raise UsageError(
                f"{shown(place)} is no address of a database. Expected a file, or one such as "
                "postgresql://user:password@host/name.",
                code="bad_storage",
            ) from error
        raise TagdeskError(
            f"{shown(place)} does not answer, or holds no studies ({type(error).__name__}). Check the address, the "
            "user and the password.",
            code="storage_lost",
        ) from error


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    try:
        if path.exists() and not path.is_file():
            raise UsageError(f"{path}: is there and is no plain file. Name another --storage.", code="unwritable")
        yield
    except (OSError, ValueError) as error:  # the latter for what no file can be called
        raise UsageError(
            f"{str(path)[:200]!r}: cannot be written. Name another --storage.", code="unwritable"
        ) from error


def _mended(path: Path) -> str:
    """Cut off half a record at the end, which a killed process or a full disk leaves; raise for anything else.

    Without it the next record would be written behind that half, and neither could ever be read.
    """
    content = path.read_bytes()
    whole, end, torn = content.rpartition(b"\n")
    for number, line in enumerate(whole.split(b"\n") if end else (), start=1):
        if not _is_record(line):
            raise _no_journal(path, f"line {number} is no record")
    if not torn:
        return ""
    if not (torn.startswith(_BEGINNING) or _BEGINNING.startswith(torn)):
        raise _no_journal(path, "its end is no record")
    os.truncate(path, len(content) - len(torn))
    return f"{path.name} ended in half a record, as a killed process leaves it; its {len(torn)} bytes were cut off."


def _is_record(line: bytes) -> bool:
    try:
        record: Any = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return (
        isinstance(record, dict) and isinstance(record.get("op_code"), int) and isinstance(record.get("worker_id"), str)
    )


def _no_journal(path: Path, why: str) -> InputError:
    return InputError(
        f"{path} is no journal of searches, or a damaged one: {why}. Nothing in it was changed; name another "
        "--storage.",
        code="bad_storage",
    )
