"""Writes tags and notes back to one help desk, behind the answers."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from tagdesk.case import Case
from tagdesk.connectors import HelpDeskError
from tagdesk.connectors.sites import Site
from tagdesk.desk import Desk
from tagdesk.desk.borne import Writings, to_tag
from tagdesk.errors import UsageError
from tagdesk.store import Conflict, Selection, StoreUnavailable

LOG = logging.getLogger("tagdesk.desk")

MOST_WAITING = 200  # cases in memory; those beyond are found in the store
LOOK_EVERY = 60.0  # seconds between two looks for what is undone, and that a help desk is left alone that is away
GIVEN_UP = timedelta(days=1)  # older cases are not written back any more
LATE = timedelta(minutes=5)  # a case may reach the store so long after its time
CLOSING = 5.0  # seconds that a write-back may still take when the service ends
OF_THE_DESK = {401, 403}  # refusals that have nothing to do with the ticket
PASSING = {"help_desk_away", "help_desk_conflict", "bad_answer"}
WRITTEN, PLANNED, OVERTAKEN, REFUSED, AWAY = "written", "planned", "overtaken", "refused", "away"


class WriteBack:
    """A thread that writes what was predicted for the tickets of a help desk back to it, once for each case.

    The store is the queue; the one in memory only saves the looking. A write-back counts as done once the store says
    so, and is claimed there before it begins, so that of several processes one does it. What a crash, a full queue or a
    help desk that is away leaves undone is found again: at the start and every minute by whoever runs, in the cases of
    the last day. A crash in the midst of one is made up for after 15 minutes. Tags never come twice; a note may, where
    the crash came between the note and the word of it. What an agent has corrected meanwhile is left alone.

    Args:
        desk: whose store and clock it uses.
        site: the help desk.
        told: is told what became of each: written, planned, overtaken, refused or away.
        look_every: seconds.
    """

    def __init__(self, desk: Desk, site: Site, told: Callable[[str], None], *, look_every: float = LOOK_EVERY) -> None:
        self._desk = desk
        self._site = site
        self._told = told
        self._look_every = look_every
        patience = replace(site.help_desk.patience, wait=self._pause)
        self._help_desk = replace(site.help_desk, patience=patience)
        self._writings = Writings(desk.store, site, desk.now)
        self._waiting: deque[Case] = deque()
        self._changed = threading.Condition()
        self._is_open = True
        self._closing = threading.Event()
        self._look_at = time.monotonic()
        self._rests_until = 0.0
        self._since = desk.now() - GIVEN_UP
        self._thread = threading.Thread(target=self._work, name=f"tagdesk-write-back-{site.name}", daemon=True)

    def __len__(self) -> int:
        return len(self._waiting)

    def start(self) -> None:
        """Begin, with what earlier processes have left undone."""
        self._thread.start()

    def add(self, case: Case) -> None:
        """Take in a case that is in the store."""
        with self._changed:
            if len(self._waiting) < MOST_WAITING:
                self._waiting.append(case)
            self._changed.notify()

    def close(self) -> None:
        """End; what is not written yet is found by the next process that starts."""
        with self._changed:
            self._is_open = False
            self._changed.notify()
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(CLOSING)

    def _work(self) -> None:
        while self._is_open:
            case = self._next()
            try:
                if case is not None:
                    self._do(case)
                elif time.monotonic() >= self._look_at:
                    self._look_at = time.monotonic() + self._look_every
                    self._look()
            except StoreUnavailable:  # the next look finds it
                self._rest()
            except Exception:
                LOG.exception("write_back_failed", extra={"help_desk": self._site.name})
                self._rest()

    def _next(self) -> Case | None:
        """A case to write back; None when it is time to look for others, or to end."""
        with self._changed:
            while self._is_open:
                now = time.monotonic()
                if now >= self._rests_until and self._waiting:
                    return self._waiting.popleft()
                if now >= max(self._look_at, self._rests_until):
                    return None
                until = self._look_at if now >= self._rests_until else self._rests_until
                self._changed.wait(until - now)
        return None

    def _look(self) -> None:
        """Do what is undone, oldest first."""
        began = self._desk.now()
        is_complete = True
        for case in self._to_do(began):
            if not self._is_open:
                return
            is_complete &= self._do(case)
            if time.monotonic() < self._rests_until:
                return
        if is_complete:
            self._since = began - LATE

    def _to_do(self, now: datetime) -> Iterator[Case]:
        """The cases of the help desk that may be undone, oldest first."""
        self._since = max(self._since, now - GIVEN_UP)
        for case in self._desk.store.cases.each(Selection(self._site.tenant, since=self._since)):
            if case.source == self._site.name and case.ticket is not None:
                yield case

    def _do(self, case: Case) -> bool:
        """Write a case back unless that is done; whether it is done now."""
        if not case.prediction.labels:
            return True
        try:
            if not self._writings.claim(case):
                return True
        except Conflict:  # another process is at it
            return False
        try:
            outcome, labels = self._written(case)
        except BaseException:
            self._writings.release(case)
            raise
        if outcome == AWAY:
            self._writings.release(case)
            self._rest()
        else:
            self._writings.keep(case, labels)
        self._told(outcome)
        return outcome != AWAY

    def _written(self, case: Case) -> tuple[str, frozenset[str]]:
        """What became of the write-back of a case, and the labels of which tags were written."""
        if self._writings.is_corrected(case):
            return OVERTAKEN, frozenset()
        ticket, note = case.ticket or "", note_of(case) if self._site.has_note else ""
        try:
            tags = self._site.tags(self._desk.live.model.taxonomy.names)
            labels = to_tag(case, self._site) & tags.by_label.keys()
            if self._site.is_dry:
                calls = self._help_desk.plan(ticket, tags.tags_of(labels), note)
            else:
                calls = self._help_desk.write(ticket, tags.tags_of(labels), note)
        except HelpDeskError as error:
            is_away = error.status in OF_THE_DESK or error.code in PASSING
            self._log("write_back_refused", case, code=error.code, status=error.status)
            return AWAY if is_away else REFUSED, frozenset()
        except UsageError as error:  # the model that answers has a label that cannot be a tag there
            self._log("write_back_refused", case, code=error.code)
            return AWAY, frozenset()
        made = [f"{call.method} {call.path}" for call in calls]
        self._log("would_write_back" if self._site.is_dry else "written_back", case, calls=made, labels=sorted(labels))
        return (PLANNED, frozenset()) if self._site.is_dry else (WRITTEN, labels)

    def _log(self, what: str, case: Case, **more: object) -> None:
        LOG.info(what, extra={"help_desk": self._site.name, "case": case.id, **more})

    def _rest(self) -> None:
        self._rests_until = time.monotonic() + self._look_every

    def _pause(self, seconds: float) -> None:
        """Wait between two tries, unless the service ends."""
        self._closing.wait(seconds)


def note_of(case: Case) -> str:
    """What the internal note of a case says; nothing of what the customer wrote."""
    said = case.prediction
    lines = [f"- {label}, {min(said.scores[label], 0.99):.0%}" for label in said.labels]
    return "\n".join(["tagdesk reads this message as:", *lines, "Where that is wrong, change the tags."])
