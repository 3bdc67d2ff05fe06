from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

import tiny
from tagdesk import retrain as module
from tagdesk.compare import Answers, Difference, Figure, Finding, Pairs, by_label, compare, judge
from tagdesk.errors import InputError
from tagdesk.measure import examples_from
from tagdesk.model import Model
from tagdesk.retrain import Lessons, Retrained, lessons_of, retrain
from tagdesk.scorers import Recipe
from tagdesk.store import Selection, Store
from tagdesk.taxonomy import Label, Taxonomy
from tagdesk.ticket import Ticket
from tagdesk.train import data_fingerprint, train
from tagdesk.trust import Lesson
from test_store_fixtures import DAY, HOUR, NOW, case, review

LINEAR = Recipe(kind="linear", max_features=500, char_ngrams=0, folds=2, calibration="none", label_sets=False)
ACCESS, BILLING, SHIPPING = (frozenset({name}) for name in tiny.LABELS)
NONE = frozenset[str]()
EXACT = Figure("exact_match", "exact match")
NO_LESSONS = Lessons((), (), 0, 0)


@pytest.fixture(scope="module")
def live() -> Model:
    return train(tiny.tickets(150, seed=9), LINEAR, taxonomy=Taxonomy.of(tiny.LABELS)).model


@pytest.fixture(scope="module")
def golden() -> list[Ticket]:
    return [replace(ticket, id=f"g{n}") for n, ticket in enumerate(tiny.tickets(40, seed=5))]


def taught(*facts: tuple[str, frozenset[str], frozenset[str]], who: str = "ada", score: float = 0.6) -> Lessons:
    """Lessons of one reviewer: text, what was said, what was found."""
    lessons = [
        Lesson(f"c{n}", dict.fromkeys(tiny.LABELS, score), said, found, (who,), NOW + n * HOUR)
        for n, (_, said, found) in enumerate(facts)
    ]
    tickets = [Ticket(f"c{n}", text, found) for n, (text, _, found) in enumerate(facts)]
    return Lessons(tuple(lessons), tuple(tickets), 0, 0)


def learned(found: Retrained) -> object:
    """The fingerprint of what the candidate learned from."""
    assert found.trained.model.manifest is not None
    return found.trained.model.manifest.origin["data"]


def fingerprint(tickets: Sequence[Ticket], names: Sequence[str] = tiny.LABELS) -> str:
    taxonomy = Taxonomy.of(names)
    return data_fingerprint(examples_from(tickets, taxonomy), taxonomy)


def test_without_golden_tickets_a_fifth_is_held_out_the_same_for_the_same_seed(
    tickets: list[Ticket], live: Model
) -> None:
    first, again = (retrain(tickets, NO_LESSONS, live, LINEAR) for _ in range(2))
    other = retrain(tickets, NO_LESSONS, live, replace(LINEAR, seed=1))
    assert (first.golden, first.learned, first.taught) == (12, 48, 0)
    assert learned(first) == learned(again) != learned(other)
    assert first.verdicts == again.verdicts
    assert [one.difference.figure.name for one in first.verdicts] == ["f1_macro", "exact_match"]


def test_a_held_out_customer_teaches_nothing_and_tickets_need_not_name_one(tickets: list[Ticket], live: Model) -> None:
    rest, held_out = module._held_out(tickets, live, seed=0)
    assert not {ticket.unit for ticket in rest} & {ticket.unit for ticket in held_out}
    nobody = [replace(ticket, unit=None) for ticket in tickets]
    rest, held_out = module._held_out(nobody, live, seed=0)
    assert len(held_out) == pytest.approx(12, abs=1)
    assert sorted(ticket.id for ticket in (*rest, *held_out)) == sorted(ticket.id for ticket in tickets)


def test_golden_tickets_that_are_given_decide_and_all_of_the_base_teaches(
    tickets: list[Ticket], live: Model, golden: list[Ticket]
) -> None:
    more = [Ticket("u", "nobody knows what this is")]
    found = retrain([*tickets, *more], NO_LESSONS, live, LINEAR, golden=[*golden, *more])
    assert (found.golden, found.learned) == (40, 60)
    assert learned(found) == fingerprint(tickets)
    assert found.trained.evidence.source == "test"


