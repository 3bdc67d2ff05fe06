"""The terminal in which a person labels one ticket after the other."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, TextIO

from tagdesk.cli.frame import Line, Weight, frame, keys_for
from tagdesk.cli.keyboard import Keyboard
from tagdesk.labelling import State, Waiting, disputed, in_own_order, keep, seen_once, state_of, waiting
from tagdesk.labelling.session import Do, Mode, Session, Tally
from tagdesk.model import Model
from tagdesk.rank import DEFAULT
from tagdesk.scorers.base import Progress, silent
from tagdesk.store import Receipt, Store, StoreUnavailable
from tagdesk.taxonomy import Taxonomy

SLOW = 0.5  # seconds after which what was typed during a save was not meant for the next ticket
NARROWEST = 20  # columns
WEIGHTS = {Weight.PLAIN: "", Weight.BOLD: "\x1b[1m", Weight.DIM: "\x1b[2m"}


class Keys(Protocol):
    """Where keys come from."""

    def read(self) -> str:
        """The next key."""
        ...

    def forget(self) -> None:
        """Forget what was typed meanwhile."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """Who wants to label which tickets.

    Attributes:
        reviewer: who.
        count: how many at most.
        strategy: what makes a ticket doubtful; None: the usual mix.
        tenant: whose tickets; None: everybody's.
        is_contradictory: whether it is those on which reviewers contradict each other.
        again: share of them that somebody else has labelled.
        seed: of the draws; None: chance.
    """

    reviewer: str
    count: int
    strategy: str | None = None
    tenant: str | None = None
    is_contradictory: bool = False
    again: float = 0.0
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """What a terminal can show.

    Attributes:
        moves: whether the cursor can be moved, so that a screen replaces the one before.
        weighs: whether letters can be bold or dim.
    """

    moves: bool
    weighs: bool

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Look:
        """What the environment says of the terminal."""
        moves = environment.get("TERM", "dumb") not in {"", "dumb"}
        return cls(moves, moves and not environment.get("NO_COLOR"))

    @property
    def begin(self) -> str:
        """Turns to a screen of its own, and lets pastes be told from keys."""
        return "\x1b[?1049h\x1b[?2004h\x1b[?25l" if self.moves else ""

    @property
    def end(self) -> str:
        """Turns back."""
        return "\x1b[?25h\x1b[?2004l\x1b[?1049l" if self.moves else ""


def batch_for(store: Store, model: Model, asked: Asked, *, progress: Progress = silent) -> list[Waiting]:
    """The tickets that somebody has asked for."""
    if asked.is_contradictory:
        return disputed(store, asked.count, tenant=asked.tenant)
    seed = secrets.randbits(32) if asked.seed is None else asked.seed
    share = round(asked.again * asked.count)
    seconds = seen_once(store, share, asked.reviewer, tenant=asked.tenant, seed=seed) if share else []
    firsts = waiting(
        store,
        model,
        asked.count - share,
        tenant=asked.tenant,
        strategy=asked.strategy or DEFAULT,
        seed=seed,
        progress=progress,
    )
    return in_own_order(firsts, seconds, seed)


def label_here(store: Store, taxonomy: Taxonomy, batch: Sequence[Waiting], reviewer: str) -> Tally:
    """Let somebody label at the terminal that this process has, and say what came of it; Ctrl-C stops it."""
    most = keys_for(len(taxonomy), *size_of(sys.stdout))
    session = Session(batch, taxonomy.names, most_keys=most)
    look = Look.of(os.environ)
    reviewing = Reviewing(store, taxonomy, reviewer, lambda: datetime.now(UTC))
    with (
        suppress(KeyboardInterrupt),  # all that was saved is on the disk
        Keyboard(sys.stdin.fileno(), sys.stdout, begin=look.begin, end=look.end) as keys,
    ):
        reviewing.run(session, keys, sys.stdout, look)
    return session.tally


class Reviewing:
    """One person's session at a terminal.

    Args:
        store: where reviews go.
        taxonomy: explains the labels.
        reviewer: who labels.
        clock: gives the time in UTC.
    """

    def __init__(self, store: Store, taxonomy: Taxonomy, reviewer: str, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._taxonomy = taxonomy
        self._reviewer = reviewer
        self._clock = clock

    def run(self, session: Session, keys: Keys, screen: TextIO, look: Look) -> None:
        """Label until the person stops, or nothing is left; what has been saved is on the disk at any moment."""
        painter = Painter(screen, look, self._taxonomy)
        while True:
            if session.is_new and not self._still_waits(session):
                continue
            session.shown()
            painter.paint(session)
            do = session.press(keys.read())
            if do is Do.STOP:
                return
            if do is Do.SAVE:
                started = time.monotonic()
                self._save(session)
                if time.monotonic() - started > SLOW:
                    keys.forget()

    def _still_waits(self, session: Session) -> bool:
        """Whether the case is still to be looked at; passes it over where it is not."""
        try:
            state = state_of(self._store, session.one, self._reviewer)
        except StoreUnavailable:
            return True  # it will show when it is saved
        if state is not State.WAITS:
            session.passed(by_others=state is State.DONE)
        return state is State.WAITS

    def _save(self, session: Session) -> None:
        try:
            receipt = keep(self._store, session.one, session.marked, self._reviewer, self._clock())
        except StoreUnavailable as error:
            session.failed(str(error))
            return
        if receipt is Receipt.UNKNOWN_CASE:
            session.passed(by_others=False)
        else:
            session.saved()


class Painter:
    """Draws sessions on a terminal; where the cursor cannot be moved, one below the other."""

    def __init__(self, screen: TextIO, look: Look, taxonomy: Taxonomy) -> None:
        self._screen = screen
        self._look = look
        self._taxonomy = taxonomy
        self._last: tuple[int, Mode, int] | None = None

    def paint(self, session: Session) -> None:
        """Draw the session as it is now."""
        width, height = size_of(self._screen)
        state = session.place, session.mode, session.page
        lines = frame(session, self._taxonomy, width, height, whole=self._look.moves or state != self._last)
        self._last = state
        shown = [self._weighed(line) for line in lines]
        if self._look.moves:
            self._screen.write("\x1b[H" + "\x1b[K\n".join(shown) + "\x1b[K\x1b[J")
        else:
            self._screen.write("\n".join(shown) + "\n")
        self._screen.flush()

    def _weighed(self, line: Line) -> str:
        weight = WEIGHTS[line.weight] if self._look.weighs else ""
        return f"{weight}{line.text}\x1b[0m" if weight else line.text


def size_of(screen: TextIO) -> tuple[int, int]:
    """Columns and lines of the terminal behind a stream; those of the environment where it does not say."""
    try:
        found = os.get_terminal_size(screen.fileno())
    except (OSError, ValueError):
        found = os.terminal_size((0, 0))
    usual = shutil.get_terminal_size()
    return max(NARROWEST, found.columns or usual.columns), max(1, found.lines or usual.lines)
