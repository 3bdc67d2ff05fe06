"""The routes of experiments: what is tried on whom, how it stands, and what came of answers besides reviews."""

from __future__ import annotations

import asyncio
import hashlib
import math
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from tagdesk.api import shapes
from tagdesk.api.problems import Problem
from tagdesk.api.routes import Administers, IdempotencyKey, Reviews, StrictRoute, TheDesk
from tagdesk.desk.experiments import designs, find
from tagdesk.experiment.definition import Experiment, Step, Unit, Variant
from tagdesk.experiment.design import Arm, Design, Kind, State
from tagdesk.outcome import Outcome
from tagdesk.results import standing
from tagdesk.store import ExperimentVersion, Receipt

router = APIRouter(prefix="/v1", route_class=StrictRoute)

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,59}$")]
Share = Annotated[float, Field(ge=0, le=1, strict=False)]
MOST_VARIANTS = 10

NONE_OF_THAT_NAME = {"description": "There is no such experiment."}
NOT_NOW = {"description": "Another one runs, or this one has another state."}
UNKNOWN_CASE = {"description": "There is no such case."}
EXAMPLE: dict[str, Any] = {
    "who": "ada",
    "name": "warmer-heads",
    "variants": [
        {"name": "current", "model": "starter", "share": 0.5},
        {"name": "challenger", "model": "a358dad9facd", "share": 0.5},
    ],
}


class VariantIn(shapes.Shape):
    """One of the ways to answer; the first of an experiment is what is current."""

    name: Name
    model: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,64}$")]
    share: Share
    policy: dict[str, Any] | None = Field(None, description="As `policy.json` holds it; else the model's own.")


class StepIn(shapes.Shape):
    """From a time on, a share of the units takes part."""

    start: Annotated[datetime, Field(strict=False)]
    share: Share


class ExperimentIn(shapes.Shape):
    """What is tried, on whom, and what decides."""

    model_config = shapes.example(EXAMPLE)

    who: shapes.Id
    name: Name
    variants: Annotated[list[VariantIn], Field(min_length=2, max_length=MOST_VARIANTS)]
    kind: Annotated[Kind, Field(strict=False)] = Kind.SPLIT
    unit: Annotated[Unit, Field(strict=False)] = Unit.CUSTOMER
    holdout: Annotated[float, Field(ge=0, lt=1, strict=False)] = 0.0
    ramp: Annotated[tuple[StepIn, ...], Field(max_length=20, strict=False)] = ()
    figure: shapes.Id = Field("exact_match", description="`exact_match` of reviewed tickets, or an outcome's name.")
    lower_is_better: bool = False
    margin: Annotated[float, Field(ge=0, le=1e9, strict=False)] = 0.0
    planned: Annotated[int, Field(ge=1, le=100_000_000)] = 1000
    days: Annotated[int, Field(ge=1, le=366)] = 30
    may_decide: bool = Field(default=False, description="Whether the service may promote or stop by itself.")


class StepForward(shapes.Shape):
    """Who starts or stops an experiment, and why."""

    model_config = shapes.example({"who": "ada", "why": "a week is over"})

    who: shapes.Id
    why: Annotated[str, Field(min_length=1, max_length=2000)]


KEPT: dict[str, Any] = {
    "name": "warmer-heads",
    "version": 1,
    "state": "draft",
    "definition": {"kind": "split", "state": "draft", "figure": "exact_match"},
    "who": "ada",
    "time": "2026-05-01T10:00:00Z",
}


class ExperimentOut(BaseModel):
    """An experiment as it stands in the store; its definition is shortened in the example."""

    model_config = shapes.example(KEPT)

    name: str
    version: int
    state: str
    definition: dict[str, Any]
    who: str
    time: datetime


class ExperimentsOut(BaseModel):
    """All experiments, by their names."""

    model_config = shapes.example({"experiments": [KEPT]})

    experiments: list[ExperimentOut]


class StandingOut(BaseModel):
    """How an experiment stands: its split, the difference at each look, and what to do."""

    model_config = shapes.example({"experiment": KEPT, "standing": {"day": 12, "days": 30}})

    experiment: ExperimentOut
    standing: dict[str, Any] | None = Field(description="None for a draft, and for a shadow.")


class OutcomeIn(shapes.Shape):
    """What came of a case, as a number."""

    model_config = shapes.example({"case": shapes.CASE, "name": "minutes_to_resolution", "value": 12.5})

    case: shapes.Id
    name: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,60}$")]
    value: Annotated[float, Field(strict=False, allow_inf_nan=False)]


