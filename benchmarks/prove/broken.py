"""The service with a fault put in, by name: a proof that still holds against it proves nothing.

python -m prove.broken NAME serve ...
"""

from __future__ import annotations

import logging
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from tagdesk.cli import main as command_line
from tagdesk.model import Model
from tagdesk.prediction import Prediction
from tagdesk.review import Review
from tagdesk.store import Receipt, StoreUnavailable
from tagdesk.store.reviews import Reviews

ONE_IN = 20
CHANCE = random.Random(0)  # noqa: S311 - faults, not secrets


def main() -> None:
    """Put the fault in and hand over to the command line."""
    _, name, *arguments = sys.argv
    FAULTS[name]()
    sys.argv = ["tagdesk", *arguments]
    command_line()


def fail_on_odd_texts() -> None:
    """What a text that is turned round would be, were it not looked for."""
    predict = Model.predict

    def fails(model: Model, texts: Sequence[str], **more: Any) -> list[Prediction]:
        if any("\u202e" in text for text in texts):
            raise ZeroDivisionError
        return predict(model, texts, **more)

    Model.predict = fails  # type: ignore[method-assign]


def acknowledge_too_early() -> None:
    """A review in twenty is acknowledged and not kept."""
    add = Reviews.add

    def forgets(reviews: Reviews, new: Sequence[Review], *, tenant: str) -> list[Receipt]:
        return [Receipt.ADDED] * len(new) if CHANCE.randrange(ONE_IN) == 0 else add(reviews, new, tenant=tenant)

    Reviews.add = forgets  # type: ignore[method-assign]


def name_the_wrong_model() -> None:
    """An answer in twenty names a model that did not speak, as one that is put together during a swap would."""
    predict = Model.predict
    seen: set[str] = set()

    def confuses(model: Model, texts: Sequence[str], **more: Any) -> list[Prediction]:
        seen.add(model.id)
        said = predict(model, texts, **more)
        others = sorted(seen - {model.id})
        if others and CHANCE.randrange(ONE_IN) == 0:
            return [replace(one, model=others[0]) for one in said]
        return said

    Model.predict = confuses  # type: ignore[method-assign]


def be_slow_and_heavy() -> None:
    """Each prediction waits for 20 ms, and libraries for data frames are loaded."""
    import pandas  # noqa: F401, ICN001, PLC0415 - the fault itself

    predict = Model.predict

    def dawdles(model: Model, texts: Sequence[str], **more: Any) -> list[Prediction]:
        time.sleep(0.02)
        return predict(model, texts, **more)

    Model.predict = dawdles  # type: ignore[method-assign]


def hide_faults_of_the_store() -> None:
    """A review that the store did not take is acknowledged, and each text that is read stands in the log."""
    add, predict = Reviews.add, Model.predict

    def pretends(reviews: Reviews, new: Sequence[Review], *, tenant: str) -> list[Receipt]:
        try:
            return add(reviews, new, tenant=tenant)
        except StoreUnavailable:
            return [Receipt.ADDED] * len(new)

    def tells(model: Model, texts: Sequence[str], **more: Any) -> list[Prediction]:
        for text in texts:
            logging.getLogger("tagdesk").info("read", extra={"text": text})
        return predict(model, texts, **more)

    Reviews.add = pretends  # type: ignore[method-assign]
    Model.predict = tells  # type: ignore[method-assign]


FAULTS: dict[str, Callable[[], None]] = {
    "fuzz": fail_on_odd_texts,
    "kills": acknowledge_too_early,
    "swaps": name_the_wrong_model,
    "overhead": be_slow_and_heavy,
    "faults": hide_faults_of_the_store,
}

if __name__ == "__main__":
    main()
