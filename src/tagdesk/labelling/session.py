"""A person at a terminal who labels one case after the other: what each key does, without a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from tagdesk.labelling.choosing import Kind, Waiting

KEYS = "1234567890abcdefghij"  # of labels; none of them is a command
FEWEST_KEYS = 9
MOST_MATCHES = 8  # labels that a search shows

ENTER, ESCAPE, BACKSPACE, TAB = "enter", "escape", "backspace", "tab"
UP, DOWN, PAGE_UP, PAGE_DOWN = "up", "down", "page up", "page down"
END = "end of input"  # Ctrl-D, or the terminal is gone


class Do(Enum):
    """What whoever runs the session does after a key."""

    SHOW = "show"  # the session, as it is now
    SAVE = "save"  # the labels that are marked; then call `saved`, `failed` or `passed`
    STOP = "stop"


class Mode(Enum):
    """What the person sees."""

    LABELS = "labels"
    SEARCH = "search"
    MEANINGS = "meanings"
    OVER = "over"  # all have been looked at


@dataclass(frozen=True, slots=True)
class Row:
    """A label as it stands on the screen; `key` is empty where none is left."""

    key: str
    name: str
    is_marked: bool
    score: float | None


@dataclass(frozen=True, slots=True)
class Tally:
    """What came of a session.

    Attributes:
        labelled: cases that were saved.
        as_suggested: those of them whose labels were exactly the suggested ones.
        checks, checks_as_suggested: the same of those that were drawn at random.
        skipped: cases that the person left out.
        by_others: cases that others were quicker with.
        gone: cases that were erased meanwhile.
    """

    labelled: int
    as_suggested: int
    checks: int
    checks_as_suggested: int
    skipped: int
    by_others: int
    gone: int


class Session:
    """A batch of cases, the one that is looked at, and what is marked.

    `press` takes a key, a character or one of the names above, and says what to do. Nothing here waits, draws or
    writes.

    Args:
        batch: at least one case.
        names: the labels, in the taxonomy's order.
        most_keys: labels that have keys; where there are more labels, these are the most probable ones.

    Attributes:
        place: of the case that is looked at.
        marked: its labels, as they would be saved.
        mode: what is seen.
        page: of the text or of the meanings; counts on, whoever draws takes it modulo.
        query: what is searched for.
        choice: which of the matches Enter takes.
        message: what happened last.
    """

    def __init__(self, batch: Sequence[Waiting], names: Sequence[str], *, most_keys: int = len(KEYS)) -> None:
        if not batch or not names:
            raise ValueError("A session needs at least one case and one label.")
        self.batch = tuple(batch)
        self.names = tuple(names)
        self._most_keys = max(1, min(most_keys, len(KEYS)))
        self._saved: dict[int, frozenset[str]] = {}
        self._passed: dict[int, bool] = {}  # place -> whether others were quicker; else it is gone
        self._seen: set[int] = set()
        self.message = ""
        self._open(0)

    @property
    def one(self) -> Waiting:
        """The case that is looked at; the last one once all have been."""
        return self.batch[min(self.place, len(self.batch) - 1)]

    @property
    def is_new(self) -> bool:
        """Whether the case has not been shown yet, so that somebody should look whether it still waits."""
        return self.mode is not Mode.OVER and self.place not in self._seen

    @property
    def saved_count(self) -> int:
        """How many cases were saved so far."""
        return len(self._saved)

    @property
    def rows(self) -> list[Row]:
        """The labels that are shown, those with keys first."""
        scores = self.one.case.prediction.scores
        shown = [*self._keyed, *(name for name in self.names if name in self.marked and name not in self._keyed)]
        keys = KEYS[: self._most_keys].ljust(len(shown))
        return [
            Row(key.strip(), name, name in self.marked, scores.get(name))
            for key, name in zip(keys, shown, strict=False)
        ]

    @property
    def all_have_keys(self) -> bool:
        """Whether no label must be searched for."""
        return len(self.names) <= self._most_keys

    @property
    def matches(self) -> list[str]:
        """The labels that a search finds: those that begin so, then those with such a word, then all others."""
        wanted = _plain(self.query)
        scores = self.one.case.prediction.scores
        found = []
        for place, name in enumerate(self.names):
            plain = _plain(name)
            if wanted in plain:
                rank = 0 if plain.startswith(wanted) else 1 if f" {wanted}" in plain else 2
                found.append((rank, -scores.get(name, 0.0), place))
        return [self.names[place] for *_order, place in sorted(found)[:MOST_MATCHES]]

    @property
    def tally(self) -> Tally:
        """What came of it so far."""
        right = {place for place, labels in self._saved.items() if labels == set(self.batch[place].suggested)}
        checks = {place for place in self._saved if self.batch[place].is_audit}
        left_out = self._seen - self._saved.keys() - self._passed.keys() - {self.place}
        return Tally(
            len(self._saved),
            len(right),
            len(checks),
            len(right & checks),
            len(left_out),
            sum(self._passed.values()),
            len(self._passed) - sum(self._passed.values()),
        )

    def press(self, key: str) -> Do:
        """Take a key in, and say what to do."""
        self.message = ""
        if key == END:
            return Do.STOP
        handlers: Mapping[Mode, Callable[[str], Do]] = {
            Mode.LABELS: self._label,
            Mode.SEARCH: self._search,
            Mode.MEANINGS: self._read,
            Mode.OVER: self._finish,
        }
        return handlers[self.mode](key)

    def shown(self) -> None:
        """Note that the case is on the screen."""
        self._seen.add(self.place)

    def saved(self) -> None:
        """Note that what is marked is on the disk, and go on."""
        self._seen.add(self.place)
        self._saved[self.place] = self.marked
        self._passed.pop(self.place, None)
        self._open(self.place + 1)

    def failed(self, why: str) -> None:
        """Note that nothing was kept; what is marked stays, and Enter tries again."""
        self.message = f"{why} Nothing was saved; Enter tries again."

    def passed(self, *, by_others: bool) -> None:
        """Note that the case waits no longer, and go on: others were quicker, or it is gone."""
        self._saved.pop(self.place, None)
        self._passed[self.place] = by_others
        self._open(self.place + 1)
        what = "What others have labelled meanwhile" if by_others else "A case that was erased meanwhile"
        self.message = f"{what} is left out."

    def _open(self, place: int) -> None:
        self.place = place
        self.page = self.choice = 0
        self.query = ""
        self.mode = Mode.LABELS if place < len(self.batch) else Mode.OVER
        before = self._saved.get(place)
        self.marked = self._beforehand() if before is None else before
        self._keyed = self._with_keys()

    def _beforehand(self) -> frozenset[str]:
        """What is marked before anybody has pressed a key: what was suggested, or what all reviewers found."""
        if self.one.kind is Kind.DISPUTED:
            return frozenset.intersection(*self.one.found.values()) & set(self.names)
        return frozenset(self.one.suggested) & set(self.names)

    def _with_keys(self) -> tuple[str, ...]:
        """The labels that have keys, the same keys for all cases where there are enough."""
        if self.all_have_keys:
            return self.names
        scores = self.one.case.prediction.scores
        order = sorted(self.names, key=lambda name: (name not in self.marked, -scores.get(name, 0.0)))
        return tuple(order[: self._most_keys])

    def _label(self, key: str) -> Do:
        key = key.lower()  # whoever has caps lock on means the same
        if key == ENTER:
            return Do.SAVE
        if key == "q":
            return Do.STOP
        if key in self._commands:
            self._commands[key]()
        elif key in {" ", PAGE_DOWN, DOWN}:
            self.page += 1
        elif key in {PAGE_UP, UP}:
            self.page -= 1
        elif name := next((row.name for row in self.rows if row.key == key), None):
            self._toggle(name)
        elif len(key) == 1:
            self.message = "That key does nothing here."
        return Do.SHOW

    @property
    def _commands(self) -> Mapping[str, Callable[[], None]]:
        return {
            "n": self._clear,
            "s": self._skip,
            "u": self._back,
            "/": lambda: self._turn(Mode.SEARCH),
            "?": lambda: self._turn(Mode.MEANINGS),
        }

    def _turn(self, mode: Mode) -> None:
        self.mode, self.page, self.choice, self.query = mode, 0, 0, ""

    def _clear(self) -> None:
        self.marked = frozenset()
        self.message = "None of the labels; Enter saves that."

    def _toggle(self, name: str) -> None:
        self.marked ^= {name}

    def _skip(self) -> None:
        self._seen.add(self.place)
        self._open(self.place + 1)

    def _back(self) -> None:
        before = [place for place in range(self.place) if place not in self._passed]
        if not before:
            self.message = "Nothing comes before this."
            return
        self._open(before[-1])
        self.message = "Enter saves it anew." if self.place in self._saved else ""

    def _search(self, key: str) -> Do:
        matches = self.matches
        if key == ESCAPE:
            self._turn(Mode.LABELS)
        elif key == ENTER:
            if matches:
                name = matches[self.choice]
                self._toggle(name)
                self._turn(Mode.LABELS)
                self.message = f"{name}: {'marked' if name in self.marked else 'no longer marked'}."
            else:
                self.message = "No label is called so. Backspace, or Escape to leave it."
        elif key in {DOWN, TAB}:
            self.choice = min(self.choice + 1, max(0, len(matches) - 1))
        elif key == UP:
            self.choice = max(0, self.choice - 1)
        elif key == BACKSPACE:
            self.query, self.choice = self.query[:-1], 0
        elif len(key) == 1:
            self.query, self.choice = self.query + key, 0
        return Do.SHOW

    def _read(self, key: str) -> Do:
        if key in {" ", PAGE_DOWN, DOWN}:
            self.page += 1
        elif key in {PAGE_UP, UP}:
            self.page -= 1
        else:
            self._turn(Mode.LABELS)
        return Do.SHOW

    def _finish(self, key: str) -> Do:
        if key.lower() == "u":
            self._back()
            return Do.SHOW
        return Do.STOP if key in {ENTER, ESCAPE, "q", "Q"} else Do.SHOW


def _plain(text: str) -> str:
    """A text as a search compares it: without case, accents and blanks at its start."""
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join(part for part in parts if not unicodedata.combining(part)).lstrip()
