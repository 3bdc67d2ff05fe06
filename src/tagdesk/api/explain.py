"""The route that says why: the words that speak for and against the labels of a ticket."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Request
from pydantic import BaseModel, BeforeValidator, Field

from tagdesk.api import shapes
from tagdesk.api.answering import unless_gone
from tagdesk.api.problems import Problem
from tagdesk.api.routes import Predicts, StrictRoute, TheDesk
from tagdesk.arrays import FloatArray
from tagdesk.calibrate import logit
from tagdesk.desk import Answer, Desk, Overloaded, TooLate
from tagdesk.explain import (
    MOST_LABELS,
    Explains,
    Inquiry,
    Weighed,
    choose_labels,
    columns_of,
    explanation_of,
    inquire,
    scores_of,
    weigh_exactly,
)
from tagdesk.explaining import handfuls
from tagdesk.model import LONG, Model
from tagdesk.prediction import Prediction
from tagdesk.text import check_text

SECONDS = 10.0  # after which no more texts are judged for an explanation
LONG_TEXT = 2_000  # characters from which a text is taken apart beside the event loop
MOST_WORDS = 50  # of each label in an answer

PREDICTED: dict[str, Any] = {
    name: value for name, value in shapes.PREDICTION.items() if name not in {"id", "request_id"}
}
EXPLAINED: dict[str, Any] = {
    "method": "occlusion",
    "coarse": False,
    "variants": 7,
    "labels": [
        {
            "label": "Refund Request",
            "score": 0.99,
            "base": None,
            "has_deciding_word": True,
            "words": [
                {"start": 6, "end": 13, "text": "charged", "weight": -1.7734},
                {"start": 28, "end": 34, "text": "refund", "weight": 9.6655},
            ],
        }
    ],
}


def _whole(value: Any) -> Any:
    """1.0 is an integer in JSON."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class ExplainIn(shapes.Shape):
    """A ticket to explain."""

    model_config = shapes.example({"text": "I was charged twice, please refund one", "labels": ["Refund Request"]})

    text: str = Field(description="What the customer wrote.", examples=["I was charged twice, please refund one"])
    labels: (
        Annotated[
            list[Annotated[str, Field(max_length=shapes.LONGEST_ID)]], Field(min_length=1, max_length=MOST_LABELS)
        ]
        | None
    ) = Field(
        None,
        description="Those to explain, `none of these` among them where the model knows scope; else those that it "
        "gives, else its two best guesses.",
    )
    most: Annotated[int, BeforeValidator(_whole), Field(ge=1, le=MOST_WORDS)] = Field(
        20, description="Words of each label in the answer: the strongest."
    )


class WordOut(BaseModel):
    """A word, or a few that stand together, and what it adds to the label's log-odds."""

    start: int = Field(description="Its first character (Unicode code point) in the text as it was sent.")
    end: int = Field(description="The character after its last.")
    text: str
    weight: float


class ReasonOut(BaseModel):
    """Why a label is as probable as it is."""

    label: str
    score: float
    base: float | None = Field(None, description="Log-odds without any word, where the model can say that.")
    has_deciding_word: bool = Field(description="Without one, no single word moves the probability by five points.")
    words: list[WordOut] = Field(description="In the order of the text.")


class ExplanationOut(BaseModel):
    """The words that speak for and against each label."""

    method: str = Field(description="`exact`: read off the model. `occlusion`: words were left out.")
    coarse: bool = Field(description="Whether words were looked at in groups, or in a part of the text.")
    variants: int = Field(description="Texts that were judged to find out.")
    labels: list[ReasonOut]


class PredictedOut(BaseModel):
    """What the model says of the ticket; no case of it is kept."""

    labels: list[str] = Field(description="Those to suggest or to set, most probable first.")
    scores: dict[str, shapes.LabelOut]
    out_of_scope: float | None = Field(description="How probable it is that no category applies.")
    flags: list[str]
    model: str
    policy: str
    taxonomy: str


class ExplainOut(BaseModel):
    """A prediction, and why it is as it is."""

    model_config = shapes.example({"prediction": PREDICTED, "explanation": EXPLAINED, "request_id": "4f9d"})

    prediction: PredictedOut
    explanation: ExplanationOut
    request_id: str


router = APIRouter(prefix="/v1", route_class=StrictRoute)


