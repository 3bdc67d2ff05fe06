"""The service dies at every place that its code names, and goes on when it is started again."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import tagdesk
from prove.claim import Claim, none_of
from prove.client import LOST, Answer
from prove.models import second_model
from prove.service import READY, Service, Unready
from prove.work import ONCE, Wanted, faults_of_copy, kept_once
from tagdesk.store import Store
from tagdesk.store.failpoints import VARIABLE

PROMOTING = 180.0  # seconds that a promotion may take on a busy machine


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


def _failpoints() -> list[str]:
    """Every name that the code gives to `reach`."""
    files = sorted(Path(tagdesk.__file__).parent.rglob("*.py"))
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
        unsound = faults_of_copy(service)
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
