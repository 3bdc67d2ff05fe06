"""Splits and folds."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagdesk.dataset.near import near_duplicate_groups
from tagdesk.dataset.splits import WAYS, split, stratified_folds
from tagdesk.errors import InputError, UsageError
from tagdesk.ticket import Ticket

SHARES = {"train": 0.8, "test": 0.2}
WORDS = [
    "order",
    "parcel",
    "refund",
    "invoice",
    "login",
    "crash",
    "late",
    "broken",
    "card",
    "error",
    "price",
    "plan",
    "reset",
    "screen",
    "delivery",
    "agent",
]


def many_tickets(count: int = 600, seed: int = 0) -> list[Ticket]:
    rng = random.Random(seed)  # noqa: S311 - examples, no secrets
    tickets = []
    for number in range(count):
        text = " ".join(rng.choices(WORDS, k=rng.randrange(3, 12))) + (f" {number}" if rng.random() < 0.7 else "")
        labels = frozenset(
            label for label, chance in zip("ABCDE", (0.5, 0.3, 0.2, 0.1, 0.03), strict=True) if rng.random() < chance
        )
        time = f"2024-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}"
        tickets.append(Ticket(str(number), text, labels, unit=f"customer {rng.randrange(200)}", time=time))
    return tickets


def unevenness(parts: dict[str, list[Ticket]], shares: dict[str, float]) -> float:
    """How far the labels' shares in the parts are from the shares wanted, on average."""
    everything = [ticket for part in parts.values() for ticket in part]
    gaps = []
    for label in "ABCDE":
        total = sum(label in (ticket.labels or ()) for ticket in everything)
        for name, part in parts.items():
            gaps.append(abs(sum(label in (ticket.labels or ()) for ticket in part) / total - shares[name]))
    return float(np.mean(gaps))


@st.composite
def some_tickets(draw: st.DrawFn) -> list[Ticket]:
    texts = draw(
        st.lists(st.lists(st.sampled_from(WORDS[:8]), min_size=1, max_size=6).map(" ".join), min_size=4, max_size=40)
    )
    labels = st.none() | st.frozensets(st.sampled_from("ABC"))
    return [
        Ticket(
            str(n),
            text,
            draw(labels),
            unit=draw(st.sampled_from(["u1", "u2", "u3", "u4", "u5"])),
            time=f"2024-01-{draw(st.integers(1, 28)):02}",
        )
        for n, text in enumerate(texts)
    ]


@settings(deadline=None)
@given(some_tickets(), st.sampled_from(WAYS), st.integers(0, 5))
def test_a_split_is_a_partition_and_no_text_is_on_both_sides(tickets: list[Ticket], by: str, seed: int) -> None:
    try:
        parts = split(tickets, {"a": 0.5, "b": 0.3, "c": 0.2}, by=by, seed=seed)
    except InputError as error:
        assert error.code == "too_few"  # noqa: PT017 - most examples raise nothing
        return
    dealt = [ticket.id for part in parts.values() for ticket in part]
    assert sorted(dealt, key=int) == [ticket.id for ticket in tickets]
    assert all(parts.values())
    assert all(part == sorted(part, key=lambda ticket: int(ticket.id)) for part in parts.values())
    side = {ticket.id: name for name, part in parts.items() for ticket in part}
    group_side: dict[int, str] = {}
    for ticket, group in zip(tickets, near_duplicate_groups([t.text for t in tickets]).tolist(), strict=True):
        assert group_side.setdefault(group, side[ticket.id]) == side[ticket.id]
    if by == "unit":
        assert all(side[a.id] == side[b.id] for a in tickets for b in tickets if a.unit == b.unit)


def test_same_text_never_lands_on_both_sides() -> None:
    tickets = many_tickets()
    copies = [Ticket("copy " + ticket.id, ticket.text.upper() + " !", ticket.labels) for ticket in tickets[::3]]
    parts = split([*tickets, *copies], SHARES, seed=3)
    sides = [{frozenset(ticket.text.casefold().split()) - {"!"} for ticket in part} for part in parts.values()]
    assert not sides[0] & sides[1]


@pytest.mark.parametrize("by", ["labels", "unit"])
def test_parts_have_their_shares_of_tickets_and_labels(by: str) -> None:
    parts = split(many_tickets(), SHARES, by=by)
    assert len(parts["test"]) == pytest.approx(120, abs=6)
    assert unevenness(parts, SHARES) < 0.02


def test_parts_are_more_alike_than_those_of_a_random_split() -> None:
    tickets = many_tickets()
    shuffled = random.Random(0).sample(tickets, len(tickets))  # noqa: S311 - an example, no secret
    by_chance = {"train": shuffled[:480], "test": shuffled[480:]}
    assert unevenness(split(tickets, SHARES), SHARES) < unevenness(by_chance, SHARES) / 3


def test_rare_labels_reach_every_part() -> None:
    tickets = [
        Ticket(str(n), f"question number {n} about {n * 7}", frozenset({"rare"} if n < 3 else {"A"}))
        for n in range(300)
    ]
    folds = stratified_folds(
        [t.text for t in tickets], np.array([["rare" in (t.labels or ())] for t in tickets]), 3, seed=0
    )
    assert [sum(row < 3 for row in fold) for fold in folds] == [1, 1, 1]


