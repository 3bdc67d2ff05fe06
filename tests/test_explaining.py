from __future__ import annotations

from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest

import tiny
from naughty_strings import NAUGHTY_STRINGS
from tagdesk.calibrate import Calibration, logit
from tagdesk.errors import InputError, UsageError
from tagdesk.explain import NONE, Explanation, Limits, Span, without, words_of
from tagdesk.explaining import HANDFUL, explain, handfuls
from tagdesk.model import Model
from tagdesk.policy import Policy

TEXT = "my card was charged twice, please refund the fee"


def explained(model: Model, text: str, **choices: object) -> Explanation:
    (found,) = explain(model, model.predict([text]), **choices)  # type: ignore[arg-type]
    return found


def odds(model: Model, text: str, label: str) -> float:
    return float(logit(model.judge([text]).probs)[0, model.taxonomy.names.index(label)])


@pytest.mark.parametrize("kind", ["linear", "probe", "onnx"])
def test_weights_of_words_are_places_in_the_text_as_it_was_sent(models: dict[str, Model], kind: str) -> None:
    text = f"\u202eHELLO\u202c \n<b>🙂</b>  {TEXT} {TEXT}"
    found = explained(models[kind], text)
    for reason in found.reasons:
        assert all(text[one.start : one.end] == one.text for one in reason.contributions)
        assert [Span(one.start, one.end) for one in reason.contributions] == words_of(text)
        assert sum(one.text == "refund" for one in reason.contributions) == 2
    assert (found.text, found.is_coarse) == (text, False)


@pytest.mark.parametrize("kind", ["probe", "onnx"])
def test_a_word_weighs_what_it_takes_from_the_calibrated_log_odds(models: dict[str, Model], kind: str) -> None:
    model = models[kind]
    found = explained(model, TEXT, labels=["Billing Issue", "Account Access"])
    assert (found.method, found.variants) == ("occlusion", len(words_of(TEXT)))
    for reason in found.reasons:
        for one in reason.contributions:
            lost = odds(model, TEXT, reason.label) - odds(
                model, without(TEXT, [Span(one.start, one.end)]), reason.label
            )
            assert one.weight == pytest.approx(lost, abs=1e-4)


@pytest.mark.parametrize("kind", ["linear", "probe"])
def test_the_words_of_a_topic_speak_for_its_label(models: dict[str, Model], kind: str) -> None:
    (reason,) = explained(models[kind], "the parcel is late, please help", labels=["Shipping Concern"]).reasons
    assert {one.text for one in reason.speaking_for[:2]} == {"parcel", "late"}
    assert reason.has_deciding_word


def test_explanations_stand_in_the_order_of_the_predictions(models: dict[str, Model]) -> None:
    texts = ["parcel", "card charged", "parcel lost"]
    steps: list[tuple[str, int, int]] = []
    predictions = models["probe"].predict(texts)
    found = explain(models["probe"], predictions, progress=lambda *step: steps.append(step))
    assert [one.text for one in found] == texts
    assert steps == [("explanations", done, 3) for done in range(4)]
    assert explain(models["probe"], []) == []


def test_a_policy_of_ones_own_says_what_is_explained(models: dict[str, Model]) -> None:
    model = models["probe"]
    everything = model.predict([TEXT], policy=Policy.uniform(model.taxonomy.names, 0))
    assert len(explain(model, everything)[0].reasons) == 3
    nothing = model.predict([TEXT], policy=Policy.uniform(model.taxonomy.names, 1))
    assert len(explain(model, nothing)[0].reasons) == 2


def test_labels_that_the_model_does_not_know_are_refused(models: dict[str, Model]) -> None:
    for label in ("zanzibar", NONE):
        with pytest.raises(UsageError, match="known: Account Access"):
            explained(models["probe"], TEXT, labels=[label])


def test_a_ticket_out_of_scope_is_explained_too(tmp_path: Path) -> None:
    known = tiny.model_of(tiny.onnx_scorer(tmp_path / "scoped", labels=4))  # one more column: none of these
    calibration = Calibration(np.array([1.0, 1.0, 1.0, 2.0]), np.zeros(4))
    model = replace(known, calibration=calibration, policy=replace(known.policy, out_of_scope=0.0))
    (prediction,) = model.predict([TEXT])
    assert "out_of_scope" in prediction.flags
    (found,) = explain(model, [prediction])
    none, *best = found.reasons
    assert (none.label, len(best)) == (NONE, 2)
    assert none.score == pytest.approx(prediction.out_of_scope)
    word = none.contributions[0]
    left = model.judge([without(TEXT, [Span(word.start, word.end)])]).none
    assert left is not None
    lost = logit(np.array([prediction.out_of_scope], dtype=np.float32))[0] - logit(left)[0]
    assert word.weight == pytest.approx(lost, abs=1e-4)


