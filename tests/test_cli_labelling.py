from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import pty
import re
import select
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fcntl import ioctl
from pathlib import Path
from unittest import mock

import pytest
from rich.cells import cell_len

from command import SPEECH, refusal, tagdesk
from naughty_strings import NAUGHTY_STRINGS
from tagdesk.cli import run
from tagdesk.cli.frame import frame, keys_for
from tagdesk.cli.keyboard import REDRAW, Keyboard
from tagdesk.cli.reviewing import Look, Reviewing
from tagdesk.labelling import Waiting, disputed, seen_once
from tagdesk.labelling.session import BACKSPACE, DOWN, END, ENTER, ESCAPE, PAGE_DOWN, UP, Session
from tagdesk.model import Model
from tagdesk.store import Decided, Selection, Store
from tagdesk.taxonomy import Label, Taxonomy
from test_labelling import ACCESS, BILLING, NOW, SHIPPING, case, found, one_of
from tiny import LABELS

PATIENCE = 120.0  # seconds; where tests share a busy machine nobody is to give up
HOMES = dict.fromkeys(("queue", "review"), ("labelling", ()))
PLAIN = Look(moves=False, weighs=False)
WAITS = ("card charged twice", "parcel late again", "password reset please")


@pytest.fixture
def place(tmp_path: Path, models: dict[str, Model], saved: Path) -> Path:
    """A store of three cases for which billing was suggested; a linear model answers."""
    path = tmp_path / "tagdesk.db"
    model = models["linear"]
    with Store.open(path) as opened:
        opened.cases.add([case(f"k{n}", text, BILLING, minute=n) for n, text in enumerate(WAITS)])
        decided = Decided("ada", NOW, "a test")
        opened.promotions.promote(model.id, model.policy.id, decided, expected=0)
    (tmp_path / "models").symlink_to(saved)
    return path


@pytest.fixture
def store(place: Path) -> Iterator[Store]:
    with Store.open(place, patience=0.05) as opened:
        yield opened


def there(place: Path) -> tuple[str, ...]:
    return ("--store", str(place), "--models", str(place.parent / "models"))


def reviews_in(place: Path) -> dict[str, list[tuple[str, set[str]]]]:
    """Who found what for which case."""
    with Store.open(place) as opened:
        return {
            one.case.id: [(review.reviewer, set(review.labels)) for review in one.reviews]
            for one in opened.reviews.reviewed(Selection(None))
        }


def given(place: Path) -> list[list[str]]:
    """The labels of all reviews."""
    return sorted(sorted(labels) for made in reviews_in(place).values() for _, labels in made)


# --- queue


def test_the_queue_lists_tickets_with_reasons_and_suggestions(place: Path) -> None:
    answer = tagdesk("queue", *there(place), "-n", "2")
    assert answer.code == 0
    assert answer.out.count(BILLING) >= 2
    assert "tagdesk review" in answer.out
    listed = tagdesk("queue", *there(place), "--json").json
    assert {one["case"] for one in listed} == {"k0", "k1", "k2"}
    assert {tuple(one["suggested_labels"]) for one in listed} == {(BILLING,)}
    assert all(one["reason"] and 0 < one["probability"] <= 1 for one in listed)
    assert tagdesk("queue", *there(place), "--json").json == listed  # the same seed, the same tickets


def test_a_queue_of_nothing_says_so(place: Path, store: Store) -> None:
    store.reviews.add([found(f"k{n}", "ada") for n in range(3)], tenant="shop")
    assert "Nothing waits" in tagdesk("queue", *there(place)).out
    assert tagdesk("queue", *there(place), "--json").json == []
    assert "nowhere" in tagdesk("queue", *there(place), "--contradictory").out
    assert "No two people" in tagdesk("queue", *there(place), "--agreement").out


def test_an_empty_store_has_an_empty_queue(tmp_path: Path) -> None:
    Store.open(tmp_path / "new.db").close()
    with mock.patch("tagdesk.cli.labelling._live"):
        assert "Nothing waits" in tagdesk("queue", "--store", tmp_path / "new.db").out
    assert "no store" in refusal(2, "queue", "--store", tmp_path / "none.db")


