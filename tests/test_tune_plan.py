from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import tiny
from tagdesk.dataset import near_duplicate_groups
from tagdesk.errors import InputError, UsageError
from tagdesk.scorers import Recipe
from tagdesk.ticket import Ticket
from tagdesk.tune import Goal, Plan, Space, Task

LINEAR = Recipe(kind="linear", max_features=200)


def task(**changes: Any) -> Task:
    recipe = changes.pop("recipe", LINEAR)
    return Task(**{"goal": Goal("f1_macro"), "space": Space.of({"linear": recipe})} | changes)


def labelled(*sets: str, words: int = 6) -> list[Ticket]:
    rng = np.random.default_rng(0)
    return [
        Ticket(str(n), " ".join(f"w{w}" for w in rng.integers(500, size=words)), frozenset(labels))
        for n, labels in enumerate(sets)
    ]


def test_all_tickets_are_dealt_and_nearly_the_same_text_never_lands_on_two_sides(tickets: list[Ticket]) -> None:
    copies = [replace(ticket, id=f"{ticket.id}-b", text=f"{ticket.text.upper()}!") for ticket in tickets]
    plan = Plan.of([*tickets, *copies], task())
    groups = near_duplicate_groups([*plan.inner.texts, *plan.outer.texts])
    inner, outer = groups[: len(plan.inner)], groups[len(plan.inner) :]
    assert len(inner) + len(outer) == 2 * len(tickets)
    assert not set(inner) & set(outer)
    assert sorted(np.concatenate(plan.folds).tolist()) == list(range(len(plan.inner)))
    for one, fold in enumerate(plan.folds):
        others = np.concatenate([other for two, other in enumerate(plan.folds) if two != one])
        assert not set(inner[fold]) & set(inner[others])
    assert 0.1 < len(outer) / (2 * len(tickets)) < 0.3


def test_a_customers_tickets_stay_together_where_the_recipe_says_so() -> None:
    mine = tiny.tickets(120)
    plan = Plan.of(mine, task(recipe=replace(LINEAR, fold_by="unit")))
    unit = {ticket.text: ticket.unit for ticket in mine}
    assert not {unit[text] for text in plan.inner.texts} & {unit[text] for text in plan.outer.texts}
    assert plan.units == [unit[text] for text in plan.inner.texts]


def test_none_of_these_is_a_label_where_enough_tickets_teach_it() -> None:
    silent = [Ticket(f"n{n}", f"hello number {n}", frozenset()) for n in range(40)]
    taught = Plan.of([*tiny.tickets(60), *silent], task())
    assert taught.inner.targets.shape[1] == len(taught.names) + 1
    assert taught.outer.targets.shape[1] == len(taught.names)


def test_unlabelled_tickets_are_left_out(tickets: list[Ticket]) -> None:
    unknown = [Ticket(f"u{n}", f"who knows {n}") for n in range(30)]
    plan = Plan.of([*tickets, *unknown], task())
    assert len(plan.inner) + len(plan.outer) == len(tickets)


@pytest.mark.parametrize(
    ("tickets", "said"),
    [
        ([], "No ticket carries a label"),
        ([Ticket(str(n), f"text {n}") for n in range(50)], "No ticket carries a label"),
        (labelled(*["A"] * 50), "carry the same labels"),
        (labelled(*["A", "B"] * 9), "18 different labelled tickets are too few"),
        ([replace(ticket, text="the same") for ticket in labelled(*["A", "B"] * 25)], "1 different labelled tickets"),
        (
            [
                Ticket(str(n), f"{n} once again the very same words in all of them", frozenset("AB"[n % 2]))
                for n in range(40)
            ],
            "differ",
        ),
    ],
)
def test_what_nothing_can_be_learned_from_is_refused_with_the_reason(tickets: list[Ticket], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Plan.of(tickets, task())


def test_twenty_tickets_and_labels_of_one_ticket_do_with_a_warning() -> None:
    plan = Plan.of(labelled(*["A", "B"] * 9, "C", "AD"), task())
    rare, few = plan.warnings
    assert "'C' (1)" in rare
    assert "'D' (1)" in rare
    assert f"judged by {len(plan.outer)} tickets" in few
    assert all(len(fold) for fold in plan.folds)
    assert plan.counts == {"A": 10, "B": 9, "C": 1, "D": 1}


def test_one_label_does_where_other_tickets_lack_it() -> None:
    assert Plan.of(labelled(*["A", ""] * 30), task()).names == ("A",)


def changed_label(tickets: list[Ticket]) -> list[Ticket]:
    other = frozenset(tiny.LABELS) - (tickets[0].labels or frozenset())
    return [replace(tickets[0], labels=frozenset({min(other)})), *tickets[1:]]


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("tickets", lambda tickets: (tickets[1:], task())),
        ("tickets", lambda tickets: (tickets[::-1], task())),
        ("tickets", lambda tickets: (changed_label(tickets), task())),
        ("objective", lambda tickets: (tickets, task(goal=Goal("exact_match")))),
        ("seed", lambda tickets: (tickets, task(seed=1))),
        ("latency", lambda tickets: (tickets, task(latency_ms=5.0))),
        ("recipes", lambda tickets: (tickets, task(recipe=replace(LINEAR, folds=4)))),
        (
            "search space",
            lambda tickets: (tickets, task(space=Space.of({"linear": LINEAR}, fixed=frozenset({"strength"})))),
        ),
    ],
)
def test_whatever_decides_changes_its_part_of_the_fingerprint(
    part: str, change: Callable[[list[Ticket]], tuple[list[Ticket], Task]], tickets: list[Ticket]
) -> None:
    before, after = Plan.of(tickets, task()), Plan.of(*change(tickets))
    assert part in {name for name in before.fingerprint if before.fingerprint[name] != after.fingerprint[name]}
    assert Plan.of(list(tickets), task()).fingerprint == before.fingerprint


@pytest.mark.parametrize("latency", [0.0, -1.0, float("nan"), float("inf")])
def test_a_latency_that_is_none_is_refused(latency: float) -> None:
    with pytest.raises(UsageError, match="expected a number of milliseconds"):
        task(latency_ms=latency)


def test_a_task_without_a_recipe_is_refused() -> None:
    with pytest.raises(UsageError, match="no recipe"):
        task(space=Space.of({}))
