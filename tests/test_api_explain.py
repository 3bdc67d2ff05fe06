from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from naughty_strings import NAUGHTY_STRINGS
from tagdesk.api import ApiSettings, create_app
from tagdesk.api import explain as routes
from tagdesk.api.access import hash_of, new_secret
from tagdesk.desk import Answer, Desk, Live, Overloaded, Settings, TooLate
from tagdesk.explain import NONE, Shares
from tagdesk.model import Model
from tagdesk.scorers.linear import LinearScorer
from tagdesk.store import Key, Selection, Store

NOW = datetime(2026, 5, 1, tzinfo=UTC)
CANARY = "zanzibar-7291"  # must never come back in an error
TEXT = "my card was charged twice, please refund the fee"
PATH = "/v1/explain"


def app_of(desk: Desk) -> FastAPI:
    app = create_app(desk, ApiSettings(within=30))
    if PATH not in app.openapi()["paths"]:
        app.openapi_schema = None
        app.include_router(routes.router)
    return app


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, saved: Path, models: dict[str, Model]) -> Iterator[Desk]:
    with Store.open(tmp_path_factory.mktemp("service") / "tagdesk.db") as store:
        opened = Desk(store, Settings(models=saved))
        opened.promote(models["probe"].id, who="ada", why="small")
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def client(desk: Desk) -> Iterator[TestClient]:
    with TestClient(app_of(desk), raise_server_exceptions=False) as opened:
        yield opened


def test_a_ticket_is_labelled_and_explained_as_the_model_itself_does_it(client: TestClient, desk: Desk) -> None:
    from tagdesk.explaining import explain  # noqa: PLC0415 - what the route is held against

    answer = client.post(PATH, json={"text": TEXT})
    body = answer.json()
    assert answer.status_code == 200
    model = desk.live.model
    (predicted,) = model.predict([TEXT])
    (expected,) = explain(model, [predicted])
    assert body["explanation"] == expected.to_dict()
    assert body["prediction"]["labels"] == list(predicted.labels)
    assert (body["prediction"]["model"], body["prediction"]["taxonomy"]) == (model.id, model.taxonomy.fingerprint)
    assert body["request_id"] == answer.headers["X-Request-ID"]
    plain = client.post("/v1/predict", json={"text": TEXT}).json()
    assert body["prediction"] == {name: value for name, value in plain.items() if name not in {"id", "request_id"}}


def test_offsets_are_places_in_the_text_as_it_was_sent(client: TestClient) -> None:
    text = "🙂 \u202eHELLO\u202c <b>my</b>\n card  charged"
    for label in client.post(PATH, json={"text": text}).json()["explanation"]["labels"]:
        assert [text[word["start"] : word["end"]] for word in label["words"]] == [
            word["text"] for word in label["words"]
        ]


def test_labels_and_the_number_of_words_can_be_chosen(client: TestClient) -> None:
    asked = {"text": TEXT, "labels": ["Shipping Concern", "Account Access"], "most": 2.0}
    found = client.post(PATH, json=asked).json()["explanation"]["labels"]
    assert [label["label"] for label in found] == ["Shipping Concern", "Account Access"]
    assert [len(label["words"]) for label in found] == [2, 2]


def counted(client: TestClient) -> list[str]:
    """What the service says of the tickets that it labelled."""
    rows = client.get("/metrics").text.splitlines()
    return [row for row in rows if row.startswith(("tagdesk_predictions_total", "tagdesk_labels_total"))]