def test_a_table_goes_out_is_filled_in_and_comes_back(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "queue.csv"
    assert "new_labels" in tagdesk("queue", *there(place), "--out", out).out
    assert "--force" in refusal(2, "queue", *there(place), "--out", out)
    with out.open(encoding="utf-8-sig", newline="") as handle:
        rows = list(csv.DictReader(handle))
    for row in rows:
        row["new_labels"] = {"k0": "suggested", "k1": SHIPPING, "k2": ""}[row["case"]]
    with out.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]), delimiter=";")
        writer.writeheader()
        writer.writerows(rows)
    assert "--reviewer" in refusal(2, "review", *there(place), "--import", out)
    first = tagdesk("review", *there(place), "--import", out, "--reviewer", "ada", "--json")
    assert (first.code, first.json["added"], first.json["blank"]) == (0, 2, 1)
    again = tagdesk("review", *there(place), "--import", out, "--reviewer", "ada")
    assert again.out.startswith("0 reviews added; 2 were there already")
    assert reviews_in(place) == {"k0": [("ada", {BILLING})], "k1": [("ada", {SHIPPING})]}
    with Store.open(place) as opened:
        assert all(pick is not None for pick in opened.picks.of_cases(["k0", "k1", "k2"]))


def test_one_bad_row_keeps_all_out_unless_it_is_skipped(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "queue.csv"
    tagdesk("queue", *there(place), "--out", out)
    lines = out.read_text(encoding="utf-8-sig").splitlines()
    labels = ["", BILLING, "Weather", ""]
    filled = [line.replace(f",{BILLING},,", f",{BILLING},{label},") for line, label in zip(lines, labels, strict=True)]
    out.write_text("\n".join(filled), encoding="utf-8")
    told = refusal(3, "review", *there(place), "--import", out, "--reviewer", "ada")
    assert "1 row is bad, so nothing was imported. line 3:" in told
    assert reviews_in(place) == {}
    answer = tagdesk("review", *there(place), "--import", out, "--reviewer", "ada", "--skip-bad")
    assert answer.code == 5
    assert "Left out: line 3" in answer.err
    assert len(reviews_in(place)) == 1


def test_tasks_for_label_studio_come_with_their_configuration(place: Path, tmp_path: Path) -> None:
    out, config = tmp_path / "tasks.json", tmp_path / "labels.xml"
    told = tagdesk("queue", *there(place), "--out", out).out
    assert "--label-studio-config" in told
    assert tagdesk("queue", *there(place), "--out", out, "--label-studio-config", config, "--force").code == 0
    assert f'<Choice value="{BILLING}"/>' in config.read_text()
    exported = json.loads(out.read_text())
    assert {task["data"]["case"] for task in exported} == {"k0", "k1", "k2"}
    for task in exported:
        result = task["predictions"][0]["result"]
        task["annotations"] = [{"completed_by": 4, "created_at": "2026-05-02T10:00:00Z", "result": result}]
    out.write_text(json.dumps(exported))
    assert tagdesk("review", *there(place), "--import", out, "--json").json["added"] == 3
    assert reviews_in(place)["k2"] == [("label-studio-4", {BILLING})]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("--contradictory", "--out", "x.csv"), 2, "tagdesk review --contradictory"),
        (("--agreement", "--label-studio-config", "x.xml"), 2, "nobody has labelled"),
        (("--out", "x.xlsx"), 3, "which format"),
        (("--out", "tagdesk.py/x.csv"), 2, "written"),
        (("--strategy", "guess"), 2, "expected one of"),
        (("-n", "0"), 2, "equal to 1"),
    ],
)
def test_what_makes_no_sense_is_refused(place: Path, arguments: tuple[str, ...], code: int, told: str) -> None:
    assert told in refusal(code, "queue", *there(place), *arguments)


def test_contradictions_and_agreement_are_printed(place: Path, store: Store) -> None:
    store.reviews.add([found("k0", "ada", BILLING), found("k0", "bob\x1b[2J", SHIPPING)], tenant="shop")
    answer = tagdesk("queue", *there(place), "--contradictory")
    assert f"ada: {BILLING}" in answer.out.replace("\n", "") or "ada: Billing" in answer.out
    assert "tagdesk review --contradictory" in answer.out
    (one,) = tagdesk("queue", *there(place), "--contradictory", "--json").json
    assert one["found"] == {"ada": [BILLING], "bob\x1b[2J": [SHIPPING]}
    agreement = tagdesk("queue", *there(place), "--agreement")
    assert "1 cases were reviewed by several people; 1 wait to be settled" in agreement.out
    assert "no more than a hint" in agreement.out
    assert "\x1b" not in answer.out + agreement.out
    (pair,) = tagdesk("queue", *there(place), "--agreement", "--json").json["pairs"]
    assert (pair["cases"], pair["same_labels"]) == (1, 0.0)