def test_pairs_of_labels_are_spread_too() -> None:
    targets = np.array([[True, True]] * 40 + [[True, False]] * 40 + [[False, True]] * 40)
    texts = [f"text {n} {n * 31} {n * 77}" for n in range(120)]
    for fold in stratified_folds(texts, targets, 4, seed=1):
        assert sum(targets[fold].all(axis=1)) == 10


def test_one_seed_gives_one_split_and_another_another() -> None:
    tickets = many_tickets()
    assert split(tickets, SHARES, seed=1) == split(tickets, SHARES, seed=1)
    assert split(tickets, SHARES, seed=1) != split(tickets, SHARES, seed=2)


def test_folds_are_disjoint_and_cover_all() -> None:
    tickets = many_tickets(200)
    targets = np.array([[label in (ticket.labels or ()) for label in "ABCDE"] for ticket in tickets])
    folds = stratified_folds([ticket.text for ticket in tickets], targets, 5, seed=0)
    assert sorted(np.concatenate(folds).tolist()) == list(range(200))
    assert max(map(len, folds)) - min(map(len, folds)) <= 8
    groups = near_duplicate_groups([ticket.text for ticket in tickets])
    assert sum(len(set(groups[fold])) for fold in folds) == len(set(groups))


def test_the_oldest_train() -> None:
    tickets = [Ticket(str(n), f"question {n} about {n * 13}", time=f"2024-01-{n + 1:02}T10:00:00Z") for n in range(20)]
    parts = split(tickets[::-1], SHARES, by="time")
    assert [ticket.id for ticket in parts["test"]] == ["19", "18", "17", "16"]


def test_tickets_of_one_time_stay_together() -> None:
    tickets = [
        Ticket(str(n), f"question {n} about {n * 13}", time="2024-01-01" if n < 13 else "2024-01-02") for n in range(20)
    ]
    parts = split(tickets, SHARES, by="time")
    assert len(parts["train"]) == 13


def test_a_later_copy_of_a_text_goes_with_the_first() -> None:
    tickets = [Ticket(str(n), f"question {n} about {n * 13}", time=f"2024-01-{n + 1:02}") for n in range(20)]
    tickets.append(Ticket("copy", tickets[0].text, time="2024-03-01"))
    parts = split(tickets, SHARES, by="time")
    assert "copy" in {ticket.id for ticket in parts["train"]}


def test_times_with_and_without_zones_are_compared() -> None:
    times = [
        "2024-01-01T12:00:00+12:00",
        "2024-01-01T01:00:00",
        "2024-01-01T02:00:00Z",
        "2024-01-01 03:00:00.123456789",
    ]
    tickets = [Ticket(str(n), f"question {n} {n * 3}", time=time) for n, time in enumerate(times)]
    parts = split(tickets, {"old": 0.25, "new": 0.75}, by="time")
    assert [ticket.id for ticket in parts["old"]] == ["0"]


@pytest.mark.parametrize("by", ["labels", "unit", "time"])
@pytest.mark.parametrize(
    "tickets",
    [
        [],
        [Ticket("1", "alone", unit="u", time="2024-01-01")],
        [Ticket(str(n), "all the same", unit=str(n), time=f"2024-01-0{n + 1}") for n in range(5)],
        [
            Ticket(str(n), f"one customer at one time {n} {n * 7} {n * 9}", unit="u", time="2024-01-01")
            for n in range(5)
        ],
    ],
    ids=["none", "single row", "identical", "one customer, one time"],
)
def test_f28_too_little_to_split_is_refused(tickets: list[Ticket], by: str) -> None:
    if by == "labels" and len({ticket.text for ticket in tickets}) > 1:
        pytest.skip("labels can split these")
    with pytest.raises(InputError) as caught:
        split(tickets, SHARES, by=by)
    assert caught.value.code == "too_few"


def test_f28_more_folds_than_texts_are_refused() -> None:
    for texts in ([], ["a", "b"], ["same"] * 9):
        with pytest.raises(InputError) as caught:
            stratified_folds(texts, np.zeros((len(texts), 1), np.bool_), 3, seed=0)
        assert caught.value.code == "too_few"


def test_every_part_gets_a_ticket_where_there_are_enough() -> None:
    tickets = [Ticket(str(n), f"text {n} {n * 3} {n * 5}", frozenset("A")) for n in range(3)]
    parts = split(tickets, {"a": 0.98, "b": 0.01, "c": 0.01})
    assert [len(part) for part in parts.values()] == [1, 1, 1]


def test_missing_customers_and_times_are_named() -> None:
    tickets = [Ticket("7", "a"), Ticket("8", "b")]
    with pytest.raises(InputError, match="which customer"):
        split(tickets, SHARES, by="unit")
    with pytest.raises(InputError, match="'7' has no time"):
        split(tickets, SHARES, by="time")
    with pytest.raises(InputError, match="yesterday"):
        split([Ticket("7", "a", time="yesterday")], SHARES, by="time")


@pytest.mark.parametrize(
    "shares", [{}, {"train": 1.0}, {"a": 0.5, "b": 0.4}, {"a": 1.2, "b": -0.2}, {"a": float("nan"), "b": 1.0}]
)
def test_shares_must_sum_to_one(shares: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        split(many_tickets(20), shares)


def test_an_unknown_way_is_refused() -> None:
    with pytest.raises(UsageError, match="labels, unit, time"):
        split(many_tickets(20), SHARES, by="colour")
    with pytest.raises(ValueError, match="k >= 2"):
        stratified_folds(["a"], np.zeros((1, 1), np.bool_), 1, seed=0)
