"""`tagdesk models` with a store, `promote`, `rollback` and `store`: what is decided and remembered, from a terminal."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from command import nothing_new_in, refusal, tagdesk
from tagdesk.api import ApiSettings, create_app
from tagdesk.case import Case
from tagdesk.dataset import File
from tagdesk.desk import Desk, Settings
from tagdesk.model import Model
from tagdesk.prediction import Decision, Prediction
from tagdesk.review import Review
from tagdesk.store import Selection, Store

pytest_plugins = ["test_store_fixtures"]

NOW = datetime(2026, 5, 1, tzinfo=UTC)
SAID = Prediction(
    "card charged", ("Billing Issue",), {"Billing Issue": 0.9}, {"Billing Issue": Decision.SUGGEST}, "m", "p"
)
WHY = ("--why", "better on our tickets", "--who", "ada")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with three cases, two of them of the customer c-1 and one of these reviewed."""
    path = tmp_path / "tagdesk.db"
    with Store.open(path) as opened:
        made = [Case(f"k{n}", "default", NOW, SAID, ticket=f"T-{n}", unit=f"c-{min(n, 1)}") for n in range(3)]
        opened.cases.add(made)
        opened.reviews.add([Review("k1", frozenset({"Shipping Concern"}), "ada", NOW)], tenant="default")
    return path