# --- what a session does, without a terminal


class Typed:
    """Keys that a test presses; a function among them is called before the next one."""

    def __init__(self, *keys: str | Callable[[], object]) -> None:
        self.keys = list(keys)
        self.forgotten = 0

    def read(self) -> str:
        while self.keys:
            key = self.keys.pop(0)
            if isinstance(key, str):
                return key
            key()
        return END

    def forget(self) -> None:
        self.forgotten += 1


def reviewed(
    store: Store, batch: Sequence[Waiting], *keys: str | Callable[[], object], reviewer: str = "ada"
) -> tuple[Session, str]:
    """The session after these keys, and all that the screen showed."""
    session = Session(batch, LABELS)
    screen = io.StringIO()
    reviewing = Reviewing(store, Taxonomy.of(LABELS), reviewer, lambda: datetime.now(UTC))
    reviewing.run(session, Typed(*keys), screen, PLAIN)
    return session, screen.getvalue()


def batch_of(store: Store) -> list[Waiting]:
    cases = store.cases.get(["k0", "k1", "k2"], tenant=None)
    return [one_of(case) for case in cases if case is not None]


def test_each_review_is_in_the_store_before_the_next_ticket_is_shown(store: Store, place: Path) -> None:
    seen: list[int] = []
    batch = batch_of(store)
    reviewed(store, batch, ENTER, lambda: seen.append(len(reviews_in(place))), ENTER)
    assert seen == [1]
    assert len(reviews_in(place)) == 2


