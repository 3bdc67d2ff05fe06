"""What people say of predictions, sent wrongly, twice, at a bad moment or in bad faith (rows B1 to B16)."""

from __future__ import annotations

import csv
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from secrets import token_bytes
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event

from command import refusal, tagdesk
from tagdesk.api import ApiSettings, create_app
from tagdesk.api.access import hash_of, new_secret
from tagdesk.case import Case
from tagdesk.dataset import File
from tagdesk.desk import Desk, Settings
from tagdesk.model import Model
from tagdesk.store import Decided, Key, Selection, Store, StoreUnavailable
from test_store_crashes import PROCESSES, dies_at, nothing

pytest_plugins = ["test_store_fixtures"]

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
CANARY = "zanzibar-7291"  # must never come back in an error
TEXT = "I was charged twice, please refund one"
BILLING, ACCESS, SHIPPING = "Billing Issue", "Account Access", "Shipping Concern"
QUIET = ApiSettings(within=60, follow_seconds=3600)  # nobody else reads the store meanwhile
IMPATIENT = 0.5  # seconds that a store waits for others to let go


@dataclass(frozen=True)
class Service:
    """A service that runs, as one caller sees it."""

    client: TestClient
    desk: Desk
    headers: dict[str, str] = field(default_factory=dict)

    def ask(self, text: str = TEXT, key: str = "", **more: Any) -> Any:
        return self.client.post("/v1/predict", json={"text": text, **more}, headers=self._keyed(key))

    def case(self, text: str = TEXT, **more: Any) -> str:
        """The id of a case that the store has."""
        answer = self.ask(text, **more)
        assert answer.status_code == 200, answer.text
        assert self.desk.logbook.flush(60)
        return str(answer.json()["id"])

    def review(self, case: str, *labels: str, key: str = "", **more: Any) -> Any:
        body = {"case": case, "labels": list(labels), "reviewer": "ada"} | more
        return self.client.post("/v1/reviews", json=body, headers=self._keyed(key))

    def outcome(self, case: str, *labels: str, **more: Any) -> str:
        answer = self.review(case, *labels, **more)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["outcome"])

    def reviews(self, case: str) -> list[dict[str, Any]]:
        answer = self.client.get(f"/v1/cases/{case}", headers=self.headers)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["reviews"]
        return found

    def labels(self, case: str) -> list[list[str]]:
        """Those of each review of a case, oldest first."""
        return [review["labels"] for review in self.reviews(case)]

    def trained_on(self, case: str) -> list[frozenset[str] | None]:
        """The labels of each ticket that a case is when a model learns."""
        tickets = self.desk.store.reviews.training_tickets(Selection(None))
        return [ticket.labels for ticket in tickets if ticket.id == case]

    def erase(self, **what: str) -> Any:
        return self.client.post("/v1/erase", json={"who": "officer", **what}, headers=self.headers)

    def metric(self, name: str) -> float:
        page = self.client.get("/metrics", headers=self.headers).text
        return next(float(line.split()[-1]) for line in page.splitlines() if line.startswith(f"{name} "))

    def _keyed(self, key: str) -> dict[str, str]:
        return self.headers | ({"Idempotency-Key": key} if key else {})


