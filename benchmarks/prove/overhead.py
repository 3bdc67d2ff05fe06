"""What the service costs beyond the model: time, throughput, libraries, memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from load import percentile
from prove.claim import Claim, at_least, at_most, none_of
from prove.client import Wire
from prove.loads import loaded
from prove.models import second_model
from prove.service import Service
from prove.texts import own_texts, written
from tagdesk.model import Model

HEAVY = ("torch", "transformers", "pandas")
MOST_MEMORY = 350  # MB
PATIENT = ("--within", "120", "--longest-wait", "120")  # who saturates it wants no refusals
LATE, LATER = 1.5, 6.0  # ms that HTTP may add, at p50 and p99
SHARE = 80  # % of the engine's own rate
WHY = {"who": "prove", "why": "memory"}


@dataclass(frozen=True)
class Size:
    """How much.

    Attributes:
        requests: at light load, each way.
        rounds: of saturation, each way in turns.
        seconds: of a round.
        batch: tickets of a request, and of a call of the engine.
        clients: that send tickets one by one; the engine then gets half as many at once, for the others wait.
        predictions: after which memory is looked at.
    """

    requests: int = 2_000
    rounds: int = 5
    seconds: float = 20.0
    batch: int = 64
    clients: int = 64
    predictions: int = 1_000


SMALL = Size(requests=60, rounds=1, seconds=8.0, predictions=100)


def prove(size: Size, folder: Path, seed: int, *, broken: bool) -> list[Claim]:
    """Measure it all."""
    sabotage = "overhead" if broken else ""
    texts, model = own_texts(seed), Model.load("starter")
    claims = light(model, texts[: size.requests], folder / "light", sabotage)
    claims += saturated(model, texts, size, folder, sabotage)
    return claims + weighed(texts[: size.predictions], folder / "weighed", sabotage)


def light(model: Model, texts: Sequence[str], folder: Path, sabotage: str) -> list[Claim]:
    """Each text is asked of the model here and of the service, one right after the other, in changing order."""
    here: list[float] = []
    there: list[float] = []
    with Service(folder, broken=sabotage) as service, closing(Wire(service.url)) as wire:

        def ask(text: str) -> None:
            status, _ = wire.post("/v1/predict", {"text": text})
            if status != 200:
                raise RuntimeError("A prediction at light load failed.")

        def predict(text: str) -> None:
            model.predict([text])

        for warm in ("one", "another"):
            ask(warm)
            predict(warm)
        for place, text in enumerate(texts):
            ways: list[tuple[Callable[[str], None], list[float]]] = [(predict, here), (ask, there)]
            for way, times in ways if place % 2 else reversed(ways):
                started = time.perf_counter()
                way(text)
                times.append(1000 * (time.perf_counter() - started))
    claims = []
    for share, bar in ((50, LATE), (99, LATER)):
        inside, outside = percentile(here, share), percentile(there, share)
        about = {"in process, ms": round(inside, 3), "over HTTP, ms": round(outside, 3), "requests": len(texts)}
        claims.append(at_most(f"what HTTP adds at light load, p{share}", outside - inside, bar, "ms", about))
    return claims


def saturated(model: Model, texts: Sequence[str], size: Size, folder: Path, sabotage: str) -> list[Claim]:
    """Tickets a second of the service that never rests, as a share of the engine's own."""
    claims = []
    ways = {
        f"requests of {size.batch}": (size.batch, {"clients": 2, "batch": size.batch}, size.batch),
        f"single tickets by {size.clients} clients": (size.clients // 2, {"clients": size.clients}, 1),
    }
    for name, (at_once, options, per_request) in ways.items():
        own: list[float] = []
        served: list[float] = []
        for turn in range(size.rounds):
            start = turn * len(texts) // size.rounds
            some = [*texts[start:], *texts[:start]]
            file = written(some, folder / "texts.json")
            own.append(engine_rate(model, some, at_once, size.seconds))
            # A service of its own for each round: it has read none of these texts before.
            with Service(folder / f"{per_request}-{turn}", options=PATIENT, broken=sabotage) as service:
                loaded(service, written(some[-512:], folder / "warm.json"), clients=2, seconds=2)
                served.append(per_request * loaded(service, file, seconds=size.seconds, **options)["goodput"])
        share = 100 * sum(served) / sum(own)
        about = {
            "engine, tickets a second": [round(rate, 1) for rate in own],
            "service, tickets a second": [round(rate, 1) for rate in served],
            "engine's batches": at_once,
        }
        claims.append(at_least(f"goodput of {name}, of the engine's own rate", share, SHARE, "%", about))
    return claims


def engine_rate(model: Model, texts: Sequence[str], at_once: int, seconds: float) -> float:
    """Tickets a second of the model alone."""
    started, done = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        batch = [texts[(done + place) % len(texts)] for place in range(at_once)]
        model.predict(batch)
        done += at_once
    return done / (time.perf_counter() - started)


def weighed(texts: Sequence[str], folder: Path, sabotage: str) -> list[Claim]:
    """What the service has loaded after its start, after predictions, and after a promotion with a way back."""
    memory = {}
    with Service(folder, environment={"PYTHONPROFILEIMPORTTIME": "1"}, broken=sabotage) as service:
        memory["after the start"] = service.memory()
        with closing(service.client(timeout=180)) as client:
            case = ""
            for text in texts:
                case = client.post("/v1/predict", {"text": text}).json["id"]
            memory[f"after {len(texts):,} predictions"] = service.memory()
            client.post("/v1/reviews", {"case": case, "labels": [], "reviewer": "prove"})
            statuses = [
                client.post(f"/v1/models/{second_model(service.models).id}/promote", WHY).status,
                client.post("/v1/rollback", WHY).status,
            ]
            client.get("/metrics")
            memory["after a promotion and a rollback"] = service.memory()
        maps = Path(f"/proc/{service.pid}/maps").read_text(encoding="utf-8", errors="replace")
    listed = {
        line.rpartition("|")[2].strip()
        for line in service.log.read_text(encoding="utf-8").splitlines()
        if line.startswith("import time:")
    }
    heavy = sorted(name for name in listed if name.partition(".")[0] in HEAVY)
    mapped = sorted(name for name in HEAVY if f"/site-packages/{name}/" in maps)
    about = {"listed": heavy[:10], "mapped": mapped, "statuses of promotion and rollback": statuses}
    claims = [
        none_of(
            f"modules of {', '.join(HEAVY)} among those that the service imports",
            len(heavy) + len(mapped),
            len(listed),
            about,
            least=200,
        )
    ]
    return claims + [at_most(f"memory {when}", size / 1e6, MOST_MEMORY, "MB") for when, size in memory.items()]
