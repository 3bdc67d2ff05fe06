"""Labels one file in a process of its own, which says how far it is and ends with whoever began it."""

from __future__ import annotations

import fcntl
import json
import os
import sys
import threading
import traceback
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from tagdesk.bulk import classify
from tagdesk.bulk.cores import running_on, share
from tagdesk.dataset import Columns, File
from tagdesk.dataset.draft import draft
from tagdesk.errors import Refused, TagdeskError
from tagdesk.model import STARTER, Model, find_model, read_manifest

BUSY = 75  # the exit code of who leaves the work to another process that does it already
LOWEST = 19  # priority: whoever answers people goes first
LOCK, SUMMARY = "lock", "summary.json"


@dataclass(frozen=True, slots=True)
class Task:
    """A file to label, as whoever asks writes it on the command line.

    Attributes:
        source: the file.
        out: the result, in the format of its name; a folder of its own holds it and what it takes to make it.
        model: the id of the model.
        policy: the id of the model's policy.
        models: the folder of models.
        text: the column of the text; None finds it by its usual name.
        encoding: of a text file; None for UTF-8, or by its mark.
        delimiter: of a CSV file; None for a comma.
        scores: whether the result has the columns of probabilities.
    """

    source: str
    out: str
    model: str
    policy: str
    models: str
    text: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    scores: bool = True

    def to_json(self) -> str:
        """The task as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Self:
        """What `to_json` wrote.

        >>> Task.from_json(Task("a.csv", "b.csv", "m", "p", "models").to_json()).out
        'b.csv'
        """
        return cls(**json.loads(line))


def main() -> int:
    """Label what the first argument names.

    Each line on stdout is a JSON object: `rows` of about `of` are done; at the end `summary`, or `failed` with the code
    of the error, which holds nothing that the file does. A task that was finished before is not done again. The process
    ends at once when its stdin does.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.nice(LOWEST)
    warnings.simplefilter("ignore")  # they would have no reader
    task = Task.from_json(sys.argv[1])
    lock = os.open(Path(task.out).with_name(LOCK), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return BUSY
    try:
        with running_on(share(1, 2)):  # half of the cores, and the model has as many threads
            _say({"summary": _summary(task)})
    except TagdeskError as error:
        _say({"failed": error.code})
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - what it says stays out: it could quote a customer
        where = traceback.extract_tb(error.__traceback__)[-1]
        _say({"failed": "internal", "where": f"{type(error).__name__} in {Path(where.filename).name}:{where.lineno}"})
        return 1
    return 0


def _summary(task: Task) -> dict[str, Any]:
    """What became of the rows, kept in a file beside the result once that is whole."""
    kept = Path(task.out).with_name(SUMMARY)
    if kept.exists():
        found: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
        return found
    # Labels are not read: what a row is labelled already, and how well, does not matter here.
    columns = Columns(text=task.text, labels="", unit="", time="")
    file = File(Path(task.source), columns, task.encoding, task.delimiter)
    summary = classify(_model(task), file, task.out, scores=task.scores, force=True, progress=_say_progress)
    with draft(kept) as handle:
        handle.write(json.dumps(summary.to_dict()).encode())
    return summary.to_dict()


def _model(task: Task) -> Model:
    """The model of the task; raises ArtefactError, or Refused where it has another policy by now."""
    is_starter = task.model == read_manifest(find_model(STARTER)).id
    model = Model.load(STARTER if is_starter else task.model, models=Path(task.models))
    if (model.id, model.policy.id) != (task.model, task.policy):
        raise Refused("The model or its policy is another one by now.", code="policy_changed")
    return model


def _say_progress(_what: str, done: int, total: int) -> None:
    _say({"rows": done, "of": max(done, total)})


def _say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _end_with_parent() -> None:
    """Wait for the end of stdin, which comes however the parent ends, and be gone."""
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