@contextmanager
def serving(
    store: Store,
    tiny: Path,
    settings: ApiSettings = QUIET,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Iterator[Service]:
    """A service whose model is the one in the folder `tiny`."""
    if store.promotions.current() is None:
        model = Model.load(tiny.name, models=tiny.parent)
        store.promotions.promote(model.id, model.policy.id, Decided("ada", NOW, "it is small"))
    desk = Desk(store, Settings(models=tiny.parent, longest_wait=60), clock=clock)
    try:
        with TestClient(create_app(desk, settings), raise_server_exceptions=False) as client:
            yield Service(client, desk)
    finally:
        desk.close()


@pytest.fixture(scope="module")
def tiny(saved: Path, models: dict[str, Model]) -> Path:
    """The folder of a model of the labels BILLING, ACCESS and SHIPPING."""
    return saved / models["onnx"].id


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Iterator[Service]:
    path = tmp_path_factory.mktemp("service") / "tagdesk.db"
    with Store.open(path, patience=60) as store, serving(store, tiny) as found:
        yield found


@pytest.fixture(scope="module", autouse=True)
def children() -> Iterator[None]:
    """A process that has loaded all this once, and of which those that are killed are copies."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", str(Path(__file__).parent))
        PROCESSES.set_forkserver_preload(["test_store_crashes", "test_api_feedback"])
        yield


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tagdesk.db"


@pytest.fixture
def hurried(path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """A service whose store gives up soon, and is soon asked again."""
    monkeypatch.setattr("tagdesk.desk.logbook.RETRY", 0.01)
    with Store.open(path, patience=IMPATIENT) as store, serving(store, tiny) as found:
        yield found


@pytest.fixture
def guarded(path: Path, tiny: Path) -> Iterator[dict[str, Service]]:
    """A service whose keys may send six requests and then hardly any, as the holder of each key sees it."""
    with Store.open(path, patience=60) as store:
        secrets = {name: new_secret() for name in ("shop", "shop-too", "bank")}
        for name, secret in secrets.items():
            tenant = name.partition("-")[0]
            store.keys.add(Key(name, tenant, frozenset({"predict", "review"}), hash_of(secret), "ada", NOW))
        limited = ApiSettings(within=60, follow_seconds=3600, rate=0.001, burst=6)
        with serving(store, tiny, limited) as found:
            yield {
                name: Service(found.client, found.desk, {"Authorization": f"Bearer {secret}"})
                for name, secret in secrets.items()
            }


@pytest.mark.parametrize("case", ["019de0d5-c800-7000-8000-000000000000", "no case", "'; DROP TABLE reviews; --", "🐢"])
def test_a_review_of_a_case_that_never_was_finds_nothing(service: Service, case: str) -> None:  # B1
    answer = service.review(case, BILLING)
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_case")
    assert case not in answer.text


def test_a_case_of_another_tenant_is_as_unknown_as_one_that_never_was(guarded: dict[str, Service]) -> None:  # B1
    mine = guarded["shop"].case()
    answers = [guarded["bank"].review(case, BILLING).json() for case in (mine, "never")]
    for answer in answers:
        del answer["request_id"]
    assert answers[0] == answers[1]
    assert answers[0]["status"] == 404
    assert guarded["shop"].reviews(mine) == []
    assert guarded["shop-too"].outcome(mine, BILLING) == "added"


def test_a_review_of_a_case_that_was_erased_finds_nothing(service: Service) -> None:  # B1
    case = service.case()
    assert service.outcome(case, BILLING, key="erased") == "added"
    assert service.erase(case=case).json() == {"cases": 1}
    assert service.review(case, BILLING, key="erased").status_code == 404
    assert service.review(case, BILLING).status_code == 404


def test_a_review_of_a_case_that_has_expired_finds_nothing(path: Path, tiny: Path) -> None:  # B1
    with Store.open(path, patience=60) as store, serving(store, tiny, clock=lambda: NOW) as found:
        case = found.case()
        store.retain(1, who="timer", now=NOW + 2 * DAY)
        assert found.review(case, BILLING).status_code == 404


def test_a_review_sent_many_times_at_once_under_its_key_is_one(service: Service) -> None:  # B2
    case = service.case()
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda _: service.outcome(case, BILLING, key="replay"), range(40)))
    assert (outcomes.count("added"), outcomes.count("repeated")) == (1, 39)
    assert service.labels(case) == [[BILLING]]
    assert service.trained_on(case) == [{BILLING}]


def test_a_review_sent_again_without_a_key_is_one_and_labels_have_no_order(service: Service) -> None:  # B2
    case = service.case()
    sent = [(BILLING, ACCESS), (ACCESS, BILLING), (BILLING, ACCESS, BILLING)] * 3
    assert [service.outcome(case, *labels) for labels in sent] == ["added"] + ["repeated"] * 8
    assert service.labels(case) == [[ACCESS, BILLING]]


@pytest.mark.parametrize("changes", [{"reviewer": "bob"}, {"note": "sure"}, {"settles": True}, {"case": "other"}])
def test_a_key_stands_for_one_review_whatever_differs(service: Service, changes: dict[str, Any]) -> None:  # B2
    case, other, key = service.case(), service.case(), f"one of {changes}"
    assert service.outcome(case, BILLING, key=key) == "added"
    changed = {"reviewer": "ada", **changes} | ({"case": other} if "case" in changes else {"case": case})
    answer = service.review(changed.pop("case"), BILLING, key=key, **changed)
    assert (answer.status_code, answer.json()["code"]) == (422, "key_reused")
    assert (service.labels(case), service.labels(other)) == ([[BILLING]], [])


def test_reviewers_who_contradict_are_both_kept_and_teach_nothing_until_it_is_settled(service: Service) -> None:  # B3
    case = service.case()
    store = service.desk.store

    def flagged() -> bool:
        return case in [found.case.id for found in store.reviews.contradictory(Selection("default"))]

    assert service.outcome(case, BILLING) == "added"
    assert not flagged()
    assert service.outcome(case, ACCESS, reviewer="bob") == "added"
    assert [(one["reviewer"], one["labels"]) for one in service.reviews(case)] == [
        ("ada", [BILLING]),
        ("bob", [ACCESS]),
    ]
    assert (flagged(), service.trained_on(case)) == (True, [])
    assert service.outcome(case, ACCESS, reviewer="eve", settles=True) == "added"
    assert (flagged(), service.trained_on(case)) == (False, [{ACCESS}])
    assert len(service.reviews(case)) == 3
    assert service.outcome(case, BILLING) == "repeated"  # as if it came late; it reopens nothing
    assert service.outcome(case, BILLING, key="ada insists") == "added"
    assert (flagged(), service.trained_on(case)) == (True, [])


def test_a_contradiction_ends_when_one_of_the_two_comes_round(service: Service) -> None:  # B3
    case = service.case()
    for reviewer, label in (("ada", BILLING), ("bob", ACCESS), ("bob", BILLING)):
        assert service.outcome(case, label, reviewer=reviewer) == "added"
    assert (len(service.reviews(case)), service.trained_on(case)) == (3, [{BILLING}])


def test_a_key_that_reviews_too_often_is_told_when_to_come_back_and_others_go_on(guarded: dict[str, Service]) -> None:
    flooding, other = guarded["shop"], guarded["shop-too"]  # B4
    case = other.case()
    answers = [flooding.review(case, (BILLING, ACCESS)[n % 2], reviewer=f"r{n}") for n in range(9)]
    assert [answer.status_code for answer in answers] == [200] * 6 + [429] * 3
    assert answers[-1].json()["code"] == "rate_limit"
    assert int(answers[-1].headers["Retry-After"]) > 60
    assert len(other.reviews(case)) == 6
    assert other.outcome(case, BILLING, reviewer="grace") == "added"


def test_a_case_that_is_flipped_many_times_is_one_ticket_with_the_last_labels(service: Service) -> None:  # B4
    flipped, steady = service.case(), service.case()
    assert service.outcome(steady, SHIPPING) == "added"
    for n in range(41):
        assert service.outcome(flipped, (BILLING, ACCESS)[n % 2], key=f"flip {n}") == "added"
    assert len(service.reviews(flipped)) == 41
    assert (service.trained_on(flipped), service.trained_on(steady)) == ([{BILLING}], [{SHIPPING}])


def test_a_case_that_is_flipped_under_many_names_teaches_nothing(service: Service) -> None:  # B4
    case = service.case()
    for n in range(12):
        assert service.outcome(case, (BILLING, ACCESS)[n % 2], reviewer=f"name {n}") == "added"
    assert service.trained_on(case) == []


@pytest.mark.parametrize(
    "labels",
    [
        [CANARY], [BILLING, CANARY], [""], [BILLING.lower()], [f" {BILLING}"], [f"{BILLING}|{ACCESS}"], ["x" * 201],
        [BILLING] * 201, None, BILLING, [None], [1], {BILLING: True},
    ],
)  # fmt: skip
def test_labels_that_the_taxonomy_does_not_know_are_refused(service: Service, labels: Any) -> None:  # B6
    case = service.case()
    answer = service.client.post("/v1/reviews", json={"case": case, "labels": labels, "reviewer": "ada"})
    assert answer.status_code == 422
    assert CANARY not in answer.text
    assert service.reviews(case) == []


def test_a_review_must_say_which_labels(service: Service) -> None:  # B6
    assert service.client.post("/v1/reviews", json={"case": service.case(), "reviewer": "ada"}).status_code == 422


def test_no_label_at_all_means_that_none_applies_and_is_learned_from(service: Service, tmp_path: Path) -> None:  # B6
    none, unsaid = service.case("what is the capital of France"), service.case()
    assert service.outcome(none) == "added"
    assert (service.trained_on(none), service.trained_on(unsaid)) == ([frozenset()], [])
    for name in ("out.csv", "out.jsonl"):
        read = exported(service, tmp_path / name)
        assert (read[none].labels, unsaid in read) == (frozenset(), False)


def test_all_labels_are_kept_as_they_were_said(service: Service) -> None:  # B6
    names = [label["name"] for label in service.client.get("/v1/taxonomy").json()["labels"]]
    case = service.case()
    assert service.outcome(case, *names) == "added"
    assert service.labels(case) == [sorted(names)]
    assert service.trained_on(case) == [frozenset(names)]


@pytest.mark.parametrize(
    "more",
    [
        {"time": "2126-01-01T00:00:00+00:00"}, {"time": "0001-01-01T00:00:00Z"}, {"timestamp": 0}, {"tenant": "bank"},
        {"user": "root"}, {"source": "help_desk"}, {"number": 1},
    ],
)  # fmt: skip
def test_what_only_the_service_knows_cannot_be_said_by_a_client(service: Service, more: dict[str, Any]) -> None:  # B7
    case = service.case()
    assert service.review(case, BILLING, **more).status_code == 422
    assert service.reviews(case) == []


def test_a_review_has_the_time_of_the_service_and_the_tenant_of_the_key(path: Path, tiny: Path) -> None:  # B7
    claims = {"Date": "Mon, 01 Jan 1900 00:00:00 GMT", "X-User": "root", "X-Forwarded-User": "root", "X-Tenant": "bank"}
    with Store.open(path, patience=60) as store, serving(store, tiny, clock=lambda: NOW) as found:
        claiming = Service(found.client, found.desk, claims)
        case = claiming.case()
        assert claiming.outcome(case, BILLING) == "added"
        (review,) = claiming.reviews(case)
        assert (review["time"], review["reviewer"], review["source"]) == (NOW.isoformat(), "ada", "person")
        (logged,) = store.cases.each(Selection(None))
        assert (logged.time, logged.tenant) == (NOW, "default")


@pytest.mark.parametrize(
    ("note", "status"),
    [
        ("x" * 1_000_000, 413),
        ("x" * 900_000, 422),
        ("x" * 2001, 422),
        ("a\0b", 422),
        ("\ud800", 422),
        ("x" * 2000, 200),
    ],
    ids=["1 MB", "900 kB", "one too many", "NUL", "half a character", "longest"],
)
def test_notes_that_are_too_long_or_no_text_are_refused_whole(service: Service, note: str, status: int) -> None:  # B8
    case = service.case()
    body = json.dumps({"case": case, "labels": [BILLING], "reviewer": "ada", "note": note})
    answer = service.client.post("/v1/reviews", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    assert "xxxx" not in answer.text
    assert len(service.reviews(case)) == (status == 200)


def test_a_note_is_kept_without_personal_data_and_shown_as_data(service: Service, tmp_path: Path) -> None:  # B8
    script, formula = "<script>alert(1)</script>", '=HYPERLINK("http://evil.example","win")'
    case = service.case()
    note = f"{script} ask ada@example.com, card 4111 1111 1111 1111"
    for _ in range(2):  # the second is the same one, though it was kept otherwise
        answer = service.review(case, BILLING, note=note, key="note with a card")
        assert answer.status_code == 200
    assert service.outcome(case, ACCESS, note=formula, reviewer="=1+1") == "added"
    shown = service.client.get(f"/v1/cases/{case}")
    assert shown.headers["content-type"] == "application/json"
    assert [one["note"] for one in shown.json()["reviews"]] == [f"{script} ask [EMAIL], card [CARD]", formula]
    out = tmp_path / "cases.jsonl"
    assert store_command(service, "export", out, "--what", "cases").code == 0
    for kept in (out.read_text(), store_file(service).read_bytes().decode("latin-1")):
        assert "ada@example.com" not in kept
        assert "4111 1111" not in kept
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert formula in [line.get("note") for line in lines if line.get("case") == case]


def test_a_ticket_that_a_spreadsheet_would_run_is_exported_as_words(service: Service, tmp_path: Path) -> None:  # B8
    text, customer = '=cmd|"/c calc"!A1 I was charged twice', "@SUM(1)"
    case = service.case(text, customer=customer)
    assert service.outcome(case, BILLING) == "added"
    exported(service, tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as handle:
        (row,) = [row for row in csv.DictReader(handle) if row["id"] == case]
    assert (row["text"], row["unit"]) == ("'" + text, "'" + customer)


@contextmanager
def locked(_service: Service, path: Path) -> Iterator[None]:
    """Somebody else writes, and does not come to an end."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def refusing(service: Service, _path: Path) -> Iterator[None]:
    """The store takes no writes."""
    engine, is_refusing = service.desk.store._database.engine, [True]

    def refuse(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute(f"PRAGMA query_only = {int(is_refusing[0])}")

    event.listen(engine, "checkout", refuse)
    yield
    is_refusing[0] = False


@pytest.mark.parametrize("held", [locked, refusing])
def test_a_store_that_takes_no_review_acknowledges_none_and_takes_the_same_one_later(
    hurried: Service, path: Path, held: Callable[[Service, Path], AbstractContextManager[None]]
) -> None:  # B9
    case = hurried.case()
    with held(hurried, path):
        for _ in range(2):
            answer = hurried.review(case, BILLING, key="held up")
            assert (answer.status_code, answer.json()["code"] in {"store_busy", "store_unavailable"}) == (503, True)
            assert int(answer.headers["Retry-After"]) >= 1
        assert hurried.ask(key="promised").status_code == 503  # no promise that cannot be kept
        assert hurried.ask().status_code == 200  # an answer needs no store
    wait_until(lambda: not len(hurried.desk.logbook))
    assert hurried.reviews(case) == []
    assert hurried.outcome(case, BILLING, key="held up") == "added"
    assert hurried.outcome(case, BILLING, key="held up") == "repeated"
    assert hurried.labels(case) == [[BILLING]]


def test_a_review_of_a_case_that_waits_for_the_store_is_to_be_sent_again_and_then_taken(hurried: Service) -> None:  # B9
    def refuse(*_: object, **__: object) -> None:
        raise StoreUnavailable("It takes no cases.")

    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(type(hurried.desk.store.cases), "add", refuse)
        case = hurried.ask().json()["id"]
        answer = hurried.review(case, BILLING, key="too early")
        assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)  # not 404
    wait_until(lambda: not hurried.desk.logbook.holds([case]))
    assert hurried.outcome(case, BILLING, key="too early") == "added"
    assert hurried.labels(case) == [[BILLING]]


def test_a_full_disk_keeps_the_reviews_that_were_acknowledged_and_no_other(hurried: Service) -> None:  # B9
    store, case = hurried.desk.store, hurried.case()
    limit = [1]  # SQLite takes the size of the file where that is more
    event.listen(store._database.engine, "begin", lambda c: c.exec_driver_sql(f"PRAGMA max_page_count = {limit[0]}"))
    answers = [hurried.review(case, BILLING, reviewer=f"r{n}", note="long " * 399, key=f"full {n}") for n in range(12)]
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) == {200, 503}
    refused = statuses.index(503)
    assert int(answers[refused].headers["Retry-After"]) >= 1
    taken = [f"r{n}" for n, status in enumerate(statuses) if status == 200]
    assert [review["reviewer"] for review in hurried.reviews(case)] == taken
    limit[0] = 2**30
    assert hurried.outcome(case, BILLING, reviewer=f"r{refused}", note="long " * 399, key=f"full {refused}") == "added"
    assert len(hurried.reviews(case)) == len(taken) + 1


