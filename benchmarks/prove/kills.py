"""A service that is killed, or loses its database, at any moment loses nothing that it acknowledged."""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prove import PROJECT
from prove.claim import Claim, none_of
from prove.client import LOST, Answer, Client
from prove.models import second_model
from prove.service import READY, Service, Unready
from prove.texts import own_texts
from tagdesk.model import Model
from tagdesk.store import Store
from tagdesk.store.failpoints import VARIABLE

PROMOTING = 180.0  # seconds that a promotion may take on a busy machine
OUTAGE = 0.5  # seconds for which the database server stays away
ONCE = {"who": "prove", "why": "a kill"}


@dataclass(frozen=True)
class Size:
    """How often.

    Attributes:
        kills: of the service.
        stops: of the PostgreSQL server.
        longest: seconds of work before one of them, at most; a promotion takes two on an idle machine.
    """

    kills: int = 300
    stops: int = 20
    longest: float = 4.0


SMALL = Size(kills=5, stops=2, longest=8.0)


def prove(size: Size, folder: Path, seed: int, *, broken: bool) -> list[Claim]:
    """Kill it at random, at each fail-point, and stop its database."""
    sabotage = "kills" if broken else ""
    claims = killed_at_random(folder / "random", size, seed, sabotage)
    claims.append(killed_at_failpoints(folder / "failpoints", sabotage))
    return claims + database_stopped(folder / "postgres", size, seed, sabotage)


@dataclass(slots=True)
class Wanted:
    """A review that somebody wants kept, under its key; its reviewer stands in no other."""

    number: int
    case: str
    labels: list[str]
    is_kept: bool = False
    is_void: bool = False  # its case went with a kill before it reached the store, or it makes no sense

    @property
    def key(self) -> str:
        """What the client calls it."""
        return f"key-{self.number}"

    def send(self, client: Client) -> Answer:
        """Ask for it to be kept."""
        body = {"case": self.case, "labels": self.labels, "reviewer": f"r{self.number}", "note": "seen"}
        answer = client.post("/v1/reviews", body, {"Idempotency-Key": self.key})
        self.is_kept = answer.status == 200
        self.is_void = answer.status in {404, 422}
        return answer


