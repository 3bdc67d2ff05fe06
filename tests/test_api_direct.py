from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import Response

from tagdesk.api import ApiSettings, create_app
from tagdesk.api.access import hash_of, new_secret
from tagdesk.api.direct import Direct
from tagdesk.desk import Desk, Settings
from tagdesk.store import Key, Store

NOW = datetime(2026, 5, 1, tzinfo=UTC)
ONE, SOME = "/v1/predict", "/v1/predict/batch"
TICKET = {"text": "I was charged twice, please refund one"}
JSON = {"content-type": "application/json"}


def the_frameworks_way(app: FastAPI) -> FastAPI:
    app.user_middleware = [one for one in app.user_middleware if one.cls is not Direct]
    return app


@pytest.fixture(scope="module")
def secrets() -> dict[str, str]:
    return {"may": new_secret(), "may_not": new_secret()}


@pytest.fixture(scope="module")
def both(
    tmp_path_factory: pytest.TempPathFactory, saved: Path, secrets: dict[str, str]
) -> Iterator[tuple[TestClient, TestClient]]:
    """The same desk behind the direct way and behind FastAPI's."""
    with Store.open(tmp_path_factory.mktemp("direct") / "tagdesk.db") as store:
        for name, scope in {"may": "predict", "may_not": "review"}.items():
            store.keys.add(Key(name, "default", frozenset({scope}), hash_of(secrets[name]), "ada", NOW))
        desk = Desk(store, Settings(models=saved))
        settings = ApiSettings(within=30)
        with (
            TestClient(create_app(desk, settings), raise_server_exceptions=False) as direct,
            TestClient(the_frameworks_way(create_app(desk, settings)), raise_server_exceptions=False) as framework,
        ):
            yield direct, framework
        desk.close()


def told(answer: Response) -> tuple[int, Any, dict[str, str]]:
    """What an answer says, but for what is new in each."""
    new = {"id", "request_id"}

    def same(value: Any) -> Any:
        match value:
            case dict():
                return {name: same(one) for name, one in value.items() if name not in new}
            case list():
                return [same(one) for one in value]
            case _:
                return value

    headers = {name: value for name, value in answer.headers.items() if name not in {"x-request-id", "content-length"}}
    return answer.status_code, same(answer.json()), headers


BODIES = {
    "fine": json.dumps(TICKET),
    "with all": json.dumps({**TICKET, "ticket": "7", "customer": "c"}),
    "not English": json.dumps({"text": "Die Rechnung stimmt nicht 😡"}, ensure_ascii=False),
    "empty text": '{"text": ""}',
    "nothing": "",
    "null": "null",
    "a list": "[]",
    "a number": "7",
    "no object": '"text"',
    "no text": "{}",
    "a number as text": '{"text": 7}',
    "unknown field": '{"text": "hi", "zanzibar": 1}',
    "two faults": '{"ticket": "", "zanzibar": 1}',
    "cut off": '{"text": "hi',
    "twice": '{"text": "a", "text": "b"}',
    "not UTF-8": b'{"text": "\xff"}',
    "half a character": '{"text": "\\ud800"}',
    "NaN": '{"text": NaN}',
    "deep": "[" * 100,
    "too long": json.dumps({"text": "word " * 50_000}),
    "tickets": json.dumps({"tickets": [TICKET, {"text": " "}]}),
    "no tickets": '{"tickets": []}',
    "too many tickets": json.dumps({"tickets": [TICKET] * 257}),
    "faults in tickets": json.dumps({"tickets": [{"text": 7}, {"text": "a", "x": 1}, {}]}),
    "many faults": json.dumps({"tickets": [{}] * 40}),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("path", [ONE, SOME])
def test_the_direct_way_answers_every_body_as_the_framework_does(
    both: tuple[TestClient, TestClient], secrets: dict[str, str], path: str, body: str | bytes
) -> None:
    headers = {**JSON, "authorization": f"Bearer {secrets['may']}"}
    direct, framework = (told(client.post(path, content=body, headers=headers)) for client in both)
    assert direct == framework


HEADERS = {
    "no key": {},
    "wrong key": {"authorization": "Bearer td_wrong"},
    "not a bearer": {"authorization": "Basic abc"},
    "may not": {"authorization": "Bearer {may_not}"},
    "key in small": {"authorization": "bearer {may}"},
    "empty idempotency key": {"authorization": "Bearer {may}", "idempotency-key": ""},
    "long idempotency key": {"authorization": "Bearer {may}", "idempotency-key": "k" * 201},
    "odd idempotency key": {"authorization": "Bearer {may}", "idempotency-key": "a\tb"},
    "packed": {"authorization": "Bearer {may}", "content-encoding": "gzip"},
    "another type": {"authorization": "Bearer {may}", "content-type": "text/plain"},
    "an id of its own": {"authorization": "Bearer {may}", "x-request-id": "mine"},
}


@pytest.mark.parametrize("headers", HEADERS.values(), ids=HEADERS)
@pytest.mark.parametrize("body", ["fine", "no text", "cut off"])
def test_the_direct_way_takes_every_header_as_the_framework_does(
    both: tuple[TestClient, TestClient], secrets: dict[str, str], headers: dict[str, str], body: str
) -> None:
    given = {**JSON, **{name: value.format(**secrets) for name, value in headers.items()}}
    direct, framework = (told(client.post(ONE, content=BODIES[body], headers=given)) for client in both)
    assert direct == framework


def test_the_same_idempotency_key_is_the_same_case_whichever_way_it_comes(
    both: tuple[TestClient, TestClient], secrets: dict[str, str]
) -> None:
    headers = {"authorization": f"Bearer {secrets['may']}", "idempotency-key": "once"}
    cases = {client.post(ONE, json=TICKET, headers=headers).json()["id"] for client in both}
    assert len(cases) == 1
    reused = [told(client.post(ONE, json={"text": "another"}, headers=headers)) for client in both]
    assert reused[0] == reused[1]
    assert reused[0][0] == 409 or reused[0][0] == 422


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "OPTIONS"])
def test_other_methods_are_left_to_the_framework(
    both: tuple[TestClient, TestClient], secrets: dict[str, str], method: str
) -> None:
    headers = {"authorization": f"Bearer {secrets['may']}"}
    direct, framework = (client.request(method, ONE, headers=headers) for client in both)
    assert (direct.status_code, direct.headers["allow"]) == (framework.status_code, framework.headers["allow"])
    assert direct.status_code == 405


def test_the_direct_way_is_taken(both: tuple[TestClient, TestClient], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    async def call(*_given: object) -> None:
        asked.append(1)
        raise ZeroDivisionError

    monkeypatch.setattr("tagdesk.api.direct._call", call)
    assert [client.post(ONE, json=TICKET).status_code for client in both] == [500, 401]
    assert asked == [1]
