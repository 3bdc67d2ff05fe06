"""What the service takes and gives, as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

LONGEST_ID = 200
MOST_ITEMS = 256  # of a batch; files are for more
MOST_LABELS = 200


def _whole(value: Any) -> Any:
    """1.0 is an integer in JSON."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Id = Annotated[str, Field(min_length=1, max_length=LONGEST_ID, pattern=r"^[^\x00-\x1f\x7f]+$")]
IdempotencyKey: TypeAlias = Id | None


CASE = "019de0d5-c800-7000-8000-000000000000"
PREDICTION: dict[str, Any] = {
    "id": CASE,
    "labels": ["Refund Request", "Billing Issue"],
    "scores": {
        "Billing Issue": {"score": 0.93, "decision": "suggest"},
        "Refund Request": {"score": 0.99, "decision": "automate"},
    },
    "out_of_scope": 0.01,
    "flags": [],
    "model": "a358dad9facd",
    "policy": "6e1b0c2f9a77",
    "taxonomy": "1d4f3c2b9e80",
    "request_id": "4f9d",
}
REVIEW: dict[str, Any] = {"case": CASE, "labels": ["Billing Issue"], "reviewer": "ada"}
LOGGED: dict[str, Any] = {
    "case": {
        "id": CASE,
        "tenant": "default",
        "time": "2026-05-01T10:00:00+00:00",
        "ticket": "4711",
        "source": None,
        "unit": None,
        "variant": None,
        "text": "I was charged twice, please refund one",
        "labels": ["Refund Request"],
        "scores": {"Billing Issue": 0.41, "Refund Request": 0.99},
        "decisions": {"Billing Issue": "none", "Refund Request": "automate"},
        "out_of_scope": 0.01,
        "flags": [],
        "model": "a358dad9facd",
        "policy": "6e1b0c2f9a77",
    },
    "reviews": [
        {
            **REVIEW,
            "time": "2026-05-01T11:00:00+00:00",
            "source": "person",
            "key": None,
            "note": "",
            "settles": False,
        }
    ],
}
PROMOTION: dict[str, Any] = {
    "number": 3,
    "previous": 2,
    "model": "a358dad9facd",
    "policy": "6e1b0c2f9a77",
    "kind": "promote",
    "who": "ada",
    "time": "2026-05-01T12:00:00Z",
    "why": "better on our tickets",
    "verdict": None,
}


def example(value: dict[str, Any]) -> ConfigDict:
    """The settings of a shape that shows what it looks like."""
    return ConfigDict(json_schema_extra={"examples": [value]})


