"""Which column is which."""

from __future__ import annotations

import pytest

from tagdesk.dataset.columns import Columns, Layout, lay_out
from tagdesk.dataset.rows import Flaw
from tagdesk.errors import InputError


def code_of(names: list[str], columns: Columns | None = None) -> str:
    with pytest.raises(InputError) as caught:
        lay_out(columns or Columns(), names, "tickets.csv")
    assert "tickets.csv" in str(caught.value)
    return caught.value.code


def test_usual_names_are_found() -> None:
    layout = lay_out(Columns(), ["id", "text", "labels", "unit", "time", "extra"], "f")
    assert layout == Layout(("text",), "labels", "id", "unit", "time")


def test_text_wins_over_subject_and_body_and_labels_over_categories() -> None:
    layout = lay_out(Columns(), ["subject", "body", "text", "categories", "labels"], "f")
    assert (layout.text, layout.labels) == (("text",), "labels")


def test_subject_and_body_make_the_text() -> None:
    layout = lay_out(Columns(), ["body", "subject", "categories"], "f")
    assert (layout.text, layout.labels) == (("subject", "body"), "categories")


def test_f2_names_match_exactly_first_then_whatever_their_case() -> None:
    assert lay_out(Columns(), ["TEXT", "text"], "f").text == ("text",)
    assert lay_out(Columns(), [" Text "], "f").text == (" Text ",)


def test_given_names_are_insisted_on_and_empty_ones_left_out() -> None:
    layout = lay_out(Columns(text="message", labels=""), ["text", "message", "labels"], "f")
    assert (layout.text, layout.labels) == (("message",), None)
    assert code_of(["text"], Columns(labels="tags")) == "missing_column"


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (["message", "tags"], "missing_column"),
        (["text", "text"], "duplicate_column"),
        (["text", " text"], "duplicate_column"),
        (["", "text"], "blank_column"),
        (["Text", "TEXT"], "ambiguous_column"),
        (["text", *map(str, range(10_000))], "too_many_columns"),
    ],
)
def test_f2_a_header_that_cannot_be_meant_is_refused(names: list[str], code: str) -> None:
    assert code_of(names) == code


def test_f2_the_refusal_names_the_columns_found() -> None:
    with pytest.raises(InputError, match=r"It has: 'message', 'tags'\..*--text-column"):
        lay_out(Columns(), ["message", "tags"], "tickets.csv")


LAYOUT = Layout(("text",), "labels", "id", "unit", "time")


def test_f23_ids_stay_as_they_stand() -> None:
    for value, read in [("007", "007"), ("1e5", "1e5"), ("../x", "../x"), (7, "7"), ("", "3"), (None, "3")]:
        assert LAYOUT.ticket({"text": "hello", "id": value}, 3)[0].id == read
    assert LAYOUT.ticket({"text": "hello", "id": "x" * 10_000}, 3)[0].id == "x" * 10_000


def test_no_labels_unlike_unknown_labels() -> None:
    assert LAYOUT.ticket({"text": "hello", "labels": ""}, 1)[0].labels == frozenset()
    assert LAYOUT.ticket({"text": "hello", "labels": []}, 1)[0].labels == frozenset()
    assert LAYOUT.ticket({"text": "hello", "labels": None}, 1)[0].labels is None
    assert LAYOUT.ticket({"text": "hello"}, 1)[0].labels is None


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"text": 1}, "not_text"),
        ({"text": None}, "not_text"),
        ({"text": ["x"]}, "not_text"),
        ({"text": " \u200b\u3000"}, "empty_text"),
        ({"text": "a" * 1_000_001}, "too_long"),
        ({"text": "\ud800"}, "bad_encoding"),
        ({"text": "x", "labels": 3}, "bad_labels"),
        ({"text": "x", "labels": ["a", 3]}, "bad_labels"),
        ({"text": "x", "id": 1.5}, "not_text"),
        ({"text": "x", "unit": True}, "not_text"),
    ],
)
def test_a_row_that_is_no_ticket_says_why(values: dict[str, object], code: str) -> None:
    with pytest.raises(Flaw) as caught:
        LAYOUT.ticket(values, 1)
    assert caught.value.code == code


def test_blank_parts_are_left_out_of_a_joined_text() -> None:
    layout = Layout(("subject", "body"), None, None, None, None)
    assert layout.ticket({"subject": "Hi", "body": "there"}, 1)[0].text == "Hi\n\nthere"
    assert layout.ticket({"subject": None, "body": "there"}, 1)[0].text == "there"
    with pytest.raises(Flaw):
        layout.ticket({"subject": " ", "body": None}, 1)


def test_t9_nul_goes_and_leaves_a_flag() -> None:
    ticket, flags = LAYOUT.ticket({"text": "abc\0def"}, 1)
    assert ticket.text == "abcdef"
    assert flags == ("control_characters",)


def test_several_columns_make_the_text_in_the_order_given() -> None:
    layout = lay_out(Columns(text="Title + message"), ["Message", "Title"], "f.csv")
    assert layout.text == ("Title", "Message")


def test_a_column_that_is_called_so_wins_over_several() -> None:
    assert lay_out(Columns(text="a+b"), ["a+b", "a", "b"], "f.csv").text == ("a+b",)


def test_each_of_several_columns_is_insisted_on() -> None:
    with pytest.raises(InputError, match="no column 'c'"):
        lay_out(Columns(text="a+c"), ["a", "b"], "f.csv")
