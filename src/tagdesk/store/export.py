"""A store as JSON lines: what it knows, for whoever has a right to it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tagdesk.store.database import Database
from tagdesk.store.erasure import erasures_of
from tagdesk.store.experiments import Experiments
from tagdesk.store.models import FoundModels
from tagdesk.store.promotions import Promotions
from tagdesk.store.reviews import Reviews
from tagdesk.store.selection import Selection

EVERYTHING = Selection(None)


def export(database: Database, which: Selection = EVERYTHING) -> Iterator[dict[str, Any]]:
    """The selected cases, each followed by its reviews, as JSON holds them; `record` says what each is.

    Where everything is asked for, what was found, promoted, tried and erased follows. Keys, jobs and answers to
    requests are no part of it.
    """
    for found in Reviews(database).every(which):
        yield {"record": "case", **found.case.to_dict()}
        for review in found.reviews:
            yield {"record": "review", **review.to_dict()}
    if which != EVERYTHING:
        return
    for model in FoundModels(database).all():
        yield {"record": "model", **model.to_dict()}
    for promotion in Promotions(database).history():
        yield {"record": "promotion", **promotion.to_dict()}
    for version in Experiments(database).all():
        yield {"record": "experiment", **version.to_dict()}
    for erasure in erasures_of(database):
        yield {"record": "erasure", **erasure.to_dict()}


def write_export(database: Database, path: Path, which: Selection = EVERYTHING, *, force: bool = False) -> int:
    """Write what `export` gives to a file that only its owner reads, a document a line; give the number of lines."""
    from tagdesk.dataset.draft import draft  # noqa: PLC0415 - its package is heavier than a service needs

    lines = 0
    with draft(path, force=force) as handle:
        os.fchmod(handle.fileno(), 0o600)
        for lines, document in enumerate(export(database, which), start=1):  # noqa: B007 - the last is their number
            handle.write(json.dumps(document, ensure_ascii=False, allow_nan=False).encode() + b"\n")
    return lines