def test_a_busy_store_loses_nothing_and_enter_tries_again(store: Store, place: Path) -> None:
    other = sqlite3.connect(place, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    session, shown = reviewed(store, batch_of(store), "1", ENTER, lambda: other.execute("ROLLBACK"), ENTER)
    other.close()
    assert "The store is busy" in shown
    assert (session.place, session.saved_count) == (1, 1)
    assert reviews_in(place) == {"k0": [("ada", {ACCESS, BILLING})]}


def test_what_was_typed_during_a_slow_save_is_not_for_the_next_ticket(store: Store) -> None:
    keys = Typed(ENTER)
    reviewing = Reviewing(store, Taxonomy.of(LABELS), "ada", lambda: datetime.now(UTC))
    with mock.patch("tagdesk.cli.reviewing.SLOW", 0.0):
        reviewing.run(Session(batch_of(store), LABELS), keys, io.StringIO(), PLAIN)
    assert keys.forgotten == 1


def test_a_case_that_is_erased_meanwhile_is_left_out(store: Store, place: Path) -> None:
    def erase(id_: str) -> Callable[[], object]:
        return lambda: store.erase(Selection("shop", case=id_), who="bob", now=NOW)

    session, shown = reviewed(store, batch_of(store), erase("k0"), ENTER, erase("k2"), ENTER, ENTER)
    assert "erased meanwhile" in shown
    assert (session.tally.labelled, session.tally.gone) == (1, 2)
    assert list(reviews_in(place)) == ["k1"]


def test_two_people_at_once_do_not_do_the_same_work(store: Store, place: Path) -> None:
    batch = batch_of(store)
    others: list[Session] = []

    def bob() -> None:
        others.append(reviewed(store, [batch[2], batch[1], batch[0]], ENTER, reviewer="bob")[0])

    session, shown = reviewed(store, batch, bob, ENTER, ENTER, ENTER)
    assert (session.tally.labelled, session.tally.by_others) == (2, 1)
    assert others[0].tally.labelled == 1
    assert "others have labelled" in shown
    assert {id_: [name for name, _ in made] for id_, made in reviews_in(place).items()} == {
        "k0": ["ada"],
        "k1": ["ada"],
        "k2": ["bob"],
    }


def test_a_second_opinion_is_blind(store: Store, place: Path) -> None:
    store.reviews.add([found("k0", "ada", ACCESS)], tenant="shop")
    (again,) = seen_once(store, 9, "bob")
    session, shown = reviewed(store, [again], ENTER, reviewer="bob")
    assert "ada" not in shown
    assert session.tally.labelled == 1
    assert reviews_in(place)["k0"] == [("ada", {ACCESS}), ("bob", {BILLING})]


def test_a_contradiction_is_settled_in_sight_of_who_said_what(store: Store) -> None:
    store.reviews.add([found("k0", "ada", ACCESS), found("k0", "bob", SHIPPING)], tenant="shop")
    _session, shown = reviewed(store, disputed(store, 9), "3", ENTER, reviewer="cyd")
    assert f"ada: {ACCESS}" in shown
    assert f"bob: {SHIPPING}" in shown
    (one,) = store.reviews.reviewed(Selection(None))
    assert one.labels == {SHIPPING}
    assert not one.is_contradictory


def test_a_store_that_cannot_say_whether_a_case_waits_shows_it(store: Store) -> None:
    batch = batch_of(store)
    with Store.open(store.file, patience=0.05) as gone:
        gone.cases.get = mock.Mock(side_effect=gone_away)  # type: ignore[method-assign] # it could be anything
        session, shown = reviewed(gone, batch, ENTER)
    assert session.tally.labelled == 1
    assert WAITS[0] in shown


def gone_away(*_: object, **__: object) -> None:
    from tagdesk.store import StoreBusy  # noqa: PLC0415 - here alone

    raise StoreBusy


def test_undo_in_the_store_is_a_newer_review(store: Store, place: Path) -> None:
    reviewed(store, batch_of(store), "1", ENTER, "u", "1", "3", ENTER, "u", ENTER)
    assert reviews_in(place)["k0"] == [("ada", {ACCESS, BILLING}), ("ada", {BILLING, SHIPPING})]


# --- how it looks

HOSTILE = (
    *NAUGHTY_STRINGS,
    "\x1b[2J\x1b]0;owned\x07\x9b31m",
    "\u202egnp.exe\u2066 \u200f",
    "x" * 20_000,
    "wort " * 4_000,
    "长" * 500 + "🤷‍♀️" * 50,
    "a\u0301" * 300,
    "\n" * 300 + "end",
    "one\r\ntwo\rthree\u2028four\ttab",
)
ACTING = re.compile("[\x00-\x1f\x7f-\x9f\u200f\u2028\u202e\u2066]")
ODD = ("a", "=1+1", "\u202eevil\x1b[2J", "长标签" * 20, "🤷", "x" * 200, 'say "hi"', "\x7f")


@pytest.mark.parametrize(("width", "height"), [(20, 5), (79, 24)])
def test_no_text_and_no_label_can_act_on_the_terminal_or_leave_its_lines(width: int, height: int) -> None:
    taxonomy = Taxonomy(tuple(Label(name, "\x1b[2J" * 9, gives="long " * 99, not_for="x" * 400) for name in _allowed()))
    for number, text in enumerate(HOSTILE):
        waits = one_of(replace(case("k0"), ticket=text[:150], prediction=replace(case("k0").prediction, text=text)))
        waits = replace(waits, reason=f"why {text[:200]}")
        session = Session([waits], taxonomy.names)
        for keys in ("", " ", "/z", *(("?", "? ") if number == 0 else ())):
            for key in (ESCAPE, *keys):
                session.press(key)
            lines = frame(session, taxonomy, width, height)
            assert len(lines) <= height
            for line in lines:
                assert cell_len(line.text) <= width
                assert not ACTING.search(line.text)
            session.press(ESCAPE)


def _allowed() -> list[str]:
    """Those of the odd names that a taxonomy may hold."""
    return [name for name in ODD if not any(sign < " " for sign in name)]


def test_the_whole_text_can_be_paged_through() -> None:
    words = " ".join(f"w{n}" for n in range(3_000))
    session = Session([one_of(case("k0", words))], LABELS)
    seen: set[str] = set()
    for _ in range(60):
        seen |= {word for line in frame(session, Taxonomy.of(LABELS), 40, 24) for word in line.text.split()}
        session.press(" ")
    assert {f"w{n}" for n in range(3_000)} <= seen


def test_a_screen_of_forty_columns_shows_all_that_is_needed() -> None:
    session = Session([one_of(case("k0", "charged twice", BILLING))] * 3, LABELS)
    lines = [line.text for line in frame(session, Taxonomy.of(LABELS), 40, 24)]
    assert lines[:2] == ["1 of 3", "Why: random check"]
    assert f"2 [x] {BILLING:<17}  98%" in lines
    assert f"Saves: {BILLING}" in lines
    shown = " ".join(lines)
    assert all(word in shown for word in ("Enter save", "1-3 mark", "n none", "s skip", "u back", "/ find", "q stop"))


def test_two_hundred_labels_leave_room_for_the_text() -> None:
    names = [f"Label {n:03}" for n in range(200)]
    for width, height in ((40, 24), (80, 24), (200, 60)):
        session = Session([one_of(case("k0", "charged twice"))], names, most_keys=keys_for(200, width, height))
        lines = [line.text for line in frame(session, Taxonomy.of(names), width, height)]
        assert len(lines) <= height
        assert lines[0] == "1 of 1"
        assert "charged twice" in lines
        assert sum("[ ]" in line for line in lines) >= 9 or width >= 80
        assert any("/ find one of 200" in line for line in lines)


def test_the_meanings_of_labels_are_those_of_the_taxonomy() -> None:
    label = Label("A", "About a.", gives="It is a.", not_for="It is b.")
    taxonomy = Taxonomy((label,), rules=("Read it twice.",))
    session = Session([one_of(case("k0"))], ["A"])
    session.press("?")
    shown = "\n".join(line.text for line in frame(session, taxonomy, 60, 24))
    assert all(text in shown for text in ("- Read it twice.", "About a.", "Given where: It is a.", "Not for: It is b."))
    bare = "\n".join(line.text for line in frame(session, Taxonomy.of(["A"]), 60, 24))
    assert "names of these labels and no more" in bare


def test_a_label_that_is_marked_in_a_wide_screen_is_told_from_others() -> None:
    names = [f"Label {n}" for n in range(12)]
    session = Session([one_of(case("k0"))], names)
    session.press("2")
    lines = [line.text for line in frame(session, Taxonomy.of(names), 80, 30)]
    assert any("2 [x] Label 1" in line and "8 [ ] Label 7" in line for line in lines)


# --- keys

Terminal = tuple[int, int]


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    """Both ends of a terminal: what a person types into, and what a program reads from."""
    master, slave = pty.openpty()
    yield master, slave
    os.close(master)
    with contextlib.suppress(OSError):
        os.close(slave)


@pytest.mark.parametrize(
    ("typed", "keys"),
    [
        (b"1aZ/? ", ["1", "a", "Z", "/", "?", " "]),
        (b"\r\n", [ENTER, ENTER]),
        (b"\x7f\x08", [BACKSPACE, BACKSPACE]),
        (b"\x1b[A\x1bOB\x1b[6~", [UP, DOWN, PAGE_DOWN]),
        (b"\x1b[1;5C\x1b[24~\x1bq\x1b[<0;3;4M\x01x", ["x"]),  # other keys, Alt, the mouse: one key each, and none
        ("é长🤷".encode(), ["é", "长", "🤷"]),
        (b"\xff\xfey", ["\ufffd", "\ufffd", "y"]),
        (b"\x1b[200~\rq1\r\x1b[A lots\x1b[201~n", ["n"]),  # pasted
        (b"\x1b", [ESCAPE]),
        (b"\x1b\x1b", [ESCAPE, ESCAPE]),
        (b"\x0c", [REDRAW]),
        (b"\x04", [END]),
    ],
)
def test_what_one_key_sends_is_one_key(terminal: Terminal, typed: bytes, keys: list[str]) -> None:
    master, slave = terminal
    with Keyboard(slave, io.StringIO()) as keyboard:
        os.write(master, typed)
        assert [keyboard.read() for _ in keys] == keys
        os.write(master, b"~")
        assert keyboard.read() == "~"  # and nothing was left over


def test_a_sequence_that_breaks_off_is_no_key(terminal: Terminal) -> None:
    master, slave = terminal
    with Keyboard(slave, io.StringIO()) as keyboard, mock.patch("tagdesk.cli.keyboard.SOON", 0.0):
        os.write(master, b"\x1b[")
        assert keyboard._more(None)
        assert keyboard._taken() == ""
        os.write(master, b"z")
        assert keyboard.read() == "z"


def test_a_key_that_arrives_in_pieces_is_one_key(terminal: Terminal) -> None:
    master, slave = terminal
    with Keyboard(slave, io.StringIO()) as keyboard, mock.patch("tagdesk.cli.keyboard.SOON", PATIENCE):
        pieces = iter((b"[", b"B", b"\xe9", b"\x95\xbf", b"\x1b[200~ab", b"c\x1b[20", b"1~.\x1b", b"[A"))
        os.write(master, b"\x1b")
        sender = threading.Thread(target=lambda: [(time.sleep(0.01), os.write(master, piece)) for piece in pieces])
        sender.start()
        assert [keyboard.read() for _ in range(4)] == [DOWN, "长", ".", UP]
        sender.join()


def test_a_terminal_that_is_gone_is_the_end_of_the_input(terminal: Terminal) -> None:
    master, slave = terminal
    other = os.dup(slave)
    with Keyboard(slave, io.StringIO()) as keyboard:
        os.dup2(os.open(os.devnull, os.O_RDONLY), slave)
        assert keyboard.read() == END
    os.close(other)
    assert master


def test_what_was_typed_before_and_meanwhile_is_forgotten(terminal: Terminal) -> None:
    master, slave = terminal
    os.write(master, b"early\n")
    select.select([slave], [], [], PATIENCE)  # it takes a moment from one end to the other
    with Keyboard(slave, io.StringIO()) as keyboard:
        os.write(master, b"meanwhile")
        assert keyboard.read() == "m"
        keyboard.forget()
        os.write(master, b"!")
        assert keyboard.read() == "!"


def test_a_new_size_of_the_window_redraws(terminal: Terminal) -> None:
    master, slave = terminal
    with Keyboard(slave, io.StringIO()) as keyboard:
        os.kill(os.getpid(), signal.SIGWINCH)
        assert keyboard.read() == REDRAW
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGWINCH)).start()
        assert keyboard.read() == REDRAW  # while it waits, too
        os.write(master, b"x")
        assert keyboard.read() == "x"


