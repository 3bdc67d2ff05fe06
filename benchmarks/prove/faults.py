"""A full disk, a locked database and personal data: predictions go on, nothing acknowledged is lost, nothing leaks."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Self

from load import percentile
from prove.claim import Claim, at_most, none_of
from prove.client import Answer, Client
from prove.leaks import leaks
from prove.models import second_model
from prove.planted import COUNT
from prove.service import Service, command_line
from prove.settings import wrong_settings
from prove.texts import own_texts
from prove.work import Wanted, kept_once
from tagdesk.model import Model

PATIENT = ("--within", "60", "--longest-wait", "60")  # a busy machine is not what is asked about here
DISK = 48_000_000  # bytes of the disk that gets full
REVIEWERS = 8  # at once; more than the threads that the service has for slow work on two cores
LONG = 30_000  # characters of the longest tickets that are asked beside
CALM = 3.0  # seconds of work before and after a fault
SOON = 2.0  # seconds within which predictions are answered while the store is gone
SETTLED = 120.0  # seconds in which everything must be in the store again
WHY = {"who": "prove", "why": "a fault"}


@dataclass(frozen=True)
class Size:
    """How long and how much.

    Attributes:
        full: seconds for which the disk is full.
        locked: seconds for which another process locks the database.
        planted: strings of personal data.
    """

    full: float = 60.0
    locked: float = 60.0
    planted: int = COUNT


SMALL = Size(full=12.0, locked=25.0, planted=6)


def prove(size: Size, folder: Path, seed: int, *, broken: bool) -> list[Claim]:
    """Go through all faults."""
    sabotage = "faults" if broken else ""
    claims = []
    with small_disk(folder / "disk") as disk:
        service = Service(folder / "full", store=str(disk / "tagdesk.db"), options=PATIENT, broken=sabotage)
        claims += survived(service, Fault("disk full", lambda: full(disk), size.full, {200, 503}), seed)
    for name in ("database locked", "database locked, with keys"):
        service = Service(folder / name.replace(" ", "-"), options=PATIENT, broken=sabotage)
        if name.endswith("keys"):
            service.key = command_line("keys", "create", "prove", "--scope", "admin", "--store", service.store)
        store = Path(service.store)
        claims += survived(service, Fault(name, partial(locked, store), size.locked, {503}), seed)
    claims += leaks(folder / "planted", size.planted, seed, sabotage)
    claims.append(wrong_settings(folder / "settings"))
    return claims


@dataclass(frozen=True)
class Fault:
    """What happens to the store, for how long, and what a review may then be told.

    A review that finds room on a full disk is kept, so 200 may be among the statuses.
    """

    name: str
    happens: Callable[[], AbstractContextManager[None]]
    seconds: float
    statuses: AbstractSet[int]


@dataclass(frozen=True, slots=True)
class Seen:
    """An answer, with when its request left and when it came."""

    left: float
    came: float
    status: int
    says_when: bool


@dataclass
class Watch:
    """Asks for predictions, short and long, and for reviews, from many threads at once, and notes what comes."""

    service: Service
    texts: Sequence[str]
    seen: dict[str, list[Seen]] = field(default_factory=dict)
    reviews: list[Wanted] = field(default_factory=list)
    promotions: dict[int, str] = field(default_factory=dict)
    answered: int = 0
    _cases: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        works = [self._predict, self._predict_long, *[self._review] * REVIEWERS]
        self._threads = [threading.Thread(target=self._repeat, args=(work,)) for work in works]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def during(self, what: str, start: float, end: float) -> list[Seen]:
        """The answers to requests that left between two moments, whenever they came."""
        return [seen for seen in self.seen.get(what, []) if start <= seen.left < end]

    def note(self, what: str, ask: Callable[[], Answer]) -> Answer:
        """Ask, and note what came."""
        left = time.monotonic()
        answer = ask()
        seen = Seen(left, time.monotonic(), answer.status, answer.says_when)
        with self._lock:
            self.seen.setdefault(what, []).append(seen)
        return answer

    def _repeat(self, work: Callable[[Client], None]) -> None:
        with closing(self.service.client(timeout=90)) as client:
            while not self._over.is_set():
                work(client)

    def _predict(self, client: Client) -> None:
        text = self.texts[self.answered % len(self.texts)]
        self._predicted(self.note("predict", lambda: client.post("/v1/predict", {"text": text})))
        self._over.wait(0.05)

    def _predict_long(self, client: Client) -> None:
        text = (" ".join(self.texts[:50]) * 20)[:LONG]
        self._predicted(self.note("predict long", lambda: client.post("/v1/predict", {"text": text})))
        self._over.wait(0.5)

    def _predicted(self, answer: Answer) -> None:
        if answer.status == 200:
            with self._lock:
                self.answered += 1
                self._cases.append(answer.json["id"])

    def _review(self, client: Client) -> None:
        with self._lock:
            wanted = None
            if self._cases:
                wanted = Wanted(len(self.reviews), self._cases[-1], ["Billing Issue"])
                self.reviews.append(wanted)
        if wanted:
            self.note("review", lambda: wanted.send(client))
        self._over.wait(0.1)


def survived(service: Service, fault: Fault, seed: int) -> list[Claim]:
    """Work before, during and after a fault, and what became of it."""
    first, second = Model.load("starter").id, second_model(service.models).id
    with service, closing(service.client(timeout=90)) as client:
        with Watch(service, own_texts(seed, 5_000)) as watch:
            time.sleep(CALM)
            with fault.happens():
                start = time.monotonic()
                promoted = watch.note("promote", lambda: client.post(f"/v1/models/{second}/promote", WHY))
                time.sleep(max(0.0, start + fault.seconds - time.monotonic()))
                end = time.monotonic()
            time.sleep(CALM)
        lives = client.get("/v1/taxonomy").json["model"]
        settled(service, watch)
        kept = kept_cases(service, watch.answered)
    is_refused = promoted.status == 503 and promoted.says_when and lives == first
    name, figures = fault.name, kept_once(watch.reviews, watch.promotions, service.store)
    return [
        *prediction_claims(watch, name, start, end),
        review_claim(watch, fault, start, end),
        none_of(
            f"{name}: promotions that were not refused by 503 with Retry-After",
            int(not is_refused),
            1,
            {"status": promoted.status, "the old model answers": lives == first},
        ),
        none_of(
            f"{name}: acknowledged reviews lost or kept twice",
            figures["lost"] + figures["twice"] + figures["faults of the store"],
            figures["acknowledged"],
            figures,
        ),
        none_of(
            f"{name}: reviews of answered cases refused as unknown",
            sum(wanted.is_void for wanted in watch.reviews),
            len(watch.reviews),
        ),
        none_of(f"{name}: answered cases that never reached the store", watch.answered - kept, watch.answered),
    ]


def prediction_claims(watch: Watch, name: str, start: float, end: float) -> list[Claim]:
    """Whether predictions, of short tickets and of long ones, went on between two moments."""
    claims = []
    for what, kind in (("predict", "short"), ("predict long", "long")):
        seen = watch.during(what, start, end)
        failed = Counter(str(one.status) for one in seen if one.status != 200)
        before = [one.came - one.left for one in watch.during(what, 0.0, start)]
        times = [one.came - one.left for one in seen]
        about = {
            "statuses": dict(failed),
            "p50 before, s": round(percentile(before, 50), 3),
            "p50 meanwhile, s": round(percentile(times, 50), 3),
            "seconds": round(end - start, 1),
        }
        claims += [
            none_of(f"{name}: predictions of {kind} tickets that failed", failed.total(), len(seen), about),
            at_most(
                f"{name}: p99 of predictions of {kind} tickets",
                percentile(times, 99) if times else float("inf"),
                SOON,
                "s",
            ),
        ]
    return claims


def review_claim(watch: Watch, fault: Fault, start: float, end: float) -> Claim:
    """What reviews were told between two moments; at least one of them must have met the fault."""
    reviews = [seen for seen in watch.during("review", start, end) if seen.came < end]
    statuses = Counter(str(seen.status) for seen in reviews)
    odd = sum(seen.status not in fault.statuses or (seen.status == 503 and not seen.says_when) for seen in reviews)
    allowed = "503 with Retry-After" + (", or kept after all" if 200 in fault.statuses else "")
    claim = none_of(f"{fault.name}: reviews answered otherwise than {allowed}", odd, len(reviews), dict(statuses))
    return replace(claim, holds=claim.holds and statuses["503"] > 0)


def settled(service: Service, watch: Watch) -> None:
    """Ask for whatever was not acknowledged until it is."""
    until = time.monotonic() + SETTLED
    with closing(service.client(timeout=90)) as client:
        for wanted in watch.reviews:
            while not (wanted.is_kept or wanted.is_void) and time.monotonic() < until:
                if wanted.send(client).status != 200:
                    time.sleep(0.1)


def kept_cases(service: Service, wanted: int) -> int:
    """How many cases the store has, once all are there or the time is over."""
    until, kept = time.monotonic() + SETTLED, 0
    while kept < wanted and time.monotonic() < until:
        time.sleep(0.2)
        with suppress(sqlite3.OperationalError), closing(sqlite3.connect(service.store)) as store:
            kept = store.execute("SELECT count(*) FROM cases").fetchone()[0]
    return kept


@contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    """A folder on a file system of its own, a tmpfs; raises OSError where none may be mounted."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tagdesk-prove", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        raise OSError("No file system could be mounted; run this part as root.")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False)


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """Leave no byte on the disk while the block runs."""
    over = threading.Event()
    filler = disk / "filler"

    def fill() -> None:
        with filler.open("ab", buffering=0) as file:
            while not over.wait(0.02):
                for size in (1 << 20, 1 << 12, 1):
                    with suppress(OSError):
                        while True:
                            file.write(bytes(size))

    thread = threading.Thread(target=fill)
    thread.start()
    while shutil.disk_usage(disk).free:
        time.sleep(0.02)
    try:
        yield
    finally:
        over.set()
        thread.join()
        filler.unlink()


_LOCK = """
import sqlite3, sys
store = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
store.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.readline()
store.execute("ROLLBACK")
"""


@contextmanager
def locked(store: Path) -> Iterator[None]:
    """Let another process hold the database while the block runs."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", _LOCK, str(store)], stdin=pipe, stdout=pipe) as holder:
        if holder.stdout is None or holder.stdout.readline() != b"locked\n":
            raise OSError("The database could not be locked.")
        try:
            yield
        finally:
            holder.communicate(b"\n")
