"""The command line as tests call it."""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from tagdesk.cli import run

SPEECH = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "COLUMNS": "80"}


@dataclass(frozen=True)
class Answer:
    """What a command line answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The answer as JSON, which must hold finite numbers only."""
        return json.loads(self.out, parse_constant=_refuse_constant)


def tagdesk(*arguments: str | Path, stdin: str = "") -> Answer:
    """Run a command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), mock.patch("sys.stdin", io.StringIO(stdin)):
        code = run([str(argument) for argument in arguments])
    return Answer(code, out.getvalue(), err.getvalue())


def refusal(code: int, *arguments: str | Path, stdin: str = "") -> str:
    """The one line that a refused command line says; nothing on stdout, no traceback."""
    answer = tagdesk(*arguments, stdin=stdin)
    assert (answer.code, answer.out) == (code, ""), answer
    assert answer.err.startswith("error: ")
    assert answer.err.endswith("\n")
    assert len(answer.err.splitlines()) == 1
    assert "Internal error" not in answer.err
    return answer.err


def process(*arguments: str | Path, part_rows: int | None = None, **environment: str) -> subprocess.Popen[bytes]:
    """A command line in a process of its own, which Ctrl-C reaches even where the tests run in the background.

    `part_rows` lets `classify` finish its work in smaller parts, so that a small file has many.
    """
    start = ["-m", "tagdesk"]
    if part_rows:
        small = f"from tagdesk.bulk import parts; parts.PART_ROWS = {part_rows}; "
        start = ["-c", small + "from tagdesk.cli import main; main()"]
    return subprocess.Popen(
        [sys.executable, *start, *map(str, arguments)],
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads here
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | SPEECH | environment,
    )


@contextlib.contextmanager
def nothing_new_in(folder: Path) -> Iterator[None]:
    """Afterwards the folder holds what it held before, hidden files included."""
    before = sorted(folder.rglob("*"))
    yield
    assert sorted(folder.rglob("*")) == before


def _refuse_constant(name: str) -> float:
    assert math.isfinite(float(name)), f"{name} is no JSON"
    return 0.0