@pytest.mark.parametrize("error", [None, KeyboardInterrupt, RuntimeError])
def test_the_terminal_is_restored_however_the_block_ends(terminal: Terminal, error: type[BaseException] | None) -> None:
    _master, slave = terminal
    before, handlers = termios.tcgetattr(slave), [signal.getsignal(n) for n in (signal.SIGTSTP, signal.SIGWINCH)]
    screen = io.StringIO()
    with contextlib.suppress(KeyboardInterrupt, RuntimeError), Keyboard(slave, screen, begin="<", end=">"):
        inside = termios.tcgetattr(slave)
        assert not inside[3] & (termios.ECHO | termios.ICANON)
        assert inside[3] & termios.ISIG
        if error:
            raise error
    assert termios.tcgetattr(slave) == before
    assert [signal.getsignal(n) for n in (signal.SIGTSTP, signal.SIGWINCH)] == handlers
    assert screen.getvalue() == "<>"


def test_the_look_of_a_terminal_follows_its_environment() -> None:
    assert Look.of({"TERM": "xterm"}) == Look(moves=True, weighs=True)
    assert Look.of({"TERM": "xterm", "NO_COLOR": "1"}) == Look(moves=True, weighs=False)
    assert Look.of({"TERM": "dumb"}) == Look.of({}) == PLAIN
    assert PLAIN.begin == PLAIN.end == ""


