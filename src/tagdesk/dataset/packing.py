"""The bytes inside a packed file, bounded against bombs."""

from __future__ import annotations

import gzip
import io
import lzma
from pathlib import Path
from typing import Any, Protocol

from tagdesk.errors import InputError

_CHUNK = 1 << 16  # bytes; how far a file was read is known to as many
_BOMBS_FROM = 1 << 30  # bytes unpacked; smaller bombs do no harm, since rows are read one by one
_MOST_RATIO = 200  # unpacked to packed bytes; text packs to a third, a log of equal lines to a hundredth


class _Readable(Protocol):
    """What both files and unpackers offer."""

    def readinto(self, buffer: Any, /) -> int | None: ...


def unpacked(raw: io.FileIO, compression: str | None, path: Path, packed: int) -> io.BufferedReader:
    """What `raw` holds once unpacked (gzip, xz, or None as it is); closing it leaves `raw` open.

    `packed` is the size of the file, against which what comes out is weighed.
    """
    if compression is None:
        return io.BufferedReader(_Stream(raw), _CHUNK)
    # Neither holds anything to close but `raw`, which is not theirs.
    inner = gzip.GzipFile(fileobj=raw, mode="rb") if compression == "gzip" else lzma.LZMAFile(raw)  # noqa: SIM115
    most = max(_BOMBS_FROM, packed * _MOST_RATIO)
    return io.BufferedReader(_Bounded(inner, path, most), _CHUNK)


class _Stream(io.RawIOBase):
    """A stream over another one, which outlives it."""

    def __init__(self, inner: _Readable) -> None:
        self._inner = inner

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        return self._inner.readinto(buffer) or 0


class _Bounded(_Stream):
    """A stream that gives up after `most` bytes."""

    def __init__(self, inner: _Readable, path: Path, most: int) -> None:
        super().__init__(inner)
        self._path = path
        self._left = most

    def readinto(self, buffer: Any, /) -> int:
        count = super().readinto(buffer)
        self._left -= count
        if self._left < 0:
            raise InputError(
                f"{self._path}: unpacks to more than {_MOST_RATIO} times its size, as no table of tickets does. "
                "Unpack it yourself if it is one.",
                code="too_large",
            )
        return count
