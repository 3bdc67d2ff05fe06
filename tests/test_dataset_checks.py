"""What a check finds."""

from __future__ import annotations

import json

import pytest

from tagdesk.dataset import Accepted, CheckReport, Problem, ReadResult, Rejected, check
from tagdesk.taxonomy import Taxonomy
from tagdesk.ticket import Ticket


def found(*rows: tuple[str, str | None], rejected: tuple[Rejected, ...] = (), skipped: int = 0) -> ReadResult:
    """A file that was read: texts with their labels, from line 2 on; "" for no label, None for unlabelled."""
    accepted = []
    for number, (text, labels) in enumerate(rows, 1):
        names = None if labels is None else frozenset(labels.split("|")) if labels else frozenset()
        accepted.append(Accepted(number, number + 1, Ticket(str(number), text, names), {}))
    return ReadResult(("text", "labels"), tuple(accepted), rejected, skipped, "labels")


def problem(report: CheckReport, code: str) -> Problem:
    return next(problem for problem in report.problems if problem.code == code)


def codes(report: CheckReport) -> set[str]:
    return {problem.code for problem in report.problems}


HEALTHY = [
    (f"my {thing} number {n} {n * 7} is late", "A" if n % 2 else "B")
    for n in range(30)
    for thing in ("order", "refund")
]


def test_a_healthy_file_has_no_problem() -> None:
    report = check(found(*[(f"{text} {n} {n * 3} {n * 5}", labels) for n, (text, labels) in enumerate(HEALTHY)]))
    assert report.problems == ()
    assert not report.has_errors
    assert report.label_counts == {"A": 30, "B": 30}


def test_rows_are_accounted_for() -> None:
    rejected = (
        Rejected(1, 2, "empty_text", "Empty."),
        Rejected(2, 5, "ragged", "Torn."),
        Rejected(3, 9, "ragged", "Torn."),
    )
    report = check(found(*HEALTHY, rejected=rejected, skipped=4))
    assert (report.read, report.accepted, report.rejected, report.skipped) == (67, 60, 3, 4)
    assert report.rejects == {"ragged": 2, "empty_text": 1}
    assert problem(report, "ragged").lines == (5, 9)
    assert "line 5: Torn." in problem(report, "ragged").message


def test_repeated_and_nearly_repeated_texts_are_counted_apart() -> None:
    nine = "one two three four five six seven eight nine"
    report = check(found(("Hello there", "A"), ("hello  THERE", "A"), (nine, "B"), (nine + " ten", "B"), (nine, "B")))
    assert (report.repeated, report.near_duplicates) == (2, 1)
    assert problem(report, "repeated_text").lines == (3, 6)
    assert problem(report, "near_duplicate").lines == (5,)


def test_one_text_with_two_label_sets_is_a_contradiction() -> None:
    report = check(found(("same", "A"), ("other", "A"), ("Same", "A|B"), ("same", None), ("same", "A")))
    assert (problem(report, "contradiction").count, problem(report, "contradiction").lines) == (1, (2, 4))


def test_labels_and_their_pairs_are_counted() -> None:
    report = check(found(("a", "A|B"), ("b", "B|A|C"), ("c", "C"), ("d", ""), ("e", None)))
    assert report.label_counts == {"A": 2, "B": 2, "C": 2}
    assert report.pair_counts == {("A", "B"): 2, ("A", "C"): 1, ("B", "C"): 1}
    assert (report.without_label, report.unlabelled) == (1, 1)
    assert problem(report, "partly_labelled").lines == (6,)


def test_f26_labels_that_cannot_be_learned_are_listed() -> None:
    report = check(found(("a", "Every|Rare"), ("b", "Every"), ("c", "Every")), rare_below=2)
    assert "'Rare' (1)" in problem(report, "rare_label").message
    assert "'Every'" in problem(report, "label_everywhere").message
    assert "rare_label" not in codes(check(found(("a", "Every|Rare"), ("b", "Every")), rare_below=1))


def test_f26_labels_outside_the_taxonomy_are_errors() -> None:
    report = check(found(("a", "A"), ("b", "X"), ("c", "A|Y")), taxonomy=Taxonomy.of(["A", "B"]))
    assert report.has_errors
    assert problem(report, "unknown_label").lines == (3, 4)
    assert "'X', 'Y'" in problem(report, "unknown_label").message
    assert "'B'" in problem(report, "unused_label").message


@pytest.mark.parametrize("name", ["x" * 201, "two\nlines", "esc\x1b[2J"])
def test_f26_names_no_taxonomy_takes_are_errors(name: str) -> None:
    report = check(found(("a", "A"), ("b", name)))
    assert problem(report, "bad_label_name").severity == "error"
    assert problem(report, "bad_label_name").lines == (3,)
    assert "\x1b" not in problem(report, "bad_label_name").message


@pytest.mark.parametrize("name", ["A/B", "=1", "😀", "A, B", "zero\u200bwidth"])
def test_f26_names_that_look_like_a_slip_are_warned_of(name: str) -> None:
    assert problem(check(found(("a", "A"), ("b", name))), "odd_label_name").lines == (3,)


def test_names_that_differ_in_case_or_blanks_are_warned_of() -> None:
    rows = [("a", "billing  issue"), ("b", "Billing Issue"), ("c", "Billing Issue"), ("d", "Billing issue|Other")]
    similar = problem(check(found(*rows)), "similar_labels")
    assert "'Billing Issue' and 'Billing issue' and 'billing  issue'" in similar.message
    assert similar.lines == (2, 5)


