"""Texts to send: the project's own tickets, and strings that are made to hurt."""

from __future__ import annotations

import json
import random
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from naughty_strings import NAUGHTY_STRINGS
from own import own_rows

BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
HIDDEN = "\u00ad\u034f\u115f\u200b\u200c\u200d\u2060\u3164\ufe0e\ufe0f\ufeff\U000e0041\U000e007f"
SCRIPTS = (0x41, 0xC0, 0x370, 0x400, 0x590, 0x600, 0x900, 0xE00, 0x1100, 0x3040, 0x4E00, 0xAC00, 0x1D400, 0x1F300)
LONGEST = 40_000  # characters
MARKS = [chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) == "Mn"]


def own_texts(seed: int, most: int | None = None) -> list[str]:
    """The project's tickets, each text once, in an order by chance."""
    texts = list(dict.fromkeys(row["text"] for part in ("train", "test") for row in own_rows(part)))
    random.Random(seed).shuffle(texts)  # noqa: S311 - an order, not a secret
    return texts[:most]


def written(texts: Sequence[str], path: Path) -> Path:
    """The path of a file that holds the texts as a JSON list."""
    path.write_text(json.dumps(list(texts)), encoding="utf-8")
    return path


def fuzzed(count: int, seed: int) -> Iterator[str]:
    """So many strings, the naughty ones of the tests first; the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311 - strings, not secrets
    words = [word for text in own_texts(seed, 500) for word in text.split()]
    yield from NAUGHTY_STRINGS[:count]
    kinds: list[tuple[Callable[[random.Random, list[str]], str], int]] = [
        (_any_plane, 20),
        (_scripts, 15),
        (_controls, 15),
        (_combining, 10),
        (_hidden, 15),
        (_nested, 10),
        (_mixed, 14),
        (_long, 1),
    ]
    makers, weights = zip(*kinds, strict=True)
    for maker in chance.choices(makers, weights, k=max(0, count - len(NAUGHTY_STRINGS))):
        yield maker(chance, words)


def _some(chance: random.Random, most: int) -> int:
    """A number from 1 on, small ones as often as large ones: short strings are read sooner, and find as much."""
    return int(most ** chance.random())


def _any_plane(chance: random.Random, _words: list[str]) -> str:
    """Characters of all 17 planes, halves of pairs now and then."""
    codes = [chance.randrange(17) << 16 | chance.randrange(1 << 16) for _ in range(_some(chance, 80))]
    has_halves = chance.random() < 0.1
    return "".join(chr(code) for code in codes if has_halves or not 0xD800 <= code < 0xE000)


def _scripts(chance: random.Random, words: list[str]) -> str:
    start = chance.choice(SCRIPTS)
    letters = "".join(chr(start + chance.randrange(90)) for _ in range(_some(chance, 200)))
    return f"{letters} {chance.choice(words)}" if chance.random() < 0.5 else letters


def _controls(chance: random.Random, words: list[str]) -> str:
    parts = chance.choices(words, k=chance.randint(0, 12))
    signs = [chr(chance.choice((chance.randrange(32), 127 + chance.randrange(34), 0x2028, 0x2029))) for _ in range(12)]
    mixed = parts + signs
    chance.shuffle(mixed)
    return chance.choice(("", " ")).join(mixed)


def _combining(chance: random.Random, words: list[str]) -> str:
    return "".join(
        letter + "".join(chance.choices(MARKS, k=chance.choice((0, 0, 1, 3, _some(chance, 40)))))
        for letter in " ".join(chance.choices(words, k=5))
    )


def _hidden(chance: random.Random, words: list[str]) -> str:
    text = list(" ".join(chance.choices(words, k=_some(chance, 15))))
    for _ in range(chance.randint(1, 20)):
        text.insert(chance.randrange(len(text) + 1), chance.choice(BIDI + HIDDEN))
    return "".join(text)


def _nested(chance: random.Random, words: list[str]) -> str:
    """What looks like JSON, whole or cut off."""
    value: object = chance.choice(words)
    for _ in range(_some(chance, 60)):
        value = [value] if chance.random() < 0.5 else {chance.choice(words): value, "text": None}
    text = json.dumps(value)
    return text[: chance.randint(1, len(text))] if chance.random() < 0.5 else text


def _mixed(chance: random.Random, words: list[str]) -> str:
    """A naughty string among words."""
    naughty = chance.choice(NAUGHTY_STRINGS)[:300]
    before, after = (chance.choices(words, k=_some(chance, 6)) for _ in range(2))
    return " ".join([*before, naughty, *after])


def _long(chance: random.Random, words: list[str]) -> str:
    unit = chance.choice((chance.choice(words), " ".join(chance.choices(words, k=200)), _any_plane(chance, words), ">"))
    return (unit + chance.choice(("", " ", "\n"))) * (chance.randint(1_000, LONGEST) // (len(unit) + 1) + 1)
