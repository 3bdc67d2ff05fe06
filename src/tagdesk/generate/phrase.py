"""A sentence with choices and slots, which is said differently each time.

`[a|b]` is a choice, whose alternatives may be empty; `{name}` is a slot. Neither stands inside a choice's choice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from tagdesk.errors import InputError

Draw: TypeAlias = Callable[[], float]  # the next number in 0..1, such as the `random` of a random.Random
Fill: TypeAlias = Callable[[str], str]  # the word for a slot

_PIECE: Final = re.compile(r"\[([^\[\]]*)\]|\{([a-z_]+)\}|([^\[\]{}]+)")


@dataclass(frozen=True, slots=True)
class _Slot:
    name: str


@dataclass(frozen=True, slots=True)
class _Choice:
    ways: tuple[tuple[str | _Slot, ...], ...]


@dataclass(frozen=True, slots=True)
class Phrase:
    """A sentence as a phrase book writes it.

    >>> Phrase.of("[Where|Tell me where] is my {thing}?").say(lambda: 0.0, lambda slot: "lamp")
    'Where is my lamp?'
    """

    source: str
    parts: tuple[str | _Slot | _Choice, ...]
    slots: frozenset[str]

    @classmethod
    def of(cls, source: str) -> Phrase:
        """Parse a sentence; raises InputError (`bad_phrases`) that quotes it."""
        parts = tuple(_parts(source))
        flat = [part for one in parts for part in ((one,) if not isinstance(one, _Choice) else sum(one.ways, ()))]
        return cls(source, parts, frozenset(part.name for part in flat if isinstance(part, _Slot)))

    @property
    def fewest_words(self) -> int:
        """How many words the shortest reading has; a slot counts as one.

        >>> Phrase.of("I[ am|'m] [|very ]glad").fewest_words
        2
        """
        fewest = {False: 0}  # by whether the reading so far ends in a word, which the next part may go on with
        for part in self.parts:
            longer: dict[bool, int] = {}
            for way in part.ways if isinstance(part, _Choice) else ((part,),):
                said = "".join(piece if isinstance(piece, str) else piece.name for piece in way)
                for ends_in_word, words in fewest.items():
                    added = "x" * ends_in_word + said
                    total = words + len(added.split()) - ends_in_word
                    end = bool(added[-1:].strip())
                    longer[end] = min(total, longer.get(end, total))
            fewest = longer
        return min(fewest.values())

    def say(self, draw: Draw, fill: Fill) -> str:
        """The sentence with its choices made and its slots filled."""
        said: list[str] = []
        for part in self.parts:
            if isinstance(part, str):
                said.append(part)
            elif isinstance(part, _Slot):
                said.append(fill(part.name))
            else:
                way = part.ways[int(draw() * len(part.ways))]
                said += [piece if isinstance(piece, str) else fill(piece.name) for piece in way]
        return "".join(said)


def _parts(source: str) -> Iterator[str | _Slot | _Choice]:
    for choice, slot, plain in _pieces(source):
        if slot:
            yield _Slot(slot)
        elif plain:
            yield plain
        else:
            yield _Choice(tuple(tuple(_flat(way)) for way in choice.split("|")))


def _flat(source: str) -> Iterator[str | _Slot]:
    """The parts of one alternative, which holds slots but no choices."""
    for _, slot, plain in _pieces(source):
        yield _Slot(slot) if slot else plain


def _pieces(source: str) -> Iterator[tuple[str, str, str]]:
    """A choice, a slot or plain words, one of them at a time."""
    position = 0
    while position < len(source):
        match = _PIECE.match(source, position)
        if match is None:
            raise InputError(
                f"The phrase {source[:80]!r} has an odd bracket at character {position + 1}; expected [a|b] for a "
                "choice and {name} for a slot, none inside a choice's choice. Close or remove it.",
                code="bad_phrases",
            )
        yield match[1] or "", match[2] or "", match[3] or ""
        position = match.end()
