"""No client's bytes hurt: schemathesis over the OpenAPI description, and strings of every kind through predict."""

from __future__ import annotations

import json
import math
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from prove.broken import FAULTS
from prove.claim import Claim, none_of
from prove.service import Service, command_line
from prove.texts import fuzzed
from tagdesk.errors import InputError
from tagdesk.model import Model
from tagdesk.prediction import Prediction
from tagdesk.text import check_text

T = TypeVar("T")

PATIENT = ("--within", "120", "--longest-wait", "120")  # a busy machine is not what is asked about here
AT_ONCE = 512  # texts of a call in process
OF_A_BATCH = 256  # the most that a request may hold
SETTLED = 60.0  # seconds in which the store must have all cases


@dataclass(frozen=True)
class Size:
    """How much is tried.

    Attributes:
        examples: of each operation; an operation that has fewer is tried in all its ways.
        strings: through predict in process.
        over_http: of them once more over HTTP.
    """

    examples: int = 1_000
    strings: int = 100_000
    over_http: int = 10_000


SMALL = Size(examples=5, strings=500, over_http=128)


def prove(size: Size, folder: Path, seed: int, *, broken: bool) -> list[Claim]:
    """Fuzz it all and count."""
    sabotage = "fuzz" if broken else ""
    service = Service(folder / "schema", options=PATIENT, broken=sabotage)
    service.key = command_line("keys", "create", "prove", "--scope", "admin", "--store", service.store)
    with service:
        claims = schema_claims(service, size.examples, seed)
    sound = Model.predict
    if broken:
        FAULTS["fuzz"]()
    claims += in_process(size.strings, seed)
    Model.predict = sound  # type: ignore[method-assign]
    with Service(folder / "strings", options=PATIENT, broken=sabotage) as service:
        claims.append(over_http(service, size.over_http, seed))
    return claims


# A request can be of the right shape and yet make no sense, and a schema cannot say so: a text without a visible
# character, a label that the model's taxonomy does not have, an idempotency key that stands for another request, the
# result of a job that was cancelled. Schemathesis expects 422 and 410 of none of these unless it is told.
SENSELESS = """
[[operations]]
include-name = ["POST /v1/predict", "POST /v1/predict/batch", "POST /v1/reviews"]
checks.positive_data_acceptance.expected-statuses = ["2xx", "401", "403", "404", "409", "422", "429", "5xx"]

[[operations]]
include-name = ["GET /v1/jobs/{job}/result", "GET /v1/jobs/{job}/rejects"]
checks.positive_data_acceptance.expected-statuses = ["2xx", "401", "403", "404", "409", "410", "429", "5xx"]
"""


def schema_claims(service: Service, examples: int, seed: int) -> list[Claim]:
    """What schemathesis finds, with all its checks in all its phases."""
    program = shutil.which("schemathesis", path=str(Path(sys.executable).parent)) or "schemathesis"
    report, events = service.folder / "schemathesis.json", service.folder / "schemathesis.ndjson"
    config = service.folder / "schemathesis.toml"
    config.write_text(SENSELESS, encoding="utf-8")
    options = {
        "--checks": "all",
        "--max-examples": str(examples),
        "--seed": str(seed),
        "--suppress-health-check": "all",
        "--header": f"Authorization: Bearer {service.key}",
        "--report": "json,ndjson",
        "--report-json-path": str(report),
        "--report-ndjson-path": str(events),
    }
    given = [part for option in options.items() for part in option]
    done = subprocess.run(
        [
            program,
            "--config-file",
            str(config),
            "run",
            f"{service.url}/openapi.json",
            "--continue-on-failure",
            "--no-color",
            *given,
        ],
        cwd=service.folder,
        capture_output=True,
        check=False,
        text=True,
    )
    if not report.exists():
        raise RuntimeError(f"schemathesis failed: {(done.stdout + done.stderr)[-1000:]}")
    found = json.loads(report.read_text(encoding="utf-8"))
    tried = _cases_of(events)
    events.unlink()  # it holds every answer
    failures = {one["title"]: {"count": one["count"], "operations": one["operations"]} for one in found["failures"]}
    fewer = {operation: n for operation, n in sorted(tried.items()) if n < examples}
    about = {
        "schemathesis": found["schemathesis_version"],
        "operations": found["operations"]["tested"],
        "failures": failures,
        "errors": len(found["errors"]),
        "fewer examples than asked for, for there are no others": fewer,
        "server errors in the log": service.log.read_text(encoding="utf-8").count('"event": "failed"'),
    }
    wrong = found["test_cases"]["unique_failures"] + len(found["errors"]) + (not found["complete"])
    return [none_of("failures of schemathesis, all checks, by examples tried", wrong, sum(tried.values()), about)]


