import json
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from tagdesk.calibrate import Calibration, fit, fit_curve, logit
from tagdesk.errors import ArtefactError, UsageError
from tagdesk.evaluate import brier, ece

NAMES = ["A", "B"]


def _drawn(n, labels, seed, *, slope=1.0, intercept=0.0):
    """Scores whose logits must be multiplied by `slope` and moved by `intercept` to be true."""
    chance = np.random.default_rng(seed)
    logits = chance.normal(-1, 2, (n, labels))
    targets = chance.random((n, labels)) < 1 / (1 + np.exp(-slope * logits - intercept))
    return targets, (1 / (1 + np.exp(-logits))).astype(np.float32)


def _document(**changes):
    whole = {"slope": 1.5, "intercept": -0.25}
    return {"method": "platt", "labels": {"A": whole, "B": {**whole, **changes}}, "sets": None}


def test_apply_follows_the_formula():
    calibration = Calibration(np.array([2.0, 1.0]), np.array([0.0, 1.0]))
    probs = calibration.apply(np.array([[0.75, 0.5]], dtype=np.float32))
    assert probs.dtype == np.float32
    assert probs[0] == pytest.approx([0.9, 1 / (1 + math.exp(-1))], abs=1e-6)  # odds of 3, squared, are 9 to 1


def test_identity_changes_no_bit():
    probs = np.array([[0.0, 1.0, 1e-30, 0.3]], dtype=np.float32)
    assert np.array_equal(Calibration.identity(4).apply(probs), probs)


def test_apply_leaves_its_input_alone():
    probs = np.array([[0.3]], dtype=np.float32)
    Calibration(np.array([2.0]), np.array([1.0])).apply(probs)
    assert probs.tolist() == [[np.float32(0.3)]]


@given(
    st.lists(st.floats(0, 1, width=32), min_size=2, max_size=20),
    st.floats(1e-3, 1e3),
    st.floats(-50, 50),
)
def test_order_is_kept_and_everything_stays_a_probability(scores, slope, intercept):
    calibration = Calibration(np.array([slope]), np.array([intercept]))
    probs = calibration.apply(np.sort(np.array(scores, dtype=np.float32))[:, np.newaxis])[:, 0]
    assert np.isfinite(probs).all()
    assert (np.diff(probs) >= 0).all()
    assert ((probs >= 0) & (probs <= 1)).all()


def test_without_a_prior_the_curve_is_that_of_scikit_learn():
    targets, probs = _drawn(400, 1, seed=3, slope=0.6, intercept=-0.8)
    logits = logit(probs)
    reference = LogisticRegression(C=np.inf, tol=1e-10).fit(logits, targets[:, 0])
    log_slope, intercept = fit_curve(targets[:, 0], logits[:, 0])
    assert math.exp(log_slope) == pytest.approx(reference.coef_[0, 0], abs=1e-3)
    assert intercept == pytest.approx(reference.intercept_[0], abs=1e-3)


def test_many_tickets_reveal_the_true_curve():
    calibration = fit(*_drawn(20_000, 2, seed=0, slope=0.5, intercept=1.0))
    assert calibration.slopes == pytest.approx([0.5, 0.5], abs=0.03)
    assert calibration.intercepts == pytest.approx([1.0, 1.0], abs=0.06)


def test_overconfident_scores_end_up_better_calibrated_on_new_tickets():
    calibration = fit(*_drawn(300, 5, seed=1, slope=0.4, intercept=0.5))
    targets, raw = _drawn(5_000, 5, seed=2, slope=0.4, intercept=0.5)
    probs = calibration.apply(raw)
    assert ece(targets, probs).mean() < 0.4 * ece(targets, raw).mean()
    assert (brier(targets, probs) < brier(targets, raw)).all()


def test_label_without_positives_or_without_negatives_stays_as_it_is():
    targets, probs = _drawn(200, 4, seed=4, slope=0.3)
    targets[:, 1], targets[:, 2] = False, True
    calibration = fit(targets, probs)
    assert calibration.slopes[[1, 2]].tolist() == [1.0, 1.0]
    assert calibration.intercepts[[1, 2]].tolist() == [0.0, 0.0]
    assert calibration.slopes[0] < 0.7


@pytest.mark.parametrize("positives", [1, 5])
def test_rare_label_follows_the_others(positives):
    targets, probs = _drawn(1000, 6, seed=5, slope=0.5)
    targets[:, 0] = False
    targets[np.argsort(-probs[:, 0])[:positives], 0] = True  # perfectly parted: alone it would want an endless slope
    alone = fit_curve(targets[:, 0], logit(probs[:, 0]))
    calibration = fit(targets, probs)
    assert math.exp(alone[0]) > 8
    assert 0.3 < calibration.slopes[0] < 1
    assert calibration.apply(probs)[:, 0].max() < 0.5  # five positives are no proof of anything