def test_where_a_lesson_is_about_a_text_of_the_base_the_lesson_holds(
    tickets: list[Ticket], live: Model, golden: list[Ticket]
) -> None:
    first = next(ticket for ticket in tickets if ticket.labels == ACCESS)
    lessons = taught((f"<p> {first.text}\n", ACCESS, SHIPPING), ("courier box tracking shipped late", NONE, SHIPPING))
    found = retrain(tickets, lessons, live, LINEAR, golden=golden)
    kept = [ticket for ticket in tickets if ticket.text != first.text]
    assert (found.learned, found.taught) == (len(kept) + 2, 2)
    assert learned(found) == fingerprint([*kept, *lessons.tickets])


def test_nothing_that_nearly_stands_in_the_golden_set_teaches(tickets: list[Ticket], live: Model) -> None:
    words = "late parcel courier tracking lost shipped box delivery my the please"
    golden = [*tiny.tickets(30, seed=5), Ticket("g", words, SHIPPING)]
    near = [Ticket("b1", f"<div><p><b>{words.upper()}</b></p></div> today!", SHIPPING), Ticket("b2", words, BILLING)]
    lessons = taught((f"{words} again", NONE, SHIPPING), ("invoice fee bill card", NONE, BILLING))
    found = retrain([*tickets, *near], lessons, live, LINEAR, golden=golden)
    assert (found.learned, found.taught, len(found.vetted.kept)) == (61, 1, 2)
    assert learned(found) == fingerprint([*tickets, lessons.tickets[1]])


def test_a_label_that_reviews_brought_in_stands_behind_the_known_ones(
    tickets: list[Ticket], live: Model, golden: list[Ticket]
) -> None:
    described = replace(live, taxonomy=Taxonomy((*(Label(name, "why") for name in tiny.LABELS),)))
    praise = [(f"thank you number {n} so very kind", NONE, frozenset({"Praise"})) for n in range(9)]
    found = retrain(tickets, taught(*praise, who="ada"), described, LINEAR, golden=golden)
    assert found.trained.model.taxonomy.names == (*tiny.LABELS, "Praise")
    assert found.trained.model.taxonomy.labels[0].description == "why"
    assert "Praise" in found.trained.model.predict(["thank you so very kind"])[0].scores
    assert not any("Praise" in reason for reason in found.against)


def test_a_candidate_that_has_lost_a_label_is_refused(tickets: list[Ticket], live: Model, golden: list[Ticket]) -> None:
    some, tests = ([one for one in part if not (one.labels or NONE) & SHIPPING] for part in (tickets, golden))
    found = retrain(some, NO_LESSONS, live, LINEAR, golden=tests)
    assert found.trained.model.taxonomy.names == tiny.LABELS[:2]
    assert found.against[0] == "it no longer knows 'Shipping Concern', which no ticket to learn from carries"
    assert not found.is_fit


def test_a_candidate_that_is_the_current_model_loses_nothing(
    tickets: list[Ticket], golden: list[Ticket], tmp_path: Path
) -> None:
    before = train(tickets, LINEAR, taxonomy=Taxonomy.of(tiny.LABELS)).model.save(tmp_path)
    found = retrain(tickets, NO_LESSONS, before, LINEAR, golden=golden)
    assert found.trained.model.save(tmp_path).id == before.id
    assert [one.difference.value for one in found.verdicts] == [0.0, 0.0]
    assert (found.is_fit, found.labels) == (True, ())


def test_a_candidate_that_learned_wrong_is_refused_with_its_reasons(
    tickets: list[Ticket], live: Model, golden: list[Ticket]
) -> None:
    turn = dict(zip(tiny.LABELS, (*tiny.LABELS[1:], tiny.LABELS[0]), strict=True))
    wrong = [replace(ticket, labels=frozenset(turn[label] for label in ticket.labels or ())) for ticket in tickets]
    found = retrain(wrong, NO_LESSONS, live, LINEAR, golden=golden)
    assert not found.is_fit
    assert {verdict.finding for verdict in found.verdicts} == {Finding.WORSE}
    assert {one.label for one in found.labels} == set(tiny.LABELS)
    assert [reason.partition(":")[0] for reason in found.against] == [
        *["it loses on the golden set"] * 2,
        *["it is worse"] * 3,
    ]
    assert not any(reason.endswith(".") for reason in found.against)