@pytest.fixture
def on_server(request: pytest.FixtureRequest) -> str:
    pytest.importorskip("psycopg")
    return str(request.getfixturevalue("server").create())


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A folder of models that may be changed."""
    return Path(shutil.copytree(saved, tmp_path / "models"))


def ids(path: Path) -> list[str]:
    with Store.open(path) as opened:
        return [case.id for case in opened.cases.each(Selection(None))]


def test_a_service_that_runs_follows_what_is_promoted_and_rolled_back_at_the_command_line(
    store: Path, folder: Path, models: dict[str, Model]
) -> None:
    probe, places = models["probe"].id, ("--store", store, "--models", folder)
    with Store.open(store) as opened:
        desk = Desk(opened, Settings(models=folder))
        with TestClient(create_app(desk, ApiSettings(within=60, follow_seconds=0.1))) as client:
            starter = client.get("/readyz").json()["model"]
            answer = tagdesk("models", "promote", probe, *WHY, *places, "--json")
            assert (answer.code, answer.json["model"], answer.json["previous"]) == (0, probe, 1)
            _until(client, probe)
            assert f"{starter} answers from now on" in tagdesk("rollback", *WHY, *places).out
            _until(client, starter)
            assert "nothing to roll back to" in refusal(1, "rollback", *WHY, *places)
        desk.close()


def _until(client: TestClient, model: str) -> None:
    deadline = time.monotonic() + 60
    while client.post("/v1/predict", json={"text": "card charged"}).json()["model"] != model:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_registry_tells_who_decided_what_even_of_a_model_that_is_gone(
    store: Path, folder: Path, models: dict[str, Model]
) -> None:
    places = ("--store", store, "--models", folder)
    for kind in ("linear", "onnx"):
        assert tagdesk("models", "promote", models[kind].id, *WHY, *places).code == 0
    shutil.rmtree(folder / models["linear"].id)
    rows = {row["id"]: row for row in tagdesk("models", *places, "--json").json}
    assert set(rows) == {Model.load("starter").id, *(model.id for model in models.values())}
    assert [id_ for id_, row in rows.items() if row["is_live"]] == [models["onnx"].id]
    gone = rows[models["linear"].id]
    manifest = models["linear"].manifest
    assert manifest is not None
    assert (gone["name"], gone["kind"], gone["origin"]) == (None, "linear", dict(manifest.origin))
    assert [(one["who"], one["why"]) for one in gone["promotions"]] == [("ada", "better on our tickets")]
    assert rows[models["probe"].id]["promotions"] == []
    assert rows[models["probe"].id]["seen"] is not None  # found in the folder, and noted
    table = tagdesk("models", *places).out
    assert "gone" in table
    assert "by ada" in table
    assert max(map(len, table.splitlines())) <= 120


def test_models_are_listed_without_a_store_where_none_is_named_or_here(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TAGDESK_STORE", raising=False)
    with nothing_new_in(tmp_path):
        assert "is_live" not in tagdesk("models", "--models", folder, "--json").json[0]
    Store.open(tmp_path / "tagdesk.db").close()
    assert tagdesk("models", "--models", folder, "--json").json[0]["is_live"]
    assert "no store" in refusal(2, "models", "--store", tmp_path / "other.db")


@pytest.mark.parametrize("harm", ["flip", "missing", "swapped"])
def test_a_model_that_is_not_fit_is_not_promoted(
    store: Path, folder: Path, models: dict[str, Model], harm: str
) -> None:
    probe = folder / models["probe"].id
    if harm == "flip":
        path = probe / "tokenizer.json"
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif harm == "missing":
        shutil.rmtree(probe)
    else:
        shutil.rmtree(probe)
        (folder / models["linear"].id).rename(probe)
    refusal(4, "models", "promote", probe.name, *WHY, "--store", store, "--models", folder)
    with Store.open(store) as opened:
        assert opened.promotions.history() == []


@pytest.mark.parametrize("name", ["../x", "models/0123456789ab", ""])
def test_a_name_that_is_no_id_is_refused(store: Path, name: str) -> None:
    assert "by its id" in refusal(3, "models", "promote", name, *WHY, "--store", store)


def test_a_decision_without_a_reason_is_refused(store: Path) -> None:
    assert "--why" in refusal(2, "models", "promote", "starter", "--store", store)
    assert "--why" in refusal(2, "rollback", "--why", " ", "--store", store)


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "no.db"
    with nothing_new_in(tmp_path):
        for command in (
            ("store", "check"),
            ("store", "backup", tmp_path / "b.db"),
            ("store", "export", tmp_path / "e.jsonl"),
            ("store", "retain", "--days", "3", "--yes"),
            ("store", "erase", "--case", "k1", "--yes"),
            ("models", "promote", "starter", *WHY),
            ("rollback", *WHY),
        ):
            line = refusal(2, *command, "--store", path)
            assert "there is no store" in line
            assert "tagdesk serve" in line


def test_a_store_of_a_newer_tagdesk_and_one_of_another_program_are_told_apart(store: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(store)) as connection, connection:
        connection.execute("UPDATE tagdesk_version SET version_num = '9999'")
    answer = tagdesk("store", "check", "--store", store, "--json")
    assert (answer.code, answer.json["state"], answer.json["is_sound"]) == (4, "newer", False)
    assert "later one" in refusal(4, "store", "erase", "--case", "k1", "--yes", "--store", store)
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as connection, connection:
        connection.execute("CREATE TABLE mine (n)")
    assert "there is no store" in refusal(2, "store", "check", "--store", other)
    garbage = tmp_path / "garbage.db"
    garbage.write_bytes(b"no database at all, " * 100)
    assert "damaged, or was never a store" in refusal(1, "store", "check", "--store", garbage)


def test_a_store_is_checked(store: Path) -> None:
    answer = tagdesk("store", "check", "--store", store)
    assert (answer.code, "sound" in answer.out, "as this tagdesk expects" in answer.out) == (0, True, True)
    with closing(sqlite3.connect(store)) as connection, connection:  # without foreign keys nothing stops this
        connection.execute("DELETE FROM cases WHERE id = 'k1'")
    answer = tagdesk("store", "check", "--store", store, "--json")
    assert answer.code == 4
    (problem,) = answer.json["problems"]
    assert "not there" in problem
    assert "Restore a backup" in answer.err


def test_a_store_that_somebody_holds_is_busy(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tagdesk.store.Store.open", _impatient)
    held, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with closing(sqlite3.connect(store, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            held.set()
            let_go.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(60)
    assert "busy" in refusal(1, "store", "erase", "--case", "k1", "--yes", "--store", store)
    let_go.set()
    holder.join()


_OPEN = Store.open


def _impatient(place: str, **how: Any) -> Store:
    return _OPEN(place, patience=0.2, **how)


def test_a_backup_is_a_store_and_is_not_overwritten_unasked(store: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    answer = tagdesk("store", "backup", copy, "--store", store, "--json")
    assert answer.json == {"file": str(copy), "bytes": copy.stat().st_size}
    assert ids(copy) == ids(store)
    assert "--force" in refusal(2, "store", "backup", copy, "--store", store)
    assert tagdesk("store", "backup", copy, "--store", store, "--force").code == 0


def test_what_is_deleted_is_asked_for_first(store: Path) -> None:
    line = refusal(2, "store", "erase", "--customer", "c-1", "--store", store)
    assert "Delete 2 cases" in line
    assert "--yes" in line
    assert "--yes" in refusal(2, "store", "retain", "--days", "1", "--store", store)
    assert len(ids(store)) == 3


@pytest.mark.parametrize(
    ("what", "left"),
    [(("--customer", "c-1"), ["k0"]), (("--ticket", "T-1"), ["k0", "k2"]), (("--case", "k0"), ["k1", "k2"])],
)
def test_a_customer_a_ticket_or_a_case_is_erased(store: Path, what: tuple[str, str], left: list[str]) -> None:
    answer = tagdesk("store", "erase", *what, "--yes", "--store", store, "--who", "ada", "--json")
    assert (answer.json["kind"], answer.json["who"]) == (what[0].removeprefix("--"), "ada")
    assert answer.json["cases"] == 3 - len(left)
    assert ids(store) == left
    assert tagdesk("store", "erase", *what, "--yes", "--tenant", "bank", "--store", store, "--json").json["cases"] == 0


@pytest.mark.parametrize("what", [(), ("--customer", "c-1", "--case", "k1")])
def test_exactly_one_of_three_is_erased(store: Path, what: tuple[str, ...]) -> None:
    assert "exactly one" in refusal(2, "store", "erase", *what, "--yes", "--store", store)


def test_what_is_old_is_forgotten(store: Path) -> None:
    young = Case("k9", "default", datetime.now(UTC) - timedelta(days=1), SAID, unit="c-9")
    with Store.open(store) as opened:
        opened.cases.add([young])
    assert tagdesk("store", "retain", "--days", "30", "--yes", "--store", store, "--json").json["cases"] == 3
    with Store.open(store) as opened:
        assert [case.id for case in opened.cases.each(Selection(None)) if case.has_text] == ["k9"]
    assert "Nothing" in tagdesk("store", "retain", "--days", "30", "--yes", "--store", store).out
    refusal(2, "store", "retain", "--days", "-1", "--yes", "--store", store)


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl", "out.parquet"])
def test_reviews_are_written_as_tickets_to_learn_from(store: Path, tmp_path: Path, name: str) -> None:
    answer = tagdesk("store", "export", tmp_path / name, "--store", store, "--json")
    assert answer.json == {"file": str(tmp_path / name), "what": "reviews", "written": 1}
    (ticket,) = File(tmp_path / name).read().tickets
    assert (ticket.id, ticket.text, ticket.labels, ticket.unit) == ("k1", "card charged", {"Shipping Concern"}, "c-1")
    assert "--force" in refusal(2, "store", "export", tmp_path / name, "--store", store)


def test_cases_are_written_as_json_lines_of_one_tenant_or_of_all(store: Path, tmp_path: Path) -> None:
    with Store.open(store) as opened:
        opened.cases.add([replace(Case("b1", "bank", NOW, SAID))])
    out = tmp_path / "cases.jsonl"
    assert tagdesk("store", "export", out, "--what", "cases", "--store", store, "--tenant", "bank").code == 0
    assert [json.loads(line)["id"] for line in out.read_text().splitlines()] == ["b1"]
    assert tagdesk("store", "export", out, "--what", "cases", "--store", store, "--force").out.endswith("5 lines.\n")
    records = [json.loads(line)["record"] for line in out.read_text().splitlines()]
    assert sorted(records) == ["case", "case", "case", "case", "review"]


def test_a_store_on_a_server_is_looked_after_alike(on_server: str, tmp_path: Path) -> None:
    line = refusal(2, "store", "check", "--store", on_server)
    assert "there is no store" in line
    assert "postgresql" not in line  # the URL may hold a password
    Store.open(on_server).close()
    assert tagdesk("store", "check", "--store", on_server, "--json").json["is_sound"]
    assert tagdesk("models", "promote", "starter", *WHY, "--store", on_server).code == 0
    assert tagdesk("models", "--store", on_server, "--json").json[0]["is_live"]
    assert "pg_dump" in refusal(2, "store", "backup", tmp_path / "b.db", "--store", on_server)
    assert tagdesk("store", "erase", "--case", "k1", "--yes", "--store", on_server, "--json").json["cases"] == 0
