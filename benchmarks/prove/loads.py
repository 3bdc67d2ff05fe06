"""Runs the load generator in a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prove.service import Service

LOAD = Path(__file__).parent.parent / "load.py"


class Load:
    """A generator that runs, or has run.

    Args:
        service: that it asks.
        texts: a file with a JSON list; None where no tickets are sent.
        options: of `load.py`, such as `rate=50`.
    """

    def __init__(self, service: Service, texts: Path | None, **options: object) -> None:
        self._out = service.folder / f"load-{id(self)}.json"
        command = [sys.executable, str(LOAD), "--url", service.url, "--out", str(self._out)]
        command += ["--texts", str(texts)] if texts else []
        for name, value in options.items():
            flag = f"--{name.replace('_', '-')}"
            command += [flag] if value is True else [flag, str(value)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    @property
    def is_running(self) -> bool:
        """Whether it still sends."""
        return self._process.poll() is None

    def stop(self) -> None:
        """Let it send no more."""
        if self.is_running:
            self._process.send_signal(signal.SIGTERM)

    def result(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The summary and the requests, once all were answered."""
        _, said = self._process.communicate()
        if self._process.returncode != 0:
            raise RuntimeError(f"The load generator failed: {said.decode()[-1000:]}")
        document = json.loads(self._out.read_bytes())
        self._out.unlink()
        return document["summary"], document["shots"]


def loaded(service: Service, texts: Path | None, **options: object) -> dict[str, Any]:
    """Run a generator to its end and give the summary."""
    return Load(service, texts, **options).result()[0]


def capacity(service: Service, texts: Path, *, clients: Sequence[int], seconds: float) -> float:
    """The most tickets a second that were answered, by so many clients that never rest."""
    return max(loaded(service, texts, clients=n, seconds=seconds)["goodput"] for n in clients)