@pytest.mark.parametrize(
    ("challenger", "interval", "opens"),
    [
        pytest.param(0.795, (-0.02, 0.01), True, id="a little less, by chance"),
        pytest.param(0.795, (-0.008, -0.002), True, id="a little less for sure, within the margin"),
        pytest.param(0.795, (-0.02, -0.001), False, id="shown to be worse, by how much is open"),
        pytest.param(0.79, (-0.05, 0.03), False, id="just the margin"),
        pytest.param(0.7, (-0.4, 0.2), False, id="more than the margin, which may be chance"),
        pytest.param(0.9, (-0.1, 0.3), True, id="better, which may be chance"),
        pytest.param(None, None, False, id="undefined"),
    ],
)
def test_the_gate_opens_for_losses_below_the_margin_that_may_be_none(
    challenger: float | None,
    interval: tuple[float, float] | None,
    opens: bool,  # noqa: FBT001 - a case of the table
) -> None:
    verdict = judge(Difference(EXACT, 0.8, challenger, interval, 1000), 0.01)
    assert bool(module._fall(verdict, 0.01)) is not opens


def test_labels_that_no_golden_ticket_carries_do_not_thin_a_loss_out() -> None:
    names = tuple("ABCDEFGHIJ")
    true = np.zeros((40, 10), dtype=np.bool_)
    true[:, 0] = True
    worse = true.copy()
    worse[:4] = False
    pairs = Pairs(true, Answers(true), Answers(worse), names)
    assert compare(pairs, "f1_macro").difference.value == pytest.approx((72 / 76 - 1) / 10)
    carried = module._carried(pairs)
    assert carried.names == ("A",)
    assert compare(carried, "f1_macro").difference.value == pytest.approx(72 / 76 - 1)


def test_a_label_counts_as_worse_where_chance_would_seldom_make_it_so() -> None:
    true = np.ones((40, 1), dtype=np.bool_)
    for lost, is_worse in ((4, False), (8, True)):
        pairs = Pairs(true, Answers(true), Answers(np.arange(40)[:, np.newaxis] >= lost), ("A",))
        (found,) = by_label(pairs)
        assert found.f1.gain is not None
        assert found.f1.gain[1] < 0
        assert bool(module._worse_labels(pairs)) is is_worse


def test_macro_f1_is_that_of_the_labels_that_golden_tickets_carry(
    tickets: list[Ticket], live: Model, golden: list[Ticket]
) -> None:
    bills = [one for one in golden if one.labels == BILLING]
    macro, exact = (one.difference for one in retrain(tickets, NO_LESSONS, live, LINEAR, golden=bills).verdicts)
    assert macro.current is not None
    assert macro.current > 0.6  # of three labels, two of which occur nowhere, it would be at most a third
    assert exact.units == len({one.unit for one in bills})


