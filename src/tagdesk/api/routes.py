"""The routes: each names the permission it asks for, hands over to the desk, and shapes the answer."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response, Security
from fastapi.routing import APIRoute
from pydantic import Field

from tagdesk.api import shapes
from tagdesk.api.access import NOBODY, Caller, Permission, admitted
from tagdesk.api.answering import Result, answer, answer_once
from tagdesk.api.openapi import KEY
from tagdesk.api.problems import Problem
from tagdesk.api.strict_json import StrictRequest
from tagdesk.desk import Desk
from tagdesk.policy import Policy
from tagdesk.prediction import Prediction
from tagdesk.review import Review
from tagdesk.store import Cursor, Receipt, Reviewed, Selection

MOST_OF_PAGE = 1000
QUEUE_LOOKS_AT = 1000  # newest cases among which the queue looks
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CURSOR = r"^[0-9]{1,16}\.[0-9a-f-]{36}$"  # microseconds and a case: where a page ended

NO_CASE = {"description": "There is no such case."}
IN_PROGRESS = {"description": "A request with this Idempotency-Key is being answered. Ask again in a moment."}
OVERTAKEN = {"description": "Another promotion came first."}


class StrictRoute(APIRoute):
    """A route whose requests are strict."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        """The handler, given a strict request."""
        handle = super().get_route_handler()

        async def strictly(request: Request) -> Response:
            return await handle(StrictRequest(request.scope, request.receive))

        return strictly


def needs(permission: Permission) -> Any:
    """A dependency that gives the caller, or refuses one that may not."""

    async def nobody() -> Caller:
        return NOBODY

    async def caller(request: Request, _described: Annotated[object, Security(KEY)]) -> Caller:
        return await admitted(request, permission)

    check: Any = nobody if permission is Permission.PUBLIC else caller
    check.permission = permission  # so that a test can list what each route asks for
    return Depends(check)


async def _desk(request: Request) -> Desk:  # async: FastAPI would call it in a thread
    desk: Desk = request.app.state.desk
    return desk


TheDesk = Annotated[Desk, Depends(_desk)]
Predicts = Annotated[Caller, needs(Permission.PREDICT)]
Reviews = Annotated[Caller, needs(Permission.REVIEW)]
Administers = Annotated[Caller, needs(Permission.ADMIN)]

IdempotencyKey = Annotated[
    shapes.IdempotencyKey, Header(description="Your name for this request, so that it counts once.")
]

router = APIRouter(prefix="/v1", route_class=StrictRoute)


@router.post("/predict", responses={409: IN_PROGRESS})
async def predict(
    ticket: shapes.TicketIn, request: Request, desk: TheDesk, caller: Predicts, idempotency_key: IdempotencyKey = None
) -> shapes.PredictionOut:
    """Label one ticket; sent again under the same Idempotency-Key it is the same case with the same answer."""
    (result,) = await _answer([ticket], request, desk, caller, idempotency_key)
    if isinstance(result, shapes.ItemError):
        raise Problem(422, result.code, result.detail)
    return result


@router.post("/predict/batch", responses={409: IN_PROGRESS})
async def predict_batch(
    batch: shapes.BatchIn, request: Request, desk: TheDesk, caller: Predicts, idempotency_key: IdempotencyKey = None
) -> shapes.BatchOut:
    """Label several tickets; one that cannot be read gets an error of its own. An Idempotency-Key is for all."""
    results = await _answer(batch.tickets, request, desk, caller, idempotency_key)
    items = [
        shapes.ItemOut(error=result) if isinstance(result, shapes.ItemError) else shapes.ItemOut(prediction=result)
        for result in results
    ]
    return shapes.BatchOut(results=items, request_id=request.state.request_id)


@router.post("/reviews", responses={404: NO_CASE})
async def review(
    body: shapes.ReviewIn,
    request: Request,
    desk: TheDesk,
    caller: Reviews,
    idempotency_key: IdempotencyKey = None,
) -> shapes.ReviewOut:
    """Say which labels are right for a case; sent again under the same Idempotency-Key it counts once."""
    # What the client calls the key is hashed: it may hold anything.
    key = None if idempotency_key is None else hashlib.sha256(idempotency_key.encode()).hexdigest()
    found = Review(
        body.case, frozenset(body.labels), body.reviewer, desk.now(), key=key, note=body.note, settles=body.settles
    )
    (outcome,) = await asyncio.to_thread(desk.review, [found], tenant=caller.tenant)
    if outcome is Receipt.UNKNOWN_CASE:
        raise Problem(404, "unknown_case", "There is no such case.")
    if outcome is Receipt.KEY_REUSED:
        raise Problem(422, "key_reused", "This Idempotency-Key stands for another review.")
    return shapes.ReviewOut(outcome=outcome.value, request_id=request.state.request_id)


@router.get("/cases")
async def cases(
    desk: TheDesk,
    caller: Reviews,
    limit: Annotated[int, Query(ge=1, le=MOST_OF_PAGE)] = 100,
    after: Annotated[str | None, Query(pattern=CURSOR, description="`next` of the page before.")] = None,
    customer: Annotated[shapes.Id | None, Query()] = None,
    ticket: Annotated[shapes.Id | None, Query()] = None,
) -> shapes.CasesOut:
    """What was predicted, newest first, with the reviews."""
    which = Selection(caller.tenant, unit=customer, ticket=ticket)
    cursor = None if after is None else _cursor(after)
    found = await asyncio.to_thread(_reviewed_page, desk, which, cursor, limit)
    last = found[-1].case if len(found) == limit else None
    token = None if last is None else _token(last.time, last.id)
    return shapes.CasesOut(cases=[_case_out(entry) for entry in found], next=token)


@router.get("/cases/{case}", responses={404: NO_CASE})
async def case(case: shapes.Id, desk: TheDesk, caller: Reviews) -> shapes.CaseOut:
    """One case with its reviews."""
    found = await asyncio.to_thread(_reviewed_page, desk, Selection(caller.tenant, case=case), None, 1)
    if not found:
        raise Problem(404, "unknown_case", "There is no such case.")
    return _case_out(found[0])


@router.get("/queue")
async def queue(desk: TheDesk, caller: Reviews, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> shapes.CasesOut:
    """Cases that nobody has reviewed, those first on which the model doubts most."""
    newest = await asyncio.to_thread(_reviewed_page, desk, Selection(caller.tenant), None, QUEUE_LOOKS_AT)
    policy = desk.live.model.policy
    waiting = [entry for entry in newest if not entry.reviews and entry.case.has_text]
    waiting.sort(key=lambda entry: -_doubt(entry.case.prediction, policy))
    return shapes.CasesOut(cases=[_case_out(entry) for entry in waiting[:limit]])


@router.get("/taxonomy")
async def taxonomy(desk: TheDesk, _caller: Predicts) -> shapes.TaxonomyOut:
    """The categories of the model that answers."""
    model = desk.live.model
    labels = [shapes.CategoryOut(name=label.name, description=label.description) for label in model.taxonomy.labels]
    return shapes.TaxonomyOut(taxonomy=model.taxonomy.fingerprint, model=model.id, labels=labels)


@router.get("/models")
async def models(desk: TheDesk, _caller: Predicts) -> shapes.ModelsOut:
    """The models that can be promoted, and what was decided so far."""
    found, history = await asyncio.gather(
        asyncio.to_thread(desk.models), asyncio.to_thread(desk.store.promotions.history)
    )
    live = desk.live.model.id
    listed = [
        shapes.ModelOut(
            id=manifest.id,
            kind=manifest.kind,
            is_live=manifest.id == live,
            tickets=_whole(manifest.origin.get("tickets")),
        )
        for manifest in found
    ]
    return shapes.ModelsOut(
        models=listed, promotions=[shapes.PromotionOut.model_validate(one.to_dict()) for one in reversed(history)]
    )


@router.post("/models/{model}/promote", responses={404: {"description": "There is no such model."}, 409: OVERTAKEN})
async def promote(
    model: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,64}$")],
    body: shapes.PromoteIn,
    desk: TheDesk,
    _caller: Administers,
) -> shapes.PromotionOut:
    """Let a model answer from now on; it is opened and asked first, and refused where it is not fit."""
    promotion = await asyncio.to_thread(desk.promote, model, who=body.who, why=body.why, expected=body.expected)
    return shapes.PromotionOut.model_validate(promotion.to_dict())


@router.post(
    "/rollback", responses={404: {"description": "Nothing to go back to, or its model is gone."}, 409: OVERTAKEN}
)
async def rollback(body: shapes.RollbackIn, desk: TheDesk, _caller: Administers) -> shapes.PromotionOut:
    """Let the model answer that did before."""
    promotion = await asyncio.to_thread(desk.rollback, who=body.who, why=body.why)
    return shapes.PromotionOut.model_validate(promotion.to_dict())


@router.post("/erase")
async def erase(body: shapes.EraseIn, desk: TheDesk, caller: Administers) -> shapes.EraseOut:
    """Forget the tickets of a customer, a ticket or a case, and all that derived from them."""
    if [body.customer, body.ticket, body.case].count("") != 2:
        raise Problem(422, "invalid_request", "Name exactly one of customer, ticket and case.")
    which = Selection(caller.tenant, unit=body.customer or None, ticket=body.ticket or None, case=body.case or None)
    return shapes.EraseOut(cases=await asyncio.to_thread(desk.erase, which, who=body.who))


DIRECT = (predict, predict_batch)  # those that `Direct` calls


async def _answer(
    tickets: Sequence[shapes.TicketIn], request: Request, desk: Desk, caller: Caller, key: str | None
) -> list[Result]:
    if key is None:
        return await answer(tickets, request, desk, caller)
    return await answer_once(tickets, request, desk, caller, key)


def _reviewed_page(desk: Desk, which: Selection, after: Cursor | None, limit: int) -> list[Reviewed]:
    if len(desk.logbook):
        desk.logbook.flush(0.5)  # a case that was answered a moment ago is asked for at once
    page = desk.store.cases.page(which, after=after, limit=limit, newest_first=True)
    reviews = desk.store.reviews.of_cases([one.id for one in page], tenant=which.tenant)
    return [Reviewed(one, found) for one, found in zip(page, reviews, strict=True)]


def _case_out(entry: Reviewed) -> shapes.CaseOut:
    return shapes.CaseOut(case=entry.case.to_dict(), reviews=[one.to_dict() for one in entry.reviews])


def _doubt(prediction: Prediction, policy: Policy) -> float:
    """How close the nearest label is to its threshold; 1 on the line."""
    gaps = [
        abs(prediction.scores[name] - float(threshold))
        for name, threshold in zip(policy.names, policy.suggest, strict=True)
        if name in prediction.scores
    ]
    return 1.0 - min(gaps, default=1.0)


def _token(time: datetime, case_id: str) -> str:
    return f"{(time - EPOCH) // timedelta(microseconds=1)}.{case_id}"


def _cursor(token: str) -> Cursor:
    microseconds, _, case_id = token.partition(".")
    return EPOCH + timedelta(microseconds=int(microseconds)), case_id


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) else None
