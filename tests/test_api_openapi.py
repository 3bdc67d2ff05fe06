from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tagdesk.api import ApiSettings, create_app
from tagdesk.desk import Desk, Settings
from tagdesk.store import Store

PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    with Store.open(tmp_path_factory.mktemp("service") / "tagdesk.db") as store:
        desk = Desk(store, Settings())
        yield create_app(desk, ApiSettings(within=30))
        desk.close()


@pytest.fixture(scope="module")
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, raise_server_exceptions=False) as opened:
        yield opened


@pytest.fixture(scope="module")
def description(client: TestClient) -> dict[str, Any]:
    return client.get("/openapi.json").json()


def operations(description: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def refuse_other(value: Any, schema: dict[str, Any], description: dict[str, Any]) -> None:
    """Fail unless the value is of the schema."""
    jsonschema.validate(value, {**schema, "components": description["components"]})


def test_nothing_is_loaded_from_elsewhere(client: TestClient) -> None:
    assert client.get("/docs").status_code == 404
    assert client.get("/redoc").status_code == 404
    assert "http" not in client.get("/openapi.json").text.replace("HTTP", "").replace('"type":"http"', "")


def test_every_operation_has_examples_that_fit_its_shapes(description: dict[str, Any]) -> None:
    for method, path, operation in operations(description):
        bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
        for kind, content in ((kind, c) for body in bodies for kind, c in body.get("content", {}).items()):
            if kind in ("application/json", PROBLEM):
                assert "example" in content, (method, path, kind)
                refuse_other(content["example"], content["schema"], description)


def test_every_operation_names_its_problems(description: dict[str, Any]) -> None:
    for method, path, operation in operations(description):
        problems = {status for status in operation["responses"] if int(status) >= 400}
        for status in problems:
            assert list(operation["responses"][status]["content"]) == [PROBLEM]
        assert bool(operation.get("security")) is ({"401", "403", "429", "503"} <= problems), (method, path)
        assert "requestBody" not in operation or {"400", "413", "415", "422"} <= problems
    named = {(method, path): set(operation["responses"]) for method, path, operation in operations(description)}
    assert {"200", "409", "422"} <= named["post", "/v1/predict"]
    assert {"200", "404", "409"} <= named["post", "/v1/models/{model}/promote"]
    assert named["get", "/livez"] == {"200"}
    assert named["get", "/readyz"] == {"200", "503"}
    assert "ValidationError" not in description["components"]["schemas"]


def test_what_is_answered_is_what_was_described(client: TestClient, description: dict[str, Any]) -> None:
    case = client.post("/v1/predict", json={"text": "my login fails"}).json()["id"]
    asked: list[tuple[str, str, str, Any]] = [
        ("get", "/livez", "/livez", None),
        ("get", "/readyz", "/readyz", None),
        ("post", "/v1/predict", "/v1/predict", {"text": "my login fails"}),
        ("post", "/v1/predict", "/v1/predict", {"text": " "}),
        ("post", "/v1/predict", "/v1/predict", {"text": 7}),
        ("post", "/v1/predict/batch", "/v1/predict/batch", {"tickets": [{"text": "my login fails"}, {"text": " "}]}),
        ("post", "/v1/reviews", "/v1/reviews", {"case": case, "labels": [], "reviewer": "ada"}),
        ("post", "/v1/reviews", "/v1/reviews", {"case": "none", "labels": [], "reviewer": "ada"}),
        ("get", "/v1/cases", "/v1/cases", None),
        ("get", "/v1/cases", "/v1/cases?limit=0", None),
        ("get", "/v1/cases/{case}", f"/v1/cases/{case}", None),
        ("get", "/v1/cases/{case}", "/v1/cases/none", None),
        ("get", "/v1/queue", "/v1/queue", None),
        ("get", "/v1/taxonomy", "/v1/taxonomy", None),
        ("get", "/v1/models", "/v1/models", None),
        ("post", "/v1/models/{model}/promote", "/v1/models/none/promote", {"who": "ada", "why": "x"}),
        ("post", "/v1/rollback", "/v1/rollback", {"who": "ada", "why": "x"}),
        ("post", "/v1/erase", "/v1/erase", {"who": "ada"}),
        ("post", "/v1/erase", "/v1/erase", {"who": "ada", "case": case}),
    ]
    for method, path, address, body in asked:
        answer = client.request(method, address, json=body)
        named = description["paths"][path][method]["responses"][str(answer.status_code)]
        kind = answer.headers["content-type"].partition(";")[0]
        refuse_other(answer.json(), named["content"][kind]["schema"], description)