def test_no_case_is_logged_and_no_ticket_counted(client: TestClient, desk: Desk) -> None:
    text = "the parcel that nobody shall hear of"
    before = counted(client)
    assert client.post(PATH, json={"text": text}).status_code == 200
    desk.logbook.flush(5)
    cases = desk.store.cases.page(Selection(None), after=None, limit=1000, newest_first=True)
    assert text not in [case.prediction.text for case in cases]
    assert counted(client) == before
    assert client.post("/v1/predict", json={"text": text}).status_code == 200
    assert counted(client) != before


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"text": f" {CANARY}", "labels": [CANARY]}, "unknown_label"),
        ({"text": CANARY, "labels": [NONE]}, "unknown_label"),
        ({"text": " \u200b"}, "empty_text"),
        ({"text": CANARY, "labels": []}, "invalid_request"),
        ({"text": CANARY, "labels": ["Billing Issue"] * 6}, "invalid_request"),
        ({"text": CANARY, "labels": "Billing Issue"}, "invalid_request"),
        ({"text": CANARY, "labels": ["x" * 201]}, "invalid_request"),
        ({"text": CANARY, "most": 0}, "invalid_request"),
        ({"text": CANARY, "most": 51}, "invalid_request"),
        ({"text": CANARY, "most": 1.5}, "invalid_request"),
        ({"text": CANARY, "most": True}, "invalid_request"),
        ({"text": CANARY, "most": "5"}, "invalid_request"),
        ({"text": 7}, "invalid_request"),
        ({}, "invalid_request"),
        ({"text": CANARY, CANARY: 1}, "invalid_request"),
        ({"text": CANARY, "ticket": "4711"}, "invalid_request"),
    ],
)
def test_what_makes_no_sense_is_refused_without_repeating_it(client: TestClient, body: Any, code: str) -> None:
    answer = client.post(PATH, json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert CANARY not in answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_bodies_are_read_strictly(client: TestClient) -> None:
    for body, status in (
        (b"{", 400),
        (b'{"text": "a", "text": "b"}', 400),
        (b'{"text": "\\ud800"}', 422),
        (b'{"text": "a", "most": NaN}', 400),
        (b"\xff", 400),
    ):
        assert client.post(PATH, content=body, headers={"content-type": "application/json"}).status_code == status
    assert client.post(PATH, content=b"{}", headers={"content-type": "text/plain"}).status_code == 415
    assert client.get(PATH).status_code == 405


def test_hostile_texts_get_an_explanation_or_a_refusal(client: TestClient) -> None:
    for text in NAUGHTY_STRINGS[::3]:
        if len(text) < 100 and not any("\ud800" <= letter <= "\udfff" for letter in text):
            answer = client.post(PATH, json={"text": text, "labels": ["Billing Issue"]})
            assert answer.status_code in {200, 422}, repr(text)


def test_a_ticket_of_twenty_thousand_characters_is_answered_and_says_that_it_is_coarse(client: TestClient) -> None:
    text = "please help today again. " * 800 + "card charged twice"
    answer = client.post(PATH, json={"text": text})
    assert answer.status_code == 200
    assert answer.json()["explanation"]["coarse"]
    assert 0 < answer.json()["explanation"]["variants"] <= 64


def test_keys_need_the_scope_to_predict(tmp_path: Path, saved: Path) -> None:
    secrets = {scope: new_secret() for scope in ("predict", "review")}
    with Store.open(tmp_path / "tagdesk.db") as store:
        for scope, secret in secrets.items():
            store.keys.add(Key(scope, "default", frozenset({scope}), hash_of(secret), "ada", NOW))
        desk = Desk(store, Settings(models=saved))
        with TestClient(app_of(desk)) as client:
            answers = [
                client.post(PATH, json={"text": TEXT}, headers={"Authorization": f"Bearer {secret}"}).status_code
                for secret in (*secrets.values(), "")
            ]
        desk.close()
    assert answers == [200, 403, 401]


def test_whoever_comes_when_too_much_waits_is_told_when_to_come_back(
    client: TestClient, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_texts: Sequence[str], *, within: float) -> Future[list[Answer]]:
        raise Overloaded(within)

    monkeypatch.setattr(desk, "ask", full)
    answer = client.post(PATH, json={"text": CANARY})
    assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (503, "overloaded", "30")
    assert CANARY not in answer.text


@pytest.mark.parametrize("error", [Overloaded(2.0), TooLate()])
def test_words_that_the_line_has_no_room_for_are_left_and_without_any_there_is_no_answer(
    client: TestClient, desk: Desk, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    ask, room = desk.ask, [2]
    text = " ".join(["please refund the card"] * 45)

    def full_soon(texts: Sequence[str], *, within: float) -> Future[list[Answer]]:
        if not room[0]:
            raise error
        room[0] -= 1
        return ask(texts, within=within)

    monkeypatch.setattr(desk, "ask", full_soon)
    body = client.post(PATH, json={"text": text}).json()
    assert (body["explanation"]["coarse"], body["explanation"]["variants"]) == (True, 2)  # those of one handful
    room[0] = 1  # for the ticket alone
    answer = client.post(PATH, json={"text": text})
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1


def test_when_the_time_is_over_what_is_known_is_told(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "SECONDS", 0.0)
    body = client.post(PATH, json={"text": TEXT}).json()["explanation"]
    assert (body["coarse"], body["variants"], body["labels"][0]["words"]) == (True, 0, [])


def test_answers_of_two_models_are_not_mixed(client: TestClient, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    ask, asked = desk.ask, []

    def swapped(texts: Sequence[str], *, within: float) -> Future[list[Answer]]:
        asked.append(texts)
        answers = ask(texts, within=within).result()
        if len(asked) > 1:
            answers = [replace(one, prediction=replace(one.prediction, model="other")) for one in answers]
        future = Future[list[Answer]]()
        future.set_result(answers)
        return future

    monkeypatch.setattr(desk, "ask", swapped)
    answer = client.post(PATH, json={"text": TEXT})
    assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (503, "model_changed", "1")


def test_all_variants_stand_in_the_line_a_handful_at_a_time(
    client: TestClient, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, sizes = desk.ask, []

    def weighed(texts: Sequence[str], *, within: float) -> Future[list[Answer]]:
        sizes.append((len(texts), sum(map(len, texts))))
        return ask(texts, within=within)

    monkeypatch.setattr(desk, "ask", weighed)
    text = " ".join(["please refund the card"] * 15)
    body = client.post(PATH, json={"text": text}).json()
    assert sum(count for count, _ in sizes) == 1 + body["explanation"]["variants"] == 61
    assert max(size for _, size in sizes) <= 2048


class Summing(LinearScorer):
    """Says what each letter adds, after a while."""

    seconds = 0.0
    at_once = most_at_once = 0

    def shares(self, text: str, columns: Sequence[int]) -> Shares:
        cls = type(self)
        cls.at_once += 1
        cls.most_at_once = max(cls.most_at_once, cls.at_once)
        time.sleep(self.seconds)
        cls.at_once -= 1
        numbers = np.array([float(letter.isupper()) for letter in text])
        return Shares(np.zeros(len(columns)), np.repeat(numbers[:, np.newaxis], len(columns), axis=1))


@pytest.fixture
def summing(desk: Desk, models: dict[str, Model], monkeypatch: pytest.MonkeyPatch) -> type[Summing]:
    scorer = models["linear"].scorer
    assert isinstance(scorer, LinearScorer)
    seeing = Summing(scorer._vectorizers, scorer._weights, scorer._bias)
    monkeypatch.setattr(desk, "_live", Live(replace(models["linear"], scorer=seeing), 7))
    return Summing


def test_a_scorer_that_explains_itself_is_read_off(client: TestClient, summing: type[Summing]) -> None:
    assert summing.seconds == 0
    asked = {"text": "please REFUND me Now", "labels": ["Billing Issue"]}
    found = client.post(PATH, json=asked).json()["explanation"]
    assert (found["method"], found["variants"], found["coarse"]) == ("exact", 0, False)
    slope = 0.9  # of the calibration
    weights = {word["text"]: word["weight"] for word in found["labels"][0]["words"]}
    assert weights == {"please": 0, "REFUND": pytest.approx(6 * slope), "me": 0, "Now": pytest.approx(slope)}
    assert found["labels"][0]["base"] == 0


def test_tickets_are_read_off_one_at_a_time_and_nobody_waits_too_long(
    client: TestClient, summing: type[Summing], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summing, "seconds", 0.05)
    monkeypatch.setattr(summing, "most_at_once", 0)
    statuses: list[int] = []

    def ask() -> None:
        statuses.append(client.post(PATH, json={"text": TEXT}).status_code)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 4
    assert summing.most_at_once == 1


def test_the_description_shows_an_example_that_fits_and_so_does_the_answer(client: TestClient) -> None:
    description = client.get("/openapi.json").json()
    operation = description["paths"][PATH]["post"]
    assert {"400", "401", "403", "413", "415", "422", "429", "503"} <= set(operation["responses"])
    answer = client.post(PATH, json={"text": TEXT}).json()
    for body, values in ((operation["requestBody"], ()), (operation["responses"]["200"], (answer,))):
        shape = body["content"]["application/json"]
        for value in (shape["example"], *values):
            jsonschema.validate(value, {**shape["schema"], "components": description["components"]})
    example = operation["requestBody"]["content"]["application/json"]["example"]
    assert json.dumps(example).isascii()
    for word in operation["responses"]["200"]["content"]["application/json"]["example"]["explanation"]["labels"][0][
        "words"
    ]:
        assert example["text"][word["start"] : word["end"]] == word["text"]
