"""Sends tickets to a running service and measures how it answers.

Open loop (`--rate`): requests leave at times that are drawn beforehand (Poisson, by a seed), whether or not earlier
ones were answered, and each latency counts from the time that was drawn, so that a service that stalls cannot hide it.
Closed loop (`--clients`): so many clients send one request after the other; that finds out what the service can do.

Where the generator itself cannot keep the schedule it says so: what it measured then is its own limit too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import uvloop

from own import own_rows
from tables import table

BEHIND = 0.05  # seconds after its time that one request in a hundred may leave
IDLE = 10.0  # seconds after which a connection is not used any more; the service closes it after 15
PAUSE = 0.05  # seconds that a client of the closed loop waits after a refusal
FAILED, TIMED_OUT = 0, -1  # in place of a status
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_RETRY = re.compile(rb"\r\nretry-after: *\d", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
_MODEL = re.compile(rb'"model": ?"([^"]*)"')


@dataclass(frozen=True)
class Plan:
    """What is sent, and how.

    Attributes:
        url: of the service, such as http://127.0.0.1:8000.
        path: what is asked; a path other than a prediction's is fetched by GET.
        texts: of the tickets, in the order in which they are sent; from the start again after the last.
        rate: requests a second of the open loop; 0: closed loop.
        clients: of the closed loop.
        seconds: how long requests leave; answers are awaited afterwards.
        batch: tickets of a request; 0: one, by the route for one.
        seed: of the schedule.
        connections: the most that are open at once.
        timeout: seconds after which an answer is given up.
        key: to send along.
        keeps_bodies: whether records hold the answers.
    """

    url: str
    path: str = "/v1/predict"
    texts: Sequence[str] = ("I was charged twice, please refund one",)
    rate: float = 0.0
    clients: int = 0
    seconds: float = 10.0
    batch: int = 0
    seed: int = 0
    connections: int = 1500
    timeout: float = 30.0
    key: str = ""
    keeps_bodies: bool = False


@dataclass(slots=True)
class Shot:
    """A request: its number among the payloads, when it was to leave, when it left, and what came back.

    Times are in seconds, `due` from the start; `late` is how long after it the request left, `seconds` how long after
    it the answer was there. `status` is `FAILED` for a broken connection, `TIMED_OUT` for no answer.
    """

    payload: int
    due: float
    late: float = 0.0
    seconds: float = 0.0
    status: int = FAILED
    model: str = ""
    says_when: bool = False  # whether Retry-After came along
    body: str = ""


@dataclass(frozen=True)
class Result:
    """The requests in the order in which they left, and how the generator fared."""

    shots: list[Shot]
    seconds: float
    connections: int = 0
    starved: int = 0  # requests that found all connections busy

    @property
    def fell_behind(self) -> bool:
        """Whether the generator could not keep its schedule."""
        return self.starved > 0 or percentile([shot.late for shot in self.shots], 99) > BEHIND

    def summary(self) -> dict[str, Any]:
        """The figures by name; times in seconds."""
        good = [shot for shot in self.shots if shot.status == 200]
        in_time = sum(shot.due + shot.seconds <= self.seconds for shot in good)  # before the sending ended
        late = [shot.late for shot in self.shots]
        return {
            "requests": len(self.shots),
            "seconds": round(self.seconds, 2),
            "rate": round(len(self.shots) / self.seconds, 2) if self.seconds else 0.0,
            "goodput": round(in_time / self.seconds, 2) if self.seconds else 0.0,
            "statuses": {str(status): n for status, n in sorted(Counter(shot.status for shot in self.shots).items())},
            "refused_without_retry_after": sum(shot.status == 503 and not shot.says_when for shot in self.shots),
            "models": dict(Counter(shot.model for shot in good)),
            **{f"p{share}": round(percentile([shot.seconds for shot in good], share), 5) for share in (50, 95, 99)},
            "longest": round(max((shot.seconds for shot in good), default=0.0), 5),
            "late_p99": round(percentile(late, 99), 5),
            "late_longest": round(max(late, default=0.0), 5),
            "connections": self.connections,
            "starved": self.starved,
            "fell_behind": self.fell_behind,
        }


def main() -> None:
    """Send what the command line asks for and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--path", default=Plan.path, help="/v1/predict; any other is fetched by GET")
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--rate", type=float, default=0.0, help="requests a second, open loop")
    how.add_argument("--clients", type=int, default=0, help="that send one after the other, closed loop")
    parser.add_argument("--seconds", type=float, default=Plan.seconds)
    parser.add_argument("--batch", type=int, default=0, help="tickets of a request")
    parser.add_argument("--texts", type=Path, help="a JSON list; without it the project's own test tickets")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--connections", type=int, default=Plan.connections)
    parser.add_argument("--timeout", type=float, default=Plan.timeout)
    parser.add_argument("--key", default="")
    parser.add_argument("--keep-bodies", action="store_true", help="in the file of --out")
    parser.add_argument("--out", type=Path, help="a JSON file for the summary with every request")
    given = parser.parse_args()
    texts = json.loads(given.texts.read_text(encoding="utf-8")) if given.texts else own_texts(given.seed)
    plan = Plan(
        url=given.url,
        path=given.path,
        texts=texts,
        rate=given.rate,
        clients=given.clients,
        seconds=given.seconds,
        batch=given.batch,
        seed=given.seed,
        connections=given.connections,
        timeout=given.timeout,
        key=given.key,
        keeps_bodies=given.keep_bodies,
    )
    result = fired(plan)
    if given.out:
        document = {"summary": result.summary(), "shots": [asdict(shot) for shot in result.shots]}
        given.out.write_text(json.dumps(document), encoding="utf-8")
    print("\n".join(table([{"figure": name, "value": value} for name, value in result.summary().items()])))
    if result.fell_behind:
        print("The generator fell behind its schedule: these figures are its own limit too.", file=sys.stderr)


