"""Rows that are read, rejected and skipped."""

from __future__ import annotations

import gzip
import lzma
import os
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagdesk.dataset import Accepted, Columns, ReadResult, Rejected, open_rows, read_tickets
from tagdesk.errors import InputError


def read(folder: Path, name: str, content: str | bytes, **options: str) -> ReadResult:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    result = read_tickets(path, **options)  # type: ignore[arg-type] # options are texts here
    assert result.read == len(result.accepted) + len(result.rejected) + result.skipped
    return result


def texts(result: ReadResult) -> list[str]:
    return [ticket.text for ticket in result.tickets]


def codes(result: ReadResult) -> list[tuple[int, str]]:
    return [(row.where, row.code) for row in result.rejected]


def test_rows_of_bare_delimiters_are_blank_lines(tmp_path: Path) -> None:
    result = read(tmp_path, "t.csv", "text,labels\none,A\n,\n , \ntwo,B\n,A\n")
    assert (texts(result), result.skipped, codes(result)) == (["one", "two"], 2, [(6, "empty_text")])


def test_a_csv_gives_tickets_with_their_lines(tmp_path: Path) -> None:
    result = read(tmp_path, "t.csv", 'id,text,labels,source\n007,"Hello,\nthere",A|B,web\n\n8,"say ""hi""",,mail\n')
    first, second = result.accepted
    assert (first.ticket.id, first.ticket.text, first.ticket.labels) == ("007", "Hello,\nthere", {"A", "B"})
    assert (second.ticket.text, second.ticket.labels, second.raw["source"]) == ('say "hi"', frozenset(), "mail")
    assert [(row.number, row.line) for row in result.accepted] == [(1, 2), (2, 5)]
    assert (result.fields, result.skipped) == (("id", "text", "labels", "source"), 1)


def test_without_a_labels_column_tickets_are_unlabelled(tmp_path: Path) -> None:
    ticket = read(tmp_path, "t.csv", "text\nhello\n").tickets[0]
    assert (ticket.id, ticket.labels, ticket.unit, ticket.time) == ("1", None, None, None)


def test_f1_a_header_alone_is_a_file_without_rows(tmp_path: Path) -> None:
    assert read(tmp_path, "t.csv", "text,labels\n").read == 0


def test_f4_a_long_field_is_read_and_one_that_is_too_long_rejected(tmp_path: Path) -> None:
    result = read(tmp_path, "t.csv", f"text\n{'a' * 200_000}\n{'b' * 10_000_000}\nc\n")
    assert list(map(len, texts(result))) == [200_000, 1]
    assert codes(result) == [(3, "too_long")]


def test_f5_nul_goes_and_leaves_a_flag(tmp_path: Path) -> None:
    row = read(tmp_path, "t.csv", b"text\nabc\0def\n").accepted[0]
    assert (row.ticket.text, row.flags) == ("abcdef", ("control_characters",))


def test_f6_ragged_rows_are_rejected_and_the_others_read(tmp_path: Path) -> None:
    result = read(tmp_path, "t.csv", "text,labels\na\nb,c,d\ne,F\n   \ng,\n")
    assert texts(result) == ["e", "g"]
    assert codes(result) == [(2, "ragged"), (3, "ragged")]
    assert result.skipped == 1


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_f6_any_line_end_is_read(tmp_path: Path, end: str) -> None:
    result = read(tmp_path, "t.csv", end.join(["text,labels", "a,A", f'"b{end}c",B', "d,D", ""]))
    assert texts(result) == ["a", f"b{end}c", "d"]
    assert [row.line for row in result.accepted] == [2, 3, 5]


def test_f6_mixed_line_ends_are_read(tmp_path: Path) -> None:
    assert texts(read(tmp_path, "t.csv", "text\na\r\nb\rc\nd")) == ["a", "b", "c", "d"]


