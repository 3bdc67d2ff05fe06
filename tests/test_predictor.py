from __future__ import annotations

from pathlib import Path

import pytest

import tagdesk
import tiny
from tagdesk.errors import InputError, UsageError
from tagdesk.model import Model
from tagdesk.predictor import SupportTicketPredictor


@pytest.fixture(scope="module")
def predictor(saved: Path, models: dict[str, Model]) -> SupportTicketPredictor:
    return SupportTicketPredictor(saved / models["linear"].id)


def test_the_answer_has_the_four_keys_of_the_reference(predictor: SupportTicketPredictor) -> None:
    answer = predictor.predict("my card was charged twice", threshold=0.3)
    assert list(answer) == ["text", "predicted_categories", "probabilities", "threshold"]
    assert answer["text"] == "my card was charged twice"
    assert answer["threshold"] == 0.3
    assert list(answer["probabilities"]) == list(tiny.LABELS)
    assert all(isinstance(score, float) for score in answer["probabilities"].values())


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 1.0])
def test_a_category_is_predicted_where_its_probability_reaches_the_threshold(
    threshold: float, predictor: SupportTicketPredictor
) -> None:
    answer = predictor.predict("card charged, parcel late", threshold)
    reached = [name for name, score in answer["probabilities"].items() if score >= threshold]
    assert answer["predicted_categories"] == reached


def test_a_batch_answers_as_single_calls_do(predictor: SupportTicketPredictor) -> None:
    texts = ["parcel late", "card charged", "parcel late"]
    batch = predictor.predict_batch(texts, threshold=0.4)
    assert [answer["text"] for answer in batch] == texts
    for answer, text in zip(batch, texts, strict=True):
        assert answer["probabilities"] == pytest.approx(predictor.predict(text, 0.4)["probabilities"], abs=1e-6)
    assert predictor.predict_batch([]) == []


def test_it_is_found_where_users_look_and_takes_the_starter() -> None:
    answer = tagdesk.SupportTicketPredictor().predict("I forgot my password", threshold=0.3)
    assert answer["predicted_categories"] == ["Account Access"]


def test_what_makes_no_sense_is_refused(predictor: SupportTicketPredictor) -> None:
    with pytest.raises(InputError):
        predictor.predict("")
    with pytest.raises(UsageError):
        predictor.predict("hello there", threshold=2)
    with pytest.raises(TypeError):
        predictor.predict_batch("hello there")
