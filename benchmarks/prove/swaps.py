"""Models are swapped under load: nobody fails, nobody gets one model's scores under another's name."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from prove.candidates import SICK_WORD, Folders
from prove.claim import Claim, none_of
from prove.client import Answer, Client
from prove.loads import Load, capacity
from prove.models import scores_of, second_model
from prove.service import Service
from prove.texts import own_texts, written
from tagdesk.model import Model

WHY = {"who": "prove", "why": "a swap"}
CLOSE = 1e-5  # of two readings of one text, whose company differs; the two models lie further apart
APART = 1e-3  # between the models; a text on which they agree tells nothing
CLIENTS = 32
BESIDE = 8  # requests at once beside a text that a model cannot read
PROMOTING = 180.0  # seconds that a promotion may take


@dataclass(frozen=True)
class Size:
    """How much.

    Attributes:
        promotions: to the other model and back, in turns.
        requests: at least, meanwhile.
        share: of the capacity, that is asked for.
        measured: seconds in which the capacity is found.
        texts: that are sent, each model's scores of them known beforehand.
        slow: whether candidates that take a minute to refuse are tried too.
    """

    promotions: int = 50
    requests: int = 20_000
    share: float = 0.7
    measured: float = 30.0
    texts: int = 20_000
    slow: bool = True


SMALL = Size(promotions=4, requests=100, measured=8.0, texts=150, slow=False)


@dataclass(frozen=True)
class Known:
    """What a model says of the texts, (tickets, labels), and of which labels."""

    scores: np.ndarray
    names: tuple[str, ...]
    taxonomy: str


def prove(size: Size, folder: Path, seed: int, *, broken: bool) -> list[Claim]:
    """Swap under load, then offer bad candidates under load."""
    texts = own_texts(seed, size.texts)
    file = written(texts, folder / "texts.json")
    service = Service(folder / "service", broken="swaps" if broken else "")
    models = [Model.load("starter"), second_model(service.models, renamed=True)]
    known = {
        model.id: Known(scores_of(model, texts), model.taxonomy.names, model.taxonomy.fingerprint) for model in models
    }
    folders = Folders(service.models, folder / "scratch")
    with service:
        fresh = written(own_texts(seed)[-5_000:], folder / "fresh.json")
        rate = size.share * capacity(service, fresh, clients=[CLIENTS], seconds=size.measured)
        load = Load(service, file, rate=rate, seconds=36_000, seed=seed, keep_bodies=True)
        started = time.monotonic()
        swaps = swapped(service, [model.id for model in models], size, rate, started)
        load.stop()
        claims = claims_of(load, known, swaps, size, {"asked a second": rate})
        load = Load(service, file, rate=rate, seconds=36_000, seed=seed + 1, keep_bodies=True)
        refusals = offered(service, folders, slow=size.slow)
        load.stop()
        claims += refusal_claims(load, known, refusals)
        claims += [disagreeing_promotions(service, folders), sick_model(service, folders)]
    return claims


def swapped(service: Service, ids: Sequence[str], size: Size, rate: float, started: float) -> Counter[int]:
    """Promote one model and the other, so often, spread over the requests; the statuses of the answers."""
    pace = size.requests / rate / size.promotions  # seconds
    statuses: Counter[int] = Counter()
    with closing(service.client(timeout=PROMOTING)) as client:
        for turn in range(size.promotions):
            wait = started + turn * pace - time.monotonic()
            time.sleep(max(0.2, wait))
            statuses[client.post(f"/v1/models/{ids[(turn + 1) % 2]}/promote", WHY).status] += 1
    time.sleep(max(1.0, started + 1.05 * size.requests / rate - time.monotonic()))
    return statuses


def claims_of(
    load: Load, known: Mapping[str, Known], swaps: Counter[int], size: Size, about: Mapping[str, Any]
) -> list[Claim]:
    """What the load says of the swaps."""
    found, shots = load.result()
    wrong, strange = judged(shots, known)
    several = list(known.values())
    alike = int((np.abs(several[0].scores - several[1].scores).max(axis=1) < APART).sum())
    failed = found["requests"] - found["statuses"].get("200", 0)
    return [
        none_of(
            "promotions under load that failed",
            swaps.total() - swaps[200],
            swaps.total(),
            {"statuses": {str(status): n for status, n in swaps.items()}},
            least=size.promotions,
        ),
        none_of(
            f"requests that failed during {swaps[200]} swaps",
            failed,
            found["requests"],
            {**about, **found},
            least=size.requests,
        ),
        none_of(
            "answers whose model id and scores disagree",
            wrong,
            found["requests"] - failed,
            {"texts on which the models agree": alike, "by model": found["models"]},
        ),
        none_of("answers that name another taxonomy than their model's", strange, found["requests"] - failed),
    ]


def judged(shots: Sequence[Mapping[str, Any]], known: Mapping[str, Known]) -> tuple[int, int]:
    """How many answers hold scores that their model does not give, and how many name another taxonomy."""
    wrong = strange = 0
    for shot in shots:
        if shot["status"] != 200:
            continue
        said = json.loads(shot["body"])
        expected = known.get(said["model"])
        if expected is None or tuple(said["scores"]) != expected.names:
            wrong += 1
            continue
        scores = np.array([label["score"] for label in said["scores"].values()])
        wrong += bool(np.abs(scores - expected.scores[shot["payload"]]).max() > CLOSE)
        strange += said["taxonomy"] != expected.taxonomy
    return wrong, strange


def offered(service: Service, folders: Folders, *, slow: bool) -> dict[str, str]:
    """What is wrong with the answer to each bad candidate; empty where it is a refusal and the old model goes on."""
    problems = {}
    with closing(service.client(timeout=PROMOTING)) as client:
        live = client.get("/v1/taxonomy").json["model"]
        for name in folders.names(slow=slow):
            folders.made(name)
            problems[name] = _problem(client, client.post(f"/v1/models/{name}/promote", WHY), live)
            folders.remove(name)
        with killing_readers(service):
            name = folders.good("m5dies")
            problems[name] = _problem(client, client.post(f"/v1/models/{name}/promote", WHY), live)
            folders.remove(name)
    return problems


class killing_readers:  # noqa: N801 - reads as a verb
    """While its block runs, each process of the service that reads a candidate dies of a segmentation fault."""

    def __init__(self, service: Service) -> None:
        self._pid = service.pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._kill)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _kill(self) -> None:
        while not self._over.wait(0.05):
            for tasks in Path(f"/proc/{self._pid}/task").glob("*/children"):
                with suppress(OSError):
                    for child in tasks.read_text().split():
                        if b"tagdesk.desk.candidate" in Path(f"/proc/{child}/cmdline").read_bytes():
                            os.kill(int(child), signal.SIGSEGV)


def _problem(client: Client, answer: Answer, live: str) -> str:
    if not 400 <= answer.status < 500:
        return f"status {answer.status}"
    if client.get("/v1/taxonomy").json["model"] != live:
        return "the model was swapped"
    return ""


def refusal_claims(load: Load, known: Mapping[str, Known], refusals: Mapping[str, str]) -> list[Claim]:
    """What the load says of the bad candidates."""
    found, shots = load.result()
    wrong, strange = judged(shots, known)
    problems = {name: problem for name, problem in refusals.items() if problem}
    failed = found["requests"] - found["statuses"].get("200", 0)
    return [
        none_of(
            "bad candidates (M1-M10, M16) that were not refused",
            len(problems),
            len(refusals),
            {"candidates": list(refusals), "problems": problems},
        ),
        none_of(
            "requests that failed or were answered wrongly meanwhile",
            failed + wrong + strange,
            found["requests"],
            found,
        ),
    ]


def disagreeing_promotions(service: Service, folders: Folders) -> Claim:
    """M11 and M12: two promotions at once, the same one twice, a way back to a model that is gone."""
    problems = []
    with closing(service.client(timeout=PROMOTING)) as client, closing(service.client(timeout=PROMOTING)) as other:
        number = client.get("/v1/models").json["promotions"][0]["number"]
        body = {**WHY, "expected": number}
        one, two = tiny_ids(folders, service)
        with ThreadPoolExecutor(2) as pool:
            both = list(
                pool.map(
                    lambda pair: pair[0].post(f"/v1/models/{pair[1]}/promote", body).status,
                    [(client, one), (other, two)],
                )
            )
        if sorted(both) != [200, 409]:
            problems.append(f"two at once: {both}")
        live = client.get("/v1/taxonomy").json["model"]
        again = client.post(f"/v1/models/{live}/promote", WHY)
        if again.status != 200 or again.json["number"] != number + 1:
            problems.append(f"the same again: {again.status}")
        client.post(f"/v1/models/{two if live == one else one}/promote", WHY)
        folders.remove(live)
        gone = client.post("/v1/rollback", WHY).status
        if gone not in {404, 409}:
            problems.append(f"back to a model that is gone: {gone}")
    return none_of(
        "promotions at once, repeated, or back to what is gone (M11, M12) that go wrong",
        len(problems),
        3,
        {"problems": problems},
    )


def tiny_ids(folders: Folders, service: Service) -> list[str]:
    """The ids of two small models, below the service's models."""
    ids = []
    for kind in ("onnx", "probe"):
        folder = service.models / folders.good(f"tiny{kind}", kind)
        ids.append(json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["id"])
        folder.rename(service.models / ids[-1])
    return ids


