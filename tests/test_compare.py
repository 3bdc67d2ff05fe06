from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagdesk.compare import Difference, Figure, Finding, corrected, holm, judge

EXACT = Figure("exact_match", "exact match")
LOSS = Figure("hamming_loss", "hamming loss", lower_is_better=True)
LATENCY = Figure("latency", "latency", lower_is_better=True, unit="ms")


def found(low, high, figure=EXACT, **more):
    return Difference(figure, 0.5, 0.5 + (low + high) / 2, (low, high), 1000, **more)


@pytest.mark.parametrize(
    ("low", "high", "margin", "finding"),
    [
        (0.01, 0.03, None, Finding.BETTER),
        (0.01, 0.03, 0.01, Finding.BETTER),
        (-0.03, -0.01, None, Finding.WORSE),
        (-0.03, -0.01, 0.02, Finding.WORSE),
        (-0.005, 0.02, 0.01, Finding.NOT_WORSE),
        (-0.008, -0.002, 0.01, Finding.NOT_WORSE),
        (-0.01, 0.02, 0.01, Finding.UNSHOWN),  # the margin itself is too much
        (-0.005, 0.02, None, Finding.UNSHOWN),
        (0.0, 0.02, None, Finding.UNSHOWN),
        (-0.02, 0.0, None, Finding.UNSHOWN),
    ],
)
def test_an_interval_says_what_it_leaves_out(low, high, margin, finding):
    assert judge(found(low, high), margin).finding is finding
    assert judge(found(-high, -low, LOSS), margin).finding is finding


def test_questions_of_a_verdict_follow_from_its_finding():
    better, harmless, worse = judge(found(0.1, 0.2)), judge(found(-0.01, 0.2), 0.02), judge(found(-0.2, -0.1))
    assert [(v.is_better, v.is_harmless, v.is_worse) for v in (better, harmless, worse)] == [
        (True, True, False),
        (False, True, False),
        (False, False, True),
    ]


def test_sentences_are_plain():
    assert judge(found(0.012, 0.050), when="looked at on day 12 of 30").sentence == (
        "Challenger is better: exact match +3.1 points (1.2 to 5.0), looked at on day 12 of 30."
    )
    assert judge(found(-0.05, -0.012), who="6f1a").sentence == "6f1a is worse: exact match -3.1 points (-5.0 to -1.2)."
    assert judge(found(-0.012, 0.03)).sentence == "No difference shown: exact match +0.9 points (-1.2 to 3.0)."
    assert judge(found(-0.012, 0.03), 0.01).sentence.endswith("; a loss of 1.0 points or more is not ruled out.")
    assert judge(found(-0.008, -0.002), 0.01).sentence == (
        "Challenger is worse, but by less than the 1.0 points that are allowed: exact match -0.5 points (-0.8 to -0.2)."
    )
    latency = Difference(LATENCY, 100.0, 130.0, (20.0, 40.0), 900)
    assert judge(latency).sentence == "Challenger is worse: latency +30.0 ms (20.0 to 40.0)."


def test_an_interval_that_leaves_nought_out_never_reads_as_if_it_held_it():
    sentence = judge(found(0.0001, 0.0004)).sentence
    assert sentence == "Challenger is better: exact match +0.025 points (0.010 to 0.040)."
    assert "-0.0 " not in judge(found(-0.0000001, 0.02)).sentence


def test_what_is_undefined_is_neither_better_nor_worse():
    verdict = judge(Difference(EXACT, None, 0.5, None, 0, doubt="there is no ticket"), 0.01)
    assert verdict.finding is Finding.UNDEFINED
    assert verdict.sentence == "Nothing can be said of exact match: there is no ticket."
    assert (verdict.is_better, verdict.is_harmless, verdict.is_worse) == (False, False, False)
    json.dumps(verdict.to_dict(), allow_nan=False)


def test_a_doubt_keeps_an_interval_from_showing_anything():
    for low, high in ((0.01, 0.02), (-0.02, -0.01)):
        verdict = judge(found(low, high, doubt="too few to tell"))
        assert verdict.finding is Finding.UNSHOWN
        assert "too few to tell" in verdict.sentence


def test_units_too_few_to_have_seen_a_loss_do_not_rule_it_out():
    assert judge(found(0.0, 0.0, blind_to=0.02), 0.01).finding is Finding.UNSHOWN
    assert judge(found(0.0, 0.0, blind_to=0.005), 0.01).finding is Finding.NOT_WORSE


@pytest.mark.parametrize("margin", [0.0, -0.01, math.nan, math.inf])
def test_a_margin_that_is_none_is_a_programmers_mistake(margin):
    with pytest.raises(ValueError, match="expected a finite number above 0"):
        judge(found(0, 1), margin)


@given(st.floats(-1, 1), st.floats(1e-6, 1), st.floats(1e-6, 0.5))
@settings(deadline=None)
def test_turning_a_figure_round_turns_no_verdict(low, width, margin):
    up = judge(found(low, low + width), margin)
    down = judge(found(-low - width, -low, LOSS), margin)
    assert up.finding is down.finding


@given(st.floats(-1, 1), st.floats(1e-5, 1))
@settings(deadline=None)
def test_the_written_ends_stand_on_the_side_where_the_ends_are(low, width):
    words = found(low, low + width).words
    ends = [float(end) for end in re.search(r"\((\S+) to (\S+)\)", words).groups()]
    assert ends[0] <= ends[1]
    assert abs(ends[0] / 100 - low) <= max(width, 0.0005)


def test_holm_is_that_of_a_published_table():
    # R's p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm")
    assert holm([0.01, 0.02, 0.03, 0.04, 0.05]).tolist() == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])


def test_a_question_that_cannot_be_asked_costs_the_others_nothing():
    assert holm([0.01, math.nan, 0.02]).tolist() == pytest.approx([0.02, math.nan, 0.02], nan_ok=True)
    assert holm([]).tolist() == []
    assert np.isnan(holm([math.nan])).all()


@given(st.lists(st.floats(0, 1), max_size=30))
@settings(deadline=None)
def test_holm_keeps_order_and_never_makes_a_claim_stronger(p_values):
    adjusted = holm(p_values)
    assert (adjusted >= np.array(p_values)).all()
    assert (adjusted <= 1).all()
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(adjusted[order]) >= 0).all()


def test_many_true_nothings_are_seldom_denied():
    p_values = np.random.default_rng(0).random((2000, 20))
    assert np.mean([holm(row).min() <= 0.05 for row in p_values]) < 0.065
    assert np.mean(p_values.min(axis=1) <= 0.05) > 0.5


@pytest.mark.parametrize("p_values", [[-0.1], [1.1], [[0.1]]])
def test_p_values_that_are_none_are_a_programmers_mistake(p_values):
    with pytest.raises(ValueError, match="expected"):
        holm(p_values)


def test_correction_doubts_what_one_question_alone_would_show():
    clear, chance = (found(0.01, 0.05, p=p) for p in (0.001, 0.03))
    undefined = Difference(EXACT, None, None, None, 0, doubt="nothing there")
    first, second, third = corrected([clear, chance, undefined])
    assert judge(first).is_better
    assert first.p == pytest.approx(0.002)
    both = corrected([chance, chance, undefined])
    assert [judge(each).finding for each in both] == [Finding.UNSHOWN, Finding.UNSHOWN, Finding.UNDEFINED]
    assert second.p == pytest.approx(0.03)  # the second of two is asked at its own p-value
    assert (third.p, third.doubt) == (None, "nothing there")
