from __future__ import annotations

import json

import pytest

from tagdesk.compare import Difference, Figure, Finding
from tagdesk.experiment import (
    LATENCY,
    NO_LABEL,
    Action,
    Day,
    Evidence,
    Guardrail,
    decide,
    recall_of,
    review_shares,
    sample_ratio,
)

EXACT = Figure("exact_match", "exact match")
EVEN = {"a": 0.5, "b": 0.5}
WHOLE, BROKEN = (sample_ratio({"a": n, "b": 20_000 - n}, EVEN) for n in (10_020, 10_500))


def found(low, high, figure=EXACT, *, always=True, **more):
    middle = (low + high) / 2
    return Difference(figure, 0.5, 0.5 + middle, (low, high), 2000, is_always_valid=always, **more)


def rail(low, high, margin=20.0, figure=LATENCY, **more):
    return Guardrail(found(low, high, figure, **more), margin)


BETTER, WORSE, OPEN = found(0.012, 0.05), found(-0.05, -0.012), found(-0.012, 0.03)
HOLDS, BREAKS, UNSURE = rail(-5, 10), rail(25, 60), rail(-5, 40)


DAY = Day(12, 30)


def decided(primary=BETTER, day=DAY, ratio=WHOLE, **more):
    return decide(Evidence(day, ratio, primary, **more))


@pytest.mark.parametrize(
    ("evidence", "action"),
    [
        ({}, Action.PROMOTE),
        ({"guardrails": [HOLDS]}, Action.PROMOTE),
        ({"guardrails": [HOLDS, UNSURE]}, Action.GO_ON),
        ({"guardrails": [HOLDS, BREAKS]}, Action.STOP),
        ({"primary": WORSE}, Action.STOP),
        ({"primary": WORSE, "margin": 0.1}, Action.PROMOTE),  # less than what was agreed on to be no loss
        ({"primary": OPEN}, Action.GO_ON),
        ({"primary": OPEN, "margin": 0.02}, Action.PROMOTE),
        ({"primary": OPEN, "margin": 0.01}, Action.GO_ON),
        ({"primary": OPEN, "guardrails": [BREAKS]}, Action.STOP),
        ({"ratio": BROKEN}, Action.MEND),
        ({"ratio": BROKEN, "primary": WORSE, "guardrails": [BREAKS]}, Action.MEND),
        ({"primary": found(0.012, 0.05, always=False)}, Action.GO_ON),
        ({"primary": found(-0.05, -0.012, always=False)}, Action.GO_ON),
        ({"primary": found(0.012, 0.05, always=False), "day": Day(30, 30)}, Action.PROMOTE),
        ({"guardrails": [rail(25, 60, always=False)]}, Action.GO_ON),
        ({"guardrails": [rail(-5, 10, always=False)]}, Action.GO_ON),
        ({"guardrails": [rail(-5, 10, always=False)], "day": Day(30, 30)}, Action.PROMOTE),
        ({"reviews": review_shares({"a": 900, "b": 900}, {"a": 90, "b": 180})}, Action.GO_ON),
        ({"reviews": review_shares({"a": 900, "b": 900}, {"a": 90, "b": 93})}, Action.PROMOTE),
        ({"guardrails": [Guardrail(Difference(LATENCY, None, 9.0, None, 0, is_always_valid=True), 20)]}, Action.GO_ON),
        ({"primary": Difference(EXACT, None, None, None, 0, is_always_valid=True)}, Action.GO_ON),
    ],
)
def test_evidence_leads_to_one_action(evidence, action):
    decision = decided(**evidence)
    assert decision.action is action
    assert decision.reason.endswith(".")
    assert decision.reason[0].isupper()
    json.dumps(decision.to_dict(), allow_nan=False)


def test_reasons_are_plain():
    assert decided(guardrails=[HOLDS]).reason == (
        "Challenger is better: exact match +3.1 points (1.2 to 5.0), looked at on day 12 of 30, and every guardrail "
        "holds."
    )
    assert decided(guardrails=[BREAKS]).reason == (
        "Challenger does harm: latency +42.5 ms (25.0 to 60.0), where a loss of 20.0 ms is too much, looked at on day "
        "12 of 30."
    )
    assert "but it is not shown yet that every guardrail holds: latency +17.5 ms" in decided(guardrails=[UNSURE]).reason
    assert decided(WORSE).reason == (
        "Challenger is worse: exact match -3.1 points (-5.0 to -1.2), looked at on day 12 of 30."
    )
    assert decided(OPEN, Day(30, 30)).reason.endswith(
        "; the plan is over: keep what is current, or plan anew with more units."
    )
    assert "plan is over" not in decided(OPEN).reason
    early = decided(found(0.012, 0.05, always=False)).reason
    assert early.startswith("Exact match +3.1 points")
    assert "holds on the last day alone" in early
    assert decide(Evidence(Day(1, 2), WHOLE, BETTER), who="6f1a").reason.startswith("6f1a is better")


def test_a_broken_split_is_reported_instead_of_a_result():
    decision = decided(ratio=BROKEN, guardrails=[HOLDS], secondary=[BETTER])
    assert decision.reason == BROKEN.sentence
    assert (decision.primary, decision.guardrails, decision.secondary) == (None, (), ())


def test_a_guardrail_where_more_is_better_is_turned_round():
    recall = recall_of("Refund")
    assert decided(guardrails=[rail(-0.01, 0.03, 0.02, recall)]).action is Action.PROMOTE
    assert decided(guardrails=[rail(-0.09, -0.03, 0.02, recall)]).action is Action.STOP
    assert decided(guardrails=[rail(0.03, 0.09, 0.02, NO_LABEL)]).action is Action.STOP


def test_a_guardrail_that_is_worse_within_its_margin_holds():
    decision = decided(guardrails=[rail(3, 10)])
    assert decision.action is Action.PROMOTE
    assert decision.guardrails[0].finding is Finding.NOT_WORSE


def test_harm_to_a_guardrail_counts_however_it_was_reviewed():
    uneven = review_shares({"a": 900, "b": 900}, {"a": 90, "b": 180})
    assert decided(WORSE, reviews=uneven).action is Action.GO_ON
    assert decided(WORSE, reviews=uneven, guardrails=[BREAKS]).action is Action.STOP


def test_secondary_figures_are_corrected_and_decide_nothing():
    asked = [found(-0.05, -0.012, p=0.001), found(0.001, 0.05, p=0.04), found(0.001, 0.05, p=0.04)]
    decision = decided(OPEN, secondary=asked)
    assert decision.action is Action.GO_ON
    assert [verdict.finding for verdict in decision.secondary] == [Finding.WORSE, Finding.UNSHOWN, Finding.UNSHOWN]
    assert [verdict.difference.p for verdict in decision.secondary] == pytest.approx([0.003, 0.08, 0.08])


def test_secondary_figures_wait_for_the_last_day_unless_they_hold_at_every_look():
    asked = [found(0.01, 0.05, p=0.001, always=False)]
    early, late = decided(OPEN, secondary=asked), decided(OPEN, Day(30, 30), secondary=asked)
    assert early.secondary[0].finding is Finding.UNSHOWN
    assert "last day alone" in early.secondary[0].sentence
    assert late.secondary[0].is_better


def test_days_count_from_one():
    for today, planned in ((0, 30), (1, 0)):
        with pytest.raises(ValueError, match="expected"):
            Day(today, planned)
    assert decided(day=Day(31, 30)).reason.endswith("looked at on day 31 of 30.")
