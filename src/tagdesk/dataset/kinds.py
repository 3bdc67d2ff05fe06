"""What a file is, by its name for tables and by its first bytes for everything that is no table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tagdesk.errors import InputError, UsageError

FORMATS = ("csv", "tsv", "jsonl", "parquet")

_BY_SUFFIX = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
_COMPRESSED = {".gz": "gzip", ".xz": "xz"}
_GZIP, _XZ, _PARQUET = b"\x1f\x8b", b"\xfd7zXZ", b"PAR1"
_AS_CSV = "Save it as CSV (UTF-8) first."
_UNPACK = "Unpack it first."

# first bytes -> what such a file is, and what to do with it
_MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "a zip archive", _UNPACK),
    (b"PK\x05\x06", "an empty zip archive", _UNPACK),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word file", _AS_CSV),
    (_GZIP, "a gzip file", "Unpack it, or let its name end in .gz."),
    (_XZ, "an xz file", "Unpack it, or let its name end in .xz."),
    (b"\x28\xb5\x2f\xfd", "a zstd file", _UNPACK),
    (b"BZh", "a bzip2 file", _UNPACK),
    (b"7z\xbc\xaf", "a 7z archive", _UNPACK),
    (b"Rar!", "a RAR archive", _UNPACK),
    (_PARQUET, "a Parquet file", "Let its name end in .parquet, or give the format."),
    (b"ARROW1", "an Arrow file", "Save it as Parquet first."),
    (b"SQLite format 3", "an SQLite database", "Export the table as CSV first."),
    (b"\x7fELF", "a program", "Name a file of tickets."),
    (b"MZ", "a Windows program", "Name a file of tickets."),
    (b"\x89PNG", "a PNG picture", "Name a file of tickets."),
    (b"\xff\xd8\xff", "a JPEG picture", "Name a file of tickets."),
    (b"GIF8", "a GIF picture", "Name a file of tickets."),
    (b"%PDF", "a PDF document", "Name a file of tickets."),
    *((bytes((0x80, protocol, frame)), "a Python pickle", "It can run code and is never opened. " + _AS_CSV)
      for protocol in range(2, 6) for frame in b"\x95]}(ccX"),
)  # fmt: skip
_WORKBOOK = (b"[Content_Types].xml", b"xl/", b"_rels/")
_MARKUP = (b"<!doctype html", b"<html", b"<?xml", b"<head", b"<body", b"<table")


@dataclass(frozen=True, slots=True)
class Kind:
    """The format of a file, and how it is compressed (gzip, xz or None)."""

    format: str
    compression: str | None = None


def kind_of(path: Path, given: str | None = None) -> Kind:
    """The kind a file's name says, or the given format; raises InputError where neither says one that is known.

    >>> kind_of(Path("tickets.csv.gz"))
    Kind(format='csv', compression='gzip')
    """
    if given is not None and given not in FORMATS:
        raise UsageError(f"Format {given!r} is unknown; expected one of {', '.join(FORMATS)}.", code="unknown_format")
    suffix, compression = _suffixes(path)
    name = given or _BY_SUFFIX.get(suffix)
    if name is None:
        hint = "A .json file holds one document; write one object per line (.jsonl). " if suffix == ".json" else ""
        raise InputError(
            f"{path}: the name does not say which format it has. {hint}"
            f"Let it end in {', '.join(_BY_SUFFIX)} (the text ones also with .gz or .xz), or give the format.",
            code="unknown_format",
        )
    if name == "parquet" and compression:
        raise InputError(f"{path}: Parquet is compressed inside. {_UNPACK}", code="unknown_format")
    return Kind(name, compression)


def output_kind(path: Path, given: str | None = None) -> Kind:
    """The kind of a file that is to be written; raises InputError for another ending, UsageError for a packed file.

    >>> output_kind(Path("tickets.parquet"))
    Kind(format='parquet', compression=None)
    """
    suffix, compression = _suffixes(path)
    if given is None and suffix not in _BY_SUFFIX:
        endings = f"{', '.join('.' + name for name in FORMATS[:-1])} or .{FORMATS[-1]}"
        raise InputError(
            f"{path}: the name does not say which format to write. Let it end in {endings}.", code="unknown_format"
        )
    if compression:
        raise UsageError(f"{path}: packed files are read, not written. Leave out {path.suffix}.", code="unknown_format")
    return kind_of(path, given)


def refuse_alien(path: Path, head: bytes, given: str | None = None) -> None:
    """Raise InputError (`not_csv`, ...) if a file that starts with `head` is no table, saying what it looks like."""
    found = looks_like(head)
    suffix, compression = _suffixes(path)
    wanted = given or _BY_SUFFIX.get(suffix, "csv")
    is_expected = (compression == "gzip" and head.startswith(_GZIP)) or (compression == "xz" and head.startswith(_XZ))
    if found is None or is_expected or (wanted == "parquet" and head.startswith(_PARQUET)):
        return
    what, remedy = found
    raise InputError(f"{path}: this is {what}, not a table of tickets. {remedy}", code=f"not_{wanted}")


def looks_like(head: bytes) -> tuple[str, str] | None:
    r"""What a file that starts with these bytes is, with a remedy; None where it may be a table of text.

    >>> looks_like(b"\x7fELF...")
    ('a program', 'Name a file of tickets.')
    """
    if head.startswith(b"PK\x03\x04") and any(part in head for part in _WORKBOOK):
        return "an Excel workbook", _AS_CSV
    for magic, what, remedy in _MAGIC:
        if head.startswith(magic):
            return what, remedy
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith(_MARKUP):
        return "a web page or XML document", _AS_CSV
    return None


def _suffixes(path: Path) -> tuple[str, str | None]:
    """The suffix that names the format, and the compression that a further one names."""
    compression = _COMPRESSED.get(path.suffix.lower())
    inner = path.with_suffix("") if compression else path
    return inner.suffix.lower(), compression