def test_t23_other_line_separators_stay_in_their_row(tmp_path: Path) -> None:
    text = "a\u2028b\u2029c\x85d\x0be\x0cf"
    assert texts(read(tmp_path, "t.csv", f"text\n{text}\n")) == [text]
    assert texts(read(tmp_path, "t.jsonl", '{"text": "a\u2028b\x85c"}\n')) == ["a\u2028b\x85c"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_f7_byte_order_marks_are_understood(tmp_path: Path, encoding: str) -> None:
    assert texts(read(tmp_path, "t.csv", "text,labels\nschön,A\n".encode(encoding))) == ["schön"]
    assert texts(read(tmp_path, "t.jsonl", '{"text": "schön"}\n'.encode(encoding))) == ["schön"]


def test_f7_a_named_encoding_is_used(tmp_path: Path) -> None:
    assert texts(read(tmp_path, "t.csv", "text\ncafé € “x”\n".encode("cp1252"), encoding="cp1252")) == ["café € “x”"]
    assert texts(read(tmp_path, "t.csv", "text\nab\n".encode("utf-16-le"), encoding="utf-16-le")) == ["ab"]
    assert texts(read(tmp_path, "t.csv", b"\xef\xbb\xbftext\nab\n", encoding="utf8")) == ["ab"]


def test_f8_a_tab_can_be_typed_as_the_message_says_it(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id\ttext\n1\thello, you\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_tickets(path)
    typed = str(caught.value).split("--delimiter '")[1].removesuffix("'.")
    assert [ticket.text for ticket in read_tickets(path, delimiter=typed).tickets] == ["hello, you"]


def test_f8_a_named_delimiter_is_used(tmp_path: Path) -> None:
    assert texts(read(tmp_path, "t.csv", "text;labels\na,b;A\n", delimiter=";")) == ["a,b"]
    assert texts(read(tmp_path, "t.tsv", 'text\tlabels\n"a\tb"\tA\n')) == ["a\tb"]


def test_f10_json_lines_are_read_and_a_truncated_last_one_rejected(tmp_path: Path) -> None:
    result = read(
        tmp_path, "t.jsonl", '{"text": "a", "labels": ["A"], "n": 1}\n\n[1]\n7\n{"text": "b", "id": 7}\n{"text": "c'
    )
    assert [(ticket.text, ticket.labels, ticket.id) for ticket in result.tickets] == [
        ("a", {"A"}, "1"),
        ("b", None, "7"),
    ]
    assert codes(result) == [(3, "bad_json"), (4, "bad_json"), (6, "bad_json")]
    assert (result.skipped, result.fields) == (1, ("text", "labels", "n", "id"))


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('{"text": NaN}', "bad_json"),
        ('{"text": "x", "n": Infinity}', "bad_json"),
        ('{"text": "x", "n": 1e999}', "bad_json"),
        ('{"text": "x", "n": ' + "1" * 5000 + "}", "bad_json"),
        ('{"text": "x", "text": "y"}', "bad_json"),
        ('{"text": "x", "n": ' + "[" * 100_000 + "}", "bad_json"),
        ('{"text": "x", "n": ' + "[" * 40 + "]" * 40 + "}", "bad_json"),
        ('{"text": "x"} {"text": "y"}', "bad_json"),
        ('{"text": "\\ud800"}', "bad_encoding"),
        ('{"text": "x", "extra": "\\ud800"}', "bad_encoding"),
        ('{"text": 1}', "not_text"),
        ('{"text": null}', "not_text"),
        ('{"labels": "A"}', "not_text"),
        ('{"text": "x", "labels": {"A": 1}}', "bad_labels"),
        ('{"text": ""}', "empty_text"),
    ],
)
def test_f11_a_bad_line_is_rejected_and_the_next_one_read(tmp_path: Path, line: str, code: str) -> None:
    result = read(tmp_path, "t.jsonl", f'{line}\n{{"text": "fine"}}\n')
    assert texts(result) == ["fine"]
    assert codes(result) == [(1, code)]


def test_f11_rejections_never_quote_the_text(tmp_path: Path) -> None:
    card = "4111-1111-1111-1111"
    lines = [
        f'{{"text": "{card}"',
        f'{{"text": ["{card}"]}}',
        f'{{"text": "x", "labels": "[{card}"}}',
        f'["{card}"]',
    ]
    result = read(tmp_path, "t.jsonl", "\n".join(lines))
    assert len(result.rejected) == 4
    assert not any("4111" in str(row.to_dict()) for row in result.rejected)