@pytest.mark.parametrize("text", ["refund", "🙂", "?", "\u0301", "refund " * 3])
def test_the_shortest_texts_are_explained(models: dict[str, Model], text: str) -> None:
    for model in models.values():
        found = explained(model, text, labels=["Billing Issue"])
        assert len(found.reasons[0].contributions) == len(text.split())
        assert not found.is_coarse


def test_hostile_texts_are_explained_or_were_no_tickets(models: dict[str, Model]) -> None:
    model = models["onnx"]
    for text in (text for text in NAUGHTY_STRINGS if len(text) < 3000):
        try:
            predictions = model.predict([text])
        except InputError:
            continue
        (found,) = explain(model, predictions, labels=["Billing Issue"], limits=Limits(most=4))
        assert found.variants <= 4
        assert all(np.isfinite(one.weight) for one in found.reasons[0].contributions)
        assert all(text[one.start : one.end] == one.text for one in found.reasons[0].contributions)


@pytest.mark.parametrize("kind", ["probe", "onnx"])
def test_a_ticket_of_twenty_thousand_characters_keeps_to_the_limits_and_says_so(
    models: dict[str, Model], kind: str
) -> None:
    filling = "i was not please help today again you it for and ok " * 185
    text = f"{filling}charged twice refund invoice {filling}"
    assert len(text) > 19_000
    (prediction,) = models[kind].predict([text])
    assert "long" in prediction.flags
    (found,) = explain(models[kind], [prediction], limits=Limits(most=48))
    assert found.is_coarse
    assert 0 < found.variants <= 48
    assert all(reason.contributions for reason in found.reasons)


def test_when_the_time_is_over_no_more_texts_are_judged(models: dict[str, Model]) -> None:
    text = " ".join(["please refund the card"] * 50)
    ticks = count()
    (prediction,) = models["probe"].predict([text])
    (found,) = explain(models["probe"], [prediction], limits=Limits(seconds=2.5), clock=lambda: float(next(ticks)))
    assert found.is_coarse
    assert found.variants == 2  # one in a handful; begun at 1 and at 2, not at 3
    (nothing,) = explain(models["probe"], [prediction], limits=Limits(seconds=0), clock=lambda: 0.0)
    assert (nothing.variants, nothing.is_coarse) == (0, True)
    assert not nothing.reasons[0].has_deciding_word


def test_handfuls_hold_all_texts_in_order_and_one_that_is_too_long_stands_alone() -> None:
    texts = ["a" * 10, "b" * (HANDFUL + 1), "c", "d" * (HANDFUL - 1), "e"]
    assert [[text[0] for text in some] for some in handfuls(texts)] == [["a"], ["b"], ["c", "d"], ["e"]]
    assert list(handfuls([])) == []


def test_the_starter_names_the_words_that_a_person_would_name() -> None:
    model = Model.load("starter")
    said = {
        reason.label: [one.text for one in reason.speaking_for]
        for reason in explained(model, "I was charged twice, please refund one of the payments").reasons
    }
    assert said["Billing Issue"][0] == "charged"
    assert said["Refund Request"][0] == "refund"


def test_dropping_the_named_words_lowers_the_label_more_than_dropping_others(models: dict[str, Model]) -> None:
    model, chance = models["probe"], np.random.default_rng(0)
    named, random = [], []
    for ticket in tiny.tickets(30, seed=5):
        (prediction,) = model.predict([ticket.text])
        (found,) = explain(model, [prediction], labels=[prediction.best])
        places = words_of(ticket.text)
        top = [Span(one.start, one.end) for one in found.reasons[0].speaking_for[:2]]
        others = [places[n] for n in chance.choice(len(places), size=2, replace=False)]
        whole = prediction.scores[prediction.best]
        for dropped, losses in ((top, named), (others, random)):
            losses.append(whole - model.predict([without(ticket.text, dropped)])[0].scores[prediction.best])
    assert np.mean(named) > 2 * np.mean(random) > 0