@pytest.mark.parametrize(
    "tests",
    [
        pytest.param([], id="none"),
        pytest.param([Ticket("1", "hello"), Ticket("2", "hi")], id="unlabelled ones"),
        pytest.param([Ticket("1", "hello", NONE), Ticket("2", "hi")], id="none that deserves a label"),
    ],
)
def test_golden_tickets_without_labels_are_refused_before_the_training(
    tickets: list[Ticket], live: Model, tests: list[Ticket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tagdesk.retrain.train", None)  # would end in a TypeError
    with pytest.raises(InputError, match=f"None of the {len(tests)} golden tickets") as caught:
        retrain(tickets, NO_LESSONS, live, LINEAR, golden=tests)
    assert caught.value.code == "no_labels"


def test_a_fifth_without_labels_decides_nothing(live: Model) -> None:
    base = [Ticket(str(n), f"word{n} other{n}", BILLING if n == 0 else NONE) for n in range(30)]
    with pytest.raises(InputError, match="None of the 6 golden tickets carries a label"):
        retrain(base, NO_LESSONS, live, LINEAR)


def test_what_the_current_model_has_learned_by_heart_cannot_be_golden(
    tickets: list[Ticket], golden: list[Ticket]
) -> None:
    before = train([*tickets, Ticket("u", "unlabelled")], LINEAR).model
    with pytest.raises(InputError, match="--golden") as caught:
        retrain(tickets, NO_LESSONS, before, LINEAR)
    assert caught.value.code == "seen"
    assert retrain(tickets, NO_LESSONS, before, LINEAR, golden=golden).golden == 40
    assert retrain([*tickets, Ticket("n", "card fee", BILLING)], NO_LESSONS, before, LINEAR).golden == 12


@pytest.mark.parametrize("count", [0, 1, 9])
def test_fewer_than_ten_tickets_are_too_few_to_hold_some_out(live: Model, count: int) -> None:
    with pytest.raises(InputError, match="--golden") as caught:
        retrain([*tiny.tickets(count), Ticket("u", "unlabelled")], NO_LESSONS, live, LINEAR)
    assert caught.value.code == "too_few"


def test_twelve_tickets_teach_where_golden_ones_are_given(live: Model, golden: list[Ticket]) -> None:
    found = retrain(tiny.tickets(12), NO_LESSONS, live, LINEAR, golden=golden)
    assert (found.learned, found.golden) == (12, 40)
    assert found.against


def test_lessons_alone_can_teach(live: Model, golden: list[Ticket]) -> None:
    lessons = taught(*((ticket.text, NONE, ticket.labels or NONE) for ticket in tiny.tickets(30, seed=3)))
    found = retrain([Ticket("u", "unlabelled")], lessons, live, LINEAR, golden=golden)
    assert (found.learned, found.taught) == (30, 30)
    with pytest.raises(InputError) as caught:
        retrain([], NO_LESSONS, live, LINEAR, golden=golden)
    assert caught.value.code == "too_few"


def test_a_mass_of_equal_corrections_waits_unless_its_reviewer_is_trusted(
    tickets: list[Ticket], live: Model, golden: list[Ticket]
) -> None:
    flips = [(f"my card was charged {n} times invoice {n}", BILLING, NONE) for n in range(12)]
    lessons = taught(*flips, who="eve", score=0.99)
    found = retrain(tickets, lessons, live, LINEAR, golden=golden)
    assert (len(found.vetted.waiting), found.taught, found.learned) == (12, 0, 60)
    assert found.vetted.masses[0].reviewer == "eve"
    assert learned(found) == fingerprint(tickets)
    trusting = retrain(tickets, lessons, live, LINEAR, golden=golden, trusted=frozenset({"eve"}))
    assert (len(trusting.vetted.waiting), trusting.taught, trusting.learned) == (0, 12, 72)


def test_a_label_that_no_model_can_hold_is_refused_and_named(
    tickets: list[Ticket], live: Model, golden: list[Ticket]
) -> None:
    lessons = taught(("what is this", NONE, frozenset({"a|b"})))
    with pytest.raises(InputError, match=r"a\|b"):
        retrain(tickets, lessons, live, LINEAR, golden=golden)


def test_progress_is_told_of_the_training_and_of_both_models(
    tickets: list[Ticket], live: Model, golden: list[Ticket]
) -> None:
    told: list[str] = []
    retrain(tickets, NO_LESSONS, live, LINEAR, golden=golden, progress=lambda what, *_: told.append(what))
    assert [what for what in dict.fromkeys(told) if what.endswith(("model", "challenger"))] == [
        "current model",
        "challenger",
    ]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "tagdesk.db") as opened:
        opened.cases.add([case(f"c{n}", time=NOW + n * HOUR, text=f"text {n}", unit=f"u{n}") for n in range(6)])
        yield opened


def all_lessons(store: Store, tenant: str | None = None) -> Lessons:
    return lessons_of(store.reviews.reviewed(Selection(tenant)))


def test_a_store_without_reviews_teaches_nothing(store: Store) -> None:
    assert all_lessons(store) == NO_LESSONS


def test_a_lesson_holds_what_was_said_and_found_by_whom_and_the_ticket(store: Store) -> None:
    store.reviews.add([review("c1", "Refund", time=NOW + DAY), review("c0")], tenant="shop")
    first, second = (found := all_lessons(store)).lessons
    assert (first.case, first.found, first.reviewers) == ("c0", NONE, ("ada",))
    assert (second.case, second.said, second.found) == ("c1", {"Billing"}, {"Refund"})
    assert (dict(second.scores), second.time) == ({"Billing": 0.9, "Refund": 0.1}, NOW + DAY)
    assert found.tickets[1] == Ticket("c1", "text 1", frozenset({"Refund"}), "u1", (NOW + HOUR).isoformat())


def test_cases_on_which_people_disagree_and_those_without_text_are_counted_and_teach_nothing(store: Store) -> None:
    given = [review("c0", "Refund"), review("c0", "Billing", reviewer="bob"), review("c1", "Refund"), review("c5")]
    store.reviews.add(given, tenant="shop")
    store.retain(10, who="ada", now=NOW + 5 * HOUR + 10 * DAY)
    found = all_lessons(store)
    assert (found.contradictory, found.without_text, [one.case for one in found.lessons]) == (1, 1, ["c5"])


def test_everybody_who_found_the_same_stands_in_the_lesson_the_first_first(store: Store) -> None:
    names = ("bob", "ada", "cleo")
    given = [review("c0", "Refund", reviewer=name, time=NOW + n * HOUR) for n, name in enumerate(names)]
    store.reviews.add(given, tenant="shop")
    (lesson,) = all_lessons(store).lessons
    assert (lesson.reviewers, lesson.time) == (names, NOW + 2 * HOUR)


def test_a_change_of_mind_leaves_one_reviewer_and_their_last_word(store: Store) -> None:
    store.reviews.add([review("c0", "Refund"), review("c0", "Billing"), review("c0", "Refund")], tenant="shop")
    (lesson,) = all_lessons(store).lessons
    assert (lesson.found, lesson.reviewers) == ({"Refund"}, ("ada",))


def test_who_settles_a_contradiction_confirms_those_who_found_the_same_and_outdoes_the_others(store: Store) -> None:
    given = [review("c0", "Refund"), review("c0", "Billing", reviewer="bob")]
    settled = review("c0", "Refund", reviewer="cleo", time=NOW + DAY, settles=True)
    store.reviews.add([*given, settled], tenant="shop")
    (lesson,) = all_lessons(store).lessons
    assert (lesson.found, lesson.reviewers, lesson.time) == ({"Refund"}, ("ada", "cleo"), NOW + DAY)


def test_who_settles_in_their_own_favour_stays_alone(store: Store) -> None:
    given = [review("c0", "Refund"), review("c0", reviewer="eve"), review("c0", reviewer="eve", settles=True)]
    store.reviews.add(given, tenant="shop")
    (lesson,) = all_lessons(store).lessons
    assert (lesson.found, lesson.reviewers) == (NONE, ("eve",))


def test_a_review_after_the_settling_contradicts_it_again(store: Store) -> None:
    settled = review("c0", "Refund", reviewer="cleo", settles=True)
    store.reviews.add([settled, review("c0", "Billing", time=NOW + timedelta(days=2))], tenant="shop")
    assert all_lessons(store).contradictory == 1


def test_only_the_tenants_reviews_teach_where_one_is_named(store: Store) -> None:
    store.cases.add([case("b1", tenant="bank")])
    store.reviews.add([review("c0", "Refund")], tenant="shop")
    store.reviews.add([review("b1", "Refund")], tenant="bank")
    assert [[one.case for one in all_lessons(store, tenant).lessons] for tenant in ("shop", "bank", None)] == [
        ["c0"],
        ["b1"],
        ["b1", "c0"],
    ]
