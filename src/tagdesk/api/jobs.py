"""The routes of bulk jobs: a file comes in, is labelled behind the answers, and its result is fetched later."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from fastapi import Path as InPath
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import ClientDisconnect

from tagdesk.api.access import Caller, Permission
from tagdesk.api.problems import GONE, Problem
from tagdesk.api.routes import TheDesk, needs
from tagdesk.api.shapes import example
from tagdesk.desk.jobs import COUNTED, Upload, Wanted, Workshop
from tagdesk.store import Job, State

PATH = "/v1/jobs"
KINDS = {"text/csv": "csv", "application/x-ndjson": "jsonl", "application/vnd.apache.parquet": "parquet"}
UPLOAD_SECONDS = 3600.0  # within which a whole file must have come
STALLED = 20.0  # seconds without a byte after which an upload is given up
WRITTEN_AT_ONCE = 1_000_000  # bytes; fewer are not worth a thread
MEDIA = {"csv": "text/csv; charset=utf-8", "tsv": "text/tab-separated-values; charset=utf-8"}
MEDIA |= {format_: kind for kind, format_ in KINDS.items() if format_ not in MEDIA}
NO_JOB: dict[int | str, dict[str, Any]] = {404: {"description": "There is no such job."}}
NO_RESULT: dict[int | str, dict[str, Any]] = {
    409: {"description": "The job is not done yet, or failed."},
    410: {"description": "The files of the job are deleted."},
    507: {"description": "The job failed: there was no room on the service's disk."},
}
JOB: dict[str, Any] = {
    "id": "8c0e2f7a-54b1-4d0c-9a35-2f6f0a1f7f10",
    "state": "running",
    "who": "shop",
    "created": "2026-05-01T12:00:00Z",
    "updated": "2026-05-01T12:00:40Z",
    "source": "csv",
    "output": "csv",
    "bytes": 1834211,
    "model": "a358dad9facd",
    "policy": "6e1b0c2f9a77",
    "rows": 4096,
    "of": 12000,
    "per_second": 110,
    "counts": {},
    "error": None,
    "has_result": False,
}
PROGRESS = ("rows", "of", "per_second")  # of a job's counts, what its shape names by itself


Name = Annotated[str | None, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


class Output(StrEnum):
    """The formats that a result can have."""

    CSV = "csv"
    TSV = "tsv"
    JSONL = "jsonl"
    PARQUET = "parquet"


class Columns(StrEnum):
    """What is written beside the columns of the file."""

    ALL = "all"  # labels, decision, flags, model and the probability of each label
    LABELS = "labels"  # the same without the probabilities


class JobIn(BaseModel):
    """What shall be done with a file; the query of the request."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: Name = Field(None, description="The column of the text, or Title+Message for two.")
    write: Columns = Field(Columns.ALL, description="`labels` leaves the probabilities out.")
    output: Output | None = Field(None, description="The format of the result; else that of the file.")
    encoding: Name = Field(None, description="Of the file, such as cp1252; else UTF-8, or by its mark.")
    delimiter: Annotated[str | None, Field(min_length=1, max_length=1)] = Field(
        None, description="What parts the columns of a CSV file; else a comma."
    )


class JobError(BaseModel):
    """Why a job failed."""

    code: str = Field(examples=["missing_column"])
    detail: str


class JobOut(BaseModel):
    """A job, and how far it is."""

    model_config = example(JOB)

    id: str
    state: State = Field(description="queued, running, done, failed or cancelled.")
    who: str = Field(description="The key that sent the file.")
    created: datetime
    updated: datetime
    source: str = Field(description="The format of the file.")
    output: str = Field(description="The format of the result.")
    bytes: int
    model: str
    policy: str
    rows: int | None = Field(description="That are done.")
    of: int | None = Field(description="About how many rows the file has.")
    per_second: int | None = Field(description="Rows a second, since the job was last taken up.")
    counts: dict[str, int] = Field(description="What became of the rows, once all are done.")
    error: JobError | None = None
    has_result: bool = Field(description="Whether the result can be fetched; it is deleted after some days.")


class JobsOut(BaseModel):
    """The last jobs, newest first."""

    model_config = example({"jobs": [JOB]})

    jobs: list[JobOut]


@contextlib.asynccontextmanager
async def _working(app: FastAPI) -> AsyncIterator[None]:
    """Do jobs as long as the service runs."""
    app.state.workshop.start()
    yield
    await asyncio.to_thread(app.state.workshop.close)


async def _workshop(request: Request) -> Workshop:
    workshop: Workshop = request.app.state.workshop
    return workshop


TheWorkshop = Annotated[Workshop, Depends(_workshop)]
Predicts = Annotated[Caller, needs(Permission.PREDICT)]
JobId = Annotated[str, InPath(pattern=r"^[0-9a-f-]{36}$")]

router = APIRouter(prefix=PATH, lifespan=_working)


