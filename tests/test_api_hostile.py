"""What a client can do to a real server over a socket (A8, A11, A13, A14, A25-A30 of the catalogue of bad input)."""

from __future__ import annotations

import json
import os
import re
import resource
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pytest

from command import SPEECH
from tagdesk.api.access import hash_of, new_secret
from tagdesk.desk import Desk, Settings
from tagdesk.model import Model
from tagdesk.store import Key, Store

CANARY = "zanzibar-7291"  # is in what is sent, and must come back in no answer and no log
PATIENCE = 120.0  # seconds; the machine may be busy
IDLE, BODY = 5, 3  # seconds of the server under test that a connection may lie idle, and that a body may take
IDLERS = 1000
MOST = IDLERS + 100  # connections that it takes
TEXT = "my card was charged twice"
JSON = {"Content-Type": "application/json"}
ENDLESS = {"Content-Length": "", "Transfer-Encoding": "chunked"}  # a body that does not say how long it is

# Quicker to give up than usual, and it says how many texts the model reads.
START = """
import functools, os, resource
import tagdesk.api
from tagdesk.api import server
from tagdesk.scorers.onnx import OnnxScorer

def told(self, texts, score=OnnxScorer.score):
    os.write(2, b"the model reads %d.\\n" % len(texts))  # at once, whoever else writes
    return score(self, texts)

OnnxScorer.score = told
tagdesk.api.ApiSettings = functools.partial(tagdesk.api.ApiSettings, body_seconds={body})
server.IDLE_SECONDS, server.MOST_CONNECTIONS = {idle}, {most}
resource.setrlimit(resource.RLIMIT_NOFILE, ({files}, {files}))
from tagdesk.cli import main
main()
"""


@dataclass(frozen=True)
class Reply:
    """An answer as it stood on the wire; names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def replies(raw: bytes) -> list[Reply]:
    """The answers that came on a connection; none of them may be a failure of the service, or repeat what was sent."""
    assert CANARY.encode() not in raw
    found = []
    while raw:
        head, end, raw = raw.partition(b"\r\n\r\n")
        assert end, "the connection ended within the head of an answer"
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        size = int(headers.get("content-length", 0))
        assert "transfer-encoding" not in headers
        assert len(raw) >= size, "the connection ended within the body of an answer"
        found.append(Reply(int(first.split()[1]), headers, raw[:size]))
        raw = raw[size:]
        assert found[-1].status < 500 or (found[-1].status == 503 and int(found[-1].headers["retry-after"]) > 0)
    return found


class Service:
    """A real `tagdesk serve` in a process of its own."""

    def __init__(self, store: Path, models: Path, *, files: int, secret: str = "") -> None:
        code = START.format(body=BODY, idle=IDLE, most=MOST, files=files)
        options = ["--store", store, "--models", models, "--port", "0", "--within", "100", "--longest-wait", "1000"]
        self.secret = secret
        self.port = 0
        self.log: list[bytes] = []
        self._started = threading.Event()
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, "serve", *map(str, options)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=os.environ | SPEECH,
        )
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def _listen(self) -> None:
        for line in self.process.stderr or ():
            self.log.append(line)
            if found := re.search(rb"running on http://127\.0\.0\.1:(\d+)", line):
                self.port = int(found[1])
                self._started.set()
        self._started.set()

    def __enter__(self) -> Self:
        self._started.wait(PATIENCE)
        if not self.port:
            self.__exit__()
        assert self.port, self.log
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)
        self._listener.join()
        assert self.process.stderr is not None
        self.process.stderr.close()

    def connect(self) -> socket.socket:
        opened = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return opened

    def request(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
        """A request as it goes over the wire; a header whose value is empty is left out."""
        given = {"Host": "localhost", "Authorization": f"Bearer {self.secret}" if self.secret else ""}
        given |= {"Content-Length": str(len(body))} if body or method == "POST" else {}
        given |= headers or {}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items() if value)]
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + body

    def predict(self, text: str = TEXT, headers: Mapping[str, str] | None = None, **more: str) -> bytes:
        return self.request(
            "POST", "/v1/predict", json.dumps({"text": text, **more}).encode(), JSON | dict(headers or {})
        )

    def talk(self, sent: bytes, *, is_all: bool = False) -> list[Reply]:
        """What comes until the server closes the connection, which it must; `is_all`: the client closes its half."""
        with self.connect() as opened:
            with suppress(BrokenPipeError, ConnectionResetError):  # it has heard enough
                opened.sendall(sent)
                if is_all:
                    opened.shutdown(socket.SHUT_WR)
            return replies(rest_of(opened))

    def ask(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
        """The only answer to the only request of a connection."""
        (reply,) = self.talk(self.request(method, path, body, {"Connection": "close"} | dict(headers or {})))
        return reply

    def ask_json(self, path: str, value: object, headers: Mapping[str, str] | None = None) -> Reply:
        return self.ask("POST", path, json.dumps(value).encode(), JSON | dict(headers or {}))

    def count(self, name: str, **labels: str) -> int:
        """The sum of a metric's rows that have these labels."""
        rows = self.ask("GET", "/metrics").body.decode().splitlines()
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        found = [row for row in rows if re.match(rf"{name}[ {{]", row) and all(one in row for one in wanted)]
        return int(sum(float(row.rpartition(" ")[2]) for row in found))

    def texts_read(self) -> int:
        """How many texts the model has read; what happened until now is in it."""
        mark = f"mark-{time.monotonic_ns()}"
        self.ask("GET", "/livez", headers={"X-Request-ID": mark})
        until(lambda: any(mark.encode() in line for line in self.log))
        return sum(map(int, re.findall(rb"the model reads (\d+)\.", b"".join(self.log))))

    def open_files(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))  # noqa: PTH208 - their names alone

    def settle(self) -> None:
        """Wait until it has noticed that the clients are gone."""
        until(lambda: self.open_files() < 60 and is_answered(self))

    def check(self) -> None:
        """It lives, answers, has failed nobody, and its log holds nothing that was sent."""
        assert self.process.poll() is None
        assert self.ask("GET", "/livez").json == {"status": "alive"}
        answer = self.ask_json("/v1/predict", {"text": TEXT})
        assert answer.status == 200
        assert "Billing Issue" in answer.json["scores"]
        assert not re.search(r'status="5(?!03)', self.ask("GET", "/metrics").body.decode())
        log = b"".join(self.log)
        assert CANARY.encode() not in log
        assert b"Traceback" not in log
        assert b'"exception"' not in log


