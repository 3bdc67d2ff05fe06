"""Gives each ticket of a request its prediction or its error."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from typing import Any, TypeAlias, TypeVar

from fastapi import Request

from tagdesk.api import shapes
from tagdesk.api.access import Caller
from tagdesk.api.metrics import Metrics
from tagdesk.api.problems import GONE, Problem
from tagdesk.case import Case
from tagdesk.desk import Answer, Desk, Where
from tagdesk.errors import InputError
from tagdesk.store import Answer as ToldAnswer
from tagdesk.store import Conflict
from tagdesk.store import Request as Asked
from tagdesk.text import check_text

Result: TypeAlias = shapes.PredictionOut | shapes.ItemError
T = TypeVar("T")

SOON = 0.1  # seconds in which most answers come; whether the client waits is asked after that
LONGEST_FLUSH = 1.0  # seconds that an answer waits for the store to have the case of an experiment
LONG_TEXT = 20_000  # characters from which a text is checked beside the event loop


async def answer(tickets: Sequence[shapes.TicketIn], request: Request, desk: Desk, caller: Caller) -> list[Result]:
    """A prediction or an error for each ticket, in their order; all predictions are by one model."""
    given = await _given(tickets, request, desk, caller)
    cases = desk.cases([one for one in given if isinstance(one, Answer)])
    if any(case.variant for case in cases):  # who took part in an experiment is written down before it is told
        desk.remember(cases)
        await asyncio.to_thread(desk.logbook.flush, LONGEST_FLUSH)
    else:
        request.state.afterwards.append(lambda: desk.remember(cases))
    return _results(given, cases, request.state.request_id)


async def answer_once(
    tickets: Sequence[shapes.TicketIn], request: Request, desk: Desk, caller: Caller, key: str
) -> list[Result]:
    """As `answer`; sent again under the same key it gives the cases and the answers of the first time.

    They are kept until the store forgets its answers. Raises Problem (409) while the first is being answered, and
    StoreUnavailable where the store cannot promise all that.
    """
    request_id = request.state.request_id
    asked = Asked(caller.name, hashlib.sha256(key.encode()).hexdigest(), _digest(request.url.path, tickets))
    try:
        before = await asyncio.to_thread(desk.store.answers.claim, asked, now=desk.now())
        if before is not None:
            return [_again(one, request_id) for one in before["results"]]
        try:
            given = await _given(tickets, request, desk, caller)
            cases = desk.cases([one for one in given if isinstance(one, Answer)])
            results = _results(given, cases, request_id)
            told = {"results": [result.model_dump(mode="json") for result in results]}
            await asyncio.to_thread(desk.keep, cases, ToldAnswer(asked, told, desk.now()))
        except BaseException:
            await asyncio.to_thread(desk.store.answers.release, asked)
            raise
    except Conflict as error:
        if error.code == "key_reused":
            raise
        raise Problem(409, "in_progress", str(error), {"Retry-After": "1"}) from error
    return results


async def unless_gone(answer: asyncio.Future[T], request: Request) -> T:
    """The answer; where the client leaves before it comes, nobody needs it any more. Raises Problem (499)."""
    await asyncio.wait([answer], timeout=SOON)
    if answer.done():
        return answer.result()
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        waiting: set[asyncio.Future[Any]] = {answer, gone}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()
            request.app.state.metrics.gone.inc()
            raise Problem(GONE, "client_gone", "The client left before the answer.")
        return answer.result()
    finally:
        gone.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _given(
    tickets: Sequence[shapes.TicketIn], request: Request, desk: Desk, caller: Caller
) -> list[Answer | InputError]:
    size = sum(len(ticket.text) for ticket in tickets)
    texts = [ticket.text for ticket in tickets]
    faults = await asyncio.to_thread(_faults, texts) if size > LONG_TEXT else _faults(texts)
    good = [ticket for ticket, fault in zip(tickets, faults, strict=True) if fault is None]
    answers: list[Answer] = []
    if good:
        places = [Where(caller.tenant, ticket=ticket.ticket, unit=ticket.customer) for ticket in good]
        future = desk.ask([ticket.text for ticket in good], places, within=request.app.state.within)
        answers = await unless_gone(asyncio.wrap_future(future), request)
        metrics: Metrics = request.app.state.metrics
        request.state.afterwards.append(lambda: metrics.count([one.prediction for one in answers]))
    left = iter(answers)
    return [next(left) if fault is None else fault for fault in faults]


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


def _results(given: Sequence[Answer | InputError], cases: Sequence[Case], request_id: str) -> list[Result]:
    left = iter(cases)
    return [
        shapes.ItemError(code=one.code, detail=str(one))
        if isinstance(one, InputError)
        else _prediction_out(next(left).id, one, request_id)
        for one in given
    ]


def _again(told: dict[str, Any], request_id: str) -> Result:
    """A result as it was told before, in the answer to another request."""
    if "id" in told:
        return shapes.PredictionOut.model_validate(told | {"request_id": request_id})
    return shapes.ItemError.model_validate(told)


def _prediction_out(case_id: str, given: Answer, request_id: str) -> shapes.PredictionOut:
    prediction = given.prediction
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
        taxonomy=given.taxonomy,
        request_id=request_id,
    )


def _digest(path: str, tickets: Sequence[shapes.TicketIn]) -> str:
    """Stands for all that was asked."""
    asked = json.dumps([path, *(ticket.model_dump() for ticket in tickets)], sort_keys=True)
    return hashlib.sha256(asked.encode()).hexdigest()
