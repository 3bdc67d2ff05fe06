"""How a session of labelling looks, in lines of text; whoever has a terminal shows them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from rich.cells import cell_len, chop_cells, set_cell_size

from tagdesk.cli.screen import percent, visible
from tagdesk.labelling.choosing import Waiting
from tagdesk.labelling.session import FEWEST_KEYS, KEYS, Mode, Row, Session
from tagdesk.taxonomy import Taxonomy

LEAST_TEXT = 3  # lines of the ticket that are seen whatever else is
AROUND = 14  # lines of the screen that are not there for labels
TWO_COLUMNS = 76  # screen columns from which labels stand in two
MOST_FOUND = 5  # reviewers of a contradiction that are named
BESIDE = 12  # columns of a label's key, its box and its probability
HERE = "> "

_BREAKS = re.compile(r"\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_WORD = re.compile("[^ ]+ *| +")


class Weight(Enum):
    """How much a line stands out."""

    PLAIN = "plain"
    BOLD = "bold"
    DIM = "dim"


BOLD, DIM = Weight.BOLD, Weight.DIM


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the screen."""

    text: str
    weight: Weight = Weight.PLAIN


def keys_for(labels: int, width: int, height: int) -> int:
    """How many labels can have keys, so that all of them are seen."""
    columns = 2 if width >= TWO_COLUMNS else 1
    return min(labels, len(KEYS), max(FEWEST_KEYS, (height - AROUND) * columns))


def frame(session: Session, taxonomy: Taxonomy, width: int, height: int, *, whole: bool = True) -> list[Line]:
    """The lines of the screen, at most `height` of at most `width` columns; not `whole`: without the ticket.

    >>> from datetime import UTC, datetime
    >>> from tagdesk.case import Case
    >>> from tagdesk.prediction import Decision, Prediction
    >>> said = Prediction("Refund, please", ("A",), {"A": 0.9}, {"A": Decision.SUGGEST}, "m", "p")
    >>> one = Waiting(Case("7", "shop", datetime(2026, 5, 1, tzinfo=UTC), said), ("A",), "random check")
    >>> for line in frame(Session([one], ["A"]), Taxonomy.of(["A"]), 40, 12)[:5]:
    ...     print(line.text)
    1 of 1
    Why: random check
    ----------------------------------------
    Refund, please
    ----------------------------------------
    """
    if session.mode is Mode.MEANINGS:
        lines = _meanings(session, taxonomy, width, height)
    elif session.mode is Mode.OVER:
        lines = _over(session, width)
    else:
        below = _search(session, width) if session.mode is Mode.SEARCH else _labels(session, width)
        lines = [*(_above(session, width, height - len(below)) if whole else []), *below]
    return [Line(_cut(line.text, width), line.weight) for line in lines[-height:]]


def _above(session: Session, width: int, room: int) -> list[Line]:
    """How far one has come, why this ticket, and its text, as much of it as there is room for."""
    saved = f", {session.saved_count} saved" if session.saved_count else ""
    ticket = session.one.case.ticket
    named = f" - ticket {_flat(ticket)}" if ticket else ""
    head = [Line(f"{session.place + 1} of {len(session.batch)}{saved}{named}", BOLD)]
    head += [Line(text, DIM) for text in _wrapped(f"Why: {_flat(session.one.reason)}", width)[:2]]
    head += [Line(text) for text in _who_said_what(session.one, width)]
    text = _wrapped(_readable(session.one.case.prediction.text), width)
    room = max(LEAST_TEXT, room - len(head) - 2)
    shown, number, pages = _page(text, session.page, room)
    rule = f"-- page {number} of {pages}, space for more " if pages > 1 else ""
    return [
        *head,
        Line("-" * width, DIM),
        *(Line(text) for text in shown),
        Line(rule.ljust(width, "-"), DIM),
    ]


def _who_said_what(one: Waiting, width: int) -> list[str]:
    if not one.found:
        return []
    said = [
        line
        for name, labels in list(one.found.items())[:MOST_FOUND]
        for line in _wrapped(f"{_flat(name)}: {_joined(sorted(labels))}", width)
    ]
    more = len(one.found) - MOST_FOUND
    return [*said, *([f"and {more} more"] if more > 0 else [])]