def rest_of(opened: socket.socket) -> bytes:
    """What comes until the other side closes; fails with TimeoutError where it does not."""
    raw = b""
    with suppress(ConnectionResetError):  # it closed while bytes were on their way to it
        while part := opened.recv(65536):
            raw += part
    return raw


def one_reply(opened: socket.socket) -> Reply:
    """The next answer on a connection that stays open."""
    raw = b""
    while True:
        part = opened.recv(65536)
        assert part, "the connection ended within an answer"
        raw += part
        head, end, body = raw.partition(b"\r\n\r\n")
        if end and len(body) >= int((re.findall(rb"(?i)content-length: (\d+)", head) or [b"0"])[0]):
            (reply,) = replies(raw)
            return reply


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def without_request(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in {"request_id", "id"}}


@contextmanager
def room_for(files: int) -> Iterator[None]:
    """Let this process open so many files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < files:
        pytest.skip(f"this machine allows no {files} open files")
    if soft != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, files), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, saved: Path, models: dict[str, Model]) -> Iterator[Service]:
    """A service with keys."""
    file, secret = tmp_path_factory.mktemp("hostile") / "tagdesk.db", new_secret()
    with Store.open(file) as store:
        store.keys.add(Key("boss", "shop", frozenset({"admin"}), hash_of(secret), "ada", datetime.now(UTC)))
        promote(store, saved, models["onnx"])
    with Service(file, saved, files=2 * MOST, secret=secret) as service:
        yield service


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory, saved: Path, models: dict[str, Model]) -> Iterator[Service]:
    """A service without keys that may open few files."""
    file = tmp_path_factory.mktemp("narrow") / "tagdesk.db"
    with Store.open(file) as store:
        promote(store, saved, models["onnx"])
    with Service(file, saved, files=90) as service:
        yield service


def promote(store: Store, saved: Path, model: Model) -> None:
    desk = Desk(store, Settings(models=saved))
    desk.promote(model.id, who="ada", why="it is quick")
    desk.close()


@pytest.fixture
def server(guarded: Service) -> Iterator[Service]:
    """The service with keys, which must be as well after a test as it was before."""
    yield guarded
    guarded.settle()
    guarded.check()


@pytest.fixture
def small(narrow: Service) -> Iterator[Service]:
    """The service with little room; likewise."""
    yield narrow
    narrow.settle()
    narrow.check()


GOOD = ["the parcel is late", "cannot reset my password", "refund the invoice please", "courier lost the box again"]
SICK = {
    "": "empty_text",
    " \u00a0\u3000": "empty_text",
    "\u200b\u2060\ufeff": "empty_text",
    f"{CANARY} \ud800": "bad_encoding",
    CANARY * 80_000: "too_long",
}


def test_a_ticket_beside_a_sick_one_gets_the_answer_that_it_gets_alone(  # A8
    server: Service, models: dict[str, Model]
) -> None:
    for place, (sick, code) in enumerate(SICK.items()):
        texts = [f"{text} {place}" for text in GOOD]
        row = place % (len(texts) + 1)
        batch = [{"text": text} for text in (*texts[:row], sick, *texts[row:])]
        answer = server.ask_json("/v1/predict/batch", {"tickets": batch})
        assert answer.status == 200
        results = answer.json["results"]
        assert (results[row]["prediction"], results[row]["error"]["code"]) == (None, code)
        beside = [one["prediction"] for one in (*results[:row], *results[row + 1 :])]
        for text, found in zip(texts, beside, strict=True):
            alone = server.ask_json("/v1/predict", {"text": text}).json
            assert without_request(found) == without_request(alone)
            (apart,) = models["onnx"].predict([text])  # without any cache
            assert {name: label["score"] for name, label in found["scores"].items()} == pytest.approx(
                apart.scores, abs=2e-5
            )


BODY_OF_25 = b'{"text": "zanzibar-7291"}'
CHUNKED = b"19\r\n" + BODY_OF_25 + b"\r\n0\r\n\r\n"
NEXT = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"  # what a proxy took for a part of the body
LENGTHS = {
    "understated": (["Content-Length: 10"], BODY_OF_25),
    "negative": (["Content-Length: -25"], BODY_OF_25),
    "with a sign": (["Content-Length: +25"], BODY_OF_25),
    "hexadecimal": (["Content-Length: 0x19"], BODY_OF_25),
    "no number": (["Content-Length: zanzibar-7291"], BODY_OF_25),
    "two words": (["Content-Length: 2 5"], BODY_OF_25),
    "a list": (["Content-Length: 25, 25"], BODY_OF_25),
    "larger than any number": (["Content-Length: " + "9" * 30], BODY_OF_25),
    "twice, different": (["Content-Length: 25", "Content-Length: 5"], BODY_OF_25 + NEXT),
    "twice, in another case": (["Content-Length: 5", "content-length: 25"], BODY_OF_25 + NEXT),
    "chunked with a length": (["Transfer-Encoding: chunked", "Content-Length: 4"], CHUNKED + NEXT),
    "a length and chunked": (["Content-Length: 4", "Transfer-Encoding: chunked"], b"0\r\n\r\n" + NEXT),
    "another coding": (["Transfer-Encoding: xchunked"], CHUNKED + NEXT),
    "another coding with a length": (["Transfer-Encoding: xchunked", "Content-Length: 25"], BODY_OF_25 + NEXT),
    "a blank before the colon": (["Transfer-Encoding : chunked", "Content-Length: 25"], BODY_OF_25 + NEXT),
    "a tab that is none": (["Transfer-Encoding: \x0bchunked"], CHUNKED + NEXT),
    "chunked on the next line": (["Transfer-Encoding:", " chunked", "Content-Length: 25"], CHUNKED + NEXT),
    "identity with a length": (["Transfer-Encoding: identity", "Content-Length: 25"], BODY_OF_25 + NEXT),
    "chunked before another": (["Transfer-Encoding: chunked, identity"], CHUNKED + NEXT),
    "two codings": (["Transfer-Encoding: chunked", "Transfer-Encoding: identity"], CHUNKED + NEXT),
    "a chunk of no size": (["Transfer-Encoding: chunked"], b"-19" + CHUNKED[2:] + NEXT),
    "a chunk of 0x19": (["Transfer-Encoding: chunked"], b"0x" + CHUNKED + NEXT),
    "a chunk larger than any": (["Transfer-Encoding: chunked"], b"f" * 20 + CHUNKED[2:] + NEXT),
    "a chunk longer than it says": (["Transfer-Encoding: chunked"], b"5" + CHUNKED[2:] + NEXT),
    "chunks between line feeds": (["Transfer-Encoding: chunked"], CHUNKED.replace(b"\r\n", b"\n") + NEXT),
}


@pytest.mark.parametrize("name", LENGTHS)
def test_a_body_of_doubtful_length_is_refused_and_nothing_behind_it_is_a_request(  # A11
    server: Service, name: str
) -> None:
    lines, body = LENGTHS[name]
    head = [
        "POST /v1/predict HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {server.secret}",
        "Content-Type: application/json",
        *lines,
    ]
    (reply,) = server.talk(("\r\n".join(head) + "\r\n\r\n").encode() + body)
    assert (reply.status, reply.headers["connection"]) == (400, "close")


def test_a_body_that_ends_before_its_length_says_is_no_request(server: Service) -> None:  # A11
    before = server.count("tagdesk_requests_total", route="/v1/predict", status="200")
    sent = server.predict(CANARY, {"Content-Length": "5000"})
    assert {reply.status for reply in server.talk(sent, is_all=True)} <= {400}
    assert server.count("tagdesk_requests_total", route="/v1/predict", status="200") == before


class Drip:
    """A connection that sends a byte at a time."""

    def __init__(self, server: Service, sent: bytes, byte: bytes = b"a") -> None:
        self.socket = server.connect()
        self.socket.sendall(sent)
        self.socket.settimeout(0)
        self.raw = b""
        self.is_open = True
        self._byte = byte

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def go_on(self) -> None:
        """Send the next byte, and see what came."""
        try:
            with suppress(BrokenPipeError, ConnectionResetError):  # what came before it closed is still to be read
                self.socket.send(self._byte)
            while part := self.socket.recv(65536):
                self.raw += part
            self.is_open = False
        except BlockingIOError:
            pass
        except ConnectionResetError:
            self.is_open = False


def test_a_body_of_a_byte_at_a_time_is_given_up_and_nobody_else_waits(server: Service) -> None:  # A13
    head = server.request("POST", "/v1/predict", headers=JSON | {"Content-Length": "100000"})
    chunked = server.request("POST", "/v1/predict", headers=JSON | ENDLESS)
    with ExitStack() as stack:
        drips = [
            stack.enter_context(Drip(server, head + b'{"text": "', b"z")),
            stack.enter_context(Drip(server, head)),
            stack.enter_context(Drip(server, chunked, b"1\r\nz\r\n")),
        ]
        until(lambda: drop_by_drop(server, drips) or all(drip.raw for drip in drips))
    for drip in drips:
        (reply,) = replies(drip.raw)
        assert (reply.status, reply.json["code"]) == (408, "too_slow")


def test_an_answer_that_comes_before_the_whole_body_ends_the_connection(server: Service) -> None:  # A13
    chunk = b"f4240\r\n" + b"z" * 1_000_000 + b"\r\n"
    for status, sent in (
        (413, server.request("POST", "/v1/predict", headers=JSON | ENDLESS) + 2 * chunk),
        (404, server.request("POST", "/none", headers=JSON | {"Content-Length": "100000"}) + b"z"),
        (408, server.request("POST", "/v1/predict", headers=JSON | {"Content-Length": "100000"}) + b"z"),
    ):
        with server.connect() as opened:
            with suppress(BrokenPipeError, ConnectionResetError):
                opened.sendall(sent)
            reply = one_reply(opened)
            assert (reply.status, reply.headers.get("connection")) == (status, "close")
            assert rest_of(opened) == b""


def drop_by_drop(server: Service, drips: Sequence[Drip]) -> bool:
    """Send a byte on each connection that is open; whether none is."""
    for drip in drips:
        if drip.is_open:
            drip.go_on()
    assert server.ask("GET", "/livez").status == 200
    assert server.ask_json("/v1/predict", {"text": TEXT}).status == 200
    return not any(drip.is_open for drip in drips)


def test_a_head_that_never_ends_is_given_up_as_an_idle_connection_is(server: Service) -> None:  # A13
    with ExitStack() as stack:
        start = server.predict(CANARY)[:60]
        unread = server.request("POST", "/none", headers={"Content-Length": "9999"})
        slow = {
            "nothing at all": Drip(server, b"", b""),
            "a head": Drip(server, start),
            "a head of empty lines": Drip(server, b"", b"\r\n"),
            "a second head": Drip(server, server.request("GET", "/livez") + start),
            "a body that nobody reads": Drip(server, unread),
        }
        for drip in slow.values():
            stack.enter_context(drip)
        idle = stack.enter_context(Drip(server, server.request("GET", "/livez"), b""))  # the last one to begin
        until(lambda: drop_by_drop(server, [*slow.values(), idle]) or not idle.is_open)
        grace = time.monotonic() + 2  # its timer was the last of all
        until(lambda: drop_by_drop(server, list(slow.values())) or time.monotonic() > grace)
        assert [name for name, drip in slow.items() if drip.is_open] == []


HEADS = {
    "10,000 headers": "".join(f"X-{n}: {CANARY}\r\n" for n in range(10_000)),
    "a value of 1 MB": f"X-A: {CANARY * 80_000}\r\n",
    "a name of 1 MB": f"{'A' * 1_000_000}: a\r\n",
    "an Idempotency-Key of 1 MB": f"Idempotency-Key: {CANARY * 80_000}\r\n",
}


@pytest.mark.parametrize("name", HEADS)
def test_a_head_that_is_too_large_is_refused(server: Service, name: str) -> None:  # A14
    sent = server.predict(TEXT, {"Connection": "close"})
    head = sent.replace(b"Host: localhost\r\n", b"Host: localhost\r\n" + HEADS[name].encode())
    assert {reply.status for reply in server.talk(head)} <= {400, 431}


def test_a_key_of_1_mb_opens_nothing(server: Service) -> None:  # A14
    sent = server.predict(TEXT, {"Authorization": f"Bearer td_{CANARY * 80_000}", "Connection": "close"})
    assert {reply.status for reply in server.talk(sent)} <= {400, 401, 431}


BROKEN = {
    "a carriage return": b"X-Request-ID: a\rSet-Cookie: zanzibar-7291\r\n",
    "a line feed": b"X-Request-ID: a\nSet-Cookie: zanzibar-7291\r\n",
    "a folded line": b"X-Request-ID: a\r\n Set-Cookie: zanzibar-7291\r\n",
    "NUL": b"X-Request-ID: zanzibar-7291\0\r\n",
    "no colon": b"zanzibar-7291\r\n",
    "no name": b": zanzibar-7291\r\n",
    "a blank in a name": b"X A: zanzibar-7291\r\n",
    "a name that is not ASCII": "X-\u00e9: zanzibar-7291\r\n".encode(),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_header_that_holds_a_line_or_no_name_is_refused(server: Service, name: str) -> None:  # A14
    sent = server.predict(TEXT, {"Connection": "close"}).replace(
        b"Host: localhost\r\n", b"Host: localhost\r\n" + BROKEN[name]
    )
    (reply,) = server.talk(sent)
    assert (reply.status, reply.headers["connection"]) == (400, "close")


def test_a_line_end_that_was_coded_makes_no_header_of_the_answer(server: Service) -> None:  # A14
    for coded in ("a%0d%0aSet-Cookie: zanzibar-7291", "a\\r\\nSet-Cookie: zanzibar-7291", "zanzibar-7291 \u560a"):
        reply = server.ask_json("/v1/predict", {"text": TEXT}, {"X-Request-ID": coded})
        assert reply.status == 200
        assert "set-cookie" not in reply.headers
        assert re.fullmatch("[0-9a-f]{32}", reply.headers["x-request-id"])


def test_keys_that_are_not_ascii_open_nothing_and_hurt_nothing(server: Service) -> None:  # A14
    for key in (b"td_\xd0\xba\xd0\xbb\xd1\x8e\xd1\x87", b"td_\xe9\xff", b"td_\xed\xa0\x80", b"\xf0\x9f\x94\x91"):
        for scheme in (b"Bearer ", b"Bearer\xc2\xa0", b""):
            sent = server.predict(TEXT, {"Authorization": "HERE", "Connection": "close"}).replace(b"HERE", scheme + key)
            (reply,) = server.talk(sent)
            assert (reply.status, reply.json["code"]) == (401, "no_key")
        sent = server.predict(TEXT, {"Idempotency-Key": "HERE", "Connection": "close"}).replace(b"HERE", key)
        assert [reply.status for reply in server.talk(sent)] in ([200], [422])


def leave(opened: socket.socket, *, abruptly: bool) -> None:
    if abruptly:  # with a reset
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    opened.close()


def test_clients_that_leave_within_their_body_are_counted_and_leave_nothing_behind(server: Service) -> None:  # A25
    server.check()
    route = {"route": "/v1/predict"}
    files, before = server.open_files(), server.count("tagdesk_requests_total", **route)
    fine = server.count("tagdesk_requests_total", **route, status="200")
    sent = server.predict(CANARY, {"Content-Length": "1000"})
    for number in range(100):
        opened = server.connect()
        opened.sendall(sent)
        leave(opened, abruptly=number % 2 == 1)
    # One that is reset may be gone before the server has read a byte of it.
    until(lambda: server.count("tagdesk_requests_total", **route) >= before + 50)
    until(lambda: server.open_files() <= files + 5)
    assert server.count("tagdesk_requests_total", **route) <= before + 100
    assert server.count("tagdesk_requests_total", **route, status="200") == fine


def test_clients_that_leave_before_their_answer_are_counted_and_nothing_is_done_for_them(  # A25
    server: Service,
) -> None:
    def status(code: str = "") -> int:
        return server.count("tagdesk_requests_total", route="/v1/predict", **({"status": code} if code else {}))

    files = server.open_files()
    before, fine, sent = status(), status("200"), 0
    gone, left = server.count("tagdesk_clients_gone_total"), status("499")
    deadline = time.monotonic() + PATIENCE
    while server.count("tagdesk_clients_gone_total") == gone:
        assert time.monotonic() < deadline, "nobody left before the answer"
        sent += leave_the_line(server, f"{sent}")
        until(lambda: server.count("tagdesk_queued_requests") == 0 == server.count("tagdesk_queued_tokens"))
    until(lambda: status() == before + sent)
    assert server.count("tagdesk_clients_gone_total") - gone == status("499") - left
    cases = server.ask("GET", "/v1/cases?customer=left&limit=1000").json["cases"]
    assert len(cases) == status("200") - fine < sent  # those alone who stayed until the answer
    until(lambda: server.open_files() <= files + 5)


def leave_the_line(server: Service, name: str) -> int:
    """Let clients come while a batch is read, and leave; give how many they were."""
    tickets = [{"text": f"{name} {n} " + "the courier lost my parcel again " * 30} for n in range(256)]
    busy = server.request("POST", "/v1/predict/batch", json.dumps({"tickets": tickets}).encode(), JSON)
    with server.connect() as waiting:
        waiting.sendall(busy)
        until(lambda: server.count("tagdesk_queued_tokens") > 0 or has_come(waiting))
        leavers = [server.connect() for _ in range(20)]
        for number, opened in enumerate(leavers):
            opened.sendall(server.predict(f"{CANARY} {name} {number}", customer="left"))
            opened.shutdown(socket.SHUT_WR)  # everything arrives, then the end
        for opened in leavers:
            opened.close()
        assert one_reply(waiting).status == 200
    return len(leavers)


def has_come(opened: socket.socket) -> bool:
    opened.setblocking(False)
    try:
        return bool(opened.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False
    finally:
        opened.settimeout(PATIENCE)


def test_a_request_under_a_key_that_was_used_is_the_first_one_or_none(server: Service) -> None:  # A26
    key = {"Idempotency-Key": CANARY}
    first = server.ask_json("/v1/predict", {"text": "the box is lost", "customer": "once"}, key)
    again = server.ask_json("/v1/predict", {"text": "the box is lost", "customer": "once"}, key)
    assert (first.status, again.status) == (200, 200)
    assert first.json | {"request_id": ""} == again.json | {"request_id": ""}
    for other in ({"text": f"the box is lost {CANARY}", "customer": "once"}, {"text": "the box is lost"}):
        reply = server.ask_json("/v1/predict", other, key)
        assert (reply.status, reply.json["code"]) == (422, "key_reused")
    assert len(server.ask("GET", "/v1/cases?customer=once").json["cases"]) == 1


def test_of_many_at_once_under_one_key_all_get_one_answer_or_are_told_to_come_back(server: Service) -> None:  # A26
    sent = server.predict("the courier is late", {"Idempotency-Key": "at-once", "Connection": "close"}, customer="many")
    found = at_once(server, [sent] * 20)
    assert {reply.status for reply in found} <= {200, 409, 503}
    assert all(int(reply.headers["retry-after"]) > 0 for reply in found if reply.status != 200)
    answers = {reply.json["id"] for reply in found if reply.status == 200}
    assert len(answers) == 1
    (last,) = server.talk(sent)
    assert (last.status, {last.json["id"]}) == (200, answers)
    assert len(server.ask("GET", "/v1/cases?customer=many").json["cases"]) == 1


def at_once(server: Service, requests: Sequence[bytes]) -> list[Reply]:
    """The answers to requests, each on a connection of its own, whose last bytes are sent together."""
    with ExitStack() as stack:
        opened = [stack.enter_context(server.connect()) for _ in requests]
        for one, sent in zip(opened, requests, strict=True):
            one.sendall(sent[:-1])
        for one, sent in zip(opened, requests, strict=True):
            one.sendall(sent[-1:])
        return [reply for one in opened for reply in replies(rest_of(one))]


FORGED = [
    {"Host": f"{CANARY}.example"},
    {"Host": f"127.0.0.1:1@{CANARY}.example"},
    {"X-Forwarded-Host": f"{CANARY}.example"},
    {"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1", "Forwarded": f"for=127.0.0.1;host={CANARY};proto=https"},
    {"X-Forwarded-Proto": "https", "X-Forwarded-Port": "443", "X-Forwarded-Prefix": f"/{CANARY}"},
    {"X-Original-URL": "/metrics", "X-Rewrite-URL": "/metrics", "X-HTTP-Method-Override": "DELETE"},
    {"Origin": "null"},
    {"Origin": f"https://{CANARY}.example", "Referer": f"https://{CANARY}.example/"},
]


def is_open_to_pages(reply: Reply) -> bool:
    """Whether a page from elsewhere may read it."""
    return any(name.startswith("access-control-") for name in reply.headers)


@pytest.mark.parametrize("forged", FORGED)
def test_what_a_client_says_of_where_it_comes_from_changes_nothing(  # A27
    server: Service, forged: dict[str, str]
) -> None:
    for path in ("/livez", "/openapi.json", "/v1/taxonomy"):
        plain, told = server.ask("GET", path), server.ask("GET", path, headers=forged)
        assert (told.status, told.body) == (200, plain.body)
        assert not is_open_to_pages(told)
    predicted = server.ask_json("/v1/predict", {"text": TEXT}, forged)
    assert predicted.status == 200
    for method, path, status in (
        ("GET", "/metrics", 401),
        ("POST", "/v1/rollback", 401),
        ("GET", "/v1/cases", 401),
        ("GET", "/livez/", 404),  # no redirect to a host that the client named
        ("OPTIONS", "/v1/predict", 405),
    ):
        asked = forged | {"Authorization": "", "Access-Control-Request-Method": "POST"}
        body = b'{"who": "ada", "why": "forged"}' if method == "POST" else b""
        reply = server.ask(method, path, body, asked | (JSON if body else {}))
        assert reply.status == status
        assert "location" not in reply.headers
        assert not is_open_to_pages(reply)


def test_a_form_on_a_page_elsewhere_does_nothing_though_no_key_is_asked_for(small: Service) -> None:  # A27
    case = small.ask_json("/v1/predict", {"text": TEXT, "customer": "c-1"}).json["id"]
    targets = {
        "/v1/erase": {"who": CANARY, "customer": "c-1"},
        "/v1/rollback": {"who": CANARY, "why": CANARY},
        "/v1/reviews": {"case": case, "labels": [], "reviewer": CANARY},
        "/v1/predict": {"text": CANARY, "customer": "c-1"},
        "/v1/jobs": {"text": CANARY},
    }
    before = small.ask("GET", "/v1/models").body
    for path, value in targets.items():
        form = "&".join(f"{name}={value}" for name, value in value.items())
        parts = "".join(f'--x\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in value.items())
        for kind, body in (
            ("application/x-www-form-urlencoded", form),
            ("multipart/form-data; boundary=x", f"{parts}--x--\r\n"),
            ("text/plain", json.dumps(value)),  # as forms can send JSON
            ("text/plain;charset=application/json", json.dumps(value)),
            ("", json.dumps(value)),
        ):
            asked = {"Content-Type": kind, "Origin": "null", "Cookie": "key=1", "Sec-Fetch-Site": "cross-site"}
            reply = small.ask("POST", path, body.encode(), asked)
            assert (reply.status, is_open_to_pages(reply)) == (415, False), (path, kind)
    assert small.ask("GET", "/v1/models").body == before
    (entry,) = small.ask("GET", "/v1/cases?customer=c-1").json["cases"]
    assert (entry["case"]["id"], entry["reviews"]) == (case, [])


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "a[b", "10.0.0.1"])
def test_a_page_that_turned_its_name_to_this_machine_is_not_answered(small: Service, host: str) -> None:  # A27
    for method, path in (("GET", "/v1/cases"), ("GET", "/livez"), ("POST", "/v1/rollback")):
        reply = small.ask(method, path, b"{}" if method == "POST" else b"", {"Host": host} | JSON)
        assert reply.status in {400, 403}
    for own in ("127.0.0.1", "localhost:8000", "[::1]:8000"):
        assert small.ask("GET", "/livez", headers={"Host": own}).status == 200


def test_a_thousand_idle_connections_keep_nobody_waiting_and_are_closed(server: Service) -> None:  # A28
    server.check()
    files = server.open_files()
    with room_for(2 * MOST), ExitStack() as stack:
        opened = []
        for _ in range(IDLERS):
            opened.append(stack.enter_context(server.connect()))
            opened[-1].sendall(server.request("GET", "/livez"))
        assert {one_reply(one).status for one in opened} == {200}
        server.check()
        assert [replies(rest_of(one)) for one in opened] == [[]] * IDLERS  # the server closes them
    until(lambda: server.open_files() <= files + 5)


def test_where_no_file_can_be_opened_any_more_clients_are_refused_until_one_can(small: Service) -> None:  # A28
    small.check()
    with room_for(600):
        for _ in range(3):
            with ExitStack() as stack:
                for _ in range(300):  # a third of them find room
                    stack.enter_context(small.connect())
                with small.connect() as another, suppress(ConnectionError, TimeoutError):
                    another.settimeout(3)  # it may be left waiting as well
                    another.sendall(small.request("GET", "/livez", headers={"Connection": "close"}))
                    assert not another.recv(100).startswith(b"HTTP/1.1 2")
            small.settle()
            small.check()


def is_answered(service: Service) -> bool:
    """Whether somebody who comes now gets an answer, of whatever kind."""
    with service.connect() as opened, suppress(ConnectionError):
        opened.sendall(service.request("GET", "/livez", headers={"Connection": "close"}))
        return opened.recv(100).startswith(b"HTTP/1.1 200")
    return False


def test_one_connection_too_many_is_told_when_to_come_back(server: Service) -> None:  # A28
    with room_for(2 * MOST), ExitStack() as stack:
        for _ in range(MOST + 20):
            stack.enter_context(server.connect())
        with server.connect() as another:
            with suppress(BrokenPipeError, ConnectionResetError):
                another.sendall(server.predict())
            assert one_reply(another).status == 503  # and `replies` asks for Retry-After


def test_requests_that_do_not_wait_for_answers_are_answered_in_their_order(server: Service) -> None:  # A29
    names = [f"pipe-{number}" for number in range(60)]
    kinds = [
        lambda name: server.predict(f"the parcel {name}", {"X-Request-ID": name}),
        lambda name: server.request("GET", "/livez", headers={"X-Request-ID": name}),
        lambda name: server.request("GET", f"/none/{CANARY}", headers={"X-Request-ID": name}),
        lambda name: server.predict(" ", {"X-Request-ID": name}),
    ]
    sent = b"".join(kinds[number % 4](name) for number, name in enumerate(names))
    found = server.talk(sent + server.request("GET", "/livez", headers={"Connection": "close"}) + NEXT)
    assert [reply.headers["x-request-id"] for reply in found[:-1]] == names
    assert [reply.status for reply in found] == [200, 200, 404, 422] * 15 + [200]  # and none after `close`


def test_of_requests_that_do_not_wait_the_first_that_makes_no_sense_ends_the_connection(server: Service) -> None:  # A29
    for nonsense in (b"\0\0\0\0\r\n\r\n", b"zanzibar-7291\r\n\r\n", b"{}\r\n\r\n"):
        found = server.talk(server.predict() + nonsense + NEXT)
        assert [reply.status for reply in found] in ([400], [200, 400])


def test_a_client_that_asks_before_it_sends_its_body_is_told_to_go_on_or_why_not(server: Service) -> None:  # A29
    asks = {"Expect": "100-continue", "Connection": "close"}
    head, end, body = server.predict(TEXT, asks).partition(b"\r\n\r\n")
    with server.connect() as opened:
        opened.sendall(head + end)
        assert one_reply(opened).status == 100
        opened.sendall(body)
        (reply,) = replies(rest_of(opened))
        assert reply.status == 200
    for status, headers in (
        (413, {"Content-Length": "99999999"}),
        (415, {"Content-Type": "text/plain"}),
    ):
        sent = server.request("POST", "/v1/predict", headers=JSON | asks | {"Content-Length": "25"} | headers)
        assert [reply.status for reply in server.talk(sent)] == [status]  # and never 100
    assert server.ask_json("/v1/predict", {"text": TEXT}, {"Expect": CANARY}).status in {200, 400, 417}


def test_old_and_foreign_protocols_get_a_valid_answer_or_are_refused(server: Service) -> None:  # A29
    old = server.predict().replace(b"HTTP/1.1", b"HTTP/1.0")
    for sent in (
        old,
        old.replace(b"Host: localhost\r\n", b""),
        b"GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    ):
        (reply,) = server.talk(sent)
        assert (reply.status, reply.headers["connection"]) == (200, "close")
    for sent, status in {
        b"GET /livez\r\n": 200,  # HTTP/0.9
        b"GET /livez\r\n\r\n": 200,
        b"GET /zanzibar-7291\r\n\r\n": 404,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n": 400,
        b"GET /livez HTTP/3.7\r\nHost: localhost\r\n\r\n": 400,
        b"SSH-2.0-zanzibar-7291\r\n": 400,
        b"\x80\x2e\x01\x00\x02" + bytes(40): 400,  # SSL 2
        b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03" + b"\x01" * 200: 400,  # TLS
        b"CONNECT zanzibar-7291:80 HTTP/1.1\r\nHost: localhost\r\n\r\n" + NEXT: 400,
        b"\0" * 5000: 400,
    }.items():
        assert [reply.status for reply in server.talk(sent, is_all=True)] in ([], [status], [400])


def test_a_client_that_offers_another_protocol_is_answered_in_this_one_or_refused(server: Service) -> None:  # A29
    offers = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQAAP__"}
    for sent in (
        server.predict(TEXT, offers),  # as `curl --http2` and Java's client do
        server.request("GET", "/livez", headers=offers),
        server.request("GET", "/livez", headers={"Connection": "Upgrade", "Upgrade": "websocket"}),
    ):
        with server.connect() as opened:
            opened.sendall(sent)
            reply = one_reply(opened)
            if reply.status != 400:
                assert reply.status == 200
                opened.sendall(server.request("GET", "/livez", headers={"Connection": "close"}))
                reply = one_reply(opened)
                assert reply.status == 200
            assert reply.headers["connection"] == "close"
            assert rest_of(opened) == b""


def test_many_who_ask_the_same_at_once_cost_one_reading_and_get_one_answer(server: Service) -> None:  # A30
    before = server.texts_read()
    sent = server.predict("please reset the code of my locked account", {"Connection": "close"})
    with room_for(2 * MOST):
        found = at_once(server, [sent] * 400)
    assert Counter(reply.status for reply in found) == {200: 400}
    assert len({json.dumps(without_request(reply.json)) for reply in found}) == 1
    assert len({reply.json["id"] for reply in found}) == 400  # each is a case of its own
    assert server.texts_read() == before + 1
