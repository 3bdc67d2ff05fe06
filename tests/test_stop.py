from __future__ import annotations

import numpy as np
import pytest

from tagdesk.rank import Advice, Round, advice

STOP_SET = 300
RNG = np.random.default_rng(0)
SETTLED = RNG.random((STOP_SET, 4)) < 0.3
MIXED = np.eye(4, dtype=np.bool_)[np.arange(40) % 4]
ONE_KIND = np.eye(4, dtype=np.bool_)[np.zeros(40, dtype=np.int64)]


def after(decisions: np.ndarray, share: float, seed: int) -> np.ndarray:
    """The decisions with a share of them turned round."""
    return np.asarray(decisions ^ (np.random.default_rng(seed).random(decisions.shape) < share))


def history(qualities: list[float], restless: float = 0.0, batch: np.ndarray = MIXED, first: int = 100) -> list[Round]:
    return [
        Round(int(first * 1.3**number), after(SETTLED, restless, number), quality, batch)
        for number, quality in enumerate(qualities)
    ]


FLAT = [0.5, 0.7, 0.78, *[0.8] * 12]
RISING = [0.2, 0.28, 0.36, 0.44, 0.52, 0.6, 0.68]


def test_a_settled_model_on_a_plateau_may_stop() -> None:
    rounds = history(FLAT)
    for place in range(1, len(rounds), 2):  # six of 300 tickets change, back and forth
        rounds[place].decisions[:6, 0] ^= True
    said = advice(rounds)
    assert said.stop
    assert said.sentence.startswith("The last three rounds changed the labels of 2.0 % of the tickets each; ")
    assert said.sentence.endswith("You can stop.")
    assert said.changed == pytest.approx(0.02)


def test_the_sentence_tells_all_three_figures() -> None:
    said = advice(history(FLAT))
    assert "the next 50 labels are expected to add 0.0" in said.sentence
    assert said.gain is not None
    assert said.gain.low <= said.gain.expected <= said.gain.high


@pytest.mark.parametrize("rounds", [0, 1, 2, 3])
def test_nobody_stops_before_the_fourth_round(rounds: int) -> None:
    said = advice(history([0.8] * rounds))
    assert not said.stop
    assert "Too early" in said.sentence
    assert said.gain is None


def test_a_rising_curve_goes_on_even_where_decisions_hold_still() -> None:
    said = advice(history(RISING))
    assert not said.stop
    assert "more than 0.2" in said.sentence


def test_restless_decisions_go_on_even_where_quality_holds_still() -> None:
    said = advice(history(FLAT, restless=0.3))
    assert not said.stop
    assert "not settled" in said.sentence


def test_a_plateau_of_batches_of_one_kind_is_no_reason_to_stop() -> None:
    said = advice(history(FLAT, batch=ONE_KIND))
    assert not said.stop
    assert "same labels" in said.sentence


def test_one_batch_of_one_kind_among_the_last_three_is_enough() -> None:
    rounds = history(FLAT)
    for place in (-1, -2, -3):
        changed = list(rounds)
        changed[place] = Round(rounds[place].labels, rounds[place].decisions, 0.8, ONE_KIND)
        assert not advice(changed).stop
    long_ago = [Round(rounds[0].labels, rounds[0].decisions, 0.5, ONE_KIND), *rounds[1:]]
    assert advice(long_ago).stop


def test_a_batch_of_nearly_one_kind_counts_as_one() -> None:
    nearly = np.vstack([ONE_KIND[:37], MIXED[1:4]])
    assert not advice(history(FLAT, batch=nearly)).stop
    assert not advice(history(FLAT, batch=MIXED[:0])).stop


def test_a_model_that_always_says_the_same_has_not_settled() -> None:
    silent = [Round(100 + 50 * number, np.zeros((9, 4), dtype=np.bool_), 0.8, MIXED) for number in range(6)]
    said = advice(silent)
    assert not said.stop
    assert said.steadiness is None


def test_the_price_of_a_label_decides() -> None:
    rounds = history([0.60, 0.66, 0.70, 0.73, 0.75, 0.765, 0.775, 0.782])
    assert not advice(rounds, worth=0.0).stop
    assert advice(rounds, worth=0.02).stop


def test_the_verdict_is_the_same_every_time() -> None:
    assert advice(history(RISING, restless=0.1)) == advice(history(RISING, restless=0.1))


def shaped(**change: object) -> Round:
    fields: dict[str, object] = {"labels": 500, "decisions": SETTLED, "quality": 0.8, "batch": MIXED}
    return Round(**(fields | change))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "last",
    [
        shaped(labels=1),
        shaped(quality=float("nan")),
        shaped(quality=1.2),
        shaped(decisions=SETTLED[:5]),
        shaped(decisions=SETTLED[:, 0]),
        shaped(batch=MIXED[:, :2]),
    ],
)
def test_rounds_that_do_not_fit_are_a_programmers_mistake(last: Round) -> None:
    with pytest.raises(ValueError, match="expected"):
        advice([*history([0.8, 0.8]), last])


def test_a_stop_set_without_tickets_is_a_programmers_mistake() -> None:
    with pytest.raises(ValueError, match="at least one stop ticket"):
        advice([shaped(decisions=SETTLED[:0])])


def test_advice_is_a_value() -> None:
    assert Advice(stop=False, sentence="Go on.").gain is None
