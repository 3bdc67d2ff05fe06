"""What haste does to a text, without changing what it says: words stay in order, and digits stay as they are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from tagdesk.generate.phrase import Draw

_LONG_WORD: Final = re.compile(r"(?<![\w@#./'-])[a-z]{5,}(?![\w@./'-])")  # no names, numbers, addresses or codes
_WORDS_PER_TYPO: Final = 12  # so that a text stays readable
_PUNCTUATION: Final = re.compile(r"(?<=\w)[,;:](?= )|(?<=\w)[.!?]+(?=\s|$)|'")
_FILLED: Final = 0.12  # share of the blanks at which a speaker hesitates


def with_typos(text: str, draw: Draw) -> str:
    """The text with a letter swapped, dropped or doubled in at most one word of twelve, and in at least one.

    First and last letters stay, and so do names, numbers and addresses.
    """
    words = list(_LONG_WORD.finditer(text))
    if not words:
        return text
    times = 1 + int(draw() * (len(text.split()) // _WORDS_PER_TYPO))
    hit = sorted({int(draw() * len(words)) for _ in range(times)})
    pieces, start = [], 0
    for word in (words[place] for place in hit):
        pieces += [text[start : word.start()], _mistyped(word[0], draw)]
        start = word.end()
    return "".join([*pieces, text[start:]])


def without_punctuation(text: str) -> str:
    """The text without commas, apostrophes and the ends of its sentences.

    >>> without_punctuation("It's late, 4.50 is gone. Why?")
    'Its late 4.50 is gone Why'
    """
    return _PUNCTUATION.sub("", text)


def with_fillers(text: str, fillers: Sequence[str], draw: Draw) -> str:
    """The text as somebody says it who looks for words."""
    if not fillers:
        return text
    spoken: list[str] = []
    for word in text.split(" "):
        if spoken and draw() < _FILLED:
            spoken.append(f"{fillers[int(draw() * len(fillers))]},")
        spoken.append(word)
    return " ".join(spoken)


def _mistyped(word: str, draw: Draw) -> str:
    place = 1 + int(draw() * (len(word) - 3))
    kind = int(draw() * 3)
    if kind == 0:
        return word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    return word[:place] + ("" if kind == 1 else word[place] * 2) + word[place + 1 :]
