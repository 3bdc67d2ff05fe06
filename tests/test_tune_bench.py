from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tiny
from tagdesk.measure import judge_tickets
from tagdesk.scorers import Recipe
from tagdesk.ticket import Ticket
from tagdesk.train import train
from tagdesk.tune import Bench, Estimate, Goal, Plan, Space, Task
from tagdesk.tune.bench import TICKET, latency_ms
from tagdesk.tune.estimate import SAMPLE, Cost


@pytest.fixture
def recipes(encoder: Path) -> dict[str, Recipe]:
    return {"probe": tiny.recipe("probe", encoder), "linear": tiny.recipe("linear", encoder)}


def plan_of(recipes: dict[str, Recipe], tickets: list[Ticket]) -> Plan:
    return Plan.of(tickets, Task(Goal("f1_macro"), Space.of(recipes)))


@pytest.mark.parametrize("kind", ["probe", "linear"])
@pytest.mark.parametrize("silent", [0, 30])
def test_the_outer_tickets_meet_the_model_that_training_makes(
    kind: str, silent: int, recipes: dict[str, Recipe]
) -> None:
    chatter = [Ticket(f"n{n}", f"you and today{' ok' * n}", frozenset()) for n in range(silent)]
    mine = [*tiny.tickets(60), *chatter]
    plan, recipe = plan_of(recipes, mine), recipes[kind]
    outer = set(plan.outer.texts)
    by_text = {ticket.text: ticket for ticket in mine}
    model = train([by_text[text] for text in plan.inner.texts], recipe, taxonomy=plan.taxonomy).model
    expected = judge_tickets(model, [by_text[text] for text in plan.outer.texts])
    found = Bench(plan).on_outer(recipe)
    assert outer.isdisjoint(plan.inner.texts)
    np.testing.assert_allclose(found.probs, expected.probs, atol=1e-6)
    np.testing.assert_array_equal(found.decided, expected.decided)


def test_an_encoder_reads_each_text_once_whatever_the_trials(recipes: dict[str, Recipe]) -> None:
    plan = plan_of(recipes, tiny.tickets(60))
    bench, read = Bench(plan), []
    bench.readings.progress = lambda _what, done, total: read.append(total) if done == total else None
    for changes in ({}, {"ridge": 2.0}, {"middle": False}, {"words": 0.0}):
        for fold in plan.folds:
            bench.score(recipes["probe"].changed(changes), fold)
    assert sum(read) == len(set(plan.inner.texts))


def test_what_was_read_before_scores_as_if_it_were_read_now(recipes: dict[str, Recipe]) -> None:
    plan, recipe = plan_of(recipes, tiny.tickets(60)), recipes["probe"].changed({"middle": False})
    bench = Bench(plan)
    bench.score(recipes["probe"], plan.folds[0])
    kept, fitted = bench.score(recipe, plan.folds[1])
    texts = [plan.inner.texts[row] for row in plan.folds[1]]
    np.testing.assert_allclose(kept, fitted.scorer.score(texts).probs, atol=1e-6)


def test_latency_is_measured_with_twenty_words(recipes: dict[str, Recipe]) -> None:
    plan = plan_of(recipes, tiny.tickets(60))
    assert len(TICKET.split()) == 20
    assert 0 < latency_ms(Bench(plan).fit(recipes["probe"], plan.folds[0]).scorer) < 60_000


def test_every_recipe_has_a_price_and_reading_is_paid_once(recipes: dict[str, Recipe]) -> None:
    plan = plan_of(recipes, tiny.tickets(60))
    found = Estimate.of(plan, Bench(plan), 10)
    assert set(found.costs) == {"probe", "linear"}
    assert all(cost.fold > 0 for cost in found.costs.values())
    assert len(plan.inner) <= SAMPLE
    assert found.costs["probe"].reading == 0  # the sample was all there is


def test_a_time_allows_as_many_trials_as_fit_behind_the_reading() -> None:
    estimate = Estimate({"linear": Cost(0, 1), "probe": Cost(30, 3)}, 60)
    assert estimate.trial == 10
    assert [estimate.trials_within(seconds) for seconds in (0, 30, 130, 1e9)] == [0, 0, 10, 60]
