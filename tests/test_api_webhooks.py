from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from help_desks import TEXT, House, house, message
from tagdesk.api import ApiSettings, create_app
from tagdesk.connectors import NAMES
from tagdesk.desk import Desk, Live, Settings
from tagdesk.review import Source
from tagdesk.store import Store
from tagdesk.taxonomy import Label, Taxonomy
from test_connectors import SHAPES, SIGNINGS, TIMED
from test_connectors_help_desk import ECHOES, TAGS, failing, made, serving
from test_connectors_help_desk import Desk as HelpDesk

CANARY = "zanzibar-7291"  # must never come back


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with Store.open(tmp_path_factory.mktemp("service") / "tagdesk.db") as store:
        opened = Desk(store, Settings())
        yield opened
        opened.close()


@pytest.fixture
def name() -> str:
    return f"acme-{uuid.uuid4().hex}"


@pytest.fixture(params=NAMES)
def here(request: pytest.FixtureRequest, desk: Desk, name: str) -> Iterator[House]:
    with serving(HelpDesk(request.param)) as server, house(desk, server, name) as found:
        yield found


@pytest.fixture
def zen(desk: Desk, name: str) -> Iterator[House]:
    with serving(HelpDesk("zendesk")) as server, house(desk, server, name) as found:
        yield found


def labelled(here: House, text: str = TEXT, event: str = "e-1") -> None:
    """Let a customer write, and wait until tags are on the ticket."""
    answer = here.say(text, event)
    assert (answer.status_code, answer.json()["outcome"]) == (200, "labelled"), answer.text
    assert here.written() == "written"


def outcome(answer: Any) -> tuple[str, str]:
    assert answer.status_code == 200, answer.text
    return answer.json()["outcome"], answer.json()["reason"]


def test_a_message_becomes_a_case_tags_and_an_internal_note(here: House) -> None:
    labelled(here)
    (found,) = here.cases()
    assert (found.case.ticket, found.case.unit, found.case.prediction.text) == ("7", "5", TEXT)
    assert here.server.tags == ["vip", *TAGS]
    (note,) = here.server.notes
    assert "Refund Request, 99%" in json.dumps(note)
    assert TEXT not in json.dumps(note)


def test_a_forged_signature_is_refused(here: House) -> None:
    body = message(here.server.name, CANARY, "e-1")
    answer = here.send(body, **{SIGNINGS[here.server.name].signature: f"sha256={CANARY}"})
    assert (answer.status_code, answer.json()["code"]) == (401, "bad_signature")
    assert CANARY not in answer.text
    unsigned = here.client.post(f"/v1/webhooks/{here.site.name}", json=body)
    assert (unsigned.status_code, unsigned.json()["code"]) == (401, "missing_header")
    assert here.server.calls == []


@pytest.mark.parametrize("kind", TIMED)
def test_a_replay_outside_of_the_window_is_refused(desk: Desk, name: str, kind: str) -> None:
    with serving(HelpDesk(kind)) as server, house(desk, server, name) as here:
        for away in (timedelta(minutes=6), timedelta(minutes=-6)):
            answer = here.send(message(kind, TEXT, "e-1"), now=datetime.now(UTC) + away)
            assert (answer.status_code, answer.json()["code"]) == (401, "stale")
        assert here.cases() == []


def test_a_delivery_that_comes_again_is_counted_once_also_after_a_restart(here: House) -> None:
    labelled(here)
    for _ in range(3):
        assert outcome(here.say()) == ("repeated", "")
    with house(here.desk, here.server, here.site.name) as again:
        assert outcome(again.say()) == ("repeated", "")
    assert len(here.cases()) == 1
    assert len(here.server.notes) == 1


def test_a_delivery_with_another_id_in_its_header_is_the_same_delivery(desk: Desk, name: str) -> None:
    with serving(HelpDesk("zammad")) as server, house(desk, server, name) as here:
        body = message("zammad", TEXT, "e-1")
        assert outcome(here.send(body, X_Zammad_Delivery="d-1"))[0] == "labelled"
        assert outcome(here.send(body, X_Zammad_Delivery="d-2"))[0] == "repeated"
        again = message("zammad", TEXT, "e-2")
        assert outcome(here.send(again, X_Zammad_Delivery="d-1"))[0] == "repeated"
        # No signature covers the id: a replay must not use up that of the next delivery.
        assert outcome(here.send(message("zammad", TEXT, "e-3"), X_Zammad_Delivery="d-2"))[0] == "labelled"


