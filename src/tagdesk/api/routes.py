"""The routes: each names the permission it asks for, hands over to the desk, and shapes the answer."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import Field

from tagdesk.api import shapes
from tagdesk.api.access import NOBODY, Caller, Doorkeeper, Permission
from tagdesk.api.problems import Problem, problem_of
from tagdesk.api.strict_json import loads
from tagdesk.desk import Answer, Desk, Where
from tagdesk.errors import InputError
from tagdesk.policy import Policy
from tagdesk.prediction import Prediction
from tagdesk.review import Review
from tagdesk.store import Cursor, Outcome, Reviewed, Selection
from tagdesk.text import check_text

T = TypeVar("T")

LONG_TEXT = 20_000  # characters from which a text is checked beside the event loop
SMOKE = "I was charged twice, please refund one"
MOST_OF_PAGE = 1000
QUEUE_LOOKS_AT = 1000  # newest cases among which the queue looks


class StrictRequest(Request):
    """A request whose JSON is read strictly."""

    async def json(self) -> Any:
        """The body's value; raises Problem."""
        return loads(await self.body())


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

    async def check(request: Request) -> Caller:
        if permission is Permission.PUBLIC:
            return NOBODY
        keeper: Doorkeeper = request.app.state.doorkeeper
        caller = await keeper.caller(request.headers.get("authorization"))
        if not caller.allows(permission):
            raise Problem(403, "not_allowed", f"The key lacks the scope {permission.value!r}.")
        request.app.state.meter.take(caller.name)
        return caller

    check.permission = permission  # type: ignore[attr-defined] # so that a test can list what each route asks for
    return Depends(check)


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


TheDesk = Annotated[Desk, Depends(_desk)]
Predicts = Annotated[Caller, needs(Permission.PREDICT)]
Reviews = Annotated[Caller, needs(Permission.REVIEW)]
Administers = Annotated[Caller, needs(Permission.ADMIN)]

router = APIRouter(prefix="/v1", route_class=StrictRoute)


@router.post("/predict")
async def predict(ticket: shapes.TicketIn, request: Request, desk: TheDesk, caller: Predicts) -> shapes.PredictionOut:
    """Label one ticket."""
    (result,) = await _answers([ticket], request, desk, caller)
    if isinstance(result, InputError):
        raise problem_of(result)
    return result


@router.post("/predict/batch")
async def predict_batch(batch: shapes.BatchIn, request: Request, desk: TheDesk, caller: Predicts) -> shapes.BatchOut:
    """Label several tickets; one that cannot be read gets an error of its own."""
    results = await _answers(batch.tickets, request, desk, caller)
    items = [
        shapes.ItemOut(error=shapes.ItemError(code=result.code, detail=str(result)))
        if isinstance(result, InputError)
        else shapes.ItemOut(prediction=result)
        for result in results
    ]
    return shapes.BatchOut(results=items, request_id=request.state.request_id)


@router.post("/reviews")
async def review(
    body: shapes.ReviewIn,
    request: Request,
    desk: TheDesk,
    caller: Reviews,
    idempotency_key: Annotated[shapes.Id | None, Header()] = None,
) -> shapes.ReviewOut:
    """Say which labels are right for a case; sent again under the same Idempotency-Key it counts once."""
    # What the client calls the key is hashed: it may hold anything.
    key = None if idempotency_key is None else hashlib.sha256(idempotency_key.encode()).hexdigest()
    found = Review(
        body.case, frozenset(body.labels), body.reviewer, desk.now(), key=key, note=body.note, settles=body.settles
    )
    (outcome,) = await asyncio.to_thread(desk.review, [found], tenant=caller.tenant)
    if outcome is Outcome.UNKNOWN_CASE:
        raise Problem(404, "unknown_case", "There is no such case.")
    if outcome is Outcome.KEY_REUSED:
        raise Problem(422, "key_reused", "This Idempotency-Key stands for another review.")
    return shapes.ReviewOut(outcome=outcome.value, request_id=request.state.request_id)


