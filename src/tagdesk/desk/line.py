"""The line before a model: whoever waits when it gets free is answered together, and nobody waits for company."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from tagdesk.errors import TagdeskError

Q = TypeVar("Q")
A = TypeVar("A")

CHARACTERS = 4.0  # of a token in English, about; only used to weigh texts before they are split into tokens
BATCH_TOKENS = 2048  # estimated ones of the texts that are read together; a single request may exceed it
FIRST_GUESS = 1500.0  # estimated tokens a second, until there is a measurement; a small CPU's
MEMORY = 0.8  # weight of what was measured before
SHORTEST_RETRY = 1.0  # seconds


class Overloaded(TagdeskError):  # noqa: N818 - the word for what happened
    """More waits than can be answered in time; `retry_after` says in how many seconds it is worth to ask again."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(
            f"More tickets wait than can be answered in time. Ask again in {retry_after:.0f} s, or send fewer at once.",
            code="overloaded",
        )
        self.retry_after = retry_after


class TooLate(TagdeskError):  # noqa: N818 - the same
    """A request that stood in the line until its deadline had passed."""

    def __init__(self) -> None:
        super().__init__("The answer would have come too late. Ask again, or allow more time.", code="deadline")


@dataclass(slots=True, eq=False)
class _Waiting(Generic[Q, A]):
    asked: Sequence[Q]
    weight: float
    deadline: float
    future: Future[list[A]] = field(default_factory=Future)


class Line(Generic[Q, A]):
    """Hands questions, such as texts, to a function that answers lists of them, one call at a time.

    Args:
        answer: answers questions, in their order.
        longest_wait: seconds that a request may expect to stand in the line; beyond that it is refused at once.
        weigh: about how many tokens questions have.
        clock: seconds that only go forward.

    >>> with Line(lambda texts: [text.upper() for text in texts], longest_wait=1.0) as line:
    ...     line.submit(["ok", "hi"], within=1.0).result()
    ['OK', 'HI']
    """

    def __init__(
        self,
        answer: Callable[[Sequence[Q]], list[A]],
        *,
        longest_wait: float,
        weigh: Callable[[Sequence[Q]], float] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._answer = answer
        self._longest_wait = longest_wait
        self._weigh: Callable[[Sequence[Any]], float] = weigh or weight_of
        self._clock = clock
        self._queue: deque[_Waiting[Q, A]] = deque()
        self._free = threading.Condition()
        self._queued = self._in_work = 0.0
        self._pace = FIRST_GUESS
        self._is_open = True
        self._thread = threading.Thread(target=self._work, name="tagdesk-line", daemon=True)
        self._thread.start()

    def __enter__(self) -> Line[Q, A]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        """How many requests wait."""
        return len(self._queue)

    @property
    def queued_tokens(self) -> float:
        """Estimated tokens that wait or are being read."""
        return self._queued + self._in_work

    @property
    def expected_wait(self) -> float:
        """Seconds until whoever comes now is read, by what was measured so far."""
        return self.queued_tokens / self._pace

    def submit(self, asked: Sequence[Q], *, within: float) -> Future[list[A]]:
        """Stand in the line; the future answers, or fails with TooLate. To cancel it is to leave the line.

        Args:
            asked: answered together, all or none.
            within: seconds from now; whoever cannot be expected to be answered by then is not read.

        Raises:
            Overloaded: where too much waits already, or the line is closed.
        """
        waiting = _Waiting[Q, A](asked, self._weigh(asked), self._clock() + within)
        with self._free:
            # Whoever finds the line empty is always let in, however long the text.
            if not self._is_open or self.expected_wait > self._longest_wait:
                raise Overloaded(max(SHORTEST_RETRY, self.expected_wait - self._longest_wait / 2))
            self._queue.append(waiting)
            self._queued += waiting.weight
            self._free.notify()
        return waiting.future

    def close(self) -> None:
        """Answer who stands in the line, and let nobody else in."""
        with self._free:
            self._is_open = False
            self._free.notify()
        self._thread.join()

    def _work(self) -> None:
        while batch := self._next():
            self._serve(batch)
            self._in_work = 0.0

    def _serve(self, batch: Sequence[_Waiting[Q, A]]) -> None:
        started = self._clock()
        try:
            answers = self._answer([one for waiting in batch for one in waiting.asked])
        except BaseException as error:  # noqa: BLE001 - whoever waits must learn of it, whatever it was
            if len(batch) == 1:
                batch[0].future.set_exception(error)
                return
            for waiting in batch:  # the company of a text that cannot be answered shall not suffer
                self._serve([waiting])
            return
        self._learn(sum(waiting.weight for waiting in batch), self._clock() - started)
        start = 0
        for waiting in batch:
            waiting.future.set_result(answers[start : start + len(waiting.asked)])
            start += len(waiting.asked)

    def _next(self) -> list[_Waiting[Q, A]]:
        """Those who are read next: as many as fit, in their order; nobody once the line is closed and empty."""
        batch: list[_Waiting[Q, A]] = []
        with self._free:
            while not batch:
                while not self._queue:
                    if not self._is_open:
                        return []
                    self._free.wait()
                while self._queue and (not batch or self._in_work + self._queue[0].weight <= BATCH_TOKENS):
                    waiting = self._queue.popleft()
                    self._queued = self._queued - waiting.weight if self._queue else 0.0
                    if not waiting.future.set_running_or_notify_cancel():
                        continue  # the client is gone
                    is_alone = not batch and not self._queue  # let in however long it takes
                    needed = 0.0 if is_alone else (self._in_work + min(waiting.weight, BATCH_TOKENS)) / self._pace
                    if self._clock() + needed > waiting.deadline:
                        waiting.future.set_exception(TooLate())
                        continue
                    batch.append(waiting)
                    self._in_work += waiting.weight
        return batch

    def _learn(self, tokens: float, seconds: float) -> None:
        if tokens > 0 and seconds > 0:
            self._pace = MEMORY * self._pace + (1 - MEMORY) * tokens / seconds


def weight_of(texts: Sequence[str]) -> float:
    """About how many tokens the texts have.

    >>> weight_of(["four"] * 3)
    9.0
    """
    return sum(len(text) / CHARACTERS + 2 for text in texts)
