"""Asks a challenger behind the answers, in a process that works only while nothing else does."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tagdesk.case import Case
from tagdesk.errors import TagdeskError
from tagdesk.model import Model
from tagdesk.policy import Policy
from tagdesk.prediction import Decision, Prediction
from tagdesk.store import Shadow, Store, StoreUnavailable

LOG = logging.getLogger("tagdesk.desk")

MOST_WAITING = 500  # cases; when more come than there is time for, the oldest are left out
AT_ONCE = 16  # cases of one question: as many as are written in one transaction
RETRY = 1.0  # seconds until a store that could not answer is asked again
LOWEST = 19


class ShadowRunner:
    """Puts cases before a challenger and writes down what it would have said.

    Args:
        store: where that goes.
        model: the folder of the challenger.
        policy: as `policy.json` holds it; None: the model's own.
        mark: what marks the challenger's answers.

    Attributes:
        written: shadows that the store has.
        dropped: cases that the challenger was not asked about, for there was no time.
    """

    def __init__(self, store: Store, model: Path, policy: Mapping[str, Any] | None, mark: str) -> None:
        self._store = store
        self._mark = mark
        self._waiting: deque[Case] = deque()
        self._changed = threading.Condition()
        self._is_open = True
        self.written = self.dropped = 0
        arguments = json.dumps({"model": str(model), "policy": None if policy is None else dict(policy)})
        self._process = subprocess.Popen(  # noqa: S603 - our own
            [sys.executable, "-m", "tagdesk.desk.shadow", arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # it could quote a customer
        )
        self._thread = threading.Thread(target=self._work, name="tagdesk-shadow", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        """How many cases wait."""
        return len(self._waiting)

    def offer(self, cases: Sequence[Case]) -> None:
        """Take cases in; this never waits."""
        with self._changed:
            self._waiting.extend(cases)
            while len(self._waiting) > MOST_WAITING:
                self._waiting.popleft()
                self.dropped += 1
            self._changed.notify()

    def close(self) -> None:
        """End; who waits is not asked any more."""
        with self._changed:
            self._is_open = False
            self._changed.notify()
        self._process.kill()
        self._process.wait()
        self._thread.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _work(self) -> None:
        while cases := self._next():
            try:
                said = self._ask([case.prediction.text for case in cases])
            except (OSError, ValueError):  # it is gone
                if self._is_open:
                    LOG.error("shadow_gone", extra={"variant": self._mark})  # noqa: TRY400 - the message is enough
                return
            found = [
                Shadow(case.id, self._mark, case.time, prediction)
                for case, prediction in zip(cases, said, strict=True)
                if prediction is not None
            ]
            self._write(found)

    def _next(self) -> list[Case]:
        with self._changed:
            while not self._waiting and self._is_open:
                self._changed.wait()
            if not self._is_open:
                return []
            return [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]

    def _ask(self, texts: Sequence[str]) -> list[Prediction | None]:
        question, answer = self._process.stdin, self._process.stdout
        if question is None or answer is None:
            raise ValueError("The process has no pipes.")
        question.write(json.dumps(list(texts)).encode() + b"\n")
        question.flush()
        return [None if one is None else _prediction(one) for one in json.loads(answer.readline())]

    def _write(self, found: Sequence[Shadow]) -> None:
        while self._is_open:
            try:  # a case may still be on its way there; what is not there yet is tried once more
                self.written += self._store.shadows.add(found)
            except StoreUnavailable:
                with self._changed:
                    self._changed.wait(RETRY)
            else:
                return


def main() -> None:
    """Answer lists of texts, a line each on stdin, with lists of predictions; `null` for a text without one."""
    os.nice(LOWEST)
    if hasattr(os, "SCHED_IDLE"):  # Linux: whoever answers people interrupts it at once
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    given = json.loads(sys.argv[1])
    model = Model.load(Path(given["model"]))
    policy = None if given["policy"] is None else Policy.from_dict(given["policy"], model.taxonomy.names)
    for line in sys.stdin:
        answers = [_answer(model, policy, text) for text in json.loads(line)]
        sys.stdout.write(json.dumps(answers) + "\n")
        sys.stdout.flush()


def _answer(model: Model, policy: Policy | None, text: str) -> dict[str, Any] | None:
    try:
        (prediction,) = model.predict([text], policy=policy)
    except TagdeskError:
        return None
    return {**prediction.to_dict(), "text": ""}


def _prediction(said: Mapping[str, Any]) -> Prediction:
    return Prediction(
        text="",
        labels=tuple(said["labels"]),
        scores=said["scores"],
        decisions={label: Decision[word.upper()] for label, word in said["decisions"].items()},
        model=said["model"],
        policy=said["policy"],
        flags=tuple(said["flags"]),
        out_of_scope=said["out_of_scope"],
    )


if __name__ == "__main__":
    main()
