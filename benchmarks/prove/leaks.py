"""Personal data that is sent to every route is found nowhere again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from prove.claim import Claim, none_of
from prove.client import Answer, Client
from prove.planted import Datum, malformed, planted
from prove.service import Service

PATIENT = ("--within", "60", "--longest-wait", "60")  # a busy machine is not what is asked about here


def leaks(folder: Path, count: int, seed: int, sabotage: str) -> list[Claim]:
    """Send personal data to every route, and look for it wherever it must not be."""
    data = planted(seed, count)
    found: dict[str, set[int]] = {place: set() for place in ("log", "metrics", "errors", "answers", "store")}
    leaky: dict[str, list[str]] = {}
    with Service(folder, options=PATIENT, broken=sabotage) as service, closing(service.client()) as client:
        case = client.post("/v1/predict", {"text": "Where is my parcel?"}).json["id"]
        for number, datum in enumerate(data):
            for sent, answer in told(client, datum, case):
                if datum.is_in(answer.body + str(dict(answer.headers)).encode()):
                    found["errors" if answer.status >= 400 else "answers"].add(number)
                    leaky.setdefault(sent, []).append(datum.kind)
        answers = client.get("/v1/cases?limit=1000").body + client.get("/v1/queue?limit=100").body
        metrics = client.get("/metrics").body
        log = service.log.read_bytes()
        for datum in data:
            client.ask("GET", "/livez", headers={"X-Request-ID": datum.value})
        named = service.log.read_bytes()[len(log) :]
    store = b"".join(file.read_bytes() for file in folder.glob("tagdesk.db*"))
    for place, content in (("log", log), ("metrics", metrics), ("answers", answers), ("store", store)):
        found[place] |= {number for number, datum in enumerate(data) if datum.is_in(content)}
    about = {
        "log": {
            "server errors": log.count(b'"event": "failed"'),
            "strings that the log holds where a client sends them as X-Request-ID": sum(
                datum.is_in(named) for datum in data
            ),
        },
        "errors": {"by request": leaky},
    }
    return [
        none_of(f"planted strings of personal data in {place}", len(numbers), len(data), about.get(place))
        for place, numbers in found.items()
    ]


def told(client: Client, datum: Datum, case: str) -> Iterator[tuple[str, Answer]]:
    """The answers to requests with the datum, sound ones first, each with what was asked."""
    one = client.post("/v1/predict", {"text": datum.sentence})
    yield "POST /v1/predict", one
    yield "POST /v1/predict/batch", client.post("/v1/predict/batch", {"tickets": [{"text": datum.sentence}] * 2})
    about = one.json["id"] if one.status == 200 else case
    review = {"case": about, "labels": [], "reviewer": "prove", "note": datum.sentence}
    yield "POST /v1/reviews", client.post("/v1/reviews", review, {"Idempotency-Key": datum.value})
    for number, sent in enumerate(malformed(datum, case)):
        answer = client.ask(sent.method, sent.path, sent.body, sent.headers)
        yield f"malformed request {number}, {sent.method} {sent.path[:12]}, {answer.status}", answer
