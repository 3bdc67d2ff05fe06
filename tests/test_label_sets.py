"""Label sets: what cannot go together shares the probability."""

from __future__ import annotations

import numpy as np
import pytest

from tagdesk.calibrate import Calibration, fit
from tagdesk.errors import ArtefactError
from tagdesk.label_sets import MOST, LabelSets

NAMES = ["A", "B", "C"]
SINGLES = np.array([[True, False, False], [False, True, False]] * 5)


def test_labels_never_given_together_share_the_probability():
    probs = LabelSets.fit(SINGLES).apply(np.array([[0.6, 0.6, 0.01]], dtype=np.float32))
    both = 0.6 * 0.4 * 0.99
    expected = both / (2 * both + 0.4 * 0.4 * 0.99)  # {A}, {B} and the empty set are all there is
    assert probs[0, 0] == pytest.approx(expected, abs=1e-4)
    assert probs[0, 2] == 0


def test_a_ticket_may_need_no_label_even_if_every_learned_one_had_some():
    probs = LabelSets.fit(SINGLES).apply(np.full((1, 3), 0.02, dtype=np.float32))
    assert probs.max() < 0.03


def test_independent_labels_stay_as_they_are():
    everything = np.array([[a, b] for a in (False, True) for b in (False, True)] * 3)
    probs = np.array([[0.3, 0.9], [0.5, 0.001]], dtype=np.float32)
    np.testing.assert_allclose(LabelSets.fit(everything).apply(probs), probs, atol=1e-5)


def test_novelty_is_the_share_of_sets_seen_once():
    targets = np.vstack([SINGLES, [[False, True, True]]])
    assert LabelSets.fit(targets).novelty == pytest.approx(1 / 11)


def test_rare_sets_beyond_the_limit_count_as_novel():
    targets = np.array([[bool(number >> bit & 1) for bit in range(12)] for number in range(2 * MOST)] * 2)
    learned = LabelSets.fit(targets)
    assert len(learned.sets) <= MOST + 1
    assert learned.novelty == pytest.approx(0.5)


def test_nothing_to_learn_from_leaves_scores_finite():
    assert np.isfinite(LabelSets.fit(np.zeros((0, 3), np.bool_)).apply(np.ones((2, 3), np.float32))).all()
    assert LabelSets.fit(SINGLES).apply(np.zeros((0, 3), np.float32)).shape == (0, 3)


def test_sets_come_back_from_the_calibration_file():
    learned = fit(SINGLES, SINGLES * np.float32(0.8) + np.float32(0.1), with_sets=True)
    again = Calibration.from_dict(learned.to_dict(NAMES), NAMES)
    probs = np.array([[0.7, 0.6, 0.2]], dtype=np.float32)
    np.testing.assert_array_equal(again.apply(probs), learned.apply(probs))


@pytest.mark.parametrize(
    "sets",
    [{}, {"novelty": 2, "given": [[]]}, {"novelty": True, "given": [[]]}, {"novelty": 0, "given": []},
     {"novelty": 0, "given": [["D"]]}, {"novelty": 0, "given": [[1]]}, {"novelty": 0, "given": "A"}, 3],
)  # fmt: skip
def test_a_broken_file_is_refused(sets):
    document = {**Calibration.identity(3).to_dict(NAMES), "sets": sets}
    with pytest.raises(ArtefactError, match=r"calibration\.json"):
        Calibration.from_dict(document, NAMES)