@router.post("/explain")
async def explain(body: ExplainIn, request: Request, desk: TheDesk, _caller: Predicts) -> ExplainOut:
    """Label a ticket and say which words speak for and against its labels; nothing of it is logged or kept."""
    if len(body.text) > LONG_TEXT:
        await asyncio.to_thread(check_text, body.text)
    else:
        check_text(body.text)
    (answer,) = await _asked([body.text], request, desk)
    prediction = answer.prediction
    labels = choose_labels(prediction, body.labels)
    model = desk.live.model
    if isinstance(model.scorer, Explains) and model.id == prediction.model:
        weighed = await _read_off(prediction, labels, request, model, model.scorer)
    else:
        weighed = await _left_out(prediction, labels, request, desk)
    explanation = explanation_of(body.text, labels, scores_of(prediction, labels), weighed)
    return ExplainOut(
        prediction=_predicted_out(answer),
        explanation=ExplanationOut.model_validate(explanation.to_dict(body.most)),
        request_id=request.state.request_id,
    )


async def _asked(texts: Sequence[str], request: Request, desk: Desk) -> list[Answer]:
    """What the line before the model answers; raises Overloaded, TooLate or Problem (499)."""
    future = desk.ask(texts, within=request.app.state.within)
    return await unless_gone(asyncio.wrap_future(future), request)


async def _read_off(
    prediction: Prediction, labels: Sequence[str], request: Request, model: Model, scorer: Explains
) -> Weighed:
    """Weights that the scorer knows; for one ticket at a time, as no line weighs them. Raises Overloaded."""
    columns = columns_of(prediction, labels)
    state = request.app.state
    if not hasattr(state, "explaining"):
        state.explaining = asyncio.Semaphore(1)
    try:
        await asyncio.wait_for(state.explaining.acquire(), state.within)
    except TimeoutError:
        raise Overloaded(state.within) from None
    try:
        return await asyncio.to_thread(weigh_exactly, prediction.text, scorer, model.calibration, columns)
    finally:
        state.explaining.release()


async def _left_out(prediction: Prediction, labels: Sequence[str], request: Request, desk: Desk) -> Weighed:
    """Weights by leaving words out: texts that stand in the line, a handful at a time, until the time is over.

    Raises Overloaded or TooLate where the line took none of them, Problem where another model was promoted meanwhile.
    """
    until = asyncio.get_running_loop().time() + SECONDS
    whole = logit(np.array(scores_of(prediction, labels), dtype=np.float32))
    asking = inquire(prediction.text, whole, is_long=LONG in prediction.flags)
    beside = len(prediction.text) > LONG_TEXT
    refused: Overloaded | TooLate | None = None
    found = await asyncio.to_thread(_next, asking, None) if beside else _next(asking, None)
    while not isinstance(found, Weighed):
        rows: list[list[float]] = []
        for texts in handfuls(found):
            if refused or asyncio.get_running_loop().time() >= until:
                break
            try:
                answers = await _asked(texts, request, desk)
            except (Overloaded, TooLate) as error:
                refused = error
                break
            if any(answer.prediction.model != prediction.model for answer in answers):
                raise Problem(503, "model_changed", "Another model answers now. Ask again.", {"Retry-After": "1"})
            rows += [scores_of(answer.prediction, labels) for answer in answers]
        odds = logit(np.array(rows, dtype=np.float32).reshape(len(rows), len(labels)))
        found = await asyncio.to_thread(_next, asking, odds) if beside else _next(asking, odds)
    if refused and not found.variants:
        raise refused
    return found


def _next(asking: Inquiry, odds: FloatArray | None) -> list[str] | Weighed:
    """The texts to judge next, or what was found."""
    try:
        return next(asking) if odds is None else asking.send(odds)
    except StopIteration as end:
        weighed: Weighed = end.value
        return weighed


def _predicted_out(answer: Answer) -> PredictedOut:
    prediction = answer.prediction
    return PredictedOut(
        labels=list(prediction.labels),
        scores={
            label: shapes.LabelOut(score=round(score, 6), decision=prediction.decisions[label].word)
            for label, score in prediction.scores.items()
        },
        out_of_scope=None if prediction.out_of_scope is None else round(prediction.out_of_scope, 6),
        flags=list(prediction.flags),
        model=prediction.model,
        policy=prediction.policy,
        taxonomy=answer.taxonomy,
    )