def test_a_server_that_is_down_takes_no_review_and_is_found_again(
    request: pytest.FixtureRequest, tiny: Path
) -> None:  # B9
    pytest.importorskip("psycopg")
    server = request.getfixturevalue("server")
    with Store.open(server.create(), patience=60) as store, serving(store, tiny) as found:
        case = found.case()
        server.stop()
        try:
            answer = found.review(case, BILLING, key="server down")
        finally:
            server.start()
        assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
        assert int(answer.headers["Retry-After"]) >= 1
        assert found.reviews(case) == []
        assert found.outcome(case, BILLING, key="server down") == "added"
        assert found.labels(case) == [[BILLING]]


def send_review(store: Store, *, tiny: Path) -> None:
    """What a service does that is killed before its client has the answer."""
    with serving(store, tiny) as found:
        (case,) = store.cases.each(Selection(None))
        found.review(case.id, BILLING, key="the answer was lost")


@pytest.mark.parametrize(
    ("failpoint", "outcome"), [("review_before_commit", "added"), ("review_after_commit", "repeated")]
)
def test_a_review_whose_answer_was_lost_is_one_row_when_it_comes_again(
    path: Path, tiny: Path, failpoint: str, outcome: str
) -> None:  # B10
    with Store.open(path, patience=60) as store, serving(store, tiny) as found:
        case = found.case()
        assert dies_at(failpoint, partial(send_review, tiny=tiny), str(path))
        assert found.outcome(case, BILLING, key="the answer was lost") == outcome
        assert found.outcome(case, BILLING, key="the answer was lost") == "repeated"
        assert (found.labels(case), found.trained_on(case)) == ([[BILLING]], [{BILLING}])
        assert store.check() == []