@router.post(
    "",
    status_code=202,
    responses={507: {"description": "There is no room for the file on the service's disk. Nothing was kept."}},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in KINDS},
        }
    },
)
async def add(
    request: Request,
    response: Response,
    desk: TheDesk,
    workshop: TheWorkshop,
    caller: Predicts,
    how: Annotated[JobIn, Query()],
) -> JobOut:
    """Send a file of tickets to be labelled, as the request's body; it is done behind the answers to others."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in KINDS:
        raise Problem(415, "media_type", f"Content-Type must be {' or '.join(KINDS)}.")
    source, model = KINDS[kind], desk.live.model
    wanted = Wanted(
        source,
        how.output or source,
        model.id,
        model.policy.id,
        text=how.text,
        encoding=how.encoding,
        delimiter=how.delimiter,
        scores=how.write is Columns.ALL,
    )
    with await asyncio.to_thread(workshop.receive, source, _length(request)) as upload:
        await _receive(request, upload)
        job = await asyncio.to_thread(workshop.add, upload, wanted, tenant=caller.tenant, who=caller.name)
    response.headers["Location"] = f"{PATH}/{job.id}"
    return _job_out(job, workshop)


@router.get("")
async def newest(workshop: TheWorkshop, caller: Predicts, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> JobsOut:
    """List the last jobs, newest first."""
    found = await asyncio.to_thread(workshop.newest, tenant=caller.tenant, limit=limit)
    return JobsOut(jobs=[_job_out(job, workshop) for job in found])


@router.get("/{job}", responses=NO_JOB)
async def get(job: JobId, workshop: TheWorkshop, caller: Predicts) -> JobOut:
    """How far a job is."""
    return _job_out(await asyncio.to_thread(workshop.get, job, tenant=caller.tenant), workshop)


@router.post("/{job}/cancel", responses=NO_JOB)
async def cancel(job: JobId, workshop: TheWorkshop, caller: Predicts) -> JobOut:
    """Cancel a job and delete its files; of one that has ended delete the files."""
    return _job_out(await asyncio.to_thread(workshop.cancel, job, tenant=caller.tenant), workshop)


@router.get("/{job}/result", response_class=FileResponse, responses=NO_JOB | NO_RESULT)
async def result(job: JobId, workshop: TheWorkshop, caller: Predicts) -> FileResponse:
    """Fetch what a job has made."""
    found = await asyncio.to_thread(workshop.get, job, tenant=caller.tenant)
    path = workshop.result(found)
    if path is None:
        raise _no_result(found)
    output = found.details["output"]
    return _download(path, f"{found.id}.{output}", MEDIA[output])


@router.get("/{job}/rejects", response_class=FileResponse, responses=NO_JOB | NO_RESULT)
async def rejects(job: JobId, workshop: TheWorkshop, caller: Predicts) -> Response:
    """Fetch which rows were left out and why, without their texts; nothing where there were none."""
    found = await asyncio.to_thread(workshop.get, job, tenant=caller.tenant)
    if workshop.result(found) is None:
        raise _no_result(found)
    path, name = workshop.rejects(found), f"{found.id}.rejects.jsonl"
    if path is None:
        return Response(b"", media_type=MEDIA["jsonl"], headers=_headers(name))
    return _download(path, name, MEDIA["jsonl"])


async def _receive(request: Request, upload: Upload) -> None:
    """Write the body to the disk as it comes; raises Problem (408, 499)."""
    pieces, waiting = request.stream(), bytearray()
    try:
        while True:
            async with asyncio.timeout(STALLED):
                piece = await anext(pieces, None)
            if piece is None:
                break
            waiting += piece
            if len(waiting) >= WRITTEN_AT_ONCE:
                await asyncio.to_thread(upload.write, bytes(waiting))
                waiting.clear()
    except TimeoutError:
        raise Problem(408, "too_slow", "The body did not come in time.") from None
    except ClientDisconnect:
        raise Problem(GONE, "client_gone", "The client left before the file had come.") from None
    await asyncio.to_thread(upload.write, bytes(waiting))


def _length(request: Request) -> int | None:
    length = request.headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else None


def _download(path: Path, name: str, media: str) -> FileResponse:
    return FileResponse(path, media_type=media, headers=_headers(name))


def _headers(name: str) -> dict[str, str]:
    """A name of our own making, to save it under; nobody keeps or guesses at what customers wrote."""
    return {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }


def _no_result(job: Job) -> Problem:
    """Why there is nothing to fetch."""
    if not job.state.is_final:
        return Problem(409, "not_done", "The job is not done yet. Ask how far it is, and come back.")
    if job.state is State.FAILED:
        code, _, detail = job.error.partition(": ")
        return Problem(507 if code == "disk_full" else 409, code, f"The job failed. {detail}")
    return Problem(410, "gone", "The files of this job are deleted, or lie with another service.")


def _job_out(job: Job, workshop: Workshop) -> JobOut:
    code, _, detail = job.error.partition(": ")
    values: dict[str, Any] = {name: getattr(job, name) for name in ("id", "state", "who", "created", "updated")}
    values |= {name: job.details[name] for name in ("source", "output", "bytes", "model", "policy")}
    values |= {name: job.counts.get(name) for name in PROGRESS}
    return JobOut(
        **values,
        counts={name: job.counts[name] for name in COUNTED if name in job.counts},
        error=JobError(code=code, detail=detail) if job.error else None,
        has_result=workshop.result(job) is not None,
    )