@dataclass
class Work:
    """A mix of requests from three threads, and what was acknowledged.

    Attributes:
        reviews: all that were asked for.
        promotions: the models that were acknowledged, by the numbers of their promotions.
        statuses: of the answers, by what was asked; 0: none.
        odd: answers that nobody may get.
    """

    service: Service
    texts: list[str]
    models: list[str]
    chance: random.Random
    reviews: list[Wanted] = field(default_factory=list)
    promotions: dict[int, str] = field(default_factory=dict)
    statuses: dict[str, Counter[int]] = field(default_factory=dict)
    odd: int = 0
    _cases: list[str] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Let the threads work."""
        self._over.clear()
        works: list[Callable[[Client], object]] = [self._predict, self._review, self._promote]
        self._threads = [threading.Thread(target=self._repeat, args=(work,)) for work in works]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let them end."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def settle(self, seconds: float = 120.0) -> None:
        """Ask for whatever was not acknowledged until it is."""
        until = time.monotonic() + seconds
        with closing(self.service.client()) as client:
            for wanted in self.reviews:
                while not (wanted.is_kept or wanted.is_void) and time.monotonic() < until:
                    self._note("review", wanted.send(client))
                    time.sleep(0 if wanted.is_kept else 0.05)

    def _repeat(self, work: Callable[[Client], object]) -> None:
        with closing(self.service.client()) as client:
            while not self._over.is_set():
                work(client)

    def _note(self, what: str, answer: Answer) -> None:
        self.statuses.setdefault(what, Counter())[answer.status] += 1
        allowed = {"predict": {200}, "review": {200, 404}, "promote": {200, 404, 409}}[what]
        is_refusal = answer.status == 503 and answer.says_when
        self.odd += answer.status not in allowed | {LOST} and not is_refusal

    def _predict(self, client: Client) -> None:
        answer = client.post("/v1/predict", {"text": self.chance.choice(self.texts)})
        self._note("predict", answer)
        if answer.status == 200:
            self._cases.append(answer.json["id"])
        time.sleep(0.005)

    def _review(self, client: Client) -> None:
        waiting = [wanted for wanted in self.reviews[-50:] if not (wanted.is_kept or wanted.is_void)]
        if waiting:
            self._note("review", waiting[0].send(client))
        elif self._cases:
            case = self._cases.pop(self.chance.randrange(len(self._cases)))
            labels = self.chance.choice(([], ["Billing Issue"], ["Refund Request", "Shipping Concern"]))
            self.reviews.append(Wanted(len(self.reviews), case, labels))
            self._note("review", self.reviews[-1].send(client))
        time.sleep(0.002)

    def _promote(self, client: Client) -> None:
        is_new = self.chance.random() < 0.5
        path = f"/v1/models/{self.chance.choice(self.models)}/promote" if is_new else "/v1/rollback"
        answer = client.post(path, ONCE)
        self._note("promote", answer)
        if answer.status == 200:
            self.promotions[answer.json["number"]] = answer.json["model"]
        self._over.wait(0.1)


def killed_at_random(folder: Path, size: Size, seed: int, sabotage: str) -> list[Claim]:
    """Kill the service in the midst of its work."""
    kills = size.kills
    chance = random.Random(seed)  # noqa: S311 - moments, not secrets
    service = Service(folder, broken=sabotage)
    models = [Model.load("starter").id, second_model(service.models).id]
    work = Work(service, own_texts(seed, 2_000), models, chance)
    unready: list[str] = []
    unsound: list[str] = []
    others = 0
    service.start()
    for _ in range(kills):
        work.start()
        time.sleep(chance.uniform(0, size.longest))
        service.kill()
        work.stop()
        unsound += _faults_of_copy(service)
        try:
            service.start()
        except Unready as error:
            unready.append(str(error))
            break
        others += not _answers_as_promoted(service)
    if not unready:
        work.settle()
        service.stop()
    figures = kept_once(work.reviews, work.promotions, service.store)
    about = {"kills": kills, "statuses": _plain(work.statuses), **figures}
    acknowledged = figures["acknowledged"]
    return [
        none_of(f"acknowledged reviews lost to {kills} kills -9", figures["lost"], acknowledged, about, least=kills),
        none_of("reviews kept twice after a retry", figures["twice"], acknowledged),
        none_of("acknowledged promotions lost", figures["promotions lost"], len(work.promotions)),
        none_of(
            "starts after a kill that failed, or answered with another model than was promoted last",
            len(unready) + others,
            kills,
            {"messages": unready},
        ),
        none_of(
            "integrity checks that found something",
            len(unsound) + figures["faults of the store"],
            kills + 1,
            {"messages": unsound},
        ),
        none_of("answers that nobody may get", work.odd, sum(n.total() for n in work.statuses.values())),
    ]


def kept_once(reviews: Sequence[Wanted], promotions: Mapping[int, str], store: str) -> dict[str, int]:
    """How many acknowledged reviews and promotions are not in the store, or more than once."""
    with Store.open(store) as opened:
        found: list[Any] = []
        after = 0
        while page := opened.reviews.page(tenant=None, after=after, limit=1_000):
            found += [review for _, review in page]
            after = page[-1][0]
        history = {promotion.number: promotion.model for promotion in opened.promotions.history()}
        faults = opened.check()
    reviewers, keys = (Counter(getattr(review, name) for review in found) for name in ("reviewer", "key"))
    acknowledged = [wanted for wanted in reviews if wanted.is_kept]
    lost = sum(
        keys[hashlib.sha256(wanted.key.encode()).hexdigest()] == 0 or reviewers[f"r{wanted.number}"] == 0
        for wanted in acknowledged
    )
    return {
        "acknowledged": len(acknowledged),
        "lost": lost,
        "twice": sum(n > 1 for n in (*reviewers.values(), *keys.values())),
        "promotions lost": sum(history.get(number) != model for number, model in promotions.items()),
        "promotions acknowledged": len(promotions),
        "cases that went with a kill": sum(wanted.is_void for wanted in reviews),
        "never acknowledged": sum(not (wanted.is_kept or wanted.is_void) for wanted in reviews),
        "faults of the store": len(faults),
    }


def killed_at_failpoints(folder: Path, sabotage: str) -> Claim:
    """Let the service die at every fail-point that the code names, and ask again."""
    wrong: dict[str, str] = {}
    names = _failpoints()
    for name in names:
        try:
            problem = _dies_and_recovers(folder / name, name, sabotage)
        except Unready as error:
            problem = str(error)
        if problem:
            wrong[name] = problem
    return none_of("fail-points from which it does not recover", len(wrong), len(names), wrong, least=7)


def database_stopped(folder: Path, size: Size, seed: int, sabotage: str) -> list[Claim]:
    """Stop a PostgreSQL server at once while the service writes."""
    from test_store_fixtures import Server, _binaries  # noqa: PLC0415 - needs pytest

    binaries, stops = _binaries(), size.stops
    if binaries is None:
        return [Claim(f"PostgreSQL stopped at once {stops} times", "0", "no server is installed", holds=False)]
    chance = random.Random(seed)  # noqa: S311 - moments, not secrets
    server = Server(binaries)
    try:
        with Service(folder, store=server.create(), broken=sabotage) as service:
            models = [Model.load("starter").id, second_model(service.models).id]
            work = Work(service, own_texts(seed, 2_000), models, chance)
            work.start()
            for _ in range(stops):
                time.sleep(chance.uniform(0, size.longest))
                server.stop()
                time.sleep(chance.uniform(0, OUTAGE))
                server.start()
            time.sleep(size.longest)
            work.stop()
            work.settle()
            is_right = _answers_as_promoted(service)
        figures = kept_once(work.reviews, work.promotions, service.store)
    finally:
        server.remove()
    about = {"statuses": _plain(work.statuses), "answers as promoted": is_right, **figures}
    acknowledged = figures["acknowledged"]
    return [
        none_of(f"acknowledged reviews lost to {stops} stops of PostgreSQL", figures["lost"], acknowledged, about),
        none_of(
            "reviews kept twice, promotions lost, faults of the store",
            figures["twice"] + figures["promotions lost"] + figures["faults of the store"] + (not is_right),
            acknowledged + len(work.promotions),
        ),
        none_of(
            "answers other than 200 and 503 with Retry-After meanwhile",
            work.odd,
            sum(n.total() for n in work.statuses.values()),
        ),
        none_of(
            "reviews of answered cases refused as unknown, though the service never died",
            figures["cases that went with a kill"],
            len(work.reviews),
        ),
    ]


def _failpoints() -> list[str]:
    """Every name that the code gives to `reach`."""
    files = sorted((PROJECT / "src").rglob("*.py"))
    return sorted({name for file in files for name in re.findall(r'\breach\("(\w+)"\)', file.read_text("utf-8"))})


def _dies_and_recovers(folder: Path, name: str, sabotage: str) -> str:
    """What is wrong after a death at the fail-point; empty where nothing is."""
    kind = name.split("_", maxsplit=1)[0]
    if kind == "migration":
        return _start_dies_and_recovers(folder, name)
    if kind == "job":
        return _job_dies_and_recovers(folder, name)
    service = Service(folder, broken=sabotage)
    second = second_model(service.models).id
    service.start()
    with closing(service.client(timeout=PROMOTING)) as client:
        case = client.post("/v1/predict", {"text": "I was charged twice"}).json["id"]
        if kind != "review":
            client.post(f"/v1/models/{second}/promote", ONCE)
        if kind == "promote":
            client.post("/v1/rollback", ONCE)
        client.get(f"/v1/cases/{case}")  # answered once the case is in the store
        service.stop()
        client.close()
        service.environment[VARIABLE] = name
        service.start()
        wanted = Wanted(0, case, ["Billing Issue"])
        ask: Mapping[str, Callable[[], Answer]] = {
            "review": lambda: wanted.send(client),
            "promote": lambda: client.post(f"/v1/models/{second}/promote", ONCE),
            "rollback": lambda: client.post("/v1/rollback", ONCE),
        }
        if kind not in ask:
            return "nobody has said here how this one is reached"
        if ask[kind]().status != LOST or not service.has_died():
            service.stop()
            return "did not die there"
        del service.environment[VARIABLE]
        unsound = _faults_of_copy(service)
        service.start()
        live = client.get("/readyz").json["model"]
        done = kind == "rollback" and live != second
        again = Answer(200, {}, b"") if done else ask[kind]()
        answers = client.get("/readyz").json["model"]
        right = again.status == 200 and (answers == second) == (kind == "promote")
    service.stop()
    figures = kept_once([wanted], {}, service.store)
    if not right or unsound or figures["lost"] or figures["twice"] or figures["faults of the store"]:
        return f"status {again.status}, {unsound}, {figures}"
    return ""


def _start_dies_and_recovers(folder: Path, name: str) -> str:
    service = Service(folder, environment={VARIABLE: name})
    service.start(waits=False)
    if not service.has_died(READY):
        service.stop()
        return "did not die there"
    del service.environment[VARIABLE]
    service.start()
    with closing(service.client()) as client:
        status = client.post("/v1/predict", {"text": "I was charged twice"}).status
    service.stop()
    with Store.open(service.store) as store:
        faults = store.check()
    return f"status {status}, {faults}" if status != 200 or faults else ""


_JOB = """
import sys
from datetime import UTC, datetime
from tagdesk.store import Job, State, Store
now = datetime(2026, 5, 1, tzinfo=UTC)
job = Job("j1", "shop", "prove", now, now)
with Store.open(sys.argv[1]) as store:
    try:
        store.jobs.add(job)
    except Exception:
        pass
    store.jobs.update(Job("j1", "shop", "prove", now, now, State.DONE), expected=State.QUEUED)