def test_f11_a_line_without_end_is_rejected_without_being_held(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    with path.open("wb") as file:
        file.write(b'{"text": "a"}\n')
        file.truncate(100 * 2**20)  # a hole that reads as NUL
        file.seek(0, os.SEEK_END)
        file.write(b'\n{"text": "b"}\n')
    tracemalloc.start()
    result = read_tickets(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (texts(result), codes(result)) == (["a", "b"], [(2, "too_long")])
    assert peak < 150 * 2**20


def test_parquet_is_read_with_its_types(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    table = {
        "text": ["a", "b", None],
        "labels": [["A"], None, []],
        "id": [7, 8, 9],
        "score": [0.5, 1.0, 2.0],
        "time": pa.array([0, 1, 2], pa.timestamp("ns")),
    }
    pq.write_table(pa.table(table), path)
    result = read_tickets(path)
    first = result.accepted[0]
    assert (first.ticket.id, first.ticket.labels, first.raw["score"]) == ("7", {"A"}, 0.5)
    assert (first.ticket.time or "").startswith("1970-01-01 00:00:00")
    assert result.accepted[1].ticket.labels is None
    assert [(row.number, row.line, row.code) for row in result.rejected] == [(3, None, "not_text")]


def test_f16_parquet_texts_that_are_not_utf_8_are_rejected_alone(tmp_path: Path) -> None:
    broken = pa.StringArray.from_buffers(2, pa.py_buffer(b"\0\0\0\0\2\0\0\0\4\0\0\0"), pa.py_buffer(b"ok\xff\xfe"))
    pq.write_table(pa.table({"text": broken}), tmp_path / "t.parquet")
    result = read_tickets(tmp_path / "t.parquet")
    assert (texts(result), codes(result)) == (["ok"], [(2, "bad_encoding")])


@pytest.mark.parametrize(("name", "pack"), [("t.csv.gz", gzip.compress), ("t.csv.xz", lzma.compress)])
def test_packed_files_are_read(tmp_path: Path, name: str, pack: object) -> None:
    assert texts(read(tmp_path, name, pack(b"text\nhello\n"))) == ["hello"]  # type: ignore[operator] # both pack bytes


def test_f23_f24_values_stay_as_they_stand(tmp_path: Path) -> None:
    result = read(tmp_path, "t.csv", "id,text\n007,NA\n1e5,null\n../x,None\n007,nan\n,TRUE\n")
    assert texts(result) == ["NA", "null", "None", "nan", "TRUE"]
    assert [ticket.id for ticket in result.tickets] == ["007", "1e5", "../x", "007", "5"]


def test_f25_a_column_of_lists_is_read_and_never_evaluated(tmp_path: Path) -> None:
    nested = "[" * 5000
    rows = ["a,['Billing Issue']", """b,"['A', ""Other's""]" """.strip(), f"c,{nested}", "d,__import__('os')", "e,"]
    result = read(tmp_path, "t.csv", "text,categories\n" + "\n".join(rows) + "\n")
    assert [ticket.labels for ticket in result.tickets] == [{"Billing Issue"}, {"A", "Other's"}, frozenset()]
    assert codes(result) == [(4, "bad_labels"), (5, "bad_labels")]


def test_t26_the_quote_of_an_escaped_cell_goes(tmp_path: Path) -> None:
    assert texts(read(tmp_path, "t.csv", "text\n'=1+1\n'tis\n''=x\n")) == ["=1+1", "'tis", "'=x"]


def test_subject_and_body_are_joined_and_columns_can_be_named(tmp_path: Path) -> None:
    assert texts(read(tmp_path, "t.csv", "subject,body\nHi,there\n,alone\n")) == ["Hi\n\nthere", "alone"]
    result = read_tickets(tmp_path / "t.csv", Columns(text="body", id="subject"))
    assert [(ticket.id, ticket.text) for ticket in result.tickets] == [("Hi", "there"), ("2", "alone")]


def test_counts_add_up_while_reading(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("text,labels\na,A\n\nb\n,B\nc,C\n", encoding="utf-8")
    with open_rows(path) as rows:
        kinds = [type(row) for row in rows]
        assert kinds == [Accepted, Rejected, Rejected, Accepted]
        assert (rows.read, rows.accepted, rows.rejected, rows.skipped, rows.share) == (5, 2, 2, 1, 1.0)
        assert list(rows) == []


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("text,labels\n" + "I was charged twice for my order last week,Billing\n" * 20_000, encoding="utf-8")
    tracemalloc.start()
    with open_rows(path) as rows:
        assert sum(1 for _ in rows) == 20_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * 2**20


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=300) | st.text(alphabet='text,labels\n\r"{}:[]\\u0|; ', max_size=300).map(str.encode),
    name=st.sampled_from(["f.csv", "f.tsv", "f.jsonl", "f.csv.gz", "f.parquet"]),
)
def test_any_bytes_give_rows_or_an_input_error(tmp_path: Path, content: bytes, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"text,labels\n" + content if name == "f.csv" else content)
    try:
        result = read_tickets(path)
    except InputError as error:
        assert name in str(error)  # noqa: PT017 - some bytes are a table
    else:
        assert result.read == len(result.accepted) + len(result.rejected) + result.skipped