def test_of_one_delivery_at_two_services_at_once_one_takes_it(here: House) -> None:
    with house(here.desk, here.server, here.site.name) as other, ThreadPoolExecutor(8) as pool:
        assert {one.send(b"{}").status_code for one in (here, other)} <= {200, 422}  # FastAPI makes its routes late
        answers = list(pool.map(lambda n: (here, other)[n % 2].say(), range(8)))
    for answer in answers:
        assert answer.status_code in {200, 409}
        assert answer.status_code == 200 or answer.headers["Retry-After"] == "10"
    assert [answer.json().get("outcome") for answer in answers].count("labelled") == 1
    assert len(here.cases()) == 1


def test_a_help_desk_that_is_busy_gets_its_tags_at_a_later_try(here: House) -> None:
    here.server.failures = [failing(503), failing(503, Retry_After="0")]
    labelled(here)
    assert here.server.tags == ["vip", *TAGS]
    assert len(here.server.calls) == 2 + len(made(here.server)) + 1


def test_what_an_agent_corrects_is_a_review_of_the_newest_case(here: House) -> None:
    labelled(here)
    here.server.tags.remove(TAGS[1])
    here.server.tags.append("tagdesk_shipping_concern")
    assert outcome(here.echo("t-1")) == ("reviewed", "")
    (review,) = here.reviews()
    assert review.labels == {"Billing Issue", "Shipping Concern"}
    assert review.source is Source.HELP_DESK
    assert outcome(here.echo("t-2")) == ("ignored", "unchanged")  # it stands as it was corrected
    here.server.tags[:] = ["vip"]
    assert outcome(here.echo("t-3")) == ("reviewed", "")
    assert [one.labels for one in here.reviews()] == [{"Billing Issue", "Shipping Concern"}, set()]
    labelled(here, event="e-2")
    assert outcome(here.echo("t-4")) == ("ignored", "unchanged")
    here.server.tags.remove(TAGS[0])
    assert outcome(here.echo("t-5")) == ("reviewed", "")
    assert [len(one.reviews) for one in here.cases()] == [2, 1]


def test_our_own_tags_coming_back_are_no_correction(here: House) -> None:
    labelled(here)
    assert outcome(here.echo()) == ("ignored", "unchanged")
    assert here.reviews() == []


def test_tags_from_before_a_write_back_that_come_late_are_no_correction(zen: House) -> None:
    late = ECHOES["zendesk"](["vip"])
    labelled(zen)
    assert outcome(zen.send(late)) == ("ignored", "unchanged")
    assert zen.reviews() == []


def test_tags_of_a_ticket_that_nobody_labelled_are_no_correction(here: House) -> None:
    here.server.tags.append(TAGS[0])
    assert outcome(here.echo()) == ("ignored", "unknown_ticket")


def test_a_correction_is_asked_for_again_while_the_help_desk_is_away(here: House) -> None:
    labelled(here)
    here.server.tags.remove(TAGS[1])
    here.server.failures = [failing(503)]
    answer = here.echo()
    assert (answer.status_code, answer.json()["code"]) == (503, "help_desk_away")
    assert answer.headers["Retry-After"] == "10"
    assert outcome(here.echo()) == ("reviewed", "")
    assert len(here.reviews()) == 1


def test_a_ticket_that_is_gone_at_the_help_desk_is_no_fault_here(zen: House) -> None:
    labelled(zen)
    zen.server.tags.remove(TAGS[1])
    zen.server.failures = [failing(404)]
    assert outcome(zen.echo()) == ("ignored", "refused")


def test_a_help_desk_that_hangs_slows_no_prediction(zen: House) -> None:
    go = threading.Event()

    def hang(_server: HelpDesk) -> None:
        go.wait(30)

    zen.server.failures = [hang] * 20
    try:
        for n in range(5):
            assert outcome(zen.say(event=f"e-{n}"))[0] == "labelled"
        began = time.perf_counter()
        for n in range(20):
            assert zen.client.post("/v1/predict", json={"text": f"{TEXT} {n}"}).status_code == 200
        assert time.perf_counter() - began < 20.0  # had each waited for a call to the help desk: 40 s
    finally:
        go.set()


