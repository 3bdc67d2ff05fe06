"""A mix of requests to the service, and whether what was acknowledged is in the store once."""

from __future__ import annotations

import hashlib
import random
import shutil
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prove.client import LOST, Answer, Client
from prove.service import Service
from tagdesk.store import Store

ONCE = {"who": "prove", "why": "a kill"}


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


def faults_of_copy(service: Service) -> list[str]:
    """What SQLite finds in a copy of the file as the kill left it, journal and all."""
    copy = service.folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    path = Path(service.store)
    for file in path.parent.glob(f"{path.name}*"):
        shutil.copy(file, copy / file.name)
    with closing(sqlite3.connect(copy / path.name)) as opened:
        return [row[0] for row in opened.execute("PRAGMA integrity_check") if row[0] != "ok"]
