from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from naughty_strings import NAUGHTY_STRINGS
from tagdesk.api import ApiSettings, create_app, experiments, explain, webhooks
from tagdesk.api.access import Meter, Permission, hash_of, new_secret
from tagdesk.api.problems import Problem
from tagdesk.api.routes import router
from tagdesk.case import Case
from tagdesk.desk import Answer, Desk, Live, Settings
from tagdesk.model import Model
from tagdesk.store import Key, Store
from tagdesk.taxonomy import Label, Taxonomy

NOW = datetime(2026, 5, 1, tzinfo=UTC)
CANARY = "zanzibar-7291"  # must never come back in an error


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, saved: Path) -> Iterator[FastAPI]:
    with Store.open(tmp_path_factory.mktemp("service") / "tagdesk.db") as store:
        desk = Desk(store, Settings(models=saved))
        yield create_app(desk, ApiSettings(within=30))
        desk.close()


@pytest.fixture(scope="module")
def client(service: FastAPI) -> Iterator[TestClient]:
    with TestClient(service, raise_server_exceptions=False) as opened:
        yield opened


def post(client: TestClient, path: str, body: bytes | str, **headers: str) -> Any:
    return client.post(path, content=body, headers={"content-type": "application/json"} | headers)


def test_a_ticket_gets_labels_with_everything_that_says_where_they_come_from(client: TestClient) -> None:
    answer = client.post("/v1/predict", json={"text": "I was charged twice, please refund one"})
    body = answer.json()
    assert answer.status_code == 200
    assert body["labels"] == ["Refund Request", "Billing Issue"]
    model = Model.load("starter")
    assert (body["model"], body["policy"], body["taxonomy"]) == (model.id, model.policy.id, model.taxonomy.fingerprint)
    assert answer.headers["X-Request-ID"] == body["request_id"]
    assert body["scores"]["Refund Request"]["decision"] in {"suggest", "automate"}