"""


def _job_dies_and_recovers(folder: Path, name: str) -> str:
    """Jobs have no route yet; a process of its own does what one would."""
    service = Service(folder)
    command = [sys.executable, "-c", _JOB, service.store]
    if subprocess.run(command, env={**os.environ, VARIABLE: name}, check=False).returncode != -9:
        return "did not die there"
    with Store.open(service.store) as store:
        before = store.jobs.get("j1", tenant="shop").state.value
    done = subprocess.run(command, check=False, capture_output=True)
    with Store.open(service.store) as store:
        after, faults = store.jobs.get("j1", tenant="shop").state.value, store.check()
    is_right = (before, after, done.returncode) == ("queued", "done", 0) and not faults
    return "" if is_right else f"{before}, then {after}, {faults}"


def _faults_of_copy(service: Service) -> list[str]:
    """What SQLite finds in a copy of the file as the kill left it, journal and all."""
    copy = service.folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    path = Path(service.store)
    for file in path.parent.glob(f"{path.name}*"):
        shutil.copy(file, copy / file.name)
    with closing(sqlite3.connect(copy / path.name)) as opened:
        return [row[0] for row in opened.execute("PRAGMA integrity_check") if row[0] != "ok"]


def _answers_as_promoted(service: Service) -> bool:
    """Whether it answers with what was promoted last."""
    with closing(service.client()) as client:
        ready, models = client.get("/readyz"), client.get("/v1/models")
    if ready.status != 200 or models.status != 200:
        return False
    promotions = models.json["promotions"]
    return not promotions or promotions[0]["model"] == ready.json["model"]


def _plain(statuses: Mapping[str, Counter[int]]) -> dict[str, dict[str, int]]:
    return {what: {str(status): n for status, n in sorted(found.items())} for what, found in statuses.items()}