# --- all of it, at a terminal

Steps = Sequence[tuple[str, str | Callable[[], object]]]


@dataclass(frozen=True)
class Seen:
    """How a command ended, and all that was on its terminal."""

    code: int
    screen: str
    is_restored: bool


def at_terminal(*arguments: str, steps: Steps, columns: int = 80, **environment: str) -> Seen:
    """Run a command line at a terminal; a thread waits for a text there and types, or does something, then the next."""
    master, slave = pty.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    before = termios.tcgetattr(slave)
    person = Person(master, steps)
    person.start()
    usual = {"TERM": "xterm", "NO_COLOR": ""} | environment
    with (
        open(slave, encoding="utf-8", closefd=False) as stdin,
        open(slave, "w", encoding="utf-8", closefd=False) as stdout,
        mock.patch.dict(os.environ, usual),
        mock.patch("sys.stdin", stdin),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        code = run(list(arguments))
        stdout.flush()
    person.stop()
    restored = termios.tcgetattr(slave) == before
    os.close(master)
    os.close(slave)
    assert person.missed is None, f"{person.missed!r} never came; there was {person.screen!r}"
    return Seen(code, person.screen, restored)


class Person(threading.Thread):
    """Who sits at the terminal."""

    def __init__(self, master: int, steps: Steps) -> None:
        super().__init__(daemon=True)
        self.screen = ""
        self.missed: str | None = None
        self._master = master
        self._steps = list(steps)
        self._is_over = threading.Event()

    def run(self) -> None:
        at = 0
        for text, keys in self._steps:
            deadline = time.monotonic() + PATIENCE
            while self.screen.find(text, at) < 0 and time.monotonic() < deadline and not self._is_over.is_set():
                self._look()
            if (place := self.screen.find(text, at)) < 0:
                self.missed = text
                os.write(self._master, b"\x1b\x04")
                break
            at = place + len(text)
            if isinstance(keys, str):
                os.write(self._master, keys.encode())
            else:
                keys()
        while not self._is_over.is_set():
            self._look()
        while self._look():
            pass

    def stop(self) -> None:
        self._is_over.set()
        self.join()

    def _look(self) -> bool:
        ready, _, _ = select.select([self._master], [], [], 0.02)
        if ready:
            self.screen += os.read(self._master, 65536).decode("utf-8", "replace")
        return bool(ready)


def test_three_tickets_are_labelled_at_a_terminal(place: Path) -> None:
    seen = at_terminal(
        *("review", *there(place), "--reviewer", "ada", "--seed", "1"),
        steps=[
            ("1 of 3", "\r"),
            ("2 of 3, 1 saved", "21\r"),
            ("3 of 3", "n\r"),
            ("All 3", "u"),
            ("anew", "\r"),
            ("All 3", "\r"),
        ],
    )
    assert (seen.code, seen.is_restored) == (0, True)
    assert given(place) == [[], [ACCESS], [BILLING]]
    end = seen.screen.rpartition("\x1b[?1049l")[2]
    assert "3 tickets labelled by ada" in end
    assert "exactly right for 1 of them (33%)" in end
    assert "tagdesk retrain" in end


def test_what_is_reviewed_does_not_come_again(place: Path) -> None:
    first = at_terminal("review", *there(place), steps=[("1 of 3", "\r"), ("2 of 3", "q")])
    assert "1 ticket labelled" in first.screen
    at_terminal("review", *there(place), "-n", "9", steps=[("1 of 2", "\r"), ("2 of 2", "\r"), ("All 2", "q")])
    assert len(reviews_in(place)) == 3
    assert "Nothing waits" in at_terminal("review", *there(place), steps=[]).screen


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"TERM": "dumb", "NO_COLOR": "1"}])
def test_a_terminal_that_can_nothing_gets_no_escape_sequence(place: Path, environment: dict[str, str]) -> None:
    seen = at_terminal(
        *("review", *there(place), "--reviewer", "ada", "--json"),
        steps=[
            ("1 of 3", "1"),
            ("[x] Account", "\r"),
            ("2 of 3", "/"),
            ("Find: _", "ship\r"),
            ("marked.", "\r"),
            ("3 of 3", "q"),
        ],
        columns=40,
        **environment,
    )
    assert "\x1b" not in seen.screen
    assert all(len(line) <= 40 for line in seen.screen.splitlines())
    assert json.loads(seen.screen[seen.screen.rindex("{") :])["labelled"] == 2
    assert given(place) == [[ACCESS, BILLING], [BILLING, SHIPPING]]