def test_the_taxonomy_is_that_of_the_model_that_answered_though_another_was_promoted_meanwhile(
    service: FastAPI, client: TestClient, models: dict[str, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk: Desk = service.state.desk
    answered, other = desk.live, replace(models["probe"], taxonomy=Taxonomy((Label("Other"),)))
    cases = desk.cases

    def swapped(answers: Sequence[Answer]) -> list[Case]:
        monkeypatch.setattr(desk, "_live", Live(other, answered.promotion))
        return cases(answers)

    monkeypatch.setattr(desk, "cases", swapped)
    body = client.post("/v1/predict", json={"text": "card charged"}).json()
    assert (body["model"], body["taxonomy"]) == (answered.model.id, answered.model.taxonomy.fingerprint)


def test_a_batch_answers_each_and_one_that_is_empty_gets_its_own_error(client: TestClient) -> None:
    texts = ["Where is my parcel?", " ", "the app crashes"]
    body = client.post("/v1/predict/batch", json={"tickets": [{"text": text} for text in texts]}).json()
    assert [bool(item["prediction"]) for item in body["results"]] == [True, False, True]
    assert body["results"][1]["error"]["code"] == "empty_text"
    alone = client.post("/v1/predict", json={"text": texts[0]}).json()
    assert body["results"][0]["prediction"]["scores"] == alone["scores"]


def test_a_case_can_be_read_reviewed_queued_and_erased(client: TestClient) -> None:
    case = client.post("/v1/predict", json={"text": "my login fails", "ticket": "T-9", "customer": "c-9"}).json()["id"]
    assert client.get(f"/v1/cases/{case}").json()["case"]["ticket"] == "T-9"
    assert case in [entry["case"]["id"] for entry in client.get("/v1/queue?limit=100").json()["cases"]]
    review = {"case": case, "labels": ["Account Access"], "reviewer": "ada"}
    assert client.post("/v1/reviews", json=review, headers={"Idempotency-Key": "r1"}).json()["outcome"] == "added"
    assert client.post("/v1/reviews", json=review, headers={"Idempotency-Key": "r1"}).json()["outcome"] == "repeated"
    other = review | {"labels": []}
    assert client.post("/v1/reviews", json=other, headers={"Idempotency-Key": "r1"}).status_code == 422
    assert case not in [entry["case"]["id"] for entry in client.get("/v1/queue?limit=100").json()["cases"]]
    assert client.post("/v1/erase", json={"who": "ada", "customer": "c-9"}).json() == {"cases": 1}
    assert client.get(f"/v1/cases/{case}").status_code == 404
    assert client.post("/v1/reviews", json=review).status_code == 404


def test_pages_of_cases_follow_each_other_without_gap_or_repeat(client: TestClient) -> None:
    made = {client.post("/v1/predict", json={"text": f"page {n}", "customer": "pages"}).json()["id"] for n in range(7)}
    seen: list[str] = []
    address = "/v1/cases?customer=pages&limit=3"
    after = ""
    while True:
        page = client.get(address + after).json()
        seen += [entry["case"]["id"] for entry in page["cases"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert (len(seen), set(seen)) == (7, made)


def test_a_model_is_promoted_and_rolled_back(client: TestClient, models: dict[str, Model]) -> None:
    starter = client.get("/readyz").json()["model"]
    id_ = models["probe"].id
    body = {"who": "ada", "why": "better on our tickets"}
    promoted = client.post(f"/v1/models/{id_}/promote", json=body).json()
    assert promoted["model"] == id_
    assert client.post("/v1/predict", json={"text": "card charged"}).json()["model"] == id_
    assert client.post(f"/v1/models/{id_}/promote", json=body | {"expected": 0}).json() == promoted  # done already
    assert client.post(f"/v1/models/{starter}/promote", json=body | {"expected": 0}).status_code == 409
    listed = client.get("/v1/models").json()
    assert [model["id"] for model in listed["models"] if model["is_live"]] == [id_]
    assert client.post("/v1/rollback", json=body).json()["model"] == starter
    assert client.post("/v1/predict", json={"text": "card charged"}).json()["model"] == starter
    assert client.get("/v1/taxonomy").json()["model"] == starter


def test_signs_of_life_and_counts(client: TestClient) -> None:
    assert client.get("/livez").json() == {"status": "alive"}
    assert client.get("/readyz").json()["status"] == "ready"
    assert client.post("/v1/predict", json={"text": CANARY}).status_code == 200
    page = client.get("/metrics").text
    assert 'tagdesk_requests_total{route="/v1/predict",status="200"}' in page
    assert CANARY not in page


def test_the_counts_say_what_answers_what_was_given_and_what_waits(client: TestClient, service: FastAPI) -> None:
    def count(line: str) -> float:
        found = [float(row.split()[-1]) for row in client.get("/metrics").text.splitlines() if row.startswith(line)]
        return sum(found)

    model = service.state.desk.live.model
    who = f'model="{model.id}",policy="{model.policy.id}"'
    names = [
        f"tagdesk_predictions_total{{{who}}}",
        'tagdesk_labels_total{decision="suggest",label="Refund Request"}',
        'tagdesk_labels_total{decision="automate",label="Refund Request"}',
        "tagdesk_out_of_scope_total",
        "tagdesk_without_label_total",
        'tagdesk_request_seconds_count{route="/v1/predict"}',
    ]
    before = [count(name) for name in names]
    for text in ("I was charged twice, please refund one", "what is the capital of France"):
        assert client.post("/v1/predict", json={"text": text}).status_code == 200
    grown = [count(name) - old for name, old in zip(names, before, strict=True)]
    assert (grown[0], grown[1] + grown[2], grown[5]) == (2, 1, 2)
    assert grown[3] == grown[4] == 1
    assert count(f"tagdesk_live{{{who}}}") == 1
    for name in ("queued_requests", "queued_tokens", "cases_waiting", "cases_dropped", "promotion"):
        assert f"\ntagdesk_{name} " in client.get("/metrics").text


FAULTS: dict[str, tuple[bytes, set[int]]] = {
    "T1": (b'{"text": ""}', {422}),
    "T2": (json.dumps({"text": " \u00a0\u3000"}).encode(), {422}),
    "T3": (json.dumps({"text": "\u200b\u200c\u2060\ufeff"}).encode(), {422}),
    "T11": (b'{"text": "\\ud800"}', {422}),
    "T12": (b'{"text": "\xff\xfe"}', {400}),
    "T13": ('{"text": "hi"}'.encode("utf-16"), {400}),
    "A1 trailing comma": (b'{"text": "zanzibar-7291",}', {400}),
    "A1 truncated": (b'{"text": "zanzibar-7291', {400}),
    "A1 empty": (b"", {400, 422}),
    "A1 array": (b'["zanzibar-7291"]', {422}),
    "A2": (b'{"text": ' + b"[" * 100_000, {400}),
    "A3": (b'{"text": "hi", "ticket": ' + b"7" * 5000 + b"}", {400}),
    "A4 NaN": (b'{"text": NaN}', {400}),
    "A4 inf": (b'{"text": 1e999}', {400}),
    "A5 number": (b'{"text": 1}', {422}),
    "A5 true": (b'{"text": true}', {422}),
    "A5 null": (b'{"text": null}', {422}),
    "A5 list": (b'{"text": [["zanzibar-7291"]]}', {422}),
    "A6 unknown": (b'{"text": "hi", "zanzibar-7291": 1}', {422}),
    "A6 duplicate": (b'{"text": "hi", "text": "zanzibar-7291"}', {400}),
    "A23": (b'{"text": "hi", "threshold": 0.5}', {422}),
    "NUL in an id": (b'{"text": "hi", "ticket": "a\\u0000b"}', {422}),
    "long id": (b'{"text": "hi", "ticket": "' + b"i" * 201 + b'"}', {422}),
}


@pytest.mark.parametrize("name", FAULTS)
def test_bodies_that_make_no_sense_are_refused_without_an_echo(client: TestClient, name: str) -> None:
    body, expected = FAULTS[name]
    answer = post(client, "/v1/predict", body)
    assert answer.status_code in expected, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert {"type", "code", "request_id", "status"} <= problem.keys()
    assert CANARY not in answer.text
    assert "iiii" not in answer.text
    assert client.post("/v1/predict", json={"text": "still alive"}).status_code == 200


def test_every_cut_of_a_body_is_refused(client: TestClient) -> None:
    whole = b'{"text": "zanzibar-7291", "ticket": "9"}'
    for cut in range(len(whole)):
        answer = post(client, "/v1/predict", whole[:cut])
        assert answer.status_code in {400, 422}
        assert CANARY not in answer.text


@pytest.mark.parametrize(
    ("path", "size", "status"),
    [("/v1/predict", 999_000, 200), ("/v1/predict", 1_000_001, 413), ("/v1/predict/batch", 8_000_001, 413)],
    ids=["T5", "T6", "A9"],
)
def test_large_bodies(client: TestClient, path: str, size: int, status: int) -> None:
    body = b'{"text": "' + b"a" * (size - 12) + b'"}'
    answer = post(client, path, body)
    assert answer.status_code == status
    if status == 413:
        assert answer.json()["limit"] in {1_000_000, 8_000_000}


def test_a_body_without_a_length_is_stopped_midway(client: TestClient) -> None:  # A10
    sent = 0

    def parts() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(200):
            sent += 100_000
            yield b"a" * 100_000

    answer = client.post("/v1/predict", content=parts(), headers={"content-type": "application/json"})
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "application/xml"}, 415),
        ({"content-type": "multipart/form-data; boundary=x"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": ""}, 415),
        ({"content-type": "application/json", "content-encoding": "gzip"}, 415),
        ({"content-type": "application/json", "content-encoding": "br"}, 415),
        ({"content-type": "application/json; charset=utf-8"}, 200),
    ],
)
def test_other_kinds_of_bodies(client: TestClient, headers: dict[str, str], status: int) -> None:  # A12, A15, A16
    assert client.post("/v1/predict", content=b'{"text": "hi there"}', headers=headers).status_code == status


@pytest.mark.parametrize("size", [0, 257, 5000])
def test_batches_of_no_or_too_many_tickets_are_refused(client: TestClient, size: int) -> None:  # A7
    answer = client.post("/v1/predict/batch", json={"tickets": [{"text": "hi"}] * size})
    assert answer.status_code == 422


@pytest.mark.parametrize(
    "query",
    ["limit=-1", "limit=0", "limit=9223372036854775808", "limit=١٢٣", "after=zzz", "after=WzEsMl0=", "limit=1e3"],
)
def test_pages_that_make_no_sense_are_refused(client: TestClient, query: str) -> None:  # A24
    assert client.get(f"/v1/cases?{query}").status_code == 422


@pytest.mark.parametrize(
    "path", ["//", "/..%2f..%2fetc", "/%00", "/v1/cases/%00", "/v1/" + "a" * 60_000, "/v1/models/../x/promote"]
)
def test_odd_paths_lead_nowhere(client: TestClient, path: str) -> None:  # A18, A22
    assert client.get(path).status_code in {404, 405, 414, 422}


def test_methods_that_a_route_does_not_have_are_refused_with_those_it_has(client: TestClient) -> None:  # A17
    for method in ("PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "GET"):
        answer = client.request(method, "/v1/predict")
        assert answer.status_code == 405
        assert answer.headers["allow"] == "POST"
    assert client.put("/v1/jobs").headers["allow"] == "GET, POST"
    assert client.put("/v1/jobs/none/cancel").headers["allow"] == "POST"
    assert client.put("/v1/cases/none").headers["allow"] == "GET"


def test_the_name_of_an_unknown_field_is_not_told_back(client: TestClient) -> None:
    for place, body in enumerate(
        ({"text": "hi", "de89370400440532013000": 1}, {"tickets": [{"text": "hi", "ada": 1}]})
    ):
        answer = client.post(("/v1/predict", "/v1/predict/batch")[place], json=body)
        assert (answer.status_code, answer.json()["faults"][0]["at"][-1]) == (422, "?")


def test_naughty_strings_never_hurt(saved: Path, models: dict[str, Model], tmp_path: Path) -> None:  # T36
    with Store.open(tmp_path / "tagdesk.db") as store:
        desk = Desk(store, Settings(models=saved))
        desk.promote(models["onnx"].id, who="ada", why="it is quick")
        with TestClient(create_app(desk, ApiSettings(within=60)), raise_server_exceptions=False) as client:
            _send_naughty_strings(client)
        desk.close()


def _send_naughty_strings(client: TestClient) -> None:
    for start in range(0, len(NAUGHTY_STRINGS), 200):
        tickets = [{"text": text} for text in NAUGHTY_STRINGS[start : start + 200]]
        answer = client.post(
            "/v1/predict/batch", content=json.dumps({"tickets": tickets}), headers={"content-type": "application/json"}
        )
        assert answer.status_code == 200
        for item in answer.json()["results"]:
            assert (item["prediction"] is None) != (item["error"] is None)


def test_every_route_names_the_permission_it_asks_for(service: FastAPI) -> None:  # A20
    expected = {
        ("POST", "/v1/predict"): Permission.PREDICT,
        ("POST", "/v1/predict/batch"): Permission.PREDICT,
        ("POST", "/v1/reviews"): Permission.REVIEW,
        ("GET", "/v1/cases"): Permission.REVIEW,
        ("GET", "/v1/cases/{case}"): Permission.REVIEW,
        ("GET", "/v1/queue"): Permission.REVIEW,
        ("GET", "/v1/taxonomy"): Permission.PREDICT,
        ("GET", "/v1/models"): Permission.PREDICT,
        ("POST", "/v1/models/{model}/promote"): Permission.ADMIN,
        ("POST", "/v1/rollback"): Permission.ADMIN,
        ("POST", "/v1/erase"): Permission.ADMIN,
        ("POST", "/v1/explain"): Permission.PREDICT,
        ("GET", "/v1/experiments"): Permission.REVIEW,
        ("POST", "/v1/experiments"): Permission.ADMIN,
        ("GET", "/v1/experiments/{name}"): Permission.REVIEW,
        ("POST", "/v1/experiments/{name}/start"): Permission.ADMIN,
        ("POST", "/v1/experiments/{name}/stop"): Permission.ADMIN,
        ("POST", "/v1/outcomes"): Permission.REVIEW,
        ("POST", "/v1/webhooks/{name}"): Permission.PUBLIC,  # the signature is the proof
        ("GET", "/livez"): Permission.PUBLIC,
        ("GET", "/readyz"): Permission.PUBLIC,
        ("GET", "/metrics"): Permission.ADMIN,
    }
    found = {}
    for route in (
        *service.routes,
        *router.routes,
        *experiments.router.routes,
        *explain.router.routes,
        *webhooks.router.routes,
    ):
        if not isinstance(route, APIRoute):
            continue
        asked = [one.call.permission for one in route.dependant.dependencies if hasattr(one.call, "permission")]
        for method in route.methods:
            found[method, route.path] = asked[0] if len(asked) == 1 else None
    assert found == expected


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[tuple[TestClient, dict[str, str]]]:
    with Store.open(tmp_path / "tagdesk.db") as store:
        secrets = {}
        for name, scopes in {"reader": {"predict"}, "judge": {"review"}, "boss": {"admin"}, "gone": {"admin"}}.items():
            secrets[name] = new_secret()
            store.keys.add(Key(name, "shop", frozenset(scopes), hash_of(secrets[name]), "ada", NOW))
        store.keys.revoke("gone", who="ada", now=NOW)
        desk = Desk(store, Settings())
        with TestClient(create_app(desk, ApiSettings(within=30)), raise_server_exceptions=False) as opened:
            yield opened, secrets
        desk.close()


def test_keys_open_what_their_scopes_say(guarded: tuple[TestClient, dict[str, str]]) -> None:
    client, secrets = guarded
    wanted = {
        ("POST", "/v1/predict"): {"reader": 200, "judge": 403, "boss": 200},
        ("GET", "/v1/queue"): {"reader": 403, "judge": 200, "boss": 200},
        ("GET", "/metrics"): {"reader": 403, "judge": 403, "boss": 200},
        ("POST", "/v1/erase"): {"reader": 403, "judge": 403, "boss": 422},
        ("GET", "/livez"): {"reader": 200, "judge": 200, "boss": 200},
    }
    for (method, path), by_name in wanted.items():
        body = {"text": "where is my parcel"} if path == "/v1/predict" else {"who": "x"}
        for name, status in by_name.items():
            answer = client.request(
                method,
                path,
                json=body if method == "POST" else None,
                headers={"authorization": f"Bearer {secrets[name]}"},
            )
            assert answer.status_code == status, (method, path, name, answer.text)


def test_wrong_keys_all_get_the_same_answer(guarded: tuple[TestClient, dict[str, str]]) -> None:  # A19
    client, secrets = guarded
    wrong = [
        None,
        "",
        "Bearer",
        "Bearer x",
        f"Bearer {new_secret()}",
        f"Bearer {secrets['gone']}",
        f"Basic {secrets['boss']}",
        f"Bearer {secrets['boss'][:-1]}",
        secrets["boss"],
        "Bearer td_" + "a" * 1_000_000,
        "Bearer td_\xe9",
    ]
    answers = set()
    for value in wrong:
        headers = {} if value is None else {"authorization": value.encode("latin-1")}
        answer = client.post(f"/v1/predict?key={secrets['boss']}", json={"text": "hi"}, headers=headers)
        body = answer.json()
        answers.add((answer.status_code, body["code"], body["detail"]))
    assert {status for status, *_ in answers} == {401}
    assert len(answers) == 1


def test_a_tenant_sees_no_case_of_another(guarded: tuple[TestClient, dict[str, str]]) -> None:  # A21
    client, secrets = guarded
    mine = {"authorization": f"Bearer {secrets['boss']}"}
    case = client.post("/v1/predict", json={"text": "hi there"}, headers=mine).json()["id"]
    store: Store = client.app.state.desk.store  # type: ignore[attr-defined]
    other = new_secret()
    store.keys.add(Key("rival", "rival", frozenset({"admin"}), hash_of(other), "bob", NOW))
    theirs = {"authorization": f"Bearer {other}"}
    assert client.get(f"/v1/cases/{case}", headers=mine).status_code == 200
    assert client.get(f"/v1/cases/{case}", headers=theirs).status_code == 404
    review = {"case": case, "labels": [], "reviewer": "bob"}
    assert client.post("/v1/reviews", json=review, headers=theirs).status_code == 404


def test_a_key_that_asks_too_often_is_told_when_to_come_back() -> None:
    now = [0.0]
    meter = Meter(rate=2, burst=3, clock=lambda: now[0])
    for _ in range(3):
        meter.take("a")
    with pytest.raises(Problem) as refused:
        meter.take("a")
    assert (refused.value.status_code, refused.value.headers) == (429, {"Retry-After": "1"})
    meter.take("b")
    now[0] = 0.5
    meter.take("a")


def test_an_answer_that_would_come_too_late_is_a_503_with_when_to_come_back(saved: Path, tmp_path: Path) -> None:
    with Store.open(tmp_path / "tagdesk.db") as store:
        desk = Desk(store, Settings(models=saved, longest_wait=0.0))
        desk.line._queued = 1e9  # as if very much waited
        with TestClient(create_app(desk)) as client:
            answer = client.post("/v1/predict", json={"text": "hi there"})
            assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
            assert int(answer.headers["retry-after"]) > 0
            assert client.get("/livez").status_code == 200
        desk.line._queued = 0.0
        desk.close()
