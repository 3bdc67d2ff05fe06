"""Twice what the service can do, for long: it refuses half, says when to come back, and answers the rest in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from prove.claim import Claim, at_least, at_most, none_of
from prove.loads import Load, capacity
from prove.service import Service
from prove.texts import own_texts, written

BESIDE = 10.0  # signs of life that are asked for a second
SAMPLE = 0.5  # seconds between two looks at the memory
AT_ONCE = 128  # tickets of a request that warms the service up


@dataclass(frozen=True)
class Size:
    """How much, and for how long.

    Attributes:
        clients: of the closed loops that find the capacity; the best of them counts.
        measured: seconds of each of them.
        times: the capacity, that are sent then.
        seconds: for which they are sent.
        warm: tickets that are sent beforehand; the service keeps readings of 10,000, which is no leak.
    """

    clients: Sequence[int] = (32, 64, 128)
    measured: float = 30.0
    times: float = 2.0
    seconds: float = 600.0
    warm: int = 10_000


SMALL = Size(clients=(32,), measured=10.0, seconds=20.0, warm=128)


def prove(size: Size, folder: Path, seed: int, *, broken: bool) -> list[Claim]:
    """Find the capacity, send more, and count."""
    options = ("--within", "60", "--longest-wait", "60") if broken else ()  # whoever comes is let in
    texts = own_texts(seed)
    file = written(texts, folder / "texts.json")
    with Service(folder, options=options) as service:
        warm_up(service, texts[: size.warm])
        peak = capacity(service, file, clients=size.clients, seconds=size.measured)
        with Memory(service) as memory:
            load = Load(service, file, rate=size.times * peak, seconds=size.seconds, seed=seed)
            beside = Load(service, None, path="/livez", rate=BESIDE, seconds=size.seconds, seed=seed + 1)
            found, _ = load.result()
            alive, _ = beside.result()
        is_alive = service.is_running
    statuses = found["statuses"]
    odd = found["requests"] - statuses.get("200", 0) - statuses.get("503", 0)
    about = {"capacity": peak, "asked a second": found["rate"], **found}
    return [
        none_of(
            "answers other than 200 and 503 with Retry-After",
            odd + found["refused_without_retry_after"],
            found["requests"],
            about,
        ),
        at_least(
            "goodput, of the peak", 100 * found["goodput"] / peak, 90, "%", {"peak": peak, "goodput": found["goodput"]}
        ),
        at_most("p99 of those who were let in", found["p99"], 2, "s"),
        at_most("growth of memory", 100 * memory.growth, 5, "%", {"MB": memory.megabytes}),
        at_most("p99 of /livez beside", 1000 * alive["p99"], 100, "ms", alive),
        none_of(
            "signs of life that failed",
            alive["requests"] - alive["statuses"].get("200", 0) + (not is_alive),
            alive["requests"],
        ),
        Claim(
            "the generator kept its schedule",
            "p99 <= 50 ms late",
            f"{1000 * found['late_p99']:.0f} ms",
            not found["fell_behind"],
        ),
    ]


def warm_up(service: Service, texts: Sequence[str]) -> None:
    """Let the service read texts, in large requests one after the other."""
    with closing(service.client(timeout=300)) as client:
        for start in range(0, len(texts), AT_ONCE):
            tickets = [{"text": text} for text in texts[start : start + AT_ONCE]]
            while client.post("/v1/predict/batch", {"tickets": tickets}).status == 503:
                time.sleep(1)


@dataclass
class Memory:
    """Looks at a service's memory now and then, while a block runs.

    Attributes:
        seen: bytes at each look.
    """

    service: Service
    seen: list[int] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.seen.append(self.service.memory())
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread:
            self._thread.join()
        self.seen.append(self.service.memory())

    @property
    def growth(self) -> float:
        """How much more there was at the end than at the beginning, as a share of that."""
        return self.seen[-1] / self.seen[0] - 1

    @property
    def megabytes(self) -> dict[str, float]:
        """At the beginning, at the most and at the end."""
        marks = {"beginning": self.seen[0], "most": max(self.seen), "end": self.seen[-1]}
        return {name: round(size / 1e6, 1) for name, size in marks.items()}

    def _look(self) -> None:
        while not self._over.wait(SAMPLE):
            self.seen.append(self.service.memory())