def test_a_ticket_that_was_erased_is_gone_from_all_that_could_still_know_it(
    service: Service, tmp_path: Path
) -> None:  # B13
    text = "my parcel to Zanzibar never came, says customer nine"
    case, other = service.case(text, customer="c-13", ticket="T-13"), service.case(TEXT)
    for one in (case, other):
        assert service.outcome(one, SHIPPING, note="the one in Zanzibar" if one == case else "") == "added"
    assert set(exported(service, tmp_path / "before.csv")) >= {case, other}
    learning = service.desk.store.reviews.training_tickets(Selection(None))  # somebody is about to train
    assert service.erase(customer="c-13").json() == {"cases": 1}
    assert case not in [ticket.id for ticket in learning]
    assert other in (left := exported(service, tmp_path / "after.csv"))
    assert case not in left
    everything = tmp_path / "everything.jsonl"
    assert store_command(service, "export", everything, "--what", "cases").code == 0
    for file in (everything, tmp_path / "after.csv", store_file(service)):
        assert b"Zanzibar" not in file.read_bytes()
    assert service.client.get(f"/v1/cases/{case}").status_code == 404
    assert service.client.get("/v1/cases?customer=c-13").json()["cases"] == []


def test_after_an_erasure_the_same_text_is_read_anew_and_is_a_new_case(service: Service) -> None:  # B13
    text = "nobody else writes just this about a refund"
    cache = service.desk.live.model.cache
    assert cache is not None
    cases = {service.case(text, customer="c-14") for _ in range(2)}
    first = service.ask(text, key="kept answer", customer="c-14").json()["id"]
    hits, misses = cache.hits, cache.misses
    assert service.erase(customer="c-14").json() == {"cases": 3}
    assert len(cache) == 0
    again = service.ask(text, key="kept answer", customer="c-14").json()["id"]
    assert again not in {first, *cases}
    assert (cache.hits, cache.misses) == (hits, misses + 1)
    assert service.reviews(again) == []