def test_no_color_keeps_the_screen_and_leaves_weights_out(place: Path) -> None:
    seen = at_terminal("review", *there(place), steps=[("1 of 3", "q")], NO_COLOR="1")
    assert "\x1b[1m" not in seen.screen
    assert "\x1b[?1049h" in seen.screen


@pytest.mark.parametrize("way", ["\x04", "interrupt"])
def test_ctrl_d_and_ctrl_c_stop_and_leave_the_terminal_as_it_was(place: Path, way: str) -> None:
    stop = way if len(way) == 1 else lambda: os.kill(os.getpid(), signal.SIGINT)
    seen = at_terminal("review", *there(place), steps=[("1 of 3", "\r"), ("2 of 3", stop)])
    assert (seen.code, seen.is_restored) == (0, True)
    assert "1 ticket labelled" in seen.screen
    assert seen.screen.count("\x1b[?1049h") == seen.screen.count("\x1b[?1049l") == 1


def test_a_contradiction_is_settled_at_a_terminal(place: Path, store: Store) -> None:
    store.reviews.add([found("k0", "ada", ACCESS), found("k0", "bob", SHIPPING)], tenant="shop")
    seen = at_terminal(
        *("review", *there(place), "--contradictory", "--reviewer", "cyd"),
        steps=[("bob: Shipping", "1\r"), ("looked at", "\r")],
    )
    assert "Settles it as" in seen.screen
    (one,) = store.reviews.reviewed(Selection(None))
    assert one.labels == {ACCESS}
    assert "nowhere" in at_terminal("review", *there(place), "--contradictory", steps=[]).screen


