from __future__ import annotations

from dataclasses import replace

import pytest

from tagdesk.labelling.choosing import Kind, Waiting
from tagdesk.labelling.session import BACKSPACE, DOWN, END, ENTER, ESCAPE, KEYS, PAGE_UP, UP, Do, Mode, Session
from test_labelling import ACCESS, BILLING, SHIPPING, case, one_of
from tiny import LABELS


def batch(count: int = 3) -> list[Waiting]:
    """Cases for which billing was suggested."""
    return [one_of(case(f"k{n}", "", BILLING)) for n in range(count)]


def type_in(session: Session, *keys: str) -> Do:
    """Press keys one after the other; what is to be saved is saved."""
    do = Do.SHOW
    for key in keys:
        session.shown()
        do = session.press(key)
        if do is Do.SAVE:
            session.saved()
    return do


def test_enter_saves_what_was_suggested_and_goes_on() -> None:
    session = Session(batch(), LABELS)
    assert session.marked == {BILLING}
    assert session.press(ENTER) is Do.SAVE
    session.saved()
    assert (session.place, session.saved_count, session.mode) == (1, 1, Mode.LABELS)


def test_digits_mark_and_unmark_labels() -> None:
    session = Session(batch(), LABELS)
    assert [row.key for row in session.rows] == ["1", "2", "3"]
    type_in(session, "1", "2")
    assert session.marked == {ACCESS}
    type_in(session, "1")
    assert session.marked == set()


def test_n_means_none_of_them() -> None:
    session = Session(batch(), LABELS)
    type_in(session, "1", "n")
    assert session.marked == set()
    assert "None" in session.message


def test_caps_lock_changes_nothing() -> None:
    session = Session(batch(), LABELS)
    type_in(session, "N")
    assert session.marked == set()
    assert type_in(session, "Q") is Do.STOP


def test_a_skipped_case_is_not_saved() -> None:
    session = Session(batch(), LABELS)
    type_in(session, "s", ENTER, "s")
    assert session.mode is Mode.OVER
    assert (session.tally.labelled, session.tally.skipped) == (1, 2)


def test_undo_goes_back_to_what_was_saved_and_saves_it_anew() -> None:
    session = Session(batch(), LABELS)
    type_in(session, "1", ENTER, "u")
    assert (session.place, session.marked) == (0, {ACCESS, BILLING})
    type_in(session, "2", ENTER)
    assert (session.place, session.saved_count) == (1, 1)
    type_in(session, "u")
    assert session.marked == {ACCESS}
    type_in(session, "u")
    assert "Nothing" in session.message
    assert session.place == 0


def test_the_last_case_can_be_undone_too() -> None:
    session = Session(batch(1), LABELS)
    type_in(session, ENTER)
    assert session.mode is Mode.OVER
    type_in(session, "x", "u")
    assert (session.mode, session.place) == (Mode.LABELS, 0)
    assert type_in(session, "n", ENTER, ENTER) is Do.STOP
    assert (session.tally.labelled, session.tally.as_suggested) == (1, 0)


def test_undo_passes_over_what_others_have_labelled() -> None:
    session = Session(batch(), LABELS)
    type_in(session, ENTER)
    session.passed(by_others=True)
    assert (session.place, "others" in session.message) == (2, True)
    type_in(session, "u")
    assert session.place == 0


def test_what_could_not_be_kept_stays_marked_and_can_be_saved_again() -> None:
    session = Session(batch(), LABELS)
    type_in(session, "1")
    assert session.press(ENTER) is Do.SAVE
    session.failed("The store is busy.")
    assert (session.place, session.marked, session.saved_count) == (0, {ACCESS, BILLING}, 0)
    assert session.message.startswith("The store is busy. Nothing was saved")
    assert session.press(ENTER) is Do.SAVE


def test_a_case_that_was_erased_counts_as_gone_even_if_it_was_saved_before() -> None:
    session = Session(batch(), LABELS)
    type_in(session, ENTER, "u")
    session.press(ENTER)
    session.passed(by_others=False)
    assert (session.tally.labelled, session.tally.gone, session.place) == (0, 1, 1)


@pytest.mark.parametrize("mode", ["", "/", "?"])
def test_the_end_of_the_input_stops_whatever_is_shown(mode: str) -> None:
    session = Session(batch(), LABELS)
    type_in(session, *mode)
    assert session.press(END) is Do.STOP


def test_q_in_a_search_is_a_letter() -> None:
    session = Session(batch(), [*LABELS, "Quality"])
    assert type_in(session, "/", "q") is Do.SHOW
    assert session.matches == ["Quality"]


