"""Tables that are rendered in pieces and joined."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tagdesk.dataset import Sheet, open_writer
from tagdesk.errors import InputError

ROWS: list[dict[str, Any]] = [
    {"id": "=1", "n": 1, "tags": ["a", "b"]},
    {"id": "two\nlines", "n": None, "tags": []},
    {"id": "", "n": 3, "tags": ["é"]},
]
TYPES: dict[str, Any] = {"id": str, "n": int, "tags": list}


def joined(sheet: Sheet, *pieces: list[dict[str, Any]]) -> bytes:
    handle = io.BytesIO()
    sheet.join([sheet.render(piece) for piece in pieces], handle)
    return handle.getvalue()


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl"])
def test_pieces_make_the_file_that_is_written_at_once(suffix: str, tmp_path: Path) -> None:
    sheet = Sheet.of(suffix, tuple(TYPES), TYPES)
    path = tmp_path / f"t.{suffix}"
    with open_writer(path, list(TYPES), types=TYPES) as rows:
        for row in ROWS:
            rows.write(row)
    assert joined(sheet, ROWS[:1], [], ROWS[1:]) == path.read_bytes()
    assert joined(sheet, ROWS) == path.read_bytes()


def test_each_piece_of_parquet_is_a_file_and_a_row_group_of_one_schema() -> None:
    sheet = Sheet.of("parquet", tuple(TYPES), TYPES)
    piece = pq.ParquetFile(io.BytesIO(sheet.render(ROWS[:2]))).read()
    assert piece.to_pylist() == ROWS[:2]
    whole = pq.ParquetFile(io.BytesIO(joined(sheet, ROWS[:2], [], ROWS[2:])))
    assert whole.read().to_pylist() == ROWS
    assert whole.schema_arrow == piece.schema == sheet.schema
    assert [whole.metadata.row_group(n).num_rows for n in range(whole.num_row_groups)] == [2, 1]
    assert pq.ParquetFile(io.BytesIO(joined(sheet))).read().num_rows == 0


def test_what_nobody_declared_is_as_the_first_rows_have_it() -> None:
    sheet = Sheet.of("parquet", ("a", "b", "c"), {"c": pa.int8()}, [{"a": 1, "b": None}, {"a": None}])
    assert [str(field.type) for field in sheet.schema] == ["int64", "string", "int8"]
    with pytest.raises(InputError) as caught:
        sheet.render([{"a": "text"}])
    assert caught.value.code == "mixed_types"