@pytest.mark.parametrize("sign", [",", ";"])
def test_labels_joined_by_another_sign_are_told_from_slips(sign: str) -> None:
    """Here two of three parts stand in two labels; a label that merely has a comma in it is none of several."""
    names = [f"Lost{sign} Open", f"School{sign} Member", f"Open{sign}Member{sign}", "A/B"]
    report = check(found(*[(f"text {n}", name) for n, name in enumerate(names)]))
    joined = problem(report, "joined_labels")
    assert f"joined by '|', not by '{sign}'" in joined.message
    assert f"'Lost{sign} Open', 'Open{sign}Member{sign}'" in joined.message
    assert joined.lines == (2, 3, 4)
    assert problem(report, "odd_label_name").lines == (5,)


@pytest.mark.parametrize("names", [["Lost, Stolen", "Other"], ["Bills, Refunds", "Bills, Invoices", "Bills, Dates"]])
def test_labels_with_a_comma_in_them_are_not_taken_for_several(names: list[str]) -> None:
    report = check(found(*[(f"text {n}", name) for n, name in enumerate(names)]))
    assert "joined_labels" not in codes(report)
    assert "odd_label_name" in codes(report)


def test_labels_of_the_taxonomy_tell_what_is_joined() -> None:
    rows = found(("a", "Lost, Stolen"), ("b", "Other"))
    assert "joined_labels" in codes(check(rows, taxonomy=Taxonomy.of(["Lost", "Stolen", "Other"])))
    assert "joined_labels" not in codes(check(rows, taxonomy=Taxonomy.of(["Lost, Stolen", "Lost", "Stolen"])))


def test_f27_texts_that_two_files_share_are_counted_with_their_lines() -> None:
    nine = "one two three four five six seven eight nine"
    train = found(("Hello there", "A"), (nine, "B"), ("alone", "A"), ("hello there!", "A"))
    test = found(("unlike", "A"), ("hello there", "A"), (nine + " ten", "B"))
    leak = check(train, others={"test.csv": test, "far.csv": found(("far away", "A"))}).leaks
    assert len(leak) == 1
    assert (leak[0].other, leak[0].exact, leak[0].near) == ("test.csv", 1, 2)
    assert leak[0].pairs == ((2, 3), (3, 4), (5, 3))


def test_f27_no_leak_is_no_problem() -> None:
    report = check(found(("a b c", "A"), ("d e f", "B")), others={"test.csv": found(("g h i", "A"))})
    assert report.leaks == ()
    assert "leak" not in codes(report)


@pytest.mark.parametrize("rows", [[], [("a", "A")], [("same", "A")] * 9])
def test_f28_too_few_different_texts_are_an_error(rows: list[tuple[str, str]]) -> None:
    assert problem(check(found(*rows)), "too_few").severity == "error"


def test_f28_files_without_labels_are_told_apart_from_empty_columns() -> None:
    assert {"unlabelled"} <= codes(check(found(("a", None), ("b", None))))
    empty = problem(check(found(("a", ""), ("b", ""))), "no_labels").message
    assert "Column 'labels' is empty. The file has: 'text', 'labels'. Say which" in empty


def test_a_column_of_labels_under_another_name_is_looked_for() -> None:
    rows = (Accepted(1, 2, Ticket("1", "hello"), {}),)
    message = problem(check(ReadResult(("Message", "Category"), rows, (), 0)), "unlabelled").message
    assert "The file has: 'Message', 'Category'. Say which holds the labels: --labels-column." in message


def test_a_report_holds_all_lines_and_its_json_the_first_and_their_number() -> None:
    report = check(found(*[("same", "A")] * 40), others={"test.csv": found(("same", "A"))})
    assert problem(report, "repeated_text").lines == tuple(range(3, 42))
    plain = report.to_dict()
    shown = next(each for each in plain["problems"] if each["code"] == "repeated_text")
    assert (shown["lines"], shown["total_lines"]) == (tuple(range(3, 23)), 39)
    assert (len(plain["leaks"][0]["pairs"]), plain["leaks"][0]["exact"]) == (20, 40)


def test_f23_repeated_ids_are_reported() -> None:
    rows = tuple(Accepted(n, n + 1, Ticket("007", f"text {n}", frozenset("A")), {}) for n in (1, 2))
    assert problem(check(ReadResult(("id", "text"), rows, (), 0)), "repeated_id").lines == (2, 3)


def test_lengths_are_of_the_texts_as_they_stand() -> None:
    lengths = check(found(*[("x" * n, "A") for n in range(1, 101)])).lengths
    assert lengths is not None
    assert (lengths.shortest, lengths.median, lengths.p95, lengths.longest) == (1, 50, 96, 100)
    assert check(found()).lengths is None


def test_errors_stand_before_warnings_and_the_report_is_json() -> None:
    report = check(found(("a", "X|Y"), ("a", "Y")), taxonomy=Taxonomy.of(["A"]))
    order = [problem.severity for problem in report.problems]
    assert order == sorted(order, key=["error", "warning", "info"].index)
    plain = json.loads(json.dumps(report.to_dict()))
    assert plain["pair_counts"] == [{"labels": ["X", "Y"], "count": 1}]
    assert plain["problems"][0]["code"] == "too_few"
