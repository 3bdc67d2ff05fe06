"""What the service takes and gives, as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

LONGEST_ID = 200
MOST_ITEMS = 256  # of a batch; files are for more
MOST_LABELS = 200

Id = Annotated[str, Field(min_length=1, max_length=LONGEST_ID, pattern=r"^[^\x00-\x1f\x7f]+$")]


class Shape(BaseModel):
    """Strict: no unknown fields, no numbers for texts."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class TicketIn(Shape):
    """A ticket to label."""

    text: str = Field(description="What the customer wrote.", examples=["I was charged twice, please refund one"])
    ticket: Id | None = Field(None, description="Its id in the help desk; comes back with reviews and exports.")
    customer: Id | None = Field(None, description="Whose it is, so that it can be found and erased.")


class BatchIn(Shape):
    """Tickets to label together."""

    tickets: Annotated[list[TicketIn], Field(min_length=1, max_length=MOST_ITEMS)]


class LabelOut(BaseModel):
    """A category: how probable it is, and what may be done with it."""

    score: float
    decision: str = Field(examples=["suggest"])


class PredictionOut(BaseModel):
    """What the model says of one ticket, and which model, policy and categories said so."""

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

    results: list[ItemOut]
    request_id: str


class ReviewIn(Shape):
    """The labels that somebody found right for a case."""

    case: Id
    labels: Annotated[list[Annotated[str, Field(max_length=LONGEST_ID)]], Field(max_length=MOST_LABELS)] = Field(
        description="All that apply; an empty list where none does."
    )
    reviewer: Id = Field(examples=["ada"])
    note: Annotated[str, Field(max_length=2000)] = ""
    settles: bool = Field(default=False, description="Settles a contradiction between earlier reviews.")


class ReviewOut(BaseModel):
    """What became of a review."""

    outcome: str = Field(examples=["added", "repeated"])
    request_id: str


class CaseOut(BaseModel):
    """A case, as the store holds it."""

    case: dict[str, Any]
    reviews: list[dict[str, Any]]


class CasesOut(BaseModel):
    """A page of cases, newest first; `next` asks for the following one."""

    cases: list[CaseOut]
    next: str | None = None


class PromoteIn(Shape):
    """Why a model shall answer from now on."""

    who: Id
    why: Annotated[str, Field(min_length=1, max_length=2000)]
    expected: Annotated[int, Field(ge=0, lt=2**63)] | None = Field(
        None, description="The number of the promotion that the decision was taken on; 409 where another came since."
    )


class RollbackIn(Shape):
    """Why the model before shall answer again."""

    who: Id
    why: Annotated[str, Field(min_length=1, max_length=2000)]


class PromotionOut(BaseModel):
    """A decision on what answers."""

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

    models: list[ModelOut]
    promotions: list[PromotionOut]


class EraseIn(Shape):
    """Whose tickets shall be forgotten: exactly one of the three."""

    who: Id
    customer: Id | None = None
    ticket: Id | None = None
    case: Id | None = None


class EraseOut(BaseModel):
    """How many cases are gone, with all that derived from them."""

    cases: int