class Shape(BaseModel):
    """Strict: no unknown fields, no numbers for texts."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class TicketIn(Shape):
    """A ticket to label."""

    model_config = example({"text": "I was charged twice, please refund one", "ticket": "4711"})

    text: str = Field(description="What the customer wrote.", examples=["I was charged twice, please refund one"])
    ticket: Id | None = Field(None, description="Its id in the help desk; comes back with reviews and exports.")
    customer: Id | None = Field(None, description="Whose it is, so that it can be found and erased.")


class BatchIn(Shape):
    """Tickets to label together."""

    model_config = example({"tickets": [{"text": "I was charged twice"}, {"text": " "}]})

    tickets: Annotated[list[TicketIn], Field(min_length=1, max_length=MOST_ITEMS)]


class LabelOut(BaseModel):
    """A category: how probable it is, and what may be done with it."""

    score: float
    decision: str = Field(examples=["suggest"])


class PredictionOut(BaseModel):
    """What the model says of one ticket, and which model, policy and categories said so."""

    model_config = example(PREDICTION)

    id: str = Field(description="The case; reviews name it.")
    labels: list[str] = Field(description="Those to suggest or to set, most probable first.")
    scores: dict[str, LabelOut]
    out_of_scope: float | None = Field(description="How probable it is that no category applies.")
    flags: list[str] = Field(examples=[["very_short"]])
    model: str
    policy: str
    taxonomy: str
    request_id: str


class ItemError(BaseModel):
    """Why one ticket of a batch got no answer."""

    code: str = Field(examples=["empty_text"])
    detail: str


class ItemOut(BaseModel):
    """One ticket of a batch: a prediction or an error."""

    prediction: PredictionOut | None = None
    error: ItemError | None = None


class BatchOut(BaseModel):
    """As many results as tickets, in their order."""

    model_config = example(
        {
            "results": [
                {"prediction": PREDICTION, "error": None},
                {"prediction": None, "error": {"code": "empty_text", "detail": "The text is empty."}},
            ],
            "request_id": "4f9d",
        }
    )

    results: list[ItemOut]
    request_id: str


class ReviewIn(Shape):
    """The labels that somebody found right for a case."""

    model_config = example(REVIEW)

    case: Id
    labels: Annotated[list[Annotated[str, Field(max_length=LONGEST_ID)]], Field(max_length=MOST_LABELS)] = Field(
        description="All that apply; an empty list where none does."
    )
    reviewer: Id = Field(examples=["ada"])
    note: Annotated[str, Field(max_length=2000)] = ""
    settles: bool = Field(default=False, description="Settles a contradiction between earlier reviews.")


class ReviewOut(BaseModel):
    """What became of a review."""

    model_config = example({"outcome": "added", "request_id": "4f9d"})

    outcome: str = Field(examples=["added", "repeated"])
    request_id: str


class CaseOut(BaseModel):
    """A case, as the store holds it."""

    model_config = example(LOGGED)

    case: dict[str, Any]
    reviews: list[dict[str, Any]]


class CasesOut(BaseModel):
    """A page of cases, newest first; `next` asks for the following one."""

    model_config = example({"cases": [LOGGED], "next": None})

    cases: list[CaseOut]
    next: str | None = None


class PromoteIn(Shape):
    """Why a model shall answer from now on."""

    model_config = example({"who": "ada", "why": "better on our tickets", "expected": 2})

    who: Id
    why: Annotated[str, Field(min_length=1, max_length=2000)]
    expected: Annotated[int, BeforeValidator(_whole), Field(ge=0, le=2**53)] | None = Field(
        None, description="The number of the promotion that the decision was taken on; 409 where another came since."
    )


class RollbackIn(Shape):
    """Why the model before shall answer again."""

    model_config = example({"who": "ada", "why": "too many wrong refunds"})

    who: Id
    why: Annotated[str, Field(min_length=1, max_length=2000)]


class PromotionOut(BaseModel):
    """A decision on what answers."""

    model_config = example(PROMOTION)

    number: int
    previous: int
    model: str
    policy: str
    kind: str
    who: str
    time: datetime
    why: str
    verdict: Any = None


class ModelOut(BaseModel):
    """A model that can be promoted."""

    id: str
    kind: str
    is_live: bool
    tickets: int | None = Field(description="That it learned from.")


class ModelsOut(BaseModel):
    """The models, and what was decided about them, newest decision first."""

    model_config = example(
        {
            "models": [{"id": "a358dad9facd", "kind": "probe", "is_live": True, "tickets": 1000}],
            "promotions": [PROMOTION],
        }
    )

    models: list[ModelOut]
    promotions: list[PromotionOut]


class EraseIn(Shape):
    """Whose tickets shall be forgotten: exactly one of the three."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"who": "ada", "customer": "c-1"}],
            "oneOf": [{"required": [name]} for name in ("customer", "ticket", "case")],
        }
    )

    who: Id
    customer: Id = Field(default_factory=str)
    ticket: Id = Field(default_factory=str)
    case: Id = Field(default_factory=str)


class EraseOut(BaseModel):
    """How many cases are gone, with all that derived from them."""

    model_config = example({"cases": 1})

    cases: int


class CategoryOut(BaseModel):
    """A category that tickets can get."""

    name: str
    description: str


class TaxonomyOut(BaseModel):
    """The categories, and the model that knows them."""

    model_config = example(
        {
            "taxonomy": "1d4f3c2b9e80",
            "model": "a358dad9facd",
            "labels": [{"name": "Refund Request", "description": "Wants money back."}],
        }
    )

    taxonomy: str
    model: str
    labels: list[CategoryOut]


class AliveOut(BaseModel):
    """That the process runs."""

    model_config = example({"status": "alive"})

    status: str


class ReadyOut(BaseModel):
    """That it can label a ticket, and what answers."""

    model_config = example({"status": "ready", "model": "a358dad9facd", "policy": "6e1b0c2f9a77"})

    status: str
    model: str
    policy: str


class WebhookOut(BaseModel):
    """What became of a webhook."""

    model_config = example({"outcome": "ignored", "reason": "unchanged", "request_id": "4f9d"})

    outcome: str = Field(description="labelled, reviewed, repeated or ignored.")
    reason: str = Field(description="Why it was ignored, in a word.")
    request_id: str