def own_texts(seed: int) -> list[str]:
    """The project's test tickets, in an order by chance."""
    texts = [row["text"] for row in own_rows("test")]
    random.Random(seed).shuffle(texts)  # noqa: S311 - an order, not a secret
    return texts


def fired(plan: Plan) -> Result:
    """Send it all and wait for the answers; SIGTERM ends the sending early."""
    return uvloop.run(_fired(plan))


async def _fired(plan: Plan) -> Result:
    gun = Gun(plan)
    over = asyncio.Event()
    with suppress(NotImplementedError, ValueError, RuntimeError):  # outside of a main thread there are no signals
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    return await (_open_loop if plan.rate > 0 else _closed_loop)(plan, gun, over)


async def _open_loop(plan: Plan, gun: Gun, over: asyncio.Event) -> Result:
    clock = time.perf_counter
    chance = random.Random(plan.seed)  # noqa: S311 - a schedule, not a secret
    shots: list[Shot] = []
    flying: set[asyncio.Task[None]] = set()
    started = clock()
    due = chance.expovariate(plan.rate)
    while due < plan.seconds and not over.is_set():
        wait = started + due - clock()
        if wait > 0:
            await asyncio.sleep(min(wait, 0.2))
            continue
        shots.append(Shot(len(shots) % gun.payloads, due))
        task = asyncio.create_task(gun.fire(shots[-1], started))
        flying.add(task)
        task.add_done_callback(flying.discard)
        due += chance.expovariate(plan.rate)
        if len(shots) % 64 == 0:
            await asyncio.sleep(0)  # a generator that is behind still reads answers
    seconds = min(plan.seconds, clock() - started)
    if flying:
        await asyncio.wait(flying)
    gun.close()
    return Result(shots, seconds, gun.most_open, gun.starved)


async def _closed_loop(plan: Plan, gun: Gun, over: asyncio.Event) -> Result:
    clock = time.perf_counter
    shots: list[Shot] = []
    started = clock()

    async def client() -> None:
        while clock() - started < plan.seconds and not over.is_set():
            shot = Shot(len(shots) % gun.payloads, clock() - started)
            shots.append(shot)
            await gun.fire(shot, started)
            if shot.status != 200:
                await asyncio.sleep(PAUSE)

    await asyncio.gather(*(client() for _ in range(plan.clients)))
    seconds = clock() - started
    gun.close()
    return Result(shots, seconds, gun.most_open)


