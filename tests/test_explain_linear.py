"""The linear scorer says what each character adds to its logits, and encoders give their vectors."""

from __future__ import annotations

import numpy as np
import pytest

import tiny
from naughty_strings import NAUGHTY_STRINGS
from tagdesk.calibrate import Calibration, logit
from tagdesk.errors import ArtefactError, InputError
from tagdesk.explain import Explains, weigh_exactly
from tagdesk.explaining import explain
from tagdesk.explaining.nearest import Embeds, build_index, nearest
from tagdesk.model import Model
from tagdesk.scorers import Examples, Recipe, fit_scorer
from tagdesk.scorers.linear import LinearScorer, _features
from tagdesk.text import check_text
from tagdesk.ticket import Ticket

RECIPES = [{}, {"char_ngrams": 0}, {"char_ngrams": 1}, {"char_ngrams": 8, "word_ngrams": 4}, {"word_ngrams": 1}]


def fitted(**settings: int) -> LinearScorer:
    """A scorer that has learned something of every text that hurts programs."""
    texts = []
    for text in NAUGHTY_STRINGS:
        try:
            texts.append(check_text(text).text)
        except InputError:
            continue
    targets = np.random.default_rng(0).random((len(texts), 3)) < 0.5
    scorer = fit_scorer(Examples(texts, targets), Recipe(kind="linear").changed(settings))
    assert isinstance(scorer, LinearScorer)
    return scorer


def logits(scorer: LinearScorer, text: str) -> np.ndarray:
    return np.asarray(_features(scorer._vectorizers, [text]) @ scorer._weights)[0] + scorer._bias


@pytest.mark.parametrize("settings", RECIPES)
def test_shares_and_bias_add_up_to_the_logits(settings: dict[str, int]) -> None:
    scorer = fitted(**settings)
    for text in (*NAUGHTY_STRINGS, "a", "\u0130stanbul \u0130\u0130 \u1e9e \u03a3\u03a3 charged charged", "card " * 50):
        if len(text) < 5000 and not any("\ud800" <= letter <= "\udfff" for letter in text):
            try:
                cleaned = check_text(text).text
            except InputError:
                continue
            shares = scorer.shares(cleaned, [2, 0])
            assert shares.characters.shape == (len(cleaned), 2)
            assert np.allclose(shares.bias + shares.characters.sum(axis=0), logits(scorer, cleaned)[[2, 0]], atol=1e-5)


def test_words_and_base_add_up_to_the_calibrated_log_odds_whatever_was_sent() -> None:
    scorer = fitted(char_ngrams=3)
    calibration = Calibration(np.array([1.5, 0.5, 1.0]), np.array([0.1, -0.3, 0.0]))
    extra = [
        "Hi <a href='x y'>click here</a> now",
        "> quoted a > b\n> > more",
        "&lt;b&gt;caf&eacute; don&#39;t&lt;/b&gt;",
    ]
    checked = 0
    for text in (*NAUGHTY_STRINGS, *extra):
        if len(text) < 5000 and not any("\ud800" <= letter <= "\udfff" for letter in text):
            try:
                cleaned = check_text(text).text
            except InputError:
                continue
            found = weigh_exactly(text, scorer, calibration, [0, 1, 2])
            expected = logits(scorer, cleaned) * calibration.slopes + calibration.intercepts
            assert np.allclose(found.base + found.weights.sum(axis=0), expected, atol=1e-5), repr(text[:40])
            checked += 1
    assert checked > 100


def test_each_feature_is_shared_out_over_the_places_that_produced_it() -> None:
    examples = Examples(["late parcel", "late card"] * 5, np.array([[True], [False]] * 5))
    scorer = fit_scorer(examples, Recipe(kind="linear", char_ngrams=0))
    assert isinstance(scorer, LinearScorer)
    row = scorer._vectorizers[0].transform(["late late parcel"])
    terms = scorer._vectorizers[0].get_feature_names_out()
    adds = {terms[c]: value * float(scorer._weights[c, 0]) for c, value in zip(row.indices, row.data, strict=True)}
    found = scorer.shares("late late parcel", [0]).characters[:, 0]
    assert found[:4].sum() == pytest.approx(adds["late"] / 2)
    assert found[5:9].sum() == pytest.approx(adds["late"] / 2 + adds["late parcel"] / 2)
    assert found[10:].sum() == pytest.approx(adds["parcel"] + adds["late parcel"] / 2)
    assert found[[4, 9]].tolist() == [0, 0]


def test_a_model_explains_itself_without_judging_another_text(models: dict[str, Model]) -> None:
    model, text = models["linear"], "My card was  charged TWICE"
    assert isinstance(model.scorer, Explains)
    predictions = model.predict([text])
    (found,) = explain(model, predictions, labels=["Billing Issue", "Shipping Concern"])
    assert (found.method, found.variants, found.is_coarse) == ("exact", 0, False)
    for reason in found.reasons:
        assert reason.base is not None
        total = reason.base + sum(one.weight for one in reason.contributions)
        assert total == pytest.approx(float(logit(np.array([reason.score], dtype=np.float32))[0]), abs=1e-4)
        assert all(text[one.start : one.end] == one.text for one in reason.contributions)
    assert {one.text for one in found.reasons[0].speaking_for[:3]} == {"card", "charged", "TWICE"}


def test_encoders_give_vectors_that_find_like_tickets(models: dict[str, Model]) -> None:
    tickets = [
        Ticket("1", "my card was charged", frozenset({"Billing Issue"})),
        Ticket("2", "parcel lost", frozenset()),
    ]
    for kind in ("probe", "onnx"):
        scorer = models[kind].scorer
        assert isinstance(scorer, Embeds)
        vectors = scorer.embed(["card charged", "parcel", "card charged"])
        assert (vectors.shape, vectors.dtype) == ((3, tiny.WIDTH), np.float32)
        assert np.array_equal(vectors[0], vectors[2])
        index = build_index(models[kind], tickets)
        assert index.vectors.shape == (2, tiny.WIDTH)
        assert [one.ticket.id for one in nearest(["parcel lost"], index, 1)[0]] == ["2"]
    assert not isinstance(models["linear"].scorer, Embeds)


def test_a_graph_without_vectors_is_told_apart_from_a_damaged_one(
    models: dict[str, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = models["onnx"].scorer
    monkeypatch.delitem(scorer._graph.widths, "embedding")  # type: ignore[attr-defined]
    with pytest.raises(ArtefactError) as refused:
        scorer.embed(["card"])  # type: ignore[attr-defined]
    assert refused.value.code == "bad_graph"
    index = build_index(models["onnx"], [Ticket("1", "my card was charged", frozenset({"Billing Issue"}))])
    assert [one.ticket.id for one in nearest(["card"], index)[0]] == ["1"]
