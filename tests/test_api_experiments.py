from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from command import tagdesk
from tagdesk.api import ApiSettings, create_app
from tagdesk.desk import Desk, Settings
from tagdesk.desk.deciding import settle
from tagdesk.model import Model
from tagdesk.store import Selection, Store

CANARY = "zanzibar-7291"
STEP = {"who": "ada", "why": "to see"}


@dataclass
class Clock:
    now: datetime = datetime(2026, 5, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Service:
    client: TestClient
    desk: Desk
    store: Store
    clock: Clock
    place: Path

    def post(self, path: str, body: Any, **headers: str) -> Any:
        return self.client.post(path, json=body, headers=headers)


@pytest.fixture
def service(saved: Path, tmp_path: Path) -> Iterator[Service]:
    root, clock = Path(shutil.copytree(saved, tmp_path / "models")), Clock()
    with Store.open(tmp_path / "tagdesk.db") as store:
        desk = Desk(store, Settings(models=root), clock=clock)
        with TestClient(create_app(desk, ApiSettings(within=30)), raise_server_exceptions=False) as client:
            yield Service(client, desk, store, clock, tmp_path)
        desk.close()


def plan(first: Model, second: Model, **changes: Any) -> dict[str, Any]:
    variants = [
        {"name": "current", "model": first.id, "share": 0.5},
        {"name": "warmer", "model": second.id, "share": 0.5},
    ]
    return {"who": "ada", "name": "warm", "variants": variants, **changes}


def lived(service: Service, customers: int, right: dict[str, str]) -> None:
    """Tickets of customers whose reviews say that one of the models is always right."""
    for n in range(customers):
        answer = service.post("/v1/predict", {"text": f"card charged {n}", "customer": f"c-{n}"}).json()
        labels = answer["labels"] if right["model"] == answer["model"] else []
        service.post("/v1/reviews", {"case": answer["id"], "labels": labels, "reviewer": "ada"})
        service.clock.now += timedelta(minutes=10)


def test_an_experiment_goes_from_draft_to_verdict_over_http(service: Service, models: dict[str, Model]) -> None:
    made = service.post("/v1/experiments", plan(models["probe"], models["linear"]))
    assert (made.status_code, made.json()["state"]) == (200, "draft")
    assert service.client.get("/v1/experiments/warm").json()["standing"] is None
    assert service.post("/v1/experiments/warm/start", STEP).json()["state"] == "running"
    lived(service, 60, {"model": models["linear"].id})
    shown = service.client.get("/v1/experiments/warm").json()["standing"]
    assert sum(shown["cases"].values()) == 60
    assert shown["decision"]["action"] in {"go on", "promote", "stop for harm"}
    assert service.post("/v1/experiments/warm/stop", STEP).json()["state"] == "stopped"
    (listed,) = service.client.get("/v1/experiments").json()["experiments"]
    assert (listed["state"], listed["version"]) == ("stopped", 3)


def test_who_took_part_is_in_the_store_before_the_answer_is_told(service: Service, models: dict[str, Model]) -> None:
    service.post("/v1/experiments", plan(models["probe"], models["linear"]))
    service.post("/v1/experiments/warm/start", STEP)
    for n in range(5):
        case = service.post("/v1/predict", {"text": "card charged", "customer": f"c-{n}"}).json()["id"]
        (found,) = service.store.cases.get([case], tenant="default")
        assert found is not None
        assert str(found.variant).startswith("warm:")


def test_the_steps_that_make_no_sense_are_refused(service: Service, models: dict[str, Model]) -> None:
    body = plan(models["probe"], models["linear"])
    assert service.post("/v1/experiments/warm/start", STEP).status_code == 404
    assert service.post("/v1/experiments/warm/stop", STEP).status_code == 404
    assert service.post("/v1/experiments", body).status_code == 200
    assert service.post("/v1/experiments", body).status_code == 409
    assert service.post("/v1/experiments/warm/stop", STEP).status_code == 422
    assert service.post("/v1/experiments/warm/start", STEP).status_code == 200
    assert service.post("/v1/experiments/warm/start", STEP).status_code == 422
    other = service.post("/v1/experiments", {**body, "name": "other"})
    assert other.status_code == 200
    assert service.post("/v1/experiments/other/start", STEP).status_code == 409


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Warm Heads"},
        {"name": CANARY + "!"},
        {"holdout": 1.0},
        {"planned": 0},
        {"days": 0},
        {"margin": -1},
        {"kind": CANARY},
        {"unit": CANARY},
        {"variants": []},
        {"ramp": [{"start": "yesterday", "share": 1}]},
        {"ramp": [{"start": "2026-05-01T00:00:00", "share": 1}]},
        {"colour": CANARY},
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_without_an_echo(
    service: Service, models: dict[str, Model], change: dict[str, Any]
) -> None:
    answer = service.post("/v1/experiments", {**plan(models["probe"], models["linear"]), **change})
    assert answer.status_code == 422, answer.text
    assert CANARY not in answer.text
    assert service.store.experiments.all() == []


@pytest.mark.parametrize("shares", [(0.5, 0.6), (0.0, 0.0), (2, -1)])
def test_shares_must_sum_to_one(service: Service, models: dict[str, Model], shares: tuple[float, float]) -> None:
    body = plan(models["probe"], models["linear"])
    for variant, share in zip(body["variants"], shares, strict=True):
        variant["share"] = share
    assert service.post("/v1/experiments", body).status_code == 422


def test_a_model_that_is_not_there_keeps_an_experiment_from_starting(
    service: Service, models: dict[str, Model]
) -> None:
    body = plan(models["probe"], models["linear"])
    body["variants"][1]["model"] = "0123456789ab"
    assert service.post("/v1/experiments", body).status_code == 200
    assert service.post("/v1/experiments/warm/start", STEP).status_code == 404
    assert service.desk.experiments.running is None


def test_outcomes_are_taken_once_and_of_known_cases_alone(service: Service) -> None:
    case = service.post("/v1/predict", {"text": "where is my parcel", "customer": "c-1"}).json()["id"]
    told = {"case": case, "name": "minutes_to_resolution", "value": 12}
    key = {"Idempotency-Key": "once"}
    assert service.post("/v1/outcomes", told, **key).json()["outcome"] == "added"
    assert service.post("/v1/outcomes", told, **key).json()["outcome"] == "repeated"
    assert service.post("/v1/outcomes", {**told, "value": 13}, **key).json()["code"] == "key_reused"
    assert service.post("/v1/outcomes", {**told, "case": "nothing"}).status_code == 404
    for wrong in ({"value": "12"}, {"value": True}, {"name": "Minutes!"}, {"value": 1e999}):
        assert service.client.post("/v1/outcomes", content=json.dumps({**told, **wrong})).status_code in {400, 415, 422}
    assert service.store.outcomes.of_cases([case], tenant="default") == [{"minutes_to_resolution": 12}]


def test_a_service_that_may_decide_promotes_the_better_one_and_writes_down_why(
    service: Service, models: dict[str, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tagdesk.results.RAIL", 0.5)  # so few customers cannot show that two points are not lost
    service.post("/v1/experiments", plan(models["probe"], models["linear"], may_decide=True, planned=100))
    service.post("/v1/experiments/warm/start", STEP)
    lived(service, 160, {"model": models["linear"].id})
    decision = settle(service.desk)
    assert decision is not None
    assert decision.action.value == "promote", decision.reason
    promotion = service.store.promotions.current()
    assert promotion is not None
    assert (promotion.model, promotion.who) == (models["linear"].id, "champion and challenger")
    assert "'warmer' is better" in promotion.why
    assert service.desk.experiments.running is None
    assert service.desk.live.model.id == models["linear"].id
    assert settle(service.desk) is None


def test_a_service_that_may_not_decide_does_not(service: Service, models: dict[str, Model]) -> None:
    service.post("/v1/experiments", plan(models["probe"], models["linear"], planned=100))
    service.post("/v1/experiments/warm/start", STEP)
    lived(service, 60, {"model": models["linear"].id})
    service.clock.now += timedelta(days=60)
    assert settle(service.desk) is None
    assert service.desk.experiments.running is not None


def test_the_command_line_does_what_the_routes_do(service: Service, models: dict[str, Model]) -> None:
    where = ("--store", service.place / "tagdesk.db", "--models", service.place / "models")
    first, second = f"current={models['probe'].id}", f"warmer={models['linear'].id}@0.5"
    made = tagdesk("experiment", "create", "warm", "--variant", f"{first}@0.5", "--variant", second, *where)
    assert made.code == 0, made.err
    assert "tagdesk experiment start warm" in made.out
    assert tagdesk("experiment", "start", "warm", "--why", "to see", *where).code == 0
    service.desk.follow()
    lived(service, 30, {"model": models["linear"].id})
    report = service.place / "report"
    status = tagdesk("experiment", "status", "warm", "--out", report, *where[:2])
    assert status.code == 0, status.err
    assert "To do:" in status.out
    page = (report / "experiment.html").read_text(encoding="utf-8")
    assert "What was compared".lower() in page.lower()
    assert "http" not in page
    shown = tagdesk("experiment", "status", "warm", "--json", *where[:2]).json
    assert sum(shown["cases"].values()) == 30
    assert tagdesk("experiment", "stop", "warm", "--why", "seen", *where).code == 0
    (listed,) = tagdesk("experiment", "list", "--json", *where[:2]).json
    assert listed["definition"]["state"] == "stopped"
    assert len(service.store.cases.page(Selection("default"))) == 30


@pytest.mark.parametrize(
    "variant", ["current", "=starter", "current=", "current=starter@much", "current=starter:nowhere.json"]
)
def test_a_variant_that_cannot_be_read_is_told(service: Service, variant: str) -> None:
    where = ("--store", service.place / "tagdesk.db", "--models", service.place / "models")
    answer = tagdesk("experiment", "create", "warm", "--variant", variant, "--variant", "b=starter", *where)
    assert answer.code == 2
    assert answer.err.count("\n") == 1
