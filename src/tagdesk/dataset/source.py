"""A file that is opened for reading with care: a plain file, of the kind it claims, unchanged until its end."""

from __future__ import annotations

import codecs
import gzip
import io
import lzma
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tagdesk.dataset.kinds import Kind, kind_of, refuse_alien
from tagdesk.dataset.packing import unpacked
from tagdesk.errors import InputError, UsageError

_HEAD = 4096  # bytes that tell what a file is
_CHUNK = 1 << 20
_ODD = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"))  # fmt: skip
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
          (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))  # fmt: skip


class Source:
    """An open file with its kind; it notices damage and change, and says so as InputError."""

    def __init__(self, path: Path, *, format: str | None = None) -> None:  # noqa: A002 - the word that users know
        self.path = path
        found = _plain_file(path)
        self.size = found.st_size
        self._identity = _identity(found)
        self.raw = _opened(path)
        self._text: io.TextIOWrapper | None = None
        try:
            self.kind = self._known_kind(format)
        except BaseException:
            self.raw.close()
            raise

    @property
    def share(self) -> float:
        """How much of the file has been read, 0..1."""
        return 1.0 if self.raw.closed or not self.size else min(1.0, self.raw.tell() / self.size)

    def text(self, encoding: str | None = None) -> io.TextIOWrapper:
        """The content as text, lines ending as they do in the file; UTF-8 unless a byte order mark says otherwise."""
        content = self._unpacked()
        encoding = _named(encoding) if encoding else self._encoding(content.peek(_HEAD)[:_HEAD])
        self._text = io.TextIOWrapper(content, encoding=encoding, newline="")
        return self._text

    def verify_unchanged(self) -> None:
        """Raise InputError if the file is not what it was when it was opened."""
        try:
            now = _identity(self.path.stat())
        except OSError:
            now = None
        if now != self._identity:
            raise InputError(
                f"{self.path}: the file changed while it was read. Read it again once nobody writes to it.",
                code="changed",
            )

    @contextmanager
    def troubles(self) -> Iterator[None]:
        """Turn what decoding, unpacking and reading can raise into InputError."""
        try:
            yield
        except UnicodeError as error:
            raise self._undecodable(error) from error
        except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
            raise InputError(
                f"{self.path}: the compressed data is cut off or damaged. Get it anew.", code="damaged"
            ) from error
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read: {error}.", code="unreadable") from error

    def close(self) -> None:
        """Close the file."""
        if self._text is not None:
            self._text.close()
        self.raw.close()

    def _known_kind(self, given: str | None) -> Kind:
        with self.troubles():
            head = self.raw.read(_HEAD)
        refuse_alien(self.path, head, given)
        kind = kind_of(self.path, given)
        if not head:
            raise InputError(f"{self.path}: the file is empty (0 bytes). Export it again.", code="empty")
        return kind

    def _unpacked(self) -> io.BufferedReader:
        self.raw.seek(0)
        return unpacked(self.raw, self.kind.compression, self.path, self.size)

    def _encoding(self, head: bytes) -> str:
        for mark, encoding in _MARKS:
            if head.startswith(mark):
                return encoding
        for encoding, low, high in (("utf-16-le", head[::2], head[1::2]), ("utf-16-be", head[1::2], head[::2])):
            if high.count(0) > len(high) * 0.7 and low.count(0) < len(low) * 0.3:
                raise InputError(
                    f"{self.path}: every other byte is zero; this looks like {encoding} without its byte order mark. "
                    f"Give the encoding: {encoding}.",
                    code="bad_encoding",
                )
        return "utf-8"

    def _undecodable(self, error: UnicodeError) -> InputError:
        """The InputError for bytes that are not in the encoding, with their offset in the (unpacked) file."""
        encoding = error.encoding if isinstance(error, UnicodeDecodeError) else "the encoding"
        where = ""
        if isinstance(error, UnicodeDecodeError) and self._text is not None:
            offset = _first_bad_byte(self._unpacked(), self._text.encoding)
            where = f" at byte {offset}" if offset is not None else ""
        return InputError(
            f"{self.path}: not valid {encoding}{where}. Save it as UTF-8, or name its encoding: --encoding cp1252.",
            code="bad_encoding",
        )


def fingerprint(path: Path) -> tuple[str, int, int, int]:
    """What tells a file from a changed one: name, bytes, time of change in ns, inode; raises InputError."""
    found = _plain_file(path)
    return path.name, found.st_size, found.st_mtime_ns, found.st_ino


def _plain_file(path: Path) -> os.stat_result:
    """The file's status; raises InputError for what cannot be read like a file, without opening it."""
    try:
        found = path.stat()
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file. Check the path.", code="missing") from None
    except PermissionError:
        raise InputError(f"{path}: no permission to look into its folder.", code="no_permission") from None
    except (OSError, ValueError) as error:  # a loop of links, a name that is too long or holds NUL
        raise InputError(f"{str(path)!r}: cannot be opened: {error}.", code="unreadable") from error
    for is_odd, what in _ODD:
        if is_odd(found.st_mode):
            raise InputError(f"{path}: this is {what}, not a file. Name a file of tickets.", code="not_a_file")
    return found


def _opened(path: Path) -> io.FileIO:
    try:
        return path.open("rb", buffering=0)
    except PermissionError:
        raise InputError(f"{path}: no permission to read it.", code="no_permission") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be opened: {error}.", code="unreadable") from error


def _identity(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _named(encoding: str) -> str:
    """The codec of this name; a UTF-8 byte order mark is never part of the first column's name."""
    try:
        name = codecs.lookup(encoding).name
        io.TextIOWrapper(io.BytesIO(), encoding=name).close()  # refuses codecs that do not give text
    except (LookupError, ValueError):
        raise UsageError(
            f"Encoding {encoding!r} is unknown. Try utf-8, cp1252 or utf-16.", code="unknown_encoding"
        ) from None
    return "utf-8-sig" if name == "utf-8" else name


def _first_bad_byte(stream: io.BufferedReader, encoding: str) -> int | None:
    """The offset of the first byte that does not decode."""
    decoder = codecs.getincrementaldecoder(encoding)()
    passed = 0
    while True:
        chunk = stream.read(_CHUNK)
        pending = len(decoder.getstate()[0])
        try:
            decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            return passed - pending + error.start
        passed += len(chunk)
        if not chunk:
            return None
