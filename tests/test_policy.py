import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagdesk.errors import ArtefactError, UsageError
from tagdesk.policy import Objective, Policy, fit, parse_objective
from tagdesk.prediction import Decision

OBJECTIVES = ["f1_macro", "f1_micro", "exact_match", "cost:fp=1,fn=5", "precision>=0.8"]
NAMES = ["A", "B"]


def _column(*scores):
    return np.array(scores, dtype=np.float32)[:, np.newaxis]


def _drawn(n, labels, seed):
    """Scores that are true probabilities, with targets drawn from them."""
    chance = np.random.default_rng(seed)
    probs = chance.beta(0.3, 1.2, (n, labels)).astype(np.float32)
    return chance.random((n, labels)) < probs, probs


def _document(**changes):
    thresholds = {"A": 0.5, "B": None}
    return {"objective": "f1_macro", "fitted_on": 7, "suggest": {"A": 0.4, "B": 0.5}, "automate": thresholds, **changes}


# Objectives


@pytest.mark.parametrize("text", [*OBJECTIVES, "cost:fp=0.5,fn=2"])
def test_objective_is_written_as_it_is_read(text):
    assert str(parse_objective(text)) == text


def test_objective_forgives_blanks_and_capitals():
    assert parse_objective(" Cost: FP = 2, FN = .5 ") == Objective("cost", 2.0, 0.5)


@pytest.mark.parametrize(
    "text",
    [
        "", "f1", "f1_weighted", "cost", "cost:fp=1", "cost:fp=0,fn=1", "cost:fp=-1,fn=1", "cost:fp=nan,fn=1",
        "cost:fp=1e9,fn=1", "cost:fp=1,fn=__import__('os')", "precision>=0", "precision>=1", "precision>=1.5",
        "precision>0.9", "precision>=\u0660.\u0669", "precision>=0.9\x00", "f1_macro;f1_micro", "x" * 100_000,
    ],
)  # fmt: skip
def test_unknown_objective_is_refused_with_what_is_allowed(text):
    with pytest.raises(UsageError, match="f1_macro, f1_micro, exact_match, cost:") as error:
        parse_objective(text)
    assert len(str(error.value)) < 400


# Policies


def test_decisions_are_numbered_as_predictions_name_them():
    decisions = Policy.uniform(NAMES, 0.5, 0.9).decide(np.array([[0.4, 0.5], [0.9, 1.0]], dtype=np.float32))
    assert decisions.dtype == np.int8
    assert [[Decision(value) for value in row] for row in decisions.tolist()] == [
        [Decision.NONE, Decision.SUGGEST],
        [Decision.AUTOMATE, Decision.AUTOMATE],
    ]


@given(st.floats(0, 1, width=32))
def test_score_that_equals_its_threshold_reaches_it(score):
    written = float(np.format_float_positional(np.float32(score)))  # such as 0.35, which is no float32
    assert Policy.uniform(["A"], written).decide(_column(score)).tolist() == [[1]]


def test_never_means_never():
    policy = Policy(("A",), np.array([math.inf]), np.array([math.inf]))
    assert policy.decide(_column(1.0)).tolist() == [[0]]


@pytest.mark.parametrize("threshold", [-0.1, 1.1, 2, math.nan, math.inf, -math.inf])
def test_threshold_outside_the_unit_interval_is_refused(threshold):
    with pytest.raises(UsageError, match="from 0 to 1"):
        Policy.uniform(NAMES, threshold)
    with pytest.raises(UsageError, match="from 0 to 1"):
        Policy.uniform(NAMES, 0.5, threshold)


def test_automating_more_readily_than_suggesting_is_refused():
    with pytest.raises(UsageError, match="lies below"):
        Policy.uniform(NAMES, 0.5, 0.4)
    with pytest.raises(ValueError, match="below"):
        Policy(("A",), np.array([0.5]), np.array([0.4]))


def test_id_follows_the_content():
    policy = Policy.uniform(NAMES, 0.5)
    assert policy.id == Policy.uniform(NAMES, 0.5).id
    assert len(policy.id) == 12
    others = [Policy.uniform(NAMES, 0.25), Policy.uniform(["B", "A"], 0.5), Policy.uniform(NAMES, 0.5, 0.9)]
    assert len({policy.id, *(other.id for other in others)}) == 4


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_json_gives_the_same_policy_back(objective):
    policy = fit(*_drawn(300, 2, seed=0), NAMES, parse_objective(objective))
    again = Policy.from_dict(json.loads(json.dumps(policy.to_dict(), allow_nan=False)), NAMES)
    assert again.to_dict() == policy.to_dict()
    assert again.id == policy.id


def test_null_stands_for_never_and_labels_are_found_by_name():
    policy = Policy.from_dict(_document(suggest={"B": 0.5, "A": 0.4}), NAMES)
    assert policy.suggest.tolist() == [0.4, 0.5]
    assert policy.automate.tolist() == [0.5, math.inf]


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {**_document(), "extra": 1},
        {key: value for key, value in _document().items() if key != "automate"},
        _document(objective=None),
        _document(fitted_on=-1),
        _document(fitted_on=True),
        _document(fitted_on=1.5),
        _document(suggest=[0.4, 0.5]),
        _document(suggest={"A": 0.4}),
        _document(suggest={"A": 0.4, "C": 0.5}),
        _document(suggest={"A": 0.4, "B": 0.5, "C": 0.5}),
        _document(suggest={"A": math.nan, "B": 0.5}),
        _document(suggest={"A": math.inf, "B": 0.5}),
        _document(suggest={"A": -0.1, "B": 0.5}),
        _document(suggest={"A": 1.1, "B": 0.5}),
        _document(suggest={"A": 10**400, "B": 0.5}),
        _document(suggest={"A": "0.4", "B": 0.5}),
        _document(suggest={"A": False, "B": 0.5}),
        _document(automate={"A": 0.3, "B": None}),
    ],
)
def test_m7_broken_policy_is_refused_with_the_file_and_a_remedy(document):
    with pytest.raises(ArtefactError, match=r"^policy\.json: .*Expected .*Restore"):
        Policy.from_dict(document, NAMES)


def test_arrays_that_do_not_fit_are_a_programmers_mistake():
    with pytest.raises(ValueError, match="2 labels"):
        Policy.uniform(NAMES, 0.5).decide(_column(0.5))
    with pytest.raises(ValueError, match="must agree"):
        fit(*_drawn(5, 3, seed=0), NAMES, Objective("f1_macro"))
    with pytest.raises(ValueError, match="for 2 labels"):
        Policy(tuple(NAMES), np.array([0.5]), np.array([0.5]))
    with pytest.raises(ValueError, match=r"0\.\.1"):
        Policy(("A",), np.array([math.nan]), np.array([math.nan]))
