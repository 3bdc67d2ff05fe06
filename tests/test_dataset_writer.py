"""Files of rows and tickets."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagdesk.dataset import open_writer, read_tickets, write_tickets
from tagdesk.errors import InputError, UsageError
from tagdesk.ticket import Ticket

FORMATS = ["csv", "tsv", "jsonl", "parquet"]
AWKWARD = [
    Ticket("007", "=HYPERLINK(1)", frozenset({"A", "B"}), "u1", "2024-01-01"),
    Ticket("1e5", 'a\r\nb\rc"q",x\t|;', frozenset()),
    Ticket("../x", "'=1", frozenset({"A|B", "[x"}), "=u"),
    Ticket("-5", "\x0bé😀'\u2028\u202eNA", frozenset({"Other's"})),
    Ticket("x" * 10_000, "\uff1d1", frozenset({"-x"})),
]
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
LABELS = st.frozensets(TEXTS.map(str.strip).filter(lambda name: name and "__" not in name), max_size=3)
TICKETS = st.builds(
    Ticket,
    TEXTS.filter(bool),
    TEXTS.map(lambda text: "hello" + text) | TEXTS.map(lambda text: text + "hello"),
    LABELS,
    st.none() | TEXTS.filter(bool),
    st.none() | TEXTS.filter(bool),
)


def write(path: Path, fields: list[str], rows: list[dict[str, object]]) -> None:
    with open_writer(path, fields) as writer:
        for row in rows:
            writer.write(row)


@pytest.mark.parametrize("suffix", FORMATS)
def test_tickets_are_read_back_as_they_were(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t.{suffix}"
    write_tickets(path, AWKWARD)
    assert read_tickets(path).tickets == AWKWARD


@pytest.mark.parametrize("suffix", FORMATS)
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tickets=st.lists(TICKETS, min_size=1, max_size=5))
def test_t26_any_tickets_are_read_back(tmp_path: Path, suffix: str, tickets: list[Ticket]) -> None:
    path = tmp_path / f"t.{suffix}"
    write_tickets(path, tickets, force=True)
    assert read_tickets(path).tickets == tickets


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_unlabelled_tickets_stay_apart_from_those_without_label(tmp_path: Path, suffix: str) -> None:
    tickets = [Ticket("1", "a"), Ticket("2", "b", frozenset()), Ticket("3", "c", frozenset({"A"}))]
    write_tickets(tmp_path / f"t.{suffix}", tickets)
    assert read_tickets(tmp_path / f"t.{suffix}").tickets == tickets


def test_csv_refuses_what_it_cannot_tell_apart(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"1 of 2 tickets .* \.jsonl"):
        write_tickets(tmp_path / "t.csv", [Ticket("1", "a"), Ticket("2", "b", frozenset())])
    write_tickets(tmp_path / "t.csv", [Ticket("1", "a"), Ticket("2", "b")])
    assert (tmp_path / "t.csv").read_bytes() == b"id,text\n1,a\n2,b\n"


def test_many_rows_make_many_batches(tmp_path: Path) -> None:
    tickets = [Ticket(str(n), f"text {n}", None if n < 600 else frozenset({"A"})) for n in range(1300)]
    write_tickets(tmp_path / "t.parquet", tickets)
    assert read_tickets(tmp_path / "t.parquet").tickets == tickets


def test_columns_keep_their_order_and_types(tmp_path: Path) -> None:
    row = {"text": "a,b", "score": -0.5, "count": 3, "labels": frozenset({"B", "A"}), "live": True, "none": None}
    for suffix in ("csv", "jsonl", "parquet"):
        with open_writer(tmp_path / f"t.{suffix}", list(row)) as rows:
            rows.write(row)
    assert (tmp_path / "t.csv").read_text() == 'text,score,count,labels,live,none\n"a,b",-0.5,3,A|B,true,\n'
    plain = row | {"labels": ["A", "B"]}
    assert json.loads((tmp_path / "t.jsonl").read_text()) == plain
    assert pq.read_table(tmp_path / "t.parquet").to_pylist() == [plain]


def test_json_never_holds_what_is_no_number(tmp_path: Path) -> None:
    with open_writer(tmp_path / "t.jsonl", ["a", "b"]) as rows:
        rows.write({"a": float("nan"), "b": [float("inf"), {"c": float("-inf")}]})
    assert json.loads((tmp_path / "t.jsonl").read_text()) == {"a": None, "b": [None, {"c": None}]}


def test_an_empty_parquet_or_csv_file_has_its_columns(tmp_path: Path) -> None:
    for suffix in ("csv", "parquet"):
        with open_writer(tmp_path / f"t.{suffix}", ["text", "labels"]):
            pass
        result = read_tickets(tmp_path / f"t.{suffix}")
        assert (result.fields, result.read) == (("text", "labels"), 0)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_column_nobody_announced_is_refused_and_leaves_no_file(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(InputError, match="'late'"):
        write(tmp_path / f"t.{suffix}", ["text"], [{"text": "a"}, {"text": "a", "late": 1}])
    assert list(tmp_path.iterdir()) == []


def test_parquet_refuses_values_of_different_kinds_and_leaves_no_file(tmp_path: Path) -> None:
    for values in ([*range(600), "six hundred"], [2**80]):
        with pytest.raises(InputError, match="'n'"):
            write(tmp_path / "t.parquet", ["n"], [{"n": value} for value in values])
    assert list(tmp_path.iterdir()) == []


def test_unknown_and_packed_formats_are_refused_with_the_endings_that_are_written(tmp_path: Path) -> None:
    endings = r"Let it end in \.csv, \.tsv, \.jsonl or \.parquet\.$"
    for name, says in {"t.csv.gz": r"Leave out \.gz\.$", "t.xlsx": endings, "t": endings}.items():
        with pytest.raises((UsageError, InputError), match=says), open_writer(tmp_path / name, ["text"]):
            pass
    assert list(tmp_path.iterdir()) == []


def test_t11_half_a_character_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    for suffix in ("csv", "jsonl"):
        with pytest.raises(InputError, match="half of a character"):
            write_tickets(tmp_path / f"t.{suffix}", [Ticket("1", "a\ud800")])
    assert list(tmp_path.iterdir()) == []
