from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tagdesk.api import ApiSettings, create_app
from tagdesk.api.access import hash_of, new_secret
from tagdesk.desk import Answer, Desk, Settings
from tagdesk.store import Key, Selection, Store

TICKET = {"text": "I was charged twice, write to ada@example.com", "ticket": "T-1", "customer": "c-1"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "tagdesk.db") as opened:
        yield opened


@pytest.fixture
def desk(store: Store) -> Iterator[Desk]:
    opened = Desk(store, Settings())
    yield opened
    opened.close()


@pytest.fixture
def client(desk: Desk) -> Iterator[TestClient]:
    with TestClient(create_app(desk, ApiSettings(within=30)), raise_server_exceptions=False) as opened:
        yield opened


def predict(client: TestClient, key: str, path: str = "/v1/predict", **changes: Any) -> Any:
    body = TICKET | changes if path == "/v1/predict" else changes
    return client.post(path, json=body, headers={"Idempotency-Key": key})


def without_request(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "request_id"}


def test_a_ticket_sent_again_under_its_key_is_one_case_with_one_answer(client: TestClient, store: Store) -> None:
    first, second = predict(client, "k1"), predict(client, "k1")
    assert (first.status_code, second.status_code) == (200, 200)
    assert without_request(first.json()) == without_request(second.json())
    assert second.json()["request_id"] == second.headers["X-Request-ID"] != first.json()["request_id"]
    (case,) = store.cases.each(Selection("default"))
    assert (case.id, case.ticket, case.unit) == (first.json()["id"], "T-1", "c-1")
    assert case.prediction.text == "I was charged twice, write to [EMAIL]"
    page = client.get("/metrics").text
    assert sum(float(line.split()[-1]) for line in page.splitlines() if "tagdesk_predictions_total{" in line) == 1


def test_an_answer_outlasts_the_service(client: TestClient, store: Store) -> None:
    first = predict(client, "k1").json()
    desk = Desk(store, Settings())
    with TestClient(create_app(desk, ApiSettings(within=30))) as again:
        assert without_request(predict(again, "k1").json()) == without_request(first)
    desk.close()


@pytest.mark.parametrize("changes", [{"text": "Where is my parcel?"}, {"ticket": "T-2"}, {"customer": None}])
def test_a_key_stands_for_one_request(client: TestClient, changes: dict[str, Any]) -> None:
    assert predict(client, "k1").status_code == 200
    answer = predict(client, "k1", **changes)
    assert (answer.status_code, answer.json()["code"]) == (422, "key_reused")
    batch = predict(client, "k1", "/v1/predict/batch", tickets=[TICKET])
    assert (batch.status_code, batch.json()["code"]) == (422, "key_reused")


def test_a_batch_is_answered_once_with_its_errors(client: TestClient, store: Store) -> None:
    tickets = [{"text": "Where is my parcel?"}, {"text": " "}, {"text": "The app crashes"}]
    first, second = (predict(client, "b1", "/v1/predict/batch", tickets=tickets).json() for _ in range(2))
    assert [item["error"] and item["error"]["code"] for item in first["results"]] == [None, "empty_text", None]
    for before, after in zip(first["results"], second["results"], strict=True):
        assert before["error"] == after["error"]
        if before["prediction"]:
            assert without_request(before["prediction"]) == without_request(after["prediction"])
            assert after["prediction"]["request_id"] == second["request_id"]
    assert len(list(store.cases.each(Selection("default")))) == 2


def test_a_text_that_cannot_be_read_is_refused_each_time(client: TestClient) -> None:
    for _ in range(2):
        answer = predict(client, "k1", text=" ")
        assert (answer.status_code, answer.json()["code"]) == (422, "empty_text")


def test_of_two_at_once_under_one_key_one_computes_and_the_other_is_told_to_come_back(
    client: TestClient, desk: Desk, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go = threading.Event(), threading.Event()
    read = desk.line._answer

    def slowly(texts: Sequence[str]) -> list[Answer]:
        begun.set()
        assert go.wait(30)
        return read(texts)

    monkeypatch.setattr(desk.line, "_answer", slowly)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(predict, client, "k1")
        assert begun.wait(30)
        second = predict(client, "k1")
        go.set()
        assert (second.status_code, second.json()["code"]) == (409, "in_progress")
        assert second.headers["Retry-After"] == "1"
        assert first.result(30).status_code == 200
    assert without_request(predict(client, "k1").json()) == without_request(first.result().json())
    assert len(list(store.cases.each(Selection("default")))) == 1


def test_a_request_that_came_to_nothing_may_be_sent_again_at_once(client: TestClient, desk: Desk) -> None:
    desk.line._queued = 1e9  # as if very much waited
    answer = predict(client, "k1")
    assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
    desk.line._queued = 0.0
    assert predict(client, "k1").status_code == 200


def test_two_callers_may_use_one_key(tmp_path: Path) -> None:
    with Store.open(tmp_path / "keys.db") as store:
        secrets = {name: new_secret() for name in ("one", "two")}
        for name, secret in secrets.items():
            key = Key(name, name, frozenset({"predict"}), hash_of(secret), "ada", datetime(2026, 5, 1, tzinfo=UTC))
            store.keys.add(key)
        desk = Desk(store, Settings())
        with TestClient(create_app(desk, ApiSettings(within=30))) as client:
            ids = {
                client.post(
                    "/v1/predict",
                    json=TICKET,
                    headers={"Idempotency-Key": "k1", "Authorization": f"Bearer {secret}"},
                ).json()["id"]
                for secret in secrets.values()
            }
        assert len(ids) == 2
        desk.close()


def test_an_erased_case_takes_its_answer_along(client: TestClient) -> None:
    first = predict(client, "k1").json()["id"]
    assert client.post("/v1/erase", json={"who": "ada", "customer": "c-1"}).json() == {"cases": 1}
    assert predict(client, "k1").json()["id"] != first