def test_many_labels_are_searched_for_by_name() -> None:
    names = [f"Label {n:03}" for n in range(200)]
    said = case("k0").prediction
    scores = {name: 0.001 * n for n, name in enumerate(names)}
    waits = one_of(replace(case("k0"), prediction=replace(said, labels=("Label 007",), scores=scores)))
    session = Session([waits], names, most_keys=9)
    rows = session.rows
    assert [row.key for row in rows] == list("123456789")
    assert rows[0].name == "Label 007"  # suggested, so it is in sight
    assert rows[1].name == "Label 199"
    type_in(session, "/", *"042")
    assert session.matches == ["Label 042"]
    type_in(session, ENTER)
    assert session.marked == {"Label 007", "Label 042"}
    assert (session.mode, session.rows[-1].name, session.rows[-1].key) == (Mode.LABELS, "Label 042", "")
    assert [row.name for row in session.rows[:9]] == [row.name for row in rows]  # no key changes its label


def test_a_label_found_by_search_gets_a_key_where_one_is_left() -> None:
    names = [f"Label {n:03}" for n in range(30)]
    session = Session([one_of(case("k0"))], names, most_keys=20)
    assert "".join(row.key for row in session.rows) == KEYS
    few = Session([one_of(case("k0"))], names[:12], most_keys=20)
    assert [row.name for row in few.rows] == names[:12]


def test_a_search_finds_beginnings_first_and_cares_for_no_accents() -> None:
    names = ["Überweisung", "Rücksendung", "Kauf rückgängig", "Drucker"]
    session = Session([one_of(case("k0"))], names)
    type_in(session, "/", *"RUCK")
    assert session.matches == ["Rücksendung", "Kauf rückgängig", "Drucker"]
    type_in(session, DOWN, DOWN, DOWN, UP, ENTER)
    assert session.marked == {"Kauf rückgängig"}
    type_in(session, "/", *"zzz", ENTER)
    assert "No label" in session.message
    type_in(session, BACKSPACE, BACKSPACE, BACKSPACE, BACKSPACE, ESCAPE)
    assert session.mode is Mode.LABELS


def test_a_special_key_is_no_letter_of_a_search() -> None:
    session = Session(batch(), LABELS)
    type_in(session, "/", PAGE_UP)
    assert session.query == ""


def test_the_meanings_can_be_paged_and_left() -> None:
    session = Session(batch(), LABELS)
    type_in(session, "?", " ", " ", PAGE_UP)
    assert (session.mode, session.page) == (Mode.MEANINGS, 1)
    type_in(session, "1")
    assert (session.mode, session.marked) == (Mode.LABELS, {BILLING})  # the key left, and marked nothing


def test_a_contradiction_begins_with_what_all_found() -> None:
    said = {"ada": frozenset({BILLING, SHIPPING}), "bob": frozenset({SHIPPING, "Gone"})}
    session = Session([one_of(case("k0", "", ACCESS), Kind.DISPUTED, found=said)], LABELS)
    assert session.marked == {SHIPPING}


def test_a_suggestion_that_the_taxonomy_no_longer_knows_is_not_marked_and_never_right() -> None:
    waits = replace(one_of(case("k0", "", BILLING)), suggested=(BILLING, "Gone"))
    session = Session([waits], LABELS)
    assert session.marked == {BILLING}
    type_in(session, ENTER)
    assert session.tally.as_suggested == 0


def test_the_tally_counts_how_often_the_suggestion_was_right() -> None:
    cases = [replace(one, is_audit=number < 2) for number, one in enumerate(batch(4))]
    session = Session(cases, LABELS)
    type_in(session, ENTER, "1", ENTER, ENTER)
    tally = session.tally
    assert (tally.labelled, tally.as_suggested, tally.checks, tally.checks_as_suggested) == (3, 2, 2, 1)


def test_a_key_without_a_label_marks_nothing() -> None:
    session = Session(batch(), LABELS)
    for key in ("9", "x", "é", UP, "resize of the window"):
        assert session.press(key) is Do.SHOW
        assert session.marked == {BILLING}


def test_only_a_case_that_was_not_shown_yet_is_new() -> None:
    session = Session(batch(2), LABELS)
    assert session.is_new
    session.shown()
    assert not session.is_new
    session.saved()
    assert session.is_new
    session.saved()
    assert not session.is_new


def test_odd_names_are_told_apart() -> None:
    names = ["a", "A", "a ", "=1+1", "\u202eevil", "长标签", "🤷", "x" * 200]
    session = Session([one_of(case("k0"))], names)
    type_in(session, *"1234567")
    assert session.marked == set(names[:7])


def test_a_session_without_cases_or_labels_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Session([], LABELS)
    with pytest.raises(ValueError, match="at least one"):
        Session(batch(), [])
