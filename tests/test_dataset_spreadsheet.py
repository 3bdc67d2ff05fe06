"""Cells that a spreadsheet would run."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tagdesk.dataset.spreadsheet import escape, unescape


@pytest.mark.parametrize(
    "cell",
    ["=HYPERLINK(1)", "+1", "-cmd", "@SUM", "\t=1", "\r=1", "\uff1d1", "=", "-", "'=1", "''@x", "-1+1", "-\u0661"],
)
def test_t26_what_a_spreadsheet_would_run_gets_a_quote(cell: str) -> None:
    assert escape(cell) == "'" + cell


@pytest.mark.parametrize("cell", ["", "-1", "-0.5", "-1e-9", "-.5", "1", "'tis", "''", "a=1", "'-1", "007"])
def test_what_it_would_not_run_stays(cell: str) -> None:
    assert escape(cell) == cell
    assert unescape(cell) == cell


@settings(deadline=None)
@given(st.text() | st.text(alphabet="'=+-@\t\r1\uff1d", max_size=6))
@example("'=")
@example("''-1")
def test_t26_reading_takes_away_what_writing_added(cell: str) -> None:
    assert unescape(escape(cell)) == cell