def test_a_share_of_tickets_is_shown_again(place: Path, store: Store) -> None:
    store.reviews.add([found("k0", "ada", ACCESS)], tenant="shop")
    seen = at_terminal(
        *("review", *there(place), "--reviewer", "bob", "-n", "2", "--again", ".5", "--seed", "1"),
        steps=[("1 of 2", "\r"), ("2 of 2", "\r"), ("All 2", "\r")],
    )
    assert "second opinion" in seen.screen
    assert {name for made in reviews_in(place).values() for name, _ in made} == {"ada", "bob"}
    assert len(reviews_in(place)["k0"]) == 2


def test_without_a_terminal_the_table_is_named(place: Path) -> None:
    assert "tagdesk queue --out" in refusal(2, "review", *there(place))


def test_a_reviewer_needs_a_name(place: Path) -> None:
    with mock.patch("tagdesk.cli.labelling._refuse_no_terminal"):
        for name in ("  ", "x" * 201):
            assert "--reviewer" in refusal(2, "review", *there(place), "--reviewer", name)
        assert "do not go together" in refusal(2, "review", *there(place), "--contradictory", "--again", ".2")


# --- processes of their own


@contextlib.contextmanager
def own_terminal(*command: str, **environment: str) -> Iterator[tuple[subprocess.Popen[bytes], int, Person]]:
    """A process that is led by a terminal, where Ctrl-C and Ctrl-Z are what they are at a desk."""
    master, slave = pty.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))

    def lead() -> None:
        ioctl(0, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    process = subprocess.Popen(
        command,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=lead,  # noqa: PLW1509 - the only way to lead it
        env=os.environ | SPEECH | {"TERM": "xterm"} | environment,
    )
    person = Person(master, [])
    try:
        yield process, slave, person
    finally:
        process.kill()
        process.wait()
        os.close(master)
        os.close(slave)


def until(person: Person, text: str, at: int = 0) -> int:
    """Where a text ends on the screen, once it is there."""
    deadline = time.monotonic() + PATIENCE
    while person.screen.find(text, at) < 0:
        assert time.monotonic() < deadline, f"{text!r} never came; there was {person.screen[at:]!r}"
        person._look()
    return person.screen.find(text, at) + len(text)


def test_a_killed_session_has_lost_nothing(place: Path) -> None:
    command = (sys.executable, "-m", "tagdesk", "review", *there(place), "--reviewer", "ada")
    with own_terminal(*command) as (process, _slave, person):
        until(person, "1 of 3")
        os.write(person._master, b"1\r")
        until(person, "2 of 3")
        process.kill()
        process.wait()
    assert given(place) == [[ACCESS, BILLING]]


LOOP = """
import sys
from tagdesk.cli.keyboard import Keyboard
with Keyboard(0, sys.stdout, begin="<on>", end="<off>") as keys:
    while (key := keys.read()) != "q":
        print(f"key {key}", flush=True)
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs a shell with job control")
def test_ctrl_z_gives_the_terminal_back_and_fg_takes_it_again(tmp_path: Path) -> None:
    (tmp_path / "loop.py").write_text(LOOP)
    with own_terminal("bash", "--norc", "-i", PS1="ready ") as (_process, _slave, person):
        at = until(person, "ready ")
        os.write(person._master, f"{sys.executable} {tmp_path / 'loop.py'}\n".encode())
        at = until(person, "<on>", at)
        os.write(person._master, b"x")
        at = until(person, "key x", at)
        os.write(person._master, b"\x1a")
        at = until(person, "<off>", at)
        at = until(person, "Stopped", at)
        at = until(person, "ready ", at)
        os.write(person._master, b"stty -a; fg\n")
        at = until(person, " icanon ", at)
        at = until(person, " echo ", at)
        at = until(person, "<on>", at)
        at = until(person, "key redraw", at)
        os.write(person._master, b"y")
        at = until(person, "key y", at)
        os.write(person._master, b"q")
        at = until(person, "ready ", until(person, "<off>", at))
        os.write(person._master, b"exit\n")
