from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta

import pytest

from tagdesk.trust import ALWAYS, FEWEST, FEWEST_OTHERS, SHARE, Change, Lesson, Vetted, vet

MAY = datetime(2026, 5, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
A, B, NONE = frozenset("A"), frozenset("B"), frozenset[str]()
SURE = {"A": 0.98, "B": 0.01}
TORN = {"A": 0.5, "B": 0.5}
TOOK_A = Change("A", is_added=False)


def lessons(
    count: int, *who: str, said: frozenset[str] = A, found: frozenset[str] = NONE, scores: dict[str, float] = SURE
) -> list[Lesson]:
    """As many lessons of the same people on cases that they found alike; by default they took a sure "A" away."""
    return [Lesson(f"{who}{n}", scores, said, found, who, MAY) for n in range(count)]


def fair(count: int, *who: str) -> list[Lesson]:
    return lessons(count, *who, found=A)


def test_nothing_comes_of_nothing() -> None:
    assert vet([]) == Vetted((), {}, ())


def test_what_was_corrected_is_what_was_added_and_what_was_taken_away() -> None:
    one = Lesson("1", SURE, frozenset("AB"), frozenset("BC"), ("ada",), MAY)
    assert one.changes == {TOOK_A, Change("C", is_added=True)}
    assert [str(change) for change in sorted(one.changes)] == ["took 'A' away", "added 'C'"]
    assert fair(1, "ada")[0].changes == frozenset()


@pytest.mark.parametrize(
    ("said", "change", "chance"),
    [
        (A, TOOK_A, 0.25),
        (NONE, TOOK_A, None),
        (NONE, Change("A", is_added=True), 0.75),
        (A, Change("A", is_added=True), None),
        (NONE, Change("new", is_added=True), 0.0),
        (frozenset({"new"}), Change("new", is_added=False), 1.0),
    ],
)
def test_a_correction_is_as_probable_as_the_model_said(
    said: frozenset[str], change: Change, chance: float | None
) -> None:
    assert change.chance(Lesson("1", {"A": 0.75}, said, NONE, ("ada",), MAY)) == chance


def test_a_mass_that_neither_the_model_nor_others_expect_waits_and_all_else_teaches() -> None:
    given = [*fair(40, "ada"), *lessons(20, "eve"), *fair(5, "eve"), *lessons(3, "ada")]
    vetted = vet(given)
    assert sorted(vetted.waiting) == list(range(40, 60))
    assert vetted.kept == (*range(40), *range(60, 68))
    (mass,) = vetted.masses
    assert (mass.reviewer, mass.change, mass.made, mass.chances) == ("eve", TOOK_A, 20, 25)
    assert mass.expected == pytest.approx(25 * 0.02)
    assert mass.others == 3 / 43
    assert set(vetted.waiting.values()) == {"one of many cases in which eve took 'A' away"}


def test_the_reasons_name_a_hostile_label_so_that_it_cannot_act() -> None:
    label = "\x1b[2J'|\n"
    given = lessons(10, "eve", said=frozenset({label}), scores={label: 0.99})
    (mass,) = vet(given).masses
    assert mass.sentence == f"eve took {label!r} away in 10 of 10 cases; the model expects 0"
    assert mass.sentence.isprintable()


def test_ten_equal_corrections_are_looked_at_and_nine_are_not() -> None:
    others = fair(40, "ada")
    assert not vet([*others, *lessons(FEWEST - 1, "eve")]).waiting
    assert len(vet([*others, *lessons(FEWEST, "eve")]).waiting) == FEWEST


def test_what_the_model_itself_doubts_teaches() -> None:
    assert not vet([*fair(40, "ada"), *lessons(30, "eve", scores=TORN)]).waiting


def test_three_times_what_the_model_expects_is_odd_and_a_little_less_is_not() -> None:
    doubtful = {"A": 0.9}
    for made, waits in ((30, 30), (29, 0)):
        eve = [*lessons(made, "eve", scores=doubtful), *lessons(100 - made, "eve", found=A, scores=doubtful)]
        assert len(vet([*fair(100, "ada"), *eve]).waiting) == waits


def test_a_few_more_than_expected_are_chance() -> None:
    doubtful = {"A": 0.9}  # 12 of 40 are three times the 4 expected; chance does so in one of a thousand
    eve = [*lessons(12, "eve", scores=doubtful), *lessons(28, "eve", found=A, scores=doubtful)]
    assert not vet([*fair(100, "ada"), *eve]).waiting


def test_what_everybody_corrects_teaches_however_sure_the_model_was() -> None:
    shift = [lesson for name in ("ada", "bob", "cleo", "dan", "eve") for lesson in lessons(40, name)]
    assert vet(shift) == Vetted(tuple(range(200)), {}, ())


def test_others_who_correct_so_less_than_a_third_as_often_do_not_speak_for_it() -> None:
    eve, alike = lessons(30, "eve"), [lesson for n in range(40) for lesson in lessons(1, f"r{n}")]
    assert not vet([*eve, *alike, *fair(79, "bob")]).waiting
    assert sorted(vet([*eve, *alike, *fair(80, "bob")]).waiting) == list(range(30))


def test_a_difference_to_others_that_chance_may_make_is_none() -> None:
    eve, alike = lessons(10, "eve"), [lesson for n in range(6) for lesson in lessons(1, f"r{n}")]
    assert not vet([*eve, *alike, *fair(14, "bob")]).waiting  # 10 of 10 against 6 of 20: one in 3,700
    assert len(vet([*eve, *alike[1:], *fair(15, "bob")]).waiting) == 10  # against 5 of 20: one in 10,000


def test_the_word_of_others_counts_from_twenty_cases_on() -> None:
    eve = lessons(12, "eve")
    alike = [lesson for n in range(FEWEST_OTHERS) for lesson in lessons(1, f"r{n}")]
    assert len(vet([*eve, *alike[1:]]).waiting) == 12
    assert not vet([*eve, *alike]).waiting


def test_cases_of_others_that_do_not_allow_for_the_correction_say_nothing_of_it() -> None:
    elsewhere = lessons(100, "ada", said=B, found=B)
    (mass,) = vet([*lessons(12, "eve"), *elsewhere]).masses
    assert mass.others is None


def test_somebody_alone_in_the_store_is_held_to_the_model_only() -> None:
    vetted = vet([*lessons(12, "eve"), *fair(12, "eve"), *lessons(20, "eve", said=B, scores=TORN)])
    assert sorted(vetted.waiting) == list(range(12))
    assert vetted.masses[0].sentence == "eve took 'A' away in 12 of 24 cases; the model expects 0"


def test_what_two_people_found_alike_teaches_and_is_no_mass_of_either() -> None:
    both = [*lessons(30, "eve", "mallory"), *lessons(30, "mallory", "eve")]
    assert vet([*fair(100, "ada"), *both]) == Vetted(tuple(range(160)), {}, ())
    # A second person releases the cases that they looked at, and no others.
    vetted = vet([*fair(100, "ada"), *lessons(15, "eve"), *lessons(15, "eve", "bob")])
    assert sorted(vetted.waiting) == list(range(100, 115))


def test_the_same_person_twice_confirms_nothing() -> None:
    assert len(vet([*fair(40, "ada"), *lessons(12, "eve", "eve")]).waiting) == 12


def test_what_somebody_found_together_with_others_is_not_the_word_of_others() -> None:
    # Of the 30 cases that Eve has no part in none was corrected, whatever she and Bob found together.
    (mass,) = vet([*lessons(12, "eve"), *lessons(300, "bob", "eve"), *fair(30, "ada")]).masses
    assert (mass.chances, mass.others) == (12, 0.0)


def test_a_label_that_the_model_has_never_heard_of_waits_for_a_second_person() -> None:
    def new(count: int, *who: str) -> list[Lesson]:
        return lessons(count, *who, said=NONE, found=frozenset({"New"}))

    (mass,) = vet([*fair(40, "ada"), *new(12, "eve")]).masses
    assert (mass.expected, mass.others) == (0.0, 0.0)
    assert not vet([*new(12, "eve"), *new(12, "ada"), *new(12, "bob")]).waiting


def test_a_label_that_was_said_without_a_score_is_taken_away_freely() -> None:
    assert not vet([*fair(40, "ada"), *lessons(30, "eve", scores={})]).waiting


def test_a_case_with_two_corrections_waits_where_one_is_odd() -> None:
    swaps = lessons(12, "eve", found=B, scores={"A": 0.98, "B": 0.4})
    vetted = vet([*fair(40, "ada"), *swaps])
    assert [mass.change for mass in vetted.masses] == [TOOK_A]
    assert len(vetted.waiting) == 12


def test_masses_are_told_the_largest_first() -> None:
    given = [*lessons(11, "mallory"), *lessons(15, "eve"), *lessons(11, "bob"), *fair(200, "ada")]
    assert [mass.reviewer for mass in vet(given).masses] == ["eve", "bob", "mallory"]


def test_a_drip_below_the_limits_teaches() -> None:
    """Nine of each kind, and whatever the model half expects: nothing here stops a patient source."""
    labels = [f"L{n}" for n in range(5)]
    drip = [
        lesson
        for label in labels
        for lesson in lessons(FEWEST - 1, "eve", said=frozenset({label}), scores=dict.fromkeys(labels, 0.99))
    ]
    assert not vet([*fair(100, "ada"), *drip]).waiting


def capped(count: int, who: str = "eve") -> list[Lesson]:
    """Corrections that nobody finds odd, a minute apart."""
    return [Lesson(f"{who}{n}", TORN, A, NONE, (who,), MAY + n * MINUTE) for n in range(count)]


def test_one_reviewer_alone_changes_at_most_so_many_and_the_newest_wait() -> None:
    assert not vet(capped(ALWAYS)).waiting
    waiting = vet(list(reversed(capped(ALWAYS + 3)))).waiting
    assert waiting == dict.fromkeys((0, 1, 2), "eve alone may change 50 of 53 tickets")


def test_of_corrections_at_one_time_the_first_teach() -> None:
    same = lessons(ALWAYS + 2, "eve", scores=TORN)
    assert sorted(vet(same).waiting) == [ALWAYS, ALWAYS + 1]


def test_the_cap_is_a_share_of_all_that_is_learned_from() -> None:
    most = 60
    others = int(most / SHARE) - most
    assert not vet(capped(most), others=others).waiting
    assert sorted(vet(capped(most + 1), others=others - 1).waiting) == [most]


def test_the_cap_is_each_reviewers_own() -> None:
    assert not vet([*capped(ALWAYS), *capped(ALWAYS, "bob")]).waiting


def test_what_was_right_what_two_found_and_what_waits_already_does_not_count_towards_the_cap() -> None:
    mass = lessons(12, "eve", said=B, scores={"B": 0.98})
    given = [*fair(100, "eve"), *lessons(100, "eve", "bob", scores=TORN), *mass, *capped(ALWAYS)]
    assert sorted(vet(given).waiting) == list(range(200, 212))


def test_trusted_reviewers_are_never_held_back_and_others_still_are() -> None:
    given = [*lessons(70, "ada"), *lessons(12, "eve"), *fair(300, "bob")]
    assert len(vet(given).waiting) == 82
    vetted = vet(given, trusted=frozenset({"ada"}))
    assert sorted(vetted.waiting) == list(range(70, 82))
    assert not vet(given, trusted=frozenset({"ada", "eve"})).waiting
    assert not vet(capped(ALWAYS + 5), trusted=frozenset({"eve"})).waiting
    assert len(vet(given, trusted=frozenset({"Ada"})).waiting) == 82


def test_the_same_cases_wait_in_whatever_order_they_come() -> None:
    given = drawn(400, seed=3)
    shuffled = random.Random(1).sample(given, k=len(given))  # noqa: S311 - a fixture
    waiting = [{each[place].case for place in vet(each).waiting} for each in (given, shuffled)]
    assert waiting[0] == waiting[1]
    assert waiting[0]


def drawn(count: int, *, reviewers: int = 3, labels: int = 5, seed: int = 0) -> list[Lesson]:
    """Random cases, each at a time of its own; one reviewer takes L0 away wherever it is."""
    rng = random.Random(seed)  # noqa: S311 - a fixture
    names = [f"L{n}" for n in range(labels)]
    made = []
    for n in range(count):
        scores = {name: round(rng.choice((0.0, 0.0, 0.8)) + 0.2 * rng.random(), 3) for name in names}
        said = frozenset(name for name in names if scores[name] >= 0.5)
        found = frozenset(name for name in names if rng.random() < scores[name])
        who = tuple(rng.sample([f"r{m}" for m in range(reviewers)], k=rng.choice((1, 1, 1, 2))))
        if who == ("r0",):
            found -= {"L0"}
        made.append(Lesson(f"c{n}", scores, said, found, who, MAY + n * MINUTE))
    return made


@pytest.mark.parametrize("seed", range(5))
def test_the_figures_of_a_mass_are_those_of_a_plain_count(seed: int) -> None:
    given = drawn(600, seed=seed)
    masses = vet(given).masses
    assert "r0" in {mass.reviewer for mass in masses}
    for mass in masses:
        change = mass.change
        mine = [one for one in given if one.reviewers == (mass.reviewer,) and change.chance(one) is not None]
        theirs = [one for one in given if mass.reviewer not in one.reviewers and change.chance(one) is not None]
        assert mass.made == sum(change in one.changes for one in mine)
        assert mass.chances == len(mine)
        assert mass.expected == pytest.approx(sum(change.chance(one) or 0.0 for one in mine))
        assert mass.others == sum(change in one.changes for one in theirs) / len(theirs)


def test_ten_thousand_lessons_of_forty_reviewers_take_no_time() -> None:
    given = drawn(10_000, reviewers=40, labels=20)
    vet(given[:10])  # imports
    started = time.process_time()
    vet(given)
    assert time.process_time() - started < 4  # a second where the machine is idle