def _labels(session: Session, width: int) -> list[Line]:
    """The labels with their keys, what is marked, what happened, and the keys that there are."""
    rows = session.rows
    columns = 2 if width >= TWO_COLUMNS and len(rows) > FEWEST_KEYS else 1
    longest = max(cell_len(_flat(row.name)) for row in rows)
    wide = min(width // columns - (1 if columns > 1 else 0), longest + BESIDE)
    down = -(-len(rows) // columns)
    lines = []
    for number in range(down):
        beside = [rows[place] for place in range(number, len(rows), down)]
        text = " ".join(_cell(row, wide) for row in beside)
        lines.append(Line(text, BOLD if columns == 1 and beside[0].is_marked else Weight.PLAIN))
    marked = [name for name in session.names if name in session.marked]
    verb = "Settles it as" if session.one.found else "Saves"
    lines += [Line(text) for text in _wrapped(f"{verb}: {_joined(marked)}", width)[:3]]
    lines += [Line(text, BOLD) for text in _wrapped(_flat(session.message), width)[:3] if session.message]
    keyed = [row.key for row in rows if row.key]
    mark = f"{keyed[0]}-{keyed[-1]} mark" if len(keyed) > 1 else f"{keyed[0]} mark"
    find = "/ find" if session.all_have_keys else f"/ find one of {len(session.names)}"
    keys = ("Enter save", mark, "n none", "s skip", "u back", find, "? meanings", "q stop")
    return [*lines, *(Line(text, DIM) for text in _packed(keys, width))]


def _search(session: Session, width: int) -> list[Line]:
    """What is searched for, and what is found."""
    matches = session.matches
    lines = [
        Line(
            f"{HERE if place == session.choice else '  '}{'[x]' if name in session.marked else '[ ]'} {_flat(name)}",
            BOLD if place == session.choice else Weight.PLAIN,
        )
        for place, name in enumerate(matches)
    ] or [Line("  no label is called so")]
    lines += [Line(text, BOLD) for text in _wrapped(_flat(session.message), width) if session.message]
    keys = ("Enter mark or unmark", "up, down choose", "Escape leave")
    lines += [Line(text, DIM) for text in _packed(keys, width)]
    return [*lines, Line(f"Find: {_flat(session.query)}_")]


def _meanings(session: Session, taxonomy: Taxonomy, width: int, height: int) -> list[Line]:
    """What the labels mean, those with keys first, a page of it."""
    labels = {label.name: label for label in taxonomy.labels}
    first = [row.name for row in session.rows]
    lines: list[str] = []
    for name in [*first, *(name for name in session.names if name not in first)]:
        label = labels[name]
        lines += [*([""] if lines else []), *_wrapped(_flat(name), width)]
        for word, text in (("", label.description), ("Given where: ", label.gives), ("Not for: ", label.not_for)):
            lines += [f"  {line}" for line in _wrapped(f"{word}{_readable(text)}", width - 2)] if text else []
    if not any(label.description or label.gives or label.not_for for label in taxonomy.labels):
        lines = ["The model knows the names of these labels and no more.", "", *lines]
    if taxonomy.rules:
        lines += ["", "Rules"]
        lines += [line for rule in taxonomy.rules for line in _wrapped(f"- {_readable(rule)}", width)]
    shown, number, pages = _page(lines, session.page, max(1, height - 2))
    foot = f"Page {number} of {pages}. Space: the next one. Any other key: back." if pages > 1 else "Any key: back."
    return [*(Line(text) for text in shown), Line("-" * width, DIM), Line(foot, DIM)]


def _over(session: Session, width: int) -> list[Line]:
    number = len(session.batch)
    text = f"All {number} have been looked at." if number > 1 else "It has been looked at."
    said = [Line(line, BOLD) for line in _wrapped(_flat(session.message), width) if session.message]
    return [*said, Line(text), *(Line(line, DIM) for line in _packed(("Enter end", "u back"), width))]


def _cell(row: Row, width: int) -> str:
    """A label in so many columns: its key, whether it is marked, its name and its probability."""
    share = "" if row.score is None else percent(row.score)
    before = f"{row.key or ' '} {'[x]' if row.is_marked else '[ ]'} "
    room = max(1, width - len(before) - 5)
    name = _flat(row.name)
    if cell_len(name) > room:
        name = f"{set_cell_size(name, max(1, room - 3)).rstrip()}..."
    return f"{before}{set_cell_size(name, room)} {share:>4}"


def _page(lines: Sequence[str], page: int, room: int) -> tuple[Sequence[str], int, int]:
    """The lines of a page, which one it is, from 1 up, and how many there are; counts on past either end."""
    pages = max(1, -(-len(lines) // room))
    number = page % pages
    return lines[number * room : (number + 1) * room], number + 1, pages


def _joined(names: Sequence[str]) -> str:
    return ", ".join(_flat(name) for name in names) or "none of the labels"


def _packed(words: Sequence[str], width: int) -> list[str]:
    """Short phrases in as few lines as they fit into."""
    lines = [""]
    for word in words:
        longer = f"{lines[-1]}  {word}" if lines[-1] else word
        if lines[-1] and cell_len(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _flat(text: str) -> str:
    """A name or a remark on one line, and whatever could act on a terminal written out."""
    return visible(text).replace("\n", "\\n")


def _readable(text: str) -> str:
    """A customer's text with its line ends, and whatever could act on a terminal written out."""
    return visible(_BREAKS.sub("\n", text).replace("\t", "    ")).strip("\n")


@lru_cache(maxsize=64)
def _wrapped(text: str, width: int) -> tuple[str, ...]:
    """A text in lines of at most so many columns, broken between words where it can be."""
    lines: list[str] = []
    for line in text.split("\n"):
        current = ""
        for word in _WORD.findall(line):
            if cell_len(current) + cell_len(word.rstrip()) <= width:
                current += word
                continue
            if current:
                lines.append(current.rstrip())
            *full, current = chop_cells(word, width) if cell_len(word) > width else [word]
            lines += full
        lines.append(current.rstrip())
    return tuple(lines)


def _cut(text: str, width: int) -> str:
    return text if cell_len(text) <= width else set_cell_size(text, width)
