"""A service that is killed, or loses its database, at any moment loses nothing that it acknowledged."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from prove.claim import Claim, none_of
from prove.failpoints import killed_at_failpoints
from prove.models import second_model
from prove.service import Service, Unready
from prove.texts import own_texts
from prove.work import Work, faults_of_copy, kept_once
from tagdesk.model import Model

OUTAGE = 0.5  # seconds for which the database server stays away


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
        unsound += faults_of_copy(service)
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
