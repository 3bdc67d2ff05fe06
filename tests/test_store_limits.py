import pytest

from tagdesk.errors import UsageError
from tagdesk.store.limits import (
    LARGEST,
    LONGEST_ID,
    LONGEST_TEXT,
    check_count,
    check_id,
    check_limit,
    check_note,
    clean_text,
)


@pytest.mark.parametrize("value", ["7", "x" * LONGEST_ID, "007", "../..", "żółw 🐢", "'; DROP TABLE cases;--"])
def test_id_may_be_anything_that_both_databases_hold(value):
    check_id("id", value)


@pytest.mark.parametrize("value", ["", "x" * (LONGEST_ID + 1), "a\0b", "\ud800"])
def test_id_that_no_database_holds_is_refused_without_repeating_it(value):
    with pytest.raises(UsageError, match="The id h") as error:
        check_id("id", value)
    assert error.value.code == "bad_value"
    assert not value or value not in str(error.value)


def test_absent_id_is_no_fault():
    check_id("id", None)


def test_remark_may_be_empty_and_not_endless():
    check_note("note", "")
    with pytest.raises(UsageError, match="expected 0 to 10,000"):
        check_note("note", "x" * 10_001)


@pytest.mark.parametrize("limit", [0, -1, 1_001, 2**63])
def test_limit_out_of_range_is_refused(limit):
    with pytest.raises(UsageError, match="expected 1 to 1,000"):
        check_limit(limit)


@pytest.mark.parametrize("count", [-1, LARGEST + 1])
def test_count_that_no_column_holds_is_refused(count):
    check_count("count", 0, LARGEST)
    with pytest.raises(UsageError, match="count is out of range"):
        check_count("count", count)


def test_text_loses_what_no_database_holds_and_nothing_else():
    assert clean_text("a\0b\ud83dc \u202e\u200b🐢\r\n") == "abc \u202e\u200b🐢\r\n"


def test_endless_text_is_refused():
    with pytest.raises(UsageError, match="at most 1,000,000"):
        clean_text("x" * (LONGEST_TEXT + 1))