def test_a_case_that_is_erased_while_it_is_on_its_way_does_not_reach_the_store_later(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:  # B13
    logbook, is_waited_for = service.desk.logbook, threading.Event()
    prepare, flush = logbook._prepare, logbook.flush

    def prepare_late(case: Case) -> Case:
        is_waited_for.wait(2)
        return prepare(case)

    def flush_and_tell(seconds: float) -> bool:
        is_waited_for.set()
        return flush(seconds)

    monkeypatch.setattr(logbook, "_prepare", prepare_late)
    monkeypatch.setattr(logbook, "flush", flush_and_tell)
    case = service.ask(customer="c-15").json()["id"]
    answer = service.erase(customer="c-15")
    assert answer.status_code == 503 or answer.json() == {"cases": 1}  # where the disk is slow it is to be sent again
    assert flush(60)
    assert service.erase(customer="c-15").json() == {"cases": 1 - (answer.status_code == 200)}
    assert service.client.get(f"/v1/cases/{case}").status_code == 404


def test_an_erasure_is_not_acknowledged_while_the_case_still_waits_for_the_store(
    hurried: Service, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # B13
    monkeypatch.setattr("tagdesk.desk.logbook.RETRY", 3600.0)  # as if the erasure came within the second
    logbook = hurried.desk.logbook
    with locked(hurried, path):
        case = hurried.ask(customer="c-16").json()["id"]
        wait_until(lambda: logbook._is_stuck)
    answer = hurried.erase(customer="c-16")
    assert answer.status_code == 503 or not logbook.holds([case])


def test_what_a_person_edits_in_a_spreadsheet_comes_back_without_escapes_and_under_its_id(
    path: Path, tiny: Path, tmp_path: Path
) -> None:  # B14
    texts = ['=HYPERLINK("http://evil.example";"x") refund me', "@support my login fails", "-5 % were promised", "'tis"]
    customers = ["=1+1", "@shop", "-7", "'quoted"]
    with Store.open(path, patience=60) as store, serving(store, tiny) as found:
        cases = [found.case(f"{text}, ü\nagain", customer=who) for text, who in zip(texts, customers, strict=True)]
        for case in cases:
            assert found.outcome(case, BILLING) == "added"
        before = exported(found, tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as handle:
        rows = {row["id"]: row for row in csv.DictReader(handle)}
    assert [rows[case]["text"][:2] for case in cases] == ["'=", "'@", "'-", "'t"]
    rows[cases[1]]["text"] = rows[cases[1]]["text"][1:]  # typed again, the sign before it is the spreadsheet's own
    rows[cases[2]]["labels"] = f"{SHIPPING}|{ACCESS}"
    with (tmp_path / "edited.csv").open("w", newline="", encoding="utf-8-sig") as handle:
        writer = csv.DictWriter(
            handle, ["labels", *(name for name in rows[cases[0]] if name != "labels")], delimiter=";"
        )
        writer.writeheader()
        writer.writerows(sorted(rows.values(), key=lambda row: row["text"]))
    check = tagdesk("check", tmp_path / "edited.csv", "--delimiter", ";", "--json")
    assert (check.code, check.json["rejected_rows"]) == (0, [])
    after = {ticket.id: ticket for ticket in File(tmp_path / "edited.csv", delimiter=";").read().tickets}
    assert after.keys() == before.keys() == set(cases)
    for case, text, who in zip(cases, texts, customers, strict=True):
        assert (
            (after[case].text, after[case].unit) == (before[case].text, before[case].unit) == (f"{text}, ü\nagain", who)
        )
    assert [after[case].labels for case in cases] == [{BILLING}, {BILLING}, {SHIPPING, ACCESS}, {BILLING}]


@pytest.fixture
def reviewed(path: Path, tiny: Path) -> str:
    """A case with a review, in a store that is closed."""
    with Store.open(path, patience=60) as store, serving(store, tiny) as found:
        case = found.case()
        assert found.outcome(case, BILLING, key="before the migration") == "added"
    return case


def test_a_migration_that_was_killed_leaves_the_old_store_whole_and_the_next_start_finishes_it(
    path: Path, tiny: Path, reviewed: str
) -> None:  # B15
    with closing(sqlite3.connect(path)) as connection, connection:  # as an older tagdesk left it
        for newer in ("models", "outcomes", "shadows", "picks"):
            connection.execute(f"DROP TABLE {newer}")
        connection.execute("DROP INDEX cases_variant")
        connection.execute("UPDATE tagdesk_version SET version_num = '0001'")
    assert dies_at("migration_mid", nothing, str(path))
    with closing(sqlite3.connect(path)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert {"cases", "reviews"} <= tables
    assert "models" not in tables
    assert tagdesk("store", "check", "--store", path, "--json").json["state"] == "older"
    with Store.open(path, patience=60) as store, serving(store, tiny) as found:
        assert found.labels(reviewed) == [[BILLING]]
        assert found.outcome(reviewed, BILLING, key="before the migration") == "repeated"
        assert found.client.get("/v1/models").status_code == 200
        assert store.check() == []
    assert tagdesk("store", "check", "--store", path, "--json").json["state"] == "current"


def test_a_service_older_than_its_store_says_so_and_does_not_start(
    path: Path, reviewed: str, monkeypatch: pytest.MonkeyPatch
) -> None:  # B15
    monkeypatch.setattr("tagdesk.api.server.run", lambda *_, **__: pytest.fail("It has started."))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE tagdesk_version SET version_num = '9999'")
    before = path.read_bytes()
    line = refusal(4, "serve", "--store", path, "--port", "0")
    assert "'9999'" in line
    assert "Use the version of tagdesk that wrote it, or a later one." in line
    assert path.read_bytes() == before
    assert reviewed.encode() in before


class Clock:
    """The time that it is set to."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def test_a_clock_that_jumps_back_loses_and_doubles_no_review(path: Path, tiny: Path) -> None:  # B16
    clock = Clock(NOW)
    with Store.open(path, patience=60) as store, serving(store, tiny, clock=clock) as found:
        first = found.case()
        assert found.outcome(first, BILLING, key="before") == "added"
        clock.now = datetime(1970, 1, 1, tzinfo=UTC)  # a machine without a battery
        second = found.case()
        assert found.outcome(first, BILLING, key="before") == "repeated"
        assert found.outcome(first, ACCESS, key="after") == "added"
        assert found.outcome(second, SHIPPING) == "added"
        assert found.labels(first) == [[BILLING], [ACCESS]]
        assert [found.trained_on(case) for case in (first, second)] == [[{ACCESS}], [{SHIPPING}]]
        page = found.client.get("/v1/cases?limit=1").json()
        rest = found.client.get(f"/v1/cases?limit=1&after={page['next']}").json()
        assert [entry["case"]["id"] for entry in page["cases"] + rest["cases"]] == [first, second]


def die(*_: object, **__: object) -> None:
    raise RuntimeError("killed")


def test_a_request_whose_service_died_waits_no_longer_though_the_clock_jumps_back(
    path: Path, tiny: Path
) -> None:  # B16
    clock = Clock(NOW)
    with Store.open(path, patience=60) as store, serving(store, tiny, clock=clock) as found:
        with pytest.MonkeyPatch.context() as dying:
            dying.setattr(type(store.answers), "release", die)
            dying.setattr(type(store.cases), "add", die)
            assert found.ask(key="died").status_code == 500
        clock.now = NOW - DAY
        assert found.ask(key="died").status_code in {200, 409}
        clock.now = NOW - DAY + timedelta(minutes=2)
        assert found.ask(key="died").status_code == 200


@pytest.fixture
def twins(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """A function after which the next two cases of one moment get one id."""

    def prepare() -> None:
        drawn = [token_bytes(10)] * 2
        monkeypatch.setattr("tagdesk.desk.secrets.token_bytes", lambda n: drawn.pop() if drawn else token_bytes(n))

    return prepare


def test_a_case_whose_id_is_there_already_never_takes_the_place_of_the_other(
    path: Path, tiny: Path, twins: Callable[[], None]
) -> None:  # B16
    with Store.open(path, patience=60) as store, serving(store, tiny, clock=lambda: NOW) as found:
        twins()
        first = found.case(customer="c-1")
        assert found.outcome(first, BILLING) == "added"
        found.ask("where is my parcel", customer="c-2")
        assert found.desk.logbook.flush(60)
        (case,) = store.cases.each(Selection(None))
        assert (case.id, case.prediction.text, case.unit) == (first, TEXT, "c-1")
        assert (found.metric("tagdesk_cases_dropped"), found.labels(first)) == (1, [[BILLING]])
        assert found.outcome(found.case(), ACCESS) == "added"  # the next has an id of its own


def test_a_promised_case_whose_id_is_there_already_gets_another_id_at_the_next_try(
    path: Path, tiny: Path, twins: Callable[[], None]
) -> None:  # B16
    with Store.open(path, patience=60) as store, serving(store, tiny, clock=lambda: NOW) as found:
        twins()
        first = found.ask(key="first").json()["id"]
        refused = found.ask("where is my parcel", key="second")
        assert (refused.status_code, refused.headers["Retry-After"]) == (409, "1")
        second = found.ask("where is my parcel", key="second").json()["id"]
        assert {case.id for case in store.cases.each(Selection(None))} == {first, second}
        assert [found.outcome(case, BILLING) for case in (first, second)] == ["added"] * 2
        assert (len(found.reviews(first)), len(found.reviews(second))) == (1, 1)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_two_cases_of_one_request_with_one_id_do_not_keep_later_ones_from_the_store(
    path: Path, tiny: Path, twins: Callable[[], None]
) -> None:  # B16
    with Store.open(path, patience=60) as store, serving(store, tiny, clock=lambda: NOW) as found:
        twins()
        tickets = [{"text": TEXT}, {"text": "where is my parcel"}]
        assert found.client.post("/v1/predict/batch", json={"tickets": tickets}).status_code == 200
        later, logbook = found.ask().json()["id"], found.desk.logbook
        wait_until(lambda: not logbook.holds([later]) or not logbook._thread.is_alive())
        assert not logbook.holds([later])
        assert found.outcome(later, BILLING) == "added"


def exported(service: Service, path: Path) -> dict[str, Any]:
    """What a model would learn from, by id, as the command line writes it."""
    answer = store_command(service, "export", path)
    assert answer.code == 0, answer
    return {ticket.id: ticket for ticket in File(path).read().tickets}


def store_command(service: Service, *arguments: str | Path) -> Any:
    return tagdesk("store", *arguments, "--store", store_file(service))


def store_file(service: Service) -> Path:
    found = service.desk.store.file
    assert found is not None
    return found


def wait_until(is_so: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)