def test_a_message_that_finds_the_line_full_is_taken_when_it_is_sent_again(zen: House) -> None:
    zen.desk.line._queued = 1e9  # as if very much waited
    answer = zen.say()
    zen.desk.line._queued = 0.0
    assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
    assert int(answer.headers["Retry-After"]) > 0
    labelled(zen)
    assert len(zen.cases()) == 1


def test_a_model_with_labels_that_cannot_be_tags_there_still_labels(
    zen: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = zen.desk.live
    names = ("Same one", "same-one")
    odd = replace(live.model, taxonomy=Taxonomy(tuple(map(Label, (*names, *live.model.taxonomy.names[2:])))))
    monkeypatch.setattr(zen.desk, "_live", Live(odd, live.promotion))
    assert outcome(zen.say())[0] == "labelled"
    assert zen.written() == "away"
    zen.server.tags.append(TAGS[0])
    assert outcome(zen.echo()) == ("ignored", "unchanged")
    assert (made(zen.server), zen.reviews()) == ([], [])


def test_a_dry_run_writes_nothing(desk: Desk, name: str) -> None:
    with serving(HelpDesk("zendesk")) as server, house(desk, server, name, is_dry=True) as here:
        assert outcome(here.say())[0] == "labelled"
        assert here.written() == "planned"
        assert (made(server), server.tags) == ([], ["vip"])
        server.tags.append(TAGS[0])  # an agent agrees, in part
        assert outcome(here.echo()) == ("reviewed", "")


def test_a_help_desk_is_known_by_its_name(zen: House) -> None:
    body = json.dumps(message("zendesk", TEXT, "e-1")).encode()
    for path in ("nobody", "NO", "a" * 61, "%00"):
        answer = zen.client.post(f"/v1/webhooks/{path}", content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 404
    assert zen.client.get(f"/v1/webhooks/{zen.site.name}").status_code == 405


def test_a_service_without_help_desks_knows_none(desk: Desk) -> None:
    from fastapi.testclient import TestClient  # noqa: PLC0415 - one test needs it

    with TestClient(create_app(desk, ApiSettings())) as client:
        assert client.post("/v1/webhooks/acme", json={}).status_code == 404


BODIES = [b"", b"{}", b"[]", b"\xff\xfe", b"{", b"[" * 100_000, b'{"a":' * 5_000, b'{"a":' + b"9" * 5_000 + b"}"]


def test_no_bytes_of_the_help_desk_give_a_fault_of_the_server(here: House) -> None:
    kind = here.server.name
    odd: list[Any] = [None, True, -1, 10**30, "", CANARY, "\ud800", [CANARY], {CANARY: CANARY}, "\x00", "<p>" * 500]
    documents: list[Any] = [*BODIES, *SHAPES[kind]]
    whole = message(kind, CANARY, "e-1")
    for value in odd:
        for key in whole:
            documents.append(whole | {key: value})
            inner = whole[key]
            if isinstance(inner, dict):
                documents += [whole | {key: inner | {name: value}} for name in inner]
        documents.append(message(kind, value, "e-2"))
    for document in documents:
        answer = here.send(document)
        assert answer.status_code in {200, 400, 401, 415, 422}, (document, answer.text)
        assert CANARY not in answer.text
        if answer.status_code != 200:
            assert answer.headers["content-type"] == "application/problem+json"
    assert here.client.post("/v1/predict", json={"text": "still alive"}).status_code == 200


def test_webhooks_and_write_backs_are_counted(zen: House) -> None:
    zen.say()
    zen.say()
    zen.client.post(f"/v1/webhooks/{zen.site.name}", json={})
    page = zen.client.get("/metrics").text
    for word in ("labelled", "repeated", "forged"):
        assert 'tagdesk_requests_total{route="/v1/webhooks/{name}",status="200"} 2.0' in page
        assert f'tagdesk_webhooks_total{{help_desk="{zen.site.name}",outcome="{word}"}} 1.0' in page