@router.get("/experiments")
async def list_all(desk: TheDesk, _caller: Reviews) -> ExperimentsOut:
    """All experiments, those that are over too."""
    found = await asyncio.to_thread(designs, desk.store)
    return ExperimentsOut(experiments=[_out(version, design) for version, design in found])


@router.post("/experiments", responses={409: {"description": "There is one of that name."}})
async def create(body: ExperimentIn, desk: TheDesk, _caller: Administers) -> ExperimentOut:
    """Write an experiment down; it waits until somebody starts it."""
    design = _design(body)
    version = await asyncio.to_thread(desk.experiments.create, design, who=body.who, now=desk.now())
    return _out(version, design)


@router.get("/experiments/{name}", responses={404: NONE_OF_THAT_NAME})
async def show(name: Name, desk: TheDesk, _caller: Reviews) -> StandingOut:
    """How an experiment stands."""
    version, design = await asyncio.to_thread(find, desk.store, name)
    if design.since is None or design.kind is not Kind.SPLIT:
        return StandingOut(experiment=_out(version, design), standing=None)
    until = version.time if design.state is State.STOPPED else desk.now()
    found = await asyncio.to_thread(standing, desk.store, design, now=until)
    return StandingOut(experiment=_out(version, design), standing=found.to_dict())


@router.post("/experiments/{name}/start", responses={404: NONE_OF_THAT_NAME, 409: NOT_NOW})
async def start(name: Name, body: StepForward, desk: TheDesk, _caller: Administers) -> ExperimentOut:
    """Let an experiment begin; its models are opened and asked first."""
    await asyncio.to_thread(desk.experiments.start, name, who=body.who, why=body.why, now=desk.now())
    return _out(*await asyncio.to_thread(find, desk.store, name))


@router.post("/experiments/{name}/stop", responses={404: NONE_OF_THAT_NAME, 409: NOT_NOW})
async def stop(name: Name, body: StepForward, desk: TheDesk, _caller: Administers) -> ExperimentOut:
    """End an experiment for good; what was promoted last answers everybody again."""
    await asyncio.to_thread(desk.experiments.stop, name, who=body.who, why=body.why, now=desk.now())
    return _out(*await asyncio.to_thread(find, desk.store, name))


@router.post("/outcomes", responses={404: UNKNOWN_CASE})
async def outcome(
    body: OutcomeIn, request: Request, desk: TheDesk, caller: Reviews, idempotency_key: IdempotencyKey = None
) -> shapes.ReviewOut:
    """Say what came of a case; of several of one name the last counts."""
    key = None if idempotency_key is None else hashlib.sha256(idempotency_key.encode()).hexdigest()
    if not math.isfinite(body.value):
        raise Problem(422, "invalid_request", "The value is no finite number.")
    told = Outcome(body.case, body.name, body.value, desk.now(), key)
    if desk.logbook.holds([body.case]):
        await asyncio.to_thread(desk.logbook.flush, 2.0)
    (receipt,) = await asyncio.to_thread(desk.store.outcomes.add, [told], tenant=caller.tenant)
    if receipt is Receipt.UNKNOWN_CASE:
        raise Problem(404, "unknown_case", "There is no such case.")
    if receipt is Receipt.KEY_REUSED:
        raise Problem(422, "key_reused", "This Idempotency-Key stands for another outcome.")
    return shapes.ReviewOut(outcome=receipt.value, request_id=request.state.request_id)


def _design(body: ExperimentIn) -> Design:
    experiment = Experiment(
        body.name,
        tuple(Variant(one.name, one.share) for one in body.variants),
        unit=body.unit,
        holdout=body.holdout,
        ramp=tuple(Step(one.start, one.share) for one in body.ramp),
    )
    return Design(
        experiment,
        {one.name: Arm(one.model, one.policy) for one in body.variants},
        kind=body.kind,
        figure=body.figure,
        lower_is_better=body.lower_is_better,
        margin=body.margin,
        planned=body.planned,
        days=body.days,
        may_decide=body.may_decide,
    )


def _out(version: ExperimentVersion, design: Design) -> ExperimentOut:
    return ExperimentOut(
        name=design.name,
        version=version.version,
        state=design.state.value,
        definition=design.to_dict(),
        who=version.who,
        time=version.time,
    )
