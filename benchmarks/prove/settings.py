"""Settings that make no sense end the start of the service with a word."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

from prove.claim import Claim, none_of
from prove.service import Service

STARTED = 120.0  # seconds in which a service must have ended by itself


def wrong_settings(folder: Path) -> Claim:
    """M15: settings that make no sense end the start with a word, and no traceback."""
    folder.mkdir()
    (folder / "other.db").write_bytes(b"no database at all")
    settings: dict[str, tuple[list[str], dict[str, str]]] = {
        "unknown option": (["--frobnicate"], {}),
        "a port that is none": ([], {"TAGDESK_WITHIN": "soon"}),
        "a wait that is no number": ([], {"TAGDESK_LONGEST_WAIT": "nan"}),
        "others may reach it without keys": (["--host", "0.0.0.0"], {}),  # noqa: S104 - it must refuse
        "a store that is none": (["--store", str(folder / "other.db")], {}),
        "a store on a folder": (["--store", str(folder)], {}),
    }
    problems = {}
    for name, (options, environment) in settings.items():
        problem = _start_problem(Service(folder / name.replace(" ", "-"), options=options, environment=environment))
        if problem:
            problems[name] = problem
    with Service(folder / "first") as first:
        second = Service(folder / "second")
        second.port = first.port
        problem = _start_problem(second, is_taken=True)
        if problem:
            problems["a port that is taken"] = problem
    return none_of(
        "wrong settings (M15) with which it starts, or ends with a traceback",
        len(problems),
        len(settings) + 1,
        problems,
    )


def _start_problem(service: Service, *, is_taken: bool = False) -> str:
    service.start(waits=False)
    until = time.monotonic() + STARTED
    with closing(service.client()) as client:
        while service.is_running and time.monotonic() < until:
            if not is_taken and client.get("/livez").status == 200:
                service.stop()
                return "it started"
            time.sleep(0.1)
    if service.is_running:
        service.kill()
        return "it neither started nor ended"
    log = service.log.read_text(encoding="utf-8", errors="replace")
    return "a traceback" if "Traceback" in log or '"exception"' in log else "" if service.stop() else "it ended well"