@dataclass(slots=True)
class Connection:
    """An open connection, and when it was last used."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    used: float


class Gun:
    """Sends the payloads of a plan over connections that are kept open.

    Attributes:
        payloads: how many there are; they are numbered from 0.
        most_open: connections that were open at once.
        starved: requests that found all connections busy.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        address = urlsplit(plan.url)
        self._place = (address.hostname or "127.0.0.1", address.port or 80)
        self._sent = list(_payloads(plan, address.netloc))
        self._idle: list[Connection] = []
        self._open = 0
        self._free = asyncio.Semaphore(plan.connections)
        self.payloads = len(self._sent)
        self.most_open = self.starved = 0

    async def fire(self, shot: Shot, started: float) -> None:
        """Send a shot and note what comes back."""
        clock = time.perf_counter
        self.starved += self._free.locked()
        async with self._free:
            wire: Connection | None = None
            try:
                async with asyncio.timeout(self._plan.timeout):
                    wire = await self._connected()
                    shot.late = max(0.0, clock() - started - shot.due)
                    wire.writer.write(self._sent[shot.payload])
                    keeps_open = await self._read(wire, shot)
            except TimeoutError:
                shot.status, keeps_open = TIMED_OUT, False
            except (OSError, EOFError, ValueError):  # ValueError: no HTTP
                shot.status, keeps_open = FAILED, False
            now = clock()
            shot.seconds = now - started - shot.due
            if wire is not None and keeps_open:
                wire.used = now
                self._idle.append(wire)
            elif wire is not None:
                self._drop(wire)

    def close(self) -> None:
        """Close all connections."""
        while self._idle:
            self._drop(self._idle.pop())

    async def _connected(self) -> Connection:
        while self._idle:
            wire = self._idle.pop()
            if time.perf_counter() - wire.used < IDLE and not wire.reader.at_eof():
                return wire
            self._drop(wire)
        reader, writer = await asyncio.open_connection(*self._place)
        self._open += 1
        self.most_open = max(self.most_open, self._open)
        return Connection(reader, writer, 0.0)

    async def _read(self, wire: Connection, shot: Shot) -> bool:
        """Read an answer into the shot; whether the connection can be used again."""
        head = await wire.reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if length is None:
            raise ValueError("An answer without a length.")
        body = await wire.reader.readexactly(int(length[1]))
        shot.status = int(head[9:12])
        shot.says_when = _RETRY.search(head) is not None
        model = _MODEL.search(body)
        shot.model = model[1].decode() if model else ""
        if self._plan.keeps_bodies:
            shot.body = body.decode("utf-8", "replace")
        return _CLOSE.search(head) is None

    def _drop(self, wire: Connection) -> None:
        self._open -= 1
        wire.writer.close()


def _payloads(plan: Plan, host: str) -> Iterator[bytes]:
    """The requests, as bytes."""
    key = f"Authorization: Bearer {plan.key}\r\n" if plan.key else ""
    if plan.path != Plan.path:
        yield f"GET {plan.path} HTTP/1.1\r\nHost: {host}\r\n{key}\r\n".encode()
        return
    size = plan.batch or 1
    for start in range(0, len(plan.texts) - size + 1, size):
        tickets = [{"text": text} for text in plan.texts[start : start + size]]
        body = json.dumps({"tickets": tickets} if plan.batch else tickets[0]).encode()
        path = f"{plan.path}/batch" if plan.batch else plan.path
        head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\n{key}Content-Type: application/json\r\n"
        yield f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` percent lie; 0 where there is none.

    >>> percentile([1.0, 2.0, 3.0], 50)
    2.0
    """
    return float(np.percentile(values, share)) if len(values) else 0.0


if __name__ == "__main__":
    main()
