"""A language model that writes tickets, behind a real HTTP server on this machine."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from command import nothing_new_in, process, refusal, tagdesk
from tagdesk.dataset import File
from tagdesk.dataset.near import words
from tagdesk.errors import UsageError
from tagdesk.generate import Asked, Author, Composer, Endpoint, ProviderError, support_phrases
from tagdesk.generate.seen import Seen
from tagdesk.taxonomy import Taxonomy
from tagdesk.train import support_taxonomy

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")

KEY = "sk-very-secret-4711"
Script = Callable[[int, dict[str, Any]], tuple[int, dict[str, str], bytes]]


@dataclass
class Server:
    """A server that answers by a script: the number of the request and its body give status, headers and body."""

    script: Script = lambda _number, question: completion(faithful(question))
    questions: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def endpoint(self, waits: list[float] | None = None, **options: Any) -> Endpoint:
        waits = [] if waits is None else waits
        return Endpoint(self.url, "tiny", KEY, wait=waits.append, **options)


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.questions.append(question)
            state.headers.append(dict(self.headers))
            state.paths.append(self.path)
            status, headers, body = state.script(len(state.questions), question)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body))}.items() | headers.items():
                self.send_header(name, value)
            with suppress(ConnectionError):  # who asked may have gone
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as listening:
        state.port = listening.server_port
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        listening.shutdown()
        thread.join()


def completion(content: str, tokens: int | None = 100) -> tuple[int, dict[str, str], bytes]:
    usage = {} if tokens is None else {"usage": {"total_tokens": tokens}}
    return 200, {}, json.dumps({"choices": [{"message": {"content": content}}], **usage}).encode()


def plans(question: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(question["messages"][1]["content"])["plans"]
    return found


_NUMBER = iter(range(10**9))


def new_text() -> str:
    return " ".join(f"w{next(_NUMBER)}" for _ in range(6))


def faithful(question: dict[str, Any], **changes: Any) -> str:
    """An answer that keeps to the plans, but for the changes."""
    entries = [{"number": p["number"], "text": new_text(), "labels": p["labels"]} | changes for p in plans(question)]
    return json.dumps({"tickets": entries})


def costly(question: dict[str, Any], more: int = 0) -> tuple[int, dict[str, str], bytes]:
    """A faithful answer that takes all the tokens that it may, and some more."""
    asked = -(-len(json.dumps(question["messages"])) // 4)
    return completion(faithful(question), asked + question["max_tokens"] + more)


def author(server: Server, **options: Any) -> Author:
    taxonomy = support_taxonomy()
    endpoint = options.pop("endpoint", None) or server.endpoint()
    composer = Composer(support_phrases().planning(taxonomy), seed=0, repeats=True)
    return Author(endpoint, taxonomy, composer, words, **options)


def test_planned_tickets_come_back_with_their_labels(server: Server) -> None:
    asked = Asked()
    tickets = list(author(server).tickets(25, asked))
    assert [t.labels for t in tickets] == [t.labels for t in Composer(support_phrases(), seed=0).tickets(25)]
    assert (asked.accepted, asked.requests, asked.tokens, asked.stopped) == (25, 3, 300, None)
    assert [len(plans(question)) for question in server.questions] == [10, 10, 5]
    assert set(server.paths) == {"/v1/chat/completions"}
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert server.questions[0]["model"] == "tiny"
    assert "descri" in server.questions[0]["messages"][1]["content"]


def test_an_answer_between_marks_is_read(server: Server) -> None:
    server.script = lambda _, question: completion(f"Sure!\n```json\n{faithful(question)}\n```")
    assert len(list(author(server).tickets(3, Asked()))) == 3


@pytest.mark.parametrize(("header", "pause"), [({"Retry-After": "7"}, 7), ({}, 1), ({"Retry-After": "9999"}, 60)])
def test_a_busy_server_is_asked_again_after_the_time_it_names(
    server: Server, header: dict[str, str], pause: float
) -> None:
    server.script = lambda number, question: (429, header, b"{}") if number == 1 else completion(faithful(question))
    waits: list[float] = []
    assert len(list(author(server, endpoint=server.endpoint(waits)).tickets(3, Asked()))) == 3
    assert waits == [pause]


def test_a_broken_server_is_given_up_after_longer_and_longer_waits(server: Server) -> None:
    server.script = lambda _number, _question: (500, {}, f"the key was {KEY}".encode())
    waits: list[float] = []
    with pytest.raises(ProviderError, match="answered 500 5 times in a row") as caught:
        list(author(server, endpoint=server.endpoint(waits)).tickets(3, Asked()))
    assert waits == [1, 2, 4, 8]
    assert KEY not in str(caught.value)


def test_a_server_that_breaks_later_ends_the_tickets_and_keeps_the_others(server: Server) -> None:
    server.script = lambda number, question: completion(faithful(question)) if number == 1 else (503, {}, b"")
    asked = Asked()
    assert len(list(author(server).tickets(30, asked))) == 10
    assert "answered 503" in str(asked.stopped)


@pytest.mark.parametrize(
    ("status", "remedy"), [(401, "TAGDESK_API_KEY"), (404, "--model"), (400, "--base-url"), (307, "another address")]
)
def test_a_refusal_is_not_repeated_and_names_the_remedy(server: Server, status: int, remedy: str) -> None:
    server.script = lambda *_: (status, {"Location": f"{server.url}/elsewhere"}, KEY.encode())
    with pytest.raises(ProviderError, match=remedy) as caught:
        list(author(server).tickets(3, Asked()))
    assert len(server.questions) == 1
    assert KEY not in str(caught.value)


def test_nobody_listening_is_an_error_in_words() -> None:
    endpoint = Endpoint("http://127.0.0.1:9/v1", "tiny", KEY, tries=2, wait=lambda _: None)
    with pytest.raises(ProviderError, match=r"could not be reached .* 2 times"):
        endpoint.ask([], most_tokens=1)
    assert KEY not in repr(endpoint)


def test_a_silent_server_times_out(server: Server) -> None:
    released = threading.Event()
    server.script = lambda *_: (released.wait(5), completion("late"))[1]
    try:
        with pytest.raises(ProviderError, match="TimeoutError"):
            server.endpoint(timeout=0.05, tries=1).ask([], most_tokens=1)
    finally:
        released.set()


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"<html>", b'{"choices": []}', b'{"choices": [{"message": {}}]}', b"\xff"]
)
def test_an_answer_of_another_kind_is_refused(server: Server, body: bytes) -> None:
    server.script = lambda *_: (200, {}, body)
    with pytest.raises(ProviderError, match="not what /chat/completions gives"):
        list(author(server).tickets(3, Asked()))


@pytest.mark.parametrize(
    "content", ["", "no JSON", "[1]", '{"tickets": 7}', '{"tickets": [{"number": []}]}', '{"tickets": [3]}', "{" * 5000]
)
def test_nonsense_is_given_up_with_a_reason(server: Server, content: str) -> None:
    server.script = lambda *_: completion(content)
    asked = Asked()
    with pytest.raises(ProviderError, match="nothing usable"):
        list(author(server).tickets(4, asked))
    assert asked.requests == 3
    assert asked.rejected == {"no_ticket": 12}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"labels": ["Zebra"]}, "unknown_label"),
        ({"labels": None}, "no_labels"),
        ({"labels": ["Billing Issue", "Technical Problem", "Account Access", "Product Inquiry"]}, "other_labels"),
        ({"text": " \u200b "}, "empty_text"),
        ({"text": 7}, "no_ticket"),
        ({"text": "half \ud800"}, "bad_encoding"),
    ],
)
def test_a_ticket_that_breaks_its_plan_is_counted_and_written_again(
    server: Server, changes: dict[str, Any], reason: str
) -> None:
    server.script = lambda number, question: completion(faithful(question, **(changes if number == 1 else {})))
    asked = Asked()
    tickets = list(author(server).tickets(5, asked))
    assert asked.rejected == {reason: 5}
    assert [t.labels for t in tickets] == [t.labels for t in Composer(support_phrases(), seed=0).tickets(5)]


def test_a_ticket_that_was_written_before_is_not_taken_unless_allowed(server: Server) -> None:
    server.script = lambda _, question: completion(
        faithful(question, text="Where is my parcel? It is late again today.")
    )
    asked = Asked()
    assert len(list(author(server).tickets(5, asked))) == 1
    assert asked.rejected["repeated"] == 4 + 3 * 4
    assert "no usable ticket" in str(asked.stopped)
    assert len(list(author(server, repeats=True).tickets(5, Asked()))) == 5


@pytest.mark.parametrize("budget", [2_000, 3_000, 5_499, 9_300, 20_000])
def test_the_budget_ends_the_tickets_before_it_is_exceeded(server: Server, budget: int) -> None:
    server.script = lambda _, question: costly(question)
    asked = Asked()
    tickets = list(author(server, budget=budget).tickets(100, asked))
    assert 0 < len(tickets) < 100
    assert budget - 2_000 < asked.tokens <= budget  # what is left is too little for one more
    assert asked.stopped == f"the budget of {budget:,} tokens is spent"
    assert all(question["max_tokens"] == 400 * len(plans(question)) for question in server.questions)
    assert [t.labels for t in tickets] == [t.labels for t in Composer(support_phrases(), seed=0).tickets(len(tickets))]


def test_a_server_that_counts_more_than_estimated_surprises_only_once(server: Server) -> None:
    server.script = lambda _, question: costly(question, more=1_500)
    asked = Asked()
    assert len(list(author(server, budget=9_300).tickets(100, asked))) == 10
    assert asked.tokens < 9_300


def test_a_budget_too_small_for_a_request_is_refused_before_anything_is_asked(server: Server) -> None:
    with pytest.raises(UsageError, match=r"10 tokens is too small .* --budget-tokens") as caught:
        list(author(server, budget=10).tickets(100, Asked()))
    assert caught.value.code == "small_budget"
    assert server.questions == []


def test_a_budget_that_brought_no_ticket_is_refused(server: Server) -> None:
    server.script = lambda _, question: completion(faithful(question, labels=["Zebra"]), 5_000)
    with pytest.raises(UsageError, match=r"5,000 are spent"):
        list(author(server, budget=6_000).tickets(100, Asked()))


def test_tokens_are_estimated_where_the_server_counts_none(server: Server) -> None:
    server.script = lambda _, question: completion(faithful(question), tokens=None)
    asked = Asked()
    list(author(server).tickets(1, asked))
    assert 500 < asked.tokens < 5000


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/v1",
        "ftp://x/v1",
        "localhost",
        "",
        "https://me:pw@x/v1",
        "https://x/v1?key=1",
        "http://[::1",
        "http://x:y/",
        "https://a..b/v1",
        f"https://{'a' * 70}.com/v1",
    ],
)
def test_an_address_that_could_leak_the_key_or_is_none_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="--base-url"):
        Endpoint(url, "tiny", KEY)


@pytest.mark.parametrize(
    "url", ["https://example.com/v1", "http://localhost:1/v1", "http://[::1]:80/v1", "http://127.1.2.3"]
)
def test_https_and_this_machine_are_addresses(url: str) -> None:
    assert Endpoint(url, "tiny").base_url == url


def test_seen_finds_every_near_text() -> None:
    texts = [f"a{i} b{i} c{i} d{i} e{i} f{i} g{i} h{i} i{i}" for i in range(50)]
    seen = Seen(words)
    assert all(seen.add(text) for text in texts)
    assert not any(seen.add(text + " more") for text in texts)  # 9 of 10 words
    assert not any(seen.add(" ".join(text.split()[1:])) for text in texts)  # 8 of 9
    assert all(seen.add(" ".join(text.split()[2:])) for text in texts)  # 7 of 9


def test_the_command_writes_what_the_model_wrote(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAGDESK_API_KEY", KEY)
    out = tmp_path / "made.jsonl"
    given = ("--provider", "openai-compatible", "--base-url", server.url, "--model", "tiny", "--json")
    answer = tagdesk("generate", out, "-n", "12", *given)
    assert (answer.code, answer.json["tickets"], answer.json["tokens"]) == (0, 12, 200)
    assert len(File(out).read().accepted) == 12
    assert KEY not in answer.out + answer.err
    server.script = lambda _, question: costly(question)
    stopped = tagdesk("generate", out, "-n", "50", "--budget-tokens", "6000", "--force", *given)
    assert (stopped.code, stopped.json["tickets"]) == (5, 10)
    assert "Stopped after 10 of 50 tickets" in stopped.err
    assert KEY not in stopped.out + stopped.err
    with nothing_new_in(tmp_path):
        refused = refusal(2, "generate", tmp_path / "none.csv", "--budget-tokens", "10", *given)
        assert "too small" in refused


@posix
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM], ids=lambda end: end.name)
def test_an_interrupt_keeps_what_was_paid_for(server: Server, tmp_path: Path, end: signal.Signals) -> None:
    running = interrupted(server, end, tmp_path / "made.jsonl", at=2)
    said, complaint = running.communicate(timeout=120)
    assert (running.returncode, json.loads(said)["tickets"]) == (130, 10)
    assert complaint.decode().startswith("Stopped after 10 of 30 tickets: interrupted.\n")
    assert list(tmp_path.iterdir()) == [tmp_path / "made.jsonl"]
    assert len(File(tmp_path / "made.jsonl").read().accepted) == 10


@posix
def test_an_interrupt_before_the_first_ticket_leaves_no_file(server: Server, tmp_path: Path) -> None:
    running = interrupted(server, signal.SIGINT, tmp_path / "made.jsonl", at=1)
    with nothing_new_in(tmp_path):
        assert running.communicate(timeout=120)[1] == b"error: Interrupted; no file was written half.\n"
    assert running.returncode == 130


def interrupted(server: Server, end: signal.Signals, out: Path, *, at: int) -> subprocess.Popen[bytes]:
    """A run for 30 tickets that is ended while it waits for the answer to a request."""
    given = ("--provider", "openai-compatible", "--base-url", server.url, "--model", "tiny", "--json")

    def script(number: int, question: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        if number == at:
            running.send_signal(end)
        return completion(faithful(question))

    server.script = script
    running = process("generate", out, "-n", "30", *given)
    return running


def test_a_refusing_provider_leaves_no_file(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAGDESK_API_KEY", KEY)
    server.script = lambda *_: (401, {}, KEY.encode())
    with nothing_new_in(tmp_path):
        given = ("--provider", "openai-compatible", "--base-url", server.url, "--model", "tiny")
        assert KEY not in refusal(1, "generate", tmp_path / "made.csv", *given)


def test_a_model_writes_for_labels_that_no_phrase_book_knows(server: Server) -> None:
    taxonomy = Taxonomy.of(["Zebra", "Okapi [rare]"])
    composer = Composer(support_phrases().planning(taxonomy), seed=0, repeats=True)
    tickets = list(Author(server.endpoint(), taxonomy, composer, words).tickets(20, Asked()))
    assert {label for ticket in tickets for label in ticket.labels} == set(taxonomy.names)
