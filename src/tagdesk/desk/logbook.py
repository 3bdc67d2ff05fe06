"""Writes cases to the store behind the answers: a store that is slow or gone delays no prediction."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from tagdesk.case import Case
from tagdesk.store import Store, StoreUnavailable

LOG = logging.getLogger("tagdesk.desk")

AT_ONCE = 500  # cases of one transaction
MOST_WAITING = 20_000  # some 20 MB; then the oldest go
PAUSE = 0.05  # seconds before a transaction: the answers leave first, and a busy hour is written in bulk
RETRY = 1.0  # seconds until a store that could not answer is asked again


class Logbook:
    """Cases that were answered, on their way to the store.

    Args:
        store: where they go.
        prepare: what happens to a case before it is written, such as the removal of personal data; it may be slow.
        then: is told of cases that the store has, as they were before they were prepared; it may not wait.
        most_waiting: cases that are kept while the store is gone.

    Attributes:
        written: cases that the store has.
        dropped: cases that were given up, because the store was gone for too long or refused them.
    """

    def __init__(
        self,
        store: Store,
        prepare: Callable[[Case], Case],
        *,
        then: Callable[[Sequence[Case]], None] = lambda _cases: None,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._store = store
        self._prepare = prepare
        self._then = then
        self._most = most_waiting
        self._waiting: deque[Case] = deque()
        self._ids: set[str] = set()  # of those that wait or are in work
        self._changed = threading.Condition()
        self._in_work = 0
        self._is_open = True
        self._is_stuck = self._is_awaited = False
        self.written = self.dropped = 0
        self._thread = threading.Thread(target=self._work, name="tagdesk-logbook", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        return len(self._waiting) + self._in_work

    def add(self, cases: Sequence[Case]) -> None:
        """Take cases in; they are in the store a moment later, unless it is gone."""
        with self._changed:
            self._waiting.extend(cases)
            self._ids.update(case.id for case in cases)
            while len(self._waiting) > self._most:
                self._ids.discard(self._waiting.popleft().id)
                self.dropped += 1
            self._changed.notify_all()

    def holds(self, ids: Iterable[str]) -> bool:
        """Whether any of these cases is still on its way to the store."""
        with self._changed:
            return not self._ids.isdisjoint(ids)

    def flush(self, seconds: float) -> bool:
        """Wait until the store has what was added so far; False where that takes longer."""
        with self._changed:
            goal = self.written + self.dropped + len(self)
            self._is_awaited = True
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self.written + self.dropped >= goal or self._is_stuck, seconds) and (
                self.written + self.dropped >= goal
            )

    def close(self, seconds: float = 5.0) -> None:
        """Write what waits, and end; what the store does not take within the time is dropped."""
        self.flush(seconds)
        with self._changed:
            self._is_open = False
            self._changed.notify_all()
        self._thread.join(seconds)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or not self._is_open)
                if not self._is_open:
                    self.dropped += len(self._waiting)
                    return
                self._changed.wait_for(lambda: self._is_awaited or not self._is_open, PAUSE)
                self._is_awaited = False
                batch = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
                self._in_work = len(batch)
            outcome = self._write(batch)
            if outcome:
                self._then(batch)
            with self._changed:
                self._in_work = 0
                if outcome is None:
                    self._waiting.extendleft(reversed(batch))
                else:
                    self._ids.difference_update(case.id for case in batch)
                    self.written += outcome
                    self.dropped += len(batch) - outcome
                self._is_stuck = outcome is None
                self._changed.notify_all()
                if outcome is None:
                    self._changed.wait_for(lambda: not self._is_open, RETRY)

    def _write(self, batch: Sequence[Case]) -> int | None:
        """How many of the cases the store has taken; None where it cannot be asked at the moment."""
        try:
            self._store.cases.add([self._prepare(case) for case in batch])
        except StoreUnavailable:
            return None
        except Exception as error:  # noqa: BLE001 - one of them is refused, such as an id that is taken: keep the others
            if len(batch) == 1:
                LOG.error("case_dropped", extra={"error": type(error).__name__})  # noqa: TRY400 - it may quote the case
                return 0
            parts = [self._write([case]) for case in batch]
            return sum(part or 0 for part in parts)
        return len(batch)