def in_process(count: int, seed: int) -> list[Claim]:
    """What predict makes of strings."""
    model = Model.load("starter")
    kinds: Counter[str] = Counter()
    refused = unfinite = tried = 0
    for texts in _batches(fuzzed(count, seed), AT_ONCE):
        tried += len(texts)
        good = []
        for text in texts:
            try:
                check_text(text)
            except InputError:
                refused += 1
            except Exception as error:  # noqa: BLE001 - what it is counts below
                kinds[type(error).__name__] += 1
            else:
                good.append(text)
        try:
            predictions = model.predict(good)
        except Exception as error:  # noqa: BLE001 - the same
            kinds[type(error).__name__] += 1
            continue
        unfinite += sum(not _is_finite(one) for one in predictions)
    about = {"exceptions": dict(kinds), "refused by name": refused}
    return [
        none_of("exceptions from strings through predict", kinds.total(), tried, about, least=count),
        none_of("scores that are no probabilities", unfinite, tried - refused),
    ]


def over_http(service: Service, count: int, seed: int) -> Claim:
    """What the service makes of the same strings, and whether the store took each."""
    answered = failed = tried = 0
    statuses: Counter[int] = Counter()
    with closing(service.client(timeout=300)) as client:
        for texts in _batches(fuzzed(count, seed), OF_A_BATCH):
            tried += len(texts)
            answer = client.post("/v1/predict/batch", {"tickets": [{"text": text} for text in texts]})
            statuses[answer.status] += 1
            if answer.status != 200:
                failed += len(texts)
                continue
            for item in answer.json["results"]:
                said = item["prediction"]
                is_right = item["error"] is not None if said is None else item["error"] is None and _is_sound(said)
                failed += not is_right
                answered += said is not None
    kept = _kept(service, answered)
    about = {"statuses": {str(status): n for status, n in statuses.items()}, "answered": answered, "kept": kept}
    return none_of(
        "strings over HTTP without an answer, or lost on the way to the store",
        failed + answered - kept,
        tried,
        about,
        least=count,
    )


def _cases_of(events: Path) -> Counter[str]:
    """How many requests were sent for each operation."""
    found: Counter[str] = Counter()
    with events.open(encoding="utf-8") as lines:
        for line in lines:
            if line.startswith('{"ScenarioFinished"'):
                recorder = json.loads(line)["ScenarioFinished"]["recorder"]
                found[recorder["label"]] += len(recorder.get("cases", ()))
    return found


def _is_finite(prediction: Prediction) -> bool:
    values = [*prediction.scores.values(), prediction.out_of_scope or 0.0]
    return all(math.isfinite(value) and 0 <= value <= 1 for value in values)


def _is_sound(said: dict[str, Any]) -> bool:
    values = [label["score"] for label in said["scores"].values()]
    return bool(values) and all(isinstance(value, float | int) and 0 <= value <= 1 for value in values)


def _kept(service: Service, wanted: int) -> int:
    """How many cases the store has, once all are there or the time is over."""
    until, kept = time.monotonic() + SETTLED, -1
    while kept < wanted and time.monotonic() < until:
        time.sleep(0.2)
        with suppress(sqlite3.OperationalError), closing(sqlite3.connect(service.store)) as store:
            kept = store.execute("SELECT count(*) FROM cases").fetchone()[0]
    return kept


def _batches(items: Iterable[T], size: int) -> Iterator[Sequence[T]]:
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch
