"""A real `tagdesk serve` in a process of its own, with all it keeps in a folder of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self

from prove.client import Client

READY = 180.0  # seconds that it may take to start on a busy machine
END = 60.0  # seconds that it may take to end


_STARTED: list[subprocess.Popen[bytes]] = []


class Unready(Exception):  # noqa: N818 - the word for what it is
    """A service that ended, or did not answer, before it was ready."""


class Service:
    """Starts the service on a free port, again on the same port after its end.

    Args:
        folder: for the store, the log and, below `models`, the models.
        store: a file or a URL; by default a SQLite file in the folder.
        options: further ones of `tagdesk serve`.
        environment: variables beside those of this process.
        broken: the name of a sabotage of `prove.broken`; empty: none.

    Attributes:
        starts: how often it was started.
    """

    def __init__(
        self,
        folder: Path,
        *,
        store: str = "",
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        broken: str = "",
    ) -> None:
        self.folder = folder
        self.models = folder / "models"
        self.models.mkdir(parents=True, exist_ok=True)
        self.store = store or str(folder / "tagdesk.db")
        self.log = folder / "service.log"
        self.key = ""
        self.options = list(options)
        self.environment = dict(environment or {})
        self.broken = broken
        self.port = _free_port()
        self.starts = 0
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._running.pid

    @property
    def is_running(self) -> bool:
        """Whether its process lives."""
        return self._process is not None and self._process.poll() is None

    def client(self, *, timeout: float = 30.0) -> Client:
        """A new connection to it, with the key where there is one."""
        return Client(self.url, key=self.key, timeout=timeout)

    def start(self, *, waits: bool = True) -> None:
        """Start it, and wait until it answers; raises Unready."""
        door = ["prove.broken", self.broken] if self.broken else ["tagdesk"]
        command = [sys.executable, "-m", *door, "serve", "--port", str(self.port), "--models", str(self.models)]
        paths = [str(Path(__file__).parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "HF_HUB_OFFLINE": "1", **self.environment}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--store", self.store, *self.options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                cwd=self.folder,
            )
        _STARTED.append(self._process)
        self.starts += 1
        if waits:
            self.wait()

    def wait(self) -> None:
        """Wait until it answers; raises Unready."""
        until = time.monotonic() + READY
        with closing(self.client()) as client:
            while time.monotonic() < until:
                if client.get("/readyz").status == 200:
                    return
                if not self.is_running:
                    raise Unready(f"The service ended with {self._running.returncode}: {self.last_line()}")
                time.sleep(0.05)
        self.kill()
        raise Unready(f"The service was not ready after {READY:.0f} s: {self.last_line()}")

    def kill(self) -> None:
        """End it as a power cut would."""
        self._running.kill()
        self._running.wait()

    def stop(self) -> int:
        """Ask it to end; give its exit status."""
        if self._process is None:
            return 0
        if self.is_running:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(END)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def has_died(self, seconds: float = END) -> bool:
        """Whether it is killed, or was, within the time."""
        try:
            return self._running.wait(seconds) == -signal.SIGKILL
        except subprocess.TimeoutExpired:
            return False

    def memory(self) -> int:
        """Bytes that it holds in memory."""
        for line in Path(f"/proc/{self.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise Unready("The service holds no memory: it is gone.")

    def last_line(self) -> str:
        """The end of its log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return lines[-1][:500] if lines else ""

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise Unready("The service was not started.")
        return self._process


def end_all() -> None:
    """End every service that was started here and still runs, as after an error."""
    while _STARTED:
        process = _STARTED.pop()
        if process.poll() is None:
            process.kill()
            process.wait()


def command_line(*arguments: str) -> str:
    """What `tagdesk` with these arguments prints."""
    done = subprocess.run([sys.executable, "-m", "tagdesk", *arguments], capture_output=True, check=True, text=True)
    return done.stdout.strip()


def _free_port() -> int:
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
