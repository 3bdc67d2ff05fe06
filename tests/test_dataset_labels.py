"""Label cells."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagdesk.dataset.labels import MAX_CELL, join_labels, parse_labels
from tagdesk.dataset.rows import Flaw

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).map(str.strip).filter(bool)
LABEL_SETS = st.frozensets(NAMES.filter(lambda name: "__" not in name), max_size=6)


@pytest.mark.parametrize(
    ("cell", "labels"),
    [
        ("", set()),
        ("  ", set()),
        ("[]", set()),
        ("[ ]", set()),
        ("A", {"A"}),
        (" A | B |A||", {"A", "B"}),
        ("['Billing Issue']", {"Billing Issue"}),
        ("""['Billing Issue', "Other's"]""", {"Billing Issue", "Other's"}),
        ('["A", " B "]', {"A", "B"}),
        (r"['it\'s', 'caf\xe9', '\U0001f600', 'a\\b']", {"it's", "café", "😀", "a\\b"}),
        (r'["\ud83d\ude00", "a\/b"]', {"😀", "a/b"}),
        ("['A, B', 'C]']", {"A, B", "C]"}),
        ("NA|null", {"NA", "null"}),
    ],
)
def test_labels_are_read_from_bars_and_from_lists(cell: str, labels: set[str]) -> None:
    assert parse_labels(cell) == labels


@pytest.mark.parametrize(
    "cell",
    [
        "['A'",
        "['A' 'B']",
        "['A',]",
        "[A]",
        "[1]",
        "[['A']]",
        "[None]",
        "['A'] + ['B']",
        "__import__('os').system('true')",
        "[__import__('os')]",
        r"['\q']",
        r"['\x4']",
        r"['\U00110000']",
        r"['\ud800']",
        "[" * 5000,
        "[" * 5000 + "]" * 5000,
        "|".join(f"label {n}" for n in range(1001)),
        "a" * (MAX_CELL + 1),
    ],
)
def test_f25_what_is_no_flat_list_of_names_is_rejected(cell: str) -> None:
    with pytest.raises(Flaw):
        parse_labels(cell)


def test_f25_hostile_cells_are_read_in_linear_time() -> None:
    start = time.perf_counter()
    for cell in ("['" + "\\" * 99_000, "[" + "'a'," * 24_000, "[" + " " * 99_000, "['" + "a" * 99_000):
        with pytest.raises(Flaw):
            parse_labels(cell)
    assert time.perf_counter() - start < 1


@settings(deadline=None)
@given(LABEL_SETS)
def test_joined_labels_are_read_back(labels: frozenset[str]) -> None:
    assert parse_labels(join_labels(labels)) == labels


@settings(deadline=None)
@given(LABEL_SETS)
def test_lists_as_python_and_json_write_them_are_read(labels: frozenset[str]) -> None:
    assert parse_labels(repr(list(labels))) == labels
    assert parse_labels(json.dumps(list(labels))) == labels


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_cell_gives_labels_or_a_flaw(cell: str) -> None:
    try:
        labels = parse_labels(cell)
    except Flaw as flaw:
        assert flaw.code in {"bad_labels", "bad_encoding"}  # noqa: PT017 - most cells raise nothing
    else:
        assert all(label == label.strip() != "" for label in labels)
