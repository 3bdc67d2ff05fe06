"""Write-back to four help desks, each a real HTTP server on this machine that checks what it is sent."""

from __future__ import annotations

import base64
import json
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from tagdesk.connectors import (
    NAMES,
    Access,
    Call,
    Delivery,
    HelpDesk,
    HelpDeskError,
    Incoming,
    Own,
    Patience,
    Tags,
    connector,
    corrected,
)
from tagdesk.connectors import sending as sending_module
from tagdesk.errors import MissingExtra, UsageError

TOKEN = "tok-very-secret-4711"  # noqa: S105 - a test's
TAGS = ["tagdesk_billing_issue", "tagdesk_refund_request"]
NOTE = "Billing Issue 0.97 <b>\nRefund Request 0.91"

Answer = tuple[int, dict[str, str], bytes]
Failure = Callable[["Desk"], Answer | None]  # None: the connection is cut


@dataclass
class Desk:
    """A help desk with one ticket, number 7."""

    name: str
    tags: list[str] = field(default_factory=lambda: ["vip"])
    notes: list[Any] = field(default_factory=list)
    stamp: int = 1
    allowed: frozenset[str] | None = None  # the labels that a Chatwoot knows
    failures: list[Failure] = field(default_factory=list)  # what the next requests meet with
    after: list[Failure] = field(default_factory=list)  # the same, but the request is carried out first
    calls: list[tuple[str, str, Any]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def desk(self, waits: list[float] | None = None, **more: Any) -> HelpDesk:
        waits = [] if waits is None else waits
        patience = Patience(wait=waits.append, chance=lambda: 0.5, **more)
        access = Access(
            self.url,
            TOKEN,
            user="ada@example.com" if self.name == "zendesk" else None,
            account="3" if self.name == "chatwoot" else None,
        )
        return HelpDesk(connector(self.name), access, patience)

    def answer(self, method: str, path: str, headers: dict[str, str], body: Any) -> Answer | None:
        self.calls.append((method, path, body))
        if self.failures:
            return self.failures.pop(0)(self)
        if headers.get(AUTH[self.name][0].lower()) != AUTH[self.name][1]:
            return status(401)
        if body is not None and headers.get("content-type") != "application/json":
            return status(415)
        found = ANSWERS[self.name](self, method, path, body)
        return self.after.pop(0)(self) if self.after and method != "GET" else found


def basic(pair: str) -> str:
    return "Basic " + base64.b64encode(pair.encode()).decode()


AUTH = {
    "zendesk": ("Authorization", basic(f"ada@example.com/token:{TOKEN}")),
    "zammad": ("Authorization", f"Token token={TOKEN}"),
    "chatwoot": ("api_access_token", TOKEN),
    "freshdesk": ("Authorization", basic(f"{TOKEN}:X")),
}


def ok(document: Any, code: int = 200) -> Answer:
    return code, {}, json.dumps(document).encode()


def status(code: int, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return code, named, f"the key was {TOKEN}".encode()


def zendesk(desk: Desk, method: str, path: str, body: Any) -> Answer:
    if path != "/api/v2/tickets/7.json":
        return status(404)
    if method == "PUT":
        ticket = body["ticket"]
        assert set(ticket) <= {"additional_tags", "comment", "safe_update", "updated_stamp"}
        if ticket.get("safe_update") and ticket["updated_stamp"] != f"stamp-{desk.stamp}":
            return status(409)
        desk.tags += [tag for tag in ticket.get("additional_tags", []) if tag not in desk.tags]
        desk.notes += [ticket["comment"]] if "comment" in ticket else []
        desk.stamp += 1
    return ok({"ticket": {"id": 7, "tags": desk.tags, "updated_at": f"stamp-{desk.stamp}"}})


def zammad(desk: Desk, method: str, path: str, body: Any) -> Answer:
    if (method, path) == ("GET", "/api/v1/tags?object=Ticket&o_id=7"):
        return ok({"tags": desk.tags})
    if (method, path) == ("POST", "/api/v1/tags/add"):
        assert (body["object"], body["o_id"]) == ("Ticket", 7)
        desk.tags += [body["item"]]
        return ok(True, 201)
    if (method, path) == ("POST", "/api/v1/ticket_articles"):
        desk.notes.append(body)
        return ok({"id": 1}, 201)
    return status(404)


def chatwoot(desk: Desk, method: str, path: str, body: Any) -> Answer:
    base = "/api/v1/accounts/3/conversations/7"
    if path == f"{base}/labels":
        if method == "POST":
            desk.tags = [tag for tag in body["labels"] if desk.allowed is None or tag in desk.allowed]
        return ok({"payload": desk.tags})
    if (method, path) == ("POST", f"{base}/messages"):
        desk.notes.append(body)
        return ok({"id": 1})
    return status(404)


def freshdesk(desk: Desk, method: str, path: str, body: Any) -> Answer:
    if path == "/api/v2/tickets/7":
        if method == "PUT":
            desk.tags = body["tags"]
        return ok({"id": 7, "tags": desk.tags})
    if (method, path) == ("POST", "/api/v2/tickets/7/notes"):
        desk.notes.append(body)
        return ok({"id": 1}, 201)
    return status(404)


ANSWERS: dict[str, Callable[[Desk, str, str, Any], Answer]] = {
    "zendesk": zendesk,
    "zammad": zammad,
    "chatwoot": chatwoot,
    "freshdesk": freshdesk,
}
WRITES = {
    "zendesk": [
        Call(
            "PUT",
            "/api/v2/tickets/7.json",
            {
                "ticket": {
                    "additional_tags": TAGS,
                    "comment": {"body": NOTE, "public": False},
                    "safe_update": True,
                    "updated_stamp": "stamp-1",
                }
            },
            adds=tuple(TAGS),
            is_guarded=True,
        )
    ],
    "zammad": [
        Call("POST", "/api/v1/tags/add", {"object": "Ticket", "o_id": 7, "item": TAGS[0]}),
        Call("POST", "/api/v1/tags/add", {"object": "Ticket", "o_id": 7, "item": TAGS[1]}),
        Call(
            "POST",
            "/api/v1/ticket_articles",
            {
                "ticket_id": 7,
                "body": NOTE,
                "content_type": "text/plain",
                "type": "note",
                "sender": "Agent",
                "internal": True,
            },
        ),
    ],
    "chatwoot": [
        Call("POST", "/api/v1/accounts/3/conversations/7/labels", {"labels": ["vip", *TAGS]}, adds=tuple(TAGS)),
        Call(
            "POST",
            "/api/v1/accounts/3/conversations/7/messages",
            {"content": NOTE, "message_type": "outgoing", "private": True},
        ),
    ],
    "freshdesk": [
        Call("PUT", "/api/v2/tickets/7", {"tags": ["vip", *TAGS]}, adds=tuple(TAGS)),
        Call(
            "POST",
            "/api/v2/tickets/7/notes",
            {"body": "Billing Issue 0.97 &lt;b&gt;<br>Refund Request 0.91", "private": True},
        ),
    ],
}


@contextmanager
def serving(desk: Desk) -> Iterator[Desk]:
    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(length)) if length else None
            headers = {name.lower(): value for name, value in self.headers.items()}
            found = desk.answer(self.command, self.path, headers, body)
            if found is None:  # cut the line, as a machine does that falls over
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                return
            code, more, content = found
            with suppress(ConnectionError):  # who asked may have gone
                self.send_response(code)
                for name, value in ({"Content-Length": str(len(content))} | more).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

        do_GET = do_POST = do_PUT = handle_any  # noqa: N815 - names of the library

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def finish(self) -> None:
            with suppress(OSError):
                super().finish()

    class Quiet(HTTPServer):
        def handle_error(self, *_: object) -> None:
            """Say nothing."""

        def shutdown_request(self, request: Any) -> None:
            with suppress(OSError):
                super().shutdown_request(request)

    with Quiet(("127.0.0.1", 0), Handler) as listening:
        desk.port = listening.server_port
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield desk
        finally:
            listening.shutdown()
            thread.join()


@pytest.fixture(params=NAMES)
def desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    with serving(Desk(request.param)) as found:
        yield found


@pytest.fixture
def zen() -> Iterator[Desk]:
    with serving(Desk("zendesk")) as found:
        yield found


def cut(_desk: Desk) -> None:
    return None


def failing(code: int, **headers: str) -> Failure:
    return lambda _desk: status(code, **headers)


def made(desk: Desk) -> list[tuple[str, str, Any]]:
    return [call for call in desk.calls if call[0] != "GET"]


def refusal(desk: Desk, **more: Any) -> HelpDeskError:
    with pytest.raises(HelpDeskError) as caught:
        desk.desk(**more).write("7", TAGS, NOTE)
    assert TOKEN not in str(caught.value) + repr(caught.value) + repr(desk.desk())
    assert "the key was" not in str(caught.value)
    return caught.value


def test_tags_and_a_note_are_written_beside_what_is_there(desk: Desk) -> None:
    calls = desk.desk().write("7", TAGS, NOTE)
    assert calls == WRITES[desk.name]
    assert made(desk) == [(call.method, call.path, call.body) for call in calls]
    assert desk.tags == ["vip", *TAGS]
    assert len(desk.notes) == 1
    assert desk.desk().tags("7") == ("vip", *TAGS)


ECHOES: dict[str, Callable[[list[str]], dict[str, Any]]] = {
    "zendesk": lambda tags: {
        "type": "zen:event-type:ticket.tags_changed",
        "id": "e",
        "detail": {"id": "7", "tags": tags, "actor_id": "1"},
    },
    "zammad": lambda _tags: {"ticket": {"id": 7, "updated_by_id": 1}, "article": {}},
    "chatwoot": lambda tags: {
        "event": "conversation_updated",
        "id": 7,
        "labels": tags,
        "changed_attributes": [{"label_list": {"current_value": tags}}],
    },
    "freshdesk": lambda tags: {"freshdesk_webhook": {"ticket_id": 7, "ticket_tags": ", ".join(tags)}},
}


def test_the_echo_of_a_write_is_no_correction_but_what_an_agent_then_does_is(desk: Desk) -> None:
    known: dict[str, frozenset[str]] = {}
    own = Own(Tags.of(["Billing Issue", "Refund Request", "Shipping Concern"]), known=known.get)

    def heard() -> Incoming:
        body = json.dumps(ECHOES[desk.name](desk.tags)).encode()
        event = desk.desk().connector.read(Delivery(desk.name, "e", "d", body), own)
        if event.kind == "correction" and event.labels is None:  # Zammad tells no tags
            event = corrected(event, desk.desk().tags(event.ticket), own)
        return event

    known["7"] = frozenset({"Billing Issue", "Refund Request"})
    desk.desk().write("7", own.tags.tags_of(known["7"]), NOTE)
    assert (heard().kind, heard().reason) == ("ignored", "unchanged")
    desk.tags.remove(TAGS[1])
    desk.tags.append("tagdesk_shipping_concern")
    assert (heard().kind, heard().labels) == ("correction", {"Billing Issue", "Shipping Concern"})


def test_a_plan_names_the_calls_and_makes_none(desk: Desk) -> None:
    assert desk.desk().plan("7", TAGS, NOTE) == WRITES[desk.name]
    assert made(desk) == []


def test_what_was_written_is_not_written_again(desk: Desk) -> None:
    desk.desk().write("7", TAGS, NOTE)
    before = made(desk)
    assert desk.desk().write("7", [TAGS[1].upper(), TAGS[0]], NOTE) == []
    assert made(desk) == before


def test_only_missing_tags_are_added_once(desk: Desk) -> None:
    desk.tags.append(TAGS[0])
    desk.desk().write("7", [*TAGS, *TAGS])
    assert desk.tags == ["vip", *TAGS]
    assert desk.notes == []


def test_a_note_alone_is_a_note(desk: Desk) -> None:
    desk.desk().write("7", [], "nothing found")
    assert (desk.tags, len(desk.notes)) == (["vip"], 1)
    assert desk.desk().write("7", [], "") == []


@pytest.mark.parametrize("failure", [failing(429), failing(500), failing(503), cut], ids=["429", "500", "503", "cut"])
def test_a_desk_that_is_busy_or_falls_over_is_asked_again(desk: Desk, failure: Failure) -> None:
    waits: list[float] = []
    desk.failures = [failure, failure]
    desk.desk(waits).write("7", TAGS, NOTE)
    assert (desk.tags, len(desk.notes)) == (["vip", *TAGS], 1)
    assert waits == [1, 2]


def test_each_call_is_made_again_by_itself(desk: Desk) -> None:
    waits: list[float] = []
    desk.after = [failing(500)] if desk.name != "zendesk" else []
    desk.desk(waits).write("7", TAGS, NOTE)
    assert sorted(set(desk.tags)) == sorted(["vip", *TAGS])
    assert len(desk.notes) == 1
    assert waits == [1][: len(waits)]


@pytest.mark.parametrize(
    ("named", "pause"),
    [("7", 7), ("9999", 60), ("0", 0), ("Fri, 01 May 2026 10:00:05 GMT", 5), ("Thu, 01 Jan 1970 00:00:00 GMT", 0)],
)
def test_a_busy_desk_is_left_alone_as_long_as_it_asks_within_reason(zen: Desk, named: str, pause: float) -> None:
    waits: list[float] = []
    zen.failures = [failing(429, Retry_After=named)]
    zen.desk(waits, clock=lambda: 1777629600.0).write("7", TAGS)
    assert waits == [pause]


@pytest.mark.parametrize("named", ["soon", "-1", "1e9", "\u0663", "Fri, 99 May 2026", "1 2"])
def test_a_wait_that_is_none_is_not_heeded(zen: Desk, named: str) -> None:
    waits: list[float] = []
    zen.failures = [lambda _: (503, {"Retry-After": named.encode().decode("latin-1")}, b"")]
    zen.desk(waits).write("7", TAGS)
    assert waits == [1]


def test_waits_differ_by_chance_and_have_an_end(zen: Desk) -> None:
    waits: list[float] = []
    patience = Patience(wait=waits.append, chance=iter([0.0, 1.0, 0.5, 0.5, 0.5]).__next__, tries=5, longest=6)
    zen.failures = [failing(500)] * 5
    with pytest.raises(HelpDeskError):
        replace(zen.desk(), patience=patience).tags("7")
    assert waits == [0.5, 3, 4, 6]


def test_a_desk_that_stays_away_is_given_up(desk: Desk) -> None:
    desk.failures = [failing(502)] * 4
    error = refusal(desk)
    assert (error.code, error.status) == ("help_desk_away", 502)
    assert len(desk.calls) == 4


def test_nobody_listening_is_an_error_in_words(zen: Desk) -> None:
    access = Access("http://127.0.0.1:9", TOKEN)
    patience = Patience(tries=2, wait=lambda _: None)
    with pytest.raises(HelpDeskError, match=r"could not be reached .* 2 times") as caught:
        HelpDesk(zen.desk().connector, access, patience).tags("7")
    assert caught.value.status is None


@pytest.mark.parametrize("code", [400, 401, 403, 404, 405, 409, 410, 422, 451])
def test_a_refusal_is_not_repeated(desk: Desk, code: int) -> None:
    desk.failures = [failing(code)]
    error = refusal(desk)
    assert (error.code, error.status, len(desk.calls)) == ("help_desk_refused", code, 1)


@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(desk: Desk, code: int) -> None:
    with serving(Desk(desk.name)) as other:
        desk.failures = [failing(code, Location=f"{other.url}/api/v2/tickets/7.json")]
        assert "another address" in str(refusal(desk))
        assert other.calls == []


def test_a_wrong_token_is_refused_with_a_remedy(desk: Desk) -> None:
    wrong = replace(desk.desk(), access=replace(desk.desk().access, token="tok-other"))  # noqa: S106 - a test's
    with pytest.raises(HelpDeskError, match="Set a token") as caught:
        wrong.write("7", TAGS)
    assert "tok-other" not in str(caught.value)


def test_a_token_of_oauth_is_zendesks_bearer() -> None:
    assert connector("zendesk").headers(Access("https://a.zendesk.com", "t")) == {"Authorization": "Bearer t"}


def test_an_agent_who_changes_the_ticket_meanwhile_loses_nothing(zen: Desk) -> None:
    def overtake(desk: Desk) -> Answer:
        desk.tags.append("from-the-agent")
        desk.stamp += 1
        return zendesk(desk, "GET", "/api/v2/tickets/7.json", None)

    def old(desk: Desk) -> Answer:
        seen = zendesk(desk, "GET", "/api/v2/tickets/7.json", None)
        overtake(desk)
        return seen

    zen.failures = [old]
    zen.desk().write("7", TAGS, NOTE)
    assert zen.tags == ["vip", "from-the-agent", *TAGS]
    assert [call[0] for call in zen.calls] == ["GET", "PUT", "GET", "PUT"]
    assert len(zen.notes) == 1


def test_a_ticket_that_never_rests_is_given_up(zen: Desk) -> None:
    zen.failures = [lambda desk: zendesk(desk, "GET", "/api/v2/tickets/7.json", None), failing(409)] * 3
    error = refusal(zen)
    assert (error.code, error.status, len(zen.calls)) == ("help_desk_conflict", 409, 6)


def test_an_update_whose_answer_was_lost_is_not_made_twice(zen: Desk) -> None:
    zen.after = [cut]
    assert zen.desk().write("7", TAGS, NOTE) == []  # the second plan finds all there
    assert (zen.tags, len(zen.notes)) == (["vip", *TAGS], 1)
    assert [call[0] for call in zen.calls] == ["GET", "PUT", "PUT", "GET"]


def test_a_label_that_chatwoot_does_not_take_is_told() -> None:
    with serving(Desk("chatwoot", allowed=frozenset({"vip", TAGS[0]}))) as found:
        error = refusal(found)
    assert error.code == "tags_not_taken"
    assert TAGS[1] in str(error)


def test_chatwoot_needs_an_account() -> None:
    with pytest.raises(UsageError, match="account"):
        HelpDesk(connector("chatwoot"), Access("https://app.chatwoot.com", TOKEN)).plan("7", TAGS)


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>", b"[]", b'{"ticket": 7}', b"\xff", b"[" * 100_000, b"9" * 5000, b'{"tags": 7, "payload": {}}'],
)
def test_an_answer_of_another_kind_is_refused(desk: Desk, content: bytes) -> None:
    desk.failures = [lambda _: (200, {}, content)]
    assert refusal(desk).code == "bad_answer"


def test_an_answer_without_end_is_refused(zen: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending_module, "_LONGEST_ANSWER", 1_000)
    zen.failures = [lambda _: (200, {}, b" " * 5_000)]
    assert "1,000 bytes" in str(refusal(zen))


def test_an_answer_that_drips_is_given_up(zen: Desk) -> None:
    moments = iter(range(0, 1_000, 20))
    error = refusal(zen, clock=lambda: float(next(moments)), timeout=10)
    assert "too slowly 4 times" in str(error)


def test_a_silent_desk_times_out(zen: Desk) -> None:
    released = threading.Event()
    zen.failures = [lambda _: (released.wait(5), status(500))[1]]
    try:
        assert "ReadTimeout" in str(refusal(zen, timeout=0.05, tries=1))
    finally:
        released.set()


@pytest.mark.parametrize("ticket", ["7/../8", "7?x=1", "7%2f", "", "0", "\u0667"])
def test_a_ticket_that_leads_elsewhere_is_refused_before_anything_is_sent(desk: Desk, ticket: str) -> None:
    for attempt in (desk.desk().tags, lambda number: desk.desk().write(number, TAGS)):
        with pytest.raises(UsageError):
            attempt(ticket)
    assert desk.calls == []


def test_a_tag_that_is_too_long_there_is_refused_before_anything_is_sent(desk: Desk) -> None:
    with pytest.raises(UsageError, match=desk.name):
        desk.desk().write("7", ["x" * (desk.desk().connector.longest_tag + 1)])
    assert desk.calls == []


def test_a_desk_in_a_folder_of_its_host_is_reached(zen: Desk) -> None:
    inside = replace(zen.desk(), access=replace(zen.desk().access, base_url=f"{zen.url}/help/"))
    with pytest.raises(HelpDeskError):
        inside.tags("7")
    assert zen.calls == [("GET", "/help/api/v2/tickets/7.json", None)]


def test_no_proxy_sees_what_stays_on_this_machine(zen: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert zen.desk().tags("7") == ("vip",)


@pytest.mark.parametrize("library", ["httpx2", "tenacity"])
def test_without_its_libraries_a_help_desk_names_the_remedy(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    monkeypatch.delitem(sys.modules, "tagdesk.connectors.sending")
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra, match=r"tagdesk\[serve\]"):
        Desk("zendesk", port=9).desk().tags("7")


@pytest.mark.parametrize("patience", [{"timeout": 0}, {"tries": 0}, {"longest": -1}])
def test_patience_without_sense_is_refused(patience: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Patience(**patience)