def test_label_whose_scores_say_nothing_takes_the_slope_of_the_others():
    targets, probs = _drawn(2000, 6, seed=9, slope=0.3, intercept=1.5)
    probs[:, 0] = 0.5
    assert fit(targets, probs).slopes[0] == pytest.approx(0.3, abs=0.05)


def test_scores_that_point_the_wrong_way_lose_their_voice_but_keep_their_order():
    chance = np.random.default_rng(6)
    probs = chance.random((500, 1)).astype(np.float32)
    calibration = fit(chance.random((500, 1)) < 1 - probs, probs)
    assert 0 < calibration.slopes[0] < 0.1


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_scores_that_are_all_the_same_give_the_base_rate(value):
    targets = np.arange(100)[:, np.newaxis] < 30
    probs = np.full((100, 1), value, dtype=np.float32)
    assert fit(targets, probs).apply(probs)[0, 0] == pytest.approx(0.3, abs=0.06)


def test_no_tickets_give_the_identity():
    empty = fit(np.zeros((0, 3), dtype=np.bool_), np.zeros((0, 3), dtype=np.float32))
    assert empty.slopes.tolist() == [1.0] * 3
    assert empty.apply(np.zeros((0, 3), dtype=np.float32)).shape == (0, 3)


def test_method_none_fits_nothing():
    calibration = fit(*_drawn(50, 2, seed=7, slope=0.2), method="none")
    assert (calibration.method, calibration.slopes.tolist()) == ("none", [1.0, 1.0])


def test_unknown_method_names_the_known_ones():
    with pytest.raises(UsageError, match="platt, none"):
        fit(*_drawn(5, 1, seed=0), method="isotonic")


def test_arrays_that_do_not_fit_are_a_programmers_mistake():
    with pytest.raises(ValueError, match="expected"):
        fit(np.zeros((3, 2), dtype=np.bool_), np.zeros((3, 1), dtype=np.float32))
    with pytest.raises(ValueError, match="2 columns"):
        Calibration.identity(2).apply(np.zeros((3, 1), dtype=np.float32))


def test_json_gives_the_same_calibration_back():
    calibration = fit(*_drawn(80, 2, seed=8, slope=0.7))
    again = Calibration.from_dict(json.loads(json.dumps(calibration.to_dict(NAMES))), NAMES)
    assert again.slopes.tolist() == calibration.slopes.tolist()
    assert again.intercepts.tolist() == calibration.intercepts.tolist()
    assert again.method == calibration.method


def test_labels_are_found_by_name_not_by_place():
    document = {**_document(slope=9), "labels": dict(reversed(_document(slope=9)["labels"].items()))}
    assert Calibration.from_dict(document, NAMES).slopes.tolist() == [1.5, 9.0]


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"method": "platt"},
        {**_document(), "extra": 1},
        {**_document(), "method": "magic"},
        {**_document(), "method": ["platt"]},
        {**_document(), "labels": []},
        {**_document(), "labels": {"A": {"slope": 1, "intercept": 0}}},
        {**_document(), "labels": {**_document()["labels"], "C": {"slope": 1, "intercept": 0}}},
        {**_document(), "labels": {"A": [1, 0], "B": [1, 0]}},
        {**_document(), "labels": {"A": {"slope": 1}, "B": {"slope": 1, "intercept": 0}}},
        _document(slope=math.nan),
        _document(slope=math.inf),
        _document(slope=0),
        _document(slope=-1.0),
        _document(slope=10**400),
        _document(slope="1"),
        _document(slope=None),
        _document(slope=True),
        _document(intercept=math.nan),
        _document(intercept=-math.inf),
    ],
)
def test_m7_broken_calibration_is_refused_with_the_file_and_a_remedy(document):
    with pytest.raises(ArtefactError, match=r"^calibration\.json: .*Expected .*(Restore|train)"):
        Calibration.from_dict(document, NAMES)


def test_calibration_cannot_be_changed():
    calibration = Calibration.identity(2)
    with pytest.raises(ValueError, match="read-only"):
        calibration.slopes[0] = 2.0


def test_applying_needs_neither_scipy_nor_scikit_learn():
    program = (
        "import sys, numpy as np; from tagdesk.calibrate import Calibration; import tagdesk.policy as p;"
        "probs = Calibration(np.array([2.0]), np.array([0.0])).apply(np.ones((1, 1), np.float32));"
        "p.Policy.uniform(['A'], 0.5).decide(probs);"
        "sys.exit(bool({'scipy', 'sklearn'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