@router.get("/cases")
async def cases(
    desk: TheDesk,
    caller: Reviews,
    limit: Annotated[int, Query(ge=1, le=MOST_OF_PAGE)] = 100,
    after: Annotated[str | None, Query(max_length=400, description="`next` of the page before.")] = None,
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


@router.get("/cases/{case}")
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
async def taxonomy(desk: TheDesk, _caller: Predicts) -> dict[str, Any]:
    """The categories of the model that answers."""
    model = desk.live.model
    labels = [{"name": label.name, "description": label.description} for label in model.taxonomy.labels]
    return {"taxonomy": model.taxonomy.fingerprint, "model": model.id, "labels": labels}


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


@router.post("/models/{model}/promote")
async def promote(
    model: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,64}$")],
    body: shapes.PromoteIn,
    desk: TheDesk,
    _caller: Administers,
) -> shapes.PromotionOut:
    """Let a model answer from now on; it is opened and asked first, and refused where it is not fit."""
    promotion = await asyncio.to_thread(desk.promote, model, who=body.who, why=body.why, expected=body.expected)
    return shapes.PromotionOut.model_validate(promotion.to_dict())


@router.post("/rollback")
async def rollback(body: shapes.RollbackIn, desk: TheDesk, _caller: Administers) -> shapes.PromotionOut:
    """Let the model answer that did before."""
    promotion = await asyncio.to_thread(desk.rollback, who=body.who, why=body.why)
    return shapes.PromotionOut.model_validate(promotion.to_dict())


@router.post("/erase")
async def erase(body: shapes.EraseIn, desk: TheDesk, caller: Administers) -> shapes.EraseOut:
    """Forget the tickets of a customer, a ticket or a case, and all that derived from them."""
    named = [value for value in (body.customer, body.ticket, body.case) if value is not None]
    if len(named) != 1:
        raise Problem(422, "invalid_request", "Name exactly one of customer, ticket and case.")
    which = Selection(caller.tenant, unit=body.customer, ticket=body.ticket, case=body.case)
    return shapes.EraseOut(cases=await asyncio.to_thread(desk.erase, which, who=body.who))


async def _answers(
    tickets: Sequence[shapes.TicketIn], request: Request, desk: Desk, caller: Caller
) -> list[shapes.PredictionOut | InputError]:
    """A prediction or an error for each ticket; all predictions are by one model."""
    size = sum(len(ticket.text) for ticket in tickets)
    texts = [ticket.text for ticket in tickets]
    faults = await asyncio.to_thread(_faults, texts) if size > LONG_TEXT else _faults(texts)
    errors = {place: fault for place, fault in enumerate(faults) if fault is not None}
    good = [place for place in range(len(tickets)) if place not in errors]
    answers: dict[int, shapes.PredictionOut] = {}
    if good:
        future = desk.ask([tickets[place].text for place in good], within=request.app.state.within)
        given = await _unless_gone(asyncio.wrap_future(future), request)
        predictions = [answer.prediction for answer in given]
        places = [
            Where(caller.tenant, ticket=tickets[place].ticket, source=None, unit=tickets[place].customer)
            for place in good
        ]
        request.app.state.metrics.count(predictions)
        cases = desk.remember(predictions, places)
        for place, answer, one in zip(good, given, cases, strict=True):
            answers[place] = _prediction_out(one.id, answer, request.state.request_id)
    return [errors[place] if place in errors else answers[place] for place in range(len(tickets))]


async def _unless_gone(answer: asyncio.Future[T], request: Request) -> T:
    """The answer; where the client leaves before it comes, nobody needs it any more."""
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        waiting: set[asyncio.Future[Any]] = {answer, gone}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()
            request.app.state.metrics.gone.inc()
            raise Problem(499, "client_gone", "The client left before the answer.")
        return answer.result()
    finally:
        gone.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _faults(texts: Sequence[str]) -> list[InputError | None]:
    """Why each text cannot be labelled; None where it can."""
    found: list[InputError | None] = []
    for text in texts:
        try:
            check_text(text)
        except InputError as error:
            found.append(error)
        else:
            found.append(None)
    return found


def _prediction_out(case_id: str, answer: Answer, request_id: str) -> shapes.PredictionOut:
    prediction = answer.prediction
    return shapes.PredictionOut(
        id=case_id,
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
        request_id=request_id,
    )


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
    return base64.urlsafe_b64encode(json.dumps([time.isoformat(), case_id]).encode()).decode()


def _cursor(token: str) -> Cursor:
    try:
        time, case_id = json.loads(base64.urlsafe_b64decode(token.encode("ascii")))
        moment = datetime.fromisoformat(time)
    except (ValueError, TypeError, RecursionError):
        raise _bad_cursor() from None
    if moment.tzinfo is None or not isinstance(case_id, str) or not 0 < len(case_id) <= shapes.LONGEST_ID:
        raise _bad_cursor()
    return moment, case_id


def _bad_cursor() -> Problem:
    return Problem(422, "bad_cursor", "`after` is no cursor; take `next` of the page before.")


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) else None
