"""A folder of Parquet files, read like one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tagdesk.dataset import Columns, File, open_rows, read_tickets
from tagdesk.errors import InputError


def folder(place: Path, **files: dict[str, Any]) -> Path:
    place.mkdir()
    for name, columns in files.items():
        pq.write_table(pa.table(columns), place / f"{name}.parquet")
    return place


def test_its_rows_are_those_of_its_files_in_the_order_of_their_names(tmp_path: Path) -> None:
    place = folder(tmp_path / "t", b={"text": ["three"]}, a={"text": ["one", "", "two"]}, c={"text": ["four", "five"]})
    (place / "_SUCCESS").touch()
    (place / ".x.parquet").write_bytes(b"half")
    result = read_tickets(place)
    assert [ticket.text for ticket in result.tickets] == ["one", "two", "three", "four", "five"]
    assert [(row.number, row.code) for row in result.rejected] == [(2, "empty_text")]
    with open_rows(place) as rows:
        assert [rows.share for _ in rows] == [(n + 1) / 6 for n in range(6)]


def test_its_columns_have_a_type_where_all_files_agree(tmp_path: Path) -> None:
    ints = {"n": pa.array([1], pa.int16()), "m": pa.array([1], pa.int32()), "text": ["a b"]}
    others = ints | {"m": pa.array([1.5])}
    with open_rows(folder(tmp_path / "t", a=ints, b=others)) as rows:
        assert rows.types == {"n": pa.int16(), "text": pa.string()}


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({}, "not_a_file"),
        ({"a": {"text": ["x"]}, "b": {"text": ["x"], "more": [1]}}, "other_columns"),
        ({"a": {"nothing": ["x"]}}, "missing_column"),
    ],
)
def test_what_is_no_table_is_refused(files: dict[str, Any], code: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_tickets(folder(tmp_path / "t", **files))
    assert caught.value.code == code


def test_a_damaged_file_in_it_is_named(tmp_path: Path) -> None:
    place = folder(tmp_path / "t", a={"text": ["x"]})
    (place / "b.parquet").write_bytes(b"PAR1 and nothing more PAR1")
    with pytest.raises(InputError, match=r"b\.parquet"):
        read_tickets(place)


def test_it_is_no_csv(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="this is a folder"):
        read_tickets(folder(tmp_path / "t", a={"text": ["x"]}), format="csv")


def test_a_file_that_is_added_or_changed_is_noticed(tmp_path: Path) -> None:
    place = folder(tmp_path / "t", a={"text": ["x", "y"]})
    file = File(place, Columns())
    before = file.fingerprints()
    file.verify_unchanged(before)
    with open_rows(place) as rows:
        next(iter(rows))
        pq.write_table(pa.table({"text": ["z"]}), place / "b.parquet")
        with pytest.raises(InputError, match="changed"):
            list(rows)
    with pytest.raises(InputError, match="changed"):
        file.verify_unchanged(before)