def sick_model(service: Service, folders: Folders) -> Claim:
    """M9: a model that is bad for one word alone: that text is refused, and those beside it are answered."""
    with closing(service.client(timeout=PROMOTING)) as client:
        promoted = client.post(f"/v1/models/{folders.sick()}/promote", WHY).status
    bad: Counter[str] = Counter()
    good: Counter[str] = Counter()

    def ask(number: int) -> None:
        with closing(service.client(timeout=60)) as client:
            for turn in range(10):
                text = f"parcel {number} {turn}"
                is_sick = number == 0
                answer = client.post("/v1/predict", {"text": f"{SICK_WORD} {turn}" if is_sick else text})
                is_refusal = answer.status == 503 and answer.says_when
                (bad if is_sick else good)["200" if answer.status == 200 else "503" if is_refusal else "other"] += 1

    with ThreadPoolExecutor(BESIDE) as pool:
        list(pool.map(ask, range(BESIDE)))
    wrong = bad["200"] + bad["other"] + good["503"] + good["other"] + (promoted != 200)
    about = {"promoted": promoted, "of the sick text": dict(bad), "of those beside": dict(good)}
    return none_of(
        "texts beside one that the model cannot score (M9) that failed, or it got an answer",
        wrong,
        bad.total() + good.total(),
        about,
    )
