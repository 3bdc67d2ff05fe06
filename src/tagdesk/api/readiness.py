"""Whether a ticket can be labelled, found out once for all who ask at about the same time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future

from tagdesk.api.problems import Problem
from tagdesk.desk import Answer, Desk
from tagdesk.prediction import Prediction

SMOKE = "I was charged twice, please refund one"
KEPT = 1.0  # seconds that one finding answers everybody, so that asking costs the line nothing


class Readiness:
    """The last finding, and how it is renewed.

    Args:
        desk: that is asked.
        within: seconds after which a ticket's answer is no longer worth giving.
        clock: seconds that only go forward.
    """

    def __init__(self, desk: Desk, within: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._desk = desk
        self._within = within
        self._clock = clock
        self._asked: Future[list[Answer]] | None = None
        self._until = 0.0

    async def check(self) -> Prediction:
        """What is said of a ticket now; raises Problem (503), or as `Desk.ask`, where that is nothing."""
        if self._asked is None or (self._asked.done() and self._clock() >= self._until):
            self._asked = self._desk.ask([SMOKE], within=self._within)
            self._until = self._clock() + KEPT
        try:
            async with asyncio.timeout(2 * self._within):  # a line whose model hangs never says that it is late
                (answer,) = await asyncio.shield(asyncio.wrap_future(self._asked))
        except TimeoutError:
            raise _not_ready("The model does not answer.") from None
        if not answer.prediction.scores:
            raise _not_ready("The model gives no scores.")
        return answer.prediction


def _not_ready(detail: str) -> Problem:
    return Problem(503, "not_ready", detail, {"Retry-After": "5"})
