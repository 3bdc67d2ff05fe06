"""Files that are refused, at once and in words."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import re
import socket
import sqlite3
import subprocess
import sys
import time
import tracemalloc
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tagdesk.dataset import open_rows, packing, read_tickets
from tagdesk.errors import InputError, UsageError

PACKED = gzip.compress(b"text\n" + b"hello there\n" * 100)


def workbook() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("[Content_Types].xml", "<x/>")
        archive.writestr("xl/workbook.xml", "<x/>")
    return buffer.getvalue()


def slipping_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../../evil.csv", "text\nx\n")
    return buffer.getvalue()


def refusal(path: Path | str, **options: str) -> InputError:
    """The refusal of a file, which comes within a second."""
    start = time.process_time()
    with pytest.raises(InputError) as caught:
        read_tickets(path, **options)  # type: ignore[arg-type] # options are texts here
    assert time.process_time() - start < 1
    assert caught.value.exit_code == 3
    return caught.value


@pytest.mark.parametrize(
    ("name", "content", "code", "says"),
    [
        pytest.param("t.csv", b"", "empty", "0 bytes", id="F1 no bytes"),
        pytest.param("t.csv", b"\n\n \n", "empty", "blank lines only", id="F1 blank"),
        pytest.param("t.jsonl", b"\n\n", "empty", "blank lines only", id="F1 blank jsonl"),
        pytest.param("t.csv", b"a,b\n1,2\n", "missing_column", "It has: 'a', 'b'", id="F2 missing"),
        pytest.param("t.csv", b"text,text\na,b\n", "duplicate_column", "twice", id="F2 duplicate"),
        pytest.param("t.csv", b",text\na,b\n", "blank_column", "no name", id="F2 blank"),
        pytest.param("t.jsonl", b'{"a": 1}\n', "missing_column", "It has: 'a'", id="F2 jsonl"),
        pytest.param("t.csv", b'text,labels\nok,A\n"bad,B\n' + b"x,A\n" * 1000, "bad_quotes", "line 3", id="F3 open"),
        pytest.param("t.csv", b'text,labels\nok,A\n"bad,B\n"x",A\n', "bad_quotes", "line 3", id="F3 closed by another"),
        pytest.param("t.csv", b'text\n"bad\n' + b"x\n" * 60_000, "bad_quotes", "50,000 lines", id="F3 long"),
        pytest.param("t.csv", b"text\nok\ncaf\xe9\n", "bad_encoding", "byte 11.*cp1252", id="F7 latin-1"),
        pytest.param("t.csv", b"text\n" + b"long " * 500_000 + b"\xff", "bad_encoding", "byte 2500005", id="F7 late"),
        pytest.param("t.csv", b"text\nok\nend\xc3", "bad_encoding", "byte 11", id="F7 cut character"),
        pytest.param("t.csv", "text\nab\n".encode("utf-16-le"), "bad_encoding", "utf-16-le", id="F7 no mark"),
        pytest.param("t.csv", b"text;labels\n", "other_delimiter", "semicolon.*--delimiter ';'", id="F8 semicolon"),
        pytest.param("t.csv", b"text\tlabels\na\tA\n", "other_delimiter", "a tab", id="F8 tab"),
        pytest.param("t.tsv", b"text,labels\na,A\n", "other_delimiter", "a comma", id="F8 comma"),
        pytest.param("t.csv", b"a," * 1_000_000, "too_many_columns", "10,000", id="F9 columns"),
        pytest.param("t.csv", b"text\n" + b"," * 1_500_000, "too_many_columns", "1,000,000", id="F9 cells"),
        pytest.param("t.jsonl", b'[{"text": "a"}]', "not_jsonl", "one JSON array", id="F10 array"),
        pytest.param("t.jsonl", b'[\n{"text": "a"},\n{"text": "b"}\n]\n', "not_jsonl", "jq", id="F10 pretty array"),
        pytest.param("t.csv.gz", PACKED[:-9], "damaged", "cut off", id="F12 gzip cut"),
        pytest.param("t.csv.gz", PACKED[:-6] + b"\0\0" + PACKED[-4:], "damaged", "damaged", id="F12 gzip checksum"),
        pytest.param("t.csv.gz", b"text\nhello\n", "damaged", "damaged", id="F12 no gzip"),
        pytest.param("t.csv.xz", lzma.compress(b"text\nhello\n" * 99)[:-9], "damaged", "cut off", id="F12 xz cut"),
        pytest.param("t.csv.zst", b"\x28\xb5\x2f\xfdxxxx", "not_csv", "zstd", id="F12 zstd"),
        pytest.param("t.csv", slipping_zip(), "not_csv", "zip archive.*Unpack", id="F13 F14 zip"),
        pytest.param("t.xlsx", workbook(), "not_csv", "Excel workbook.*Save it as CSV", id="F15 xlsx"),
        pytest.param("t.parquet", b"PAR1" + b"x" * 50 + b"PAR1", "not_parquet", "", id="F16 footer"),
        pytest.param("t.parquet", b"hello", "not_parquet", "", id="F16 no parquet"),
        pytest.param("t.csv", b"\x80\x04\x95\x10\0\0\0", "not_csv", "pickle.*never opened", id="F17 pickle"),
        pytest.param("t.csv", b"<!DOCTYPE html><html></html>", "not_csv", "web page", id="F17 HTML"),
        pytest.param("t.csv", b"\x89PNG\r\n\x1a\n", "not_csv", "PNG", id="F17 PNG"),
        pytest.param("t.csv", b"\x7fELF\x02\x01", "not_csv", "program", id="F17 ELF"),
        pytest.param("t.jsonl", b"%PDF-1.7", "not_jsonl", "PDF", id="F17 PDF"),
        pytest.param("t.csv", b"PAR1xxxx", "not_csv", "Parquet.*name end in .parquet", id="F17 Parquet"),
        pytest.param("t.csv", b"\x1f\x8b\x08\0", "not_csv", "gzip.*name end in .gz", id="F17 gzip"),
        pytest.param("t.json", b"[]", "unknown_format", "one object per line", id="JSON document"),
        pytest.param("t.txt", b"text\na\n", "unknown_format", "give the format", id="unknown suffix"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, name: str, content: bytes, code: str, says: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    error = refusal(path)
    assert error.code == code
    assert str(error).startswith(str(path))
    assert re.search(says, str(error))
    assert list(tmp_path.iterdir()) == [path]


def test_f16_a_truncated_parquet_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"text": [f"hello {n}" for n in range(1000)]}), path)
    whole = path.read_bytes()
    for size in (1, 8, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert refusal(path).code == "not_parquet"
    path.write_bytes(whole[:100] + bytes(400) + whole[500:])
    assert refusal(path).code == "not_parquet"


def test_f17_a_database_is_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "t.csv")
    connection.execute("create table t (a)")
    connection.close()
    assert "SQLite" in str(refusal(tmp_path / "t.csv"))


@pytest.mark.skipif(sys.platform == "win32", reason="pipes, sockets and devices of Unix")
def test_f18_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket.csv"))
        found = {
            name: refusal(tmp_path / name).code
            for name in ("pipe.csv", "socket.csv", "loop.csv", "missing.csv", "x" * 300 + ".csv", "", "a\0b.csv")
        }
    assert list(found.values()) == [
        "not_a_file",
        "not_a_file",
        "unreadable",
        "missing",
        "unreadable",
        "not_a_file",
        "unreadable",
    ]
    assert refusal("/dev/zero", format="csv").code == "not_a_file"


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions of Unix")
def test_f18_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("text\na\n", encoding="utf-8")
    path.chmod(0)
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    assert refusal(path).code == "no_permission"


@pytest.mark.parametrize("change", ["append", "truncate", "replace", "delete"])
def test_f19_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path, change: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"text\n" + (b"hello " * 1000 + b"\n") * 700)
    with open_rows(path) as rows:
        next(iter(rows))
        if change == "append":
            with path.open("ab") as file:
                file.write(b"more\n")
        elif change == "truncate":
            os.truncate(path, 2**21 + 2**20)
        elif change == "replace":
            (tmp_path / "new").write_bytes(path.read_bytes())
            (tmp_path / "new").replace(path)
        else:
            path.unlink()
        with pytest.raises(InputError) as caught:
            list(rows)
    assert caught.value.code == "changed"


def test_f9_a_gigabyte_without_line_end_is_refused_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    with path.open("wb") as file:
        file.write(b"text\n")
        file.truncate(2**30)  # a hole that reads as NUL
    tracemalloc.start()
    with pytest.raises(InputError) as caught:
        read_tickets(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.code == "row_too_long"
    assert peak < 200 * 2**20


def test_f13_a_packed_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "_BOMBS_FROM", 10_000)
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"text\n" + b"\n" * 2_000_000))
    assert refusal(path).code == "too_large"


def test_an_unknown_encoding_format_or_delimiter_is_a_wrong_request(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("text\na\n", encoding="utf-8")
    for options in ({"encoding": "klingon"}, {"encoding": "hex"}, {"format": "xls"}, {"delimiter": "ab"}):
        with pytest.raises(UsageError):
            read_tickets(path, **options)  # type: ignore[arg-type] # options are texts here


def test_reading_text_files_loads_no_slow_library() -> None:
    code = (
        "import sys, tagdesk.dataset; print([m for m in ('pyarrow', 'scipy', 'sklearn', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
