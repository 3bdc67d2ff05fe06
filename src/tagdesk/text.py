"""What a model sees of a ticket's text; the same rules clean it for training and for serving.

`RULES` numbers the rules and stands in each model's manifest: whoever changes what `clean` gives raises the number.
The original text is kept beside the cleaned one, which is for models only.
"""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import dataclass
from itertools import islice
from typing import Final

from tagdesk.errors import InputError

RULES: Final = 1
MAX_CHARACTERS: Final = 1_000_000  # longer texts are no tickets; `check_text` refuses them
KEPT_CHARACTERS: Final = 20_000  # about 5,000 tokens, ten times what an encoder reads

TRUNCATED: Final = "truncated"
VERY_SHORT: Final = "very_short"
CONTROL_CHARACTERS: Final = "control_characters"
BIDI_CONTROLS: Final = "bidi_controls"
INVISIBLE_CHARACTERS: Final = "invisible_characters"
ATTACHMENT_REMOVED: Final = "attachment_removed"
MIXED_SCRIPT: Final = "mixed_script"
FLAGS: Final = (
    TRUNCATED,  # something at the end was not read
    VERY_SHORT,  # fewer than three letters or digits
    CONTROL_CHARACTERS,  # held NUL, escape sequences or other controls
    BIDI_CONTROLS,  # held characters that turn the direction of writing
    INVISIBLE_CHARACTERS,  # held zero-width or tag characters
    ATTACHMENT_REMOVED,  # held a long base64 run
    MIXED_SCRIPT,  # a word mixes Latin with Cyrillic or Greek letters
)

_RAW_CHARACTERS = 3 * KEPT_CHARACTERS  # room for markup that vanishes, small enough to normalise in milliseconds
_MARKS_IN_A_ROW = 30  # more than any script stacks; normalising is quadratic in the length of a run
_ROUNDS = 4  # markup hidden in markup deeper than this was written to hide

# Every pattern is linear in the text: classes that follow each other are disjoint or possessive.
_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000110bd\U000110cd"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
# Joiners and variation selectors are everyday parts of emoji and of Persian or Indic words: they hide only in ASCII.
_HIDING = re.compile(
    "[\u00ad\u034f\u115f\u1160\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e00ff]"
    "|(?<=[A-Za-z0-9])[\u200c\u200d](?=[A-Za-z0-9])"
)
_ESCAPE_SEQUENCE = re.compile(r"(?:\x1b\[|\x9b)[0-?]*+[ -/]*+[@-~]|\x1b\][^\x07\x1b\x9c]*+(?:\x07|\x1b\\|\x9c)")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")
_LONG_MARKS = re.compile(rf"M{{{_MARKS_IN_A_ROW + 1},}}+")
_ENTITY = re.compile(r"&(?:#(?:[0-9]{1,7}|[xX][0-9A-Fa-f]{1,6})|[A-Za-z][A-Za-z0-9]{1,31});")
_TAG = re.compile(
    r"</?(?:a|b|blockquote|body|br|center|div|em|font|h[1-6]|head|hr|html|i|img|li|meta|ol|p|pre|small|span|strong"
    r"|table|tbody|td|th|thead|tr|u|ul)(?:\s[^<>=]*+=[^<>]*+)?\s*+/?>",
    re.IGNORECASE,
)
_QUOTE_MARKS = re.compile(r"^[\s>]+|>(?:\s*+>){2,}+", re.MULTILINE)
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/])(?:[A-Za-z0-9+/]{60,}+=*+[\s>]*+)++")
_BETWEEN_BASE64 = re.compile(r"[\s>=]+")
_BASE64_AT_LEAST = 200
_PLAIN_WORD_AT_MOST = 60
_NOT_PLAIN = re.compile(r"[\x00-\x08\x0e-\x1f\x7f<>]|&#?\w")
_MIXED = re.compile(
    "[A-Za-z\u00c0-\u024f][\u0370-\u03a8\u03aa-\u03bb\u03bd-\u03ff\u0400-\u052f\u1f00-\u1fff]"
    "|[\u0370-\u03a8\u03aa-\u03bb\u03bd-\u03ff\u0400-\u052f\u1f00-\u1fff][A-Za-z\u00c0-\u024f]"
)  # without \u03a9 and \u03bc, which stand beside Latin letters in units
# Phones and word processors write curly quotes, hyphens and minus signs unasked: what they mean is typed on a keyboard.
_TYPOGRAPHIC = re.compile("[\u2018-\u201f\u2010\u2212]")
_TYPEWRITER = dict(zip("\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2010\u2212", "''''\"\"\"\"--", strict=True))
_DEFUSED = str.maketrans("&<>", "   ")


@dataclass(frozen=True, slots=True)
class CleanText:
    """A text as models see it, with what was unusual about it; `flags` stand in the order of `FLAGS`."""

    text: str
    flags: tuple[str, ...] = ()


def clean(text: str) -> CleanText:
    r"""The model's view of a text: one line of normalised, visible characters, at most `KEPT_CHARACTERS` of them.

    Cleaning a cleaned text changes nothing. A text without visible characters gives "". Raises InputError
    (`bad_encoding`) where the text holds half a character.

    >>> clean("\uff32efund  me,\r\n please\u200b! &amp; <b>soon</b>")
    CleanText(text='Refund me, please! & soon', flags=('invisible_characters',))
    """
    if len(text) <= KEPT_CHARACTERS and text.isascii() and not _NOT_PLAIN.search(text):
        words = text.split()
        if not words or len(max(words, key=len)) < _PLAIN_WORD_AT_MOST:
            plain = " ".join(words)
            return CleanText(plain, (VERY_SHORT,) if _is_very_short(plain) else ())
    return _clean_thoroughly(text)


def check_text(text: str) -> CleanText:
    r"""The cleaned text of a ticket that can be classified.

    Raises InputError with code `too_long`, `bad_encoding` or `empty_text`; the message never repeats the text.

    >>> check_text(" \u200b ")
    Traceback (most recent call last):
    ...
    tagdesk.errors.InputError: The text is empty: it holds no visible character. Send what the customer wrote.
    """
    if len(text) > MAX_CHARACTERS:
        raise InputError(
            f"The text has {len(text):,} characters; at most {MAX_CHARACTERS:,} are read. Send the message alone.",
            code="too_long",
        )
    cleaned = clean(text)
    if not cleaned.text:
        raise InputError(
            "The text is empty: it holds no visible character. Send what the customer wrote.", code="empty_text"
        )
    return cleaned


def stored(text: str) -> str:
    r"""What may be kept of an original: all of it but NUL, which databases refuse.

    Raises InputError (`bad_encoding`) where the text holds half a character, which no file can hold.

    >>> stored("abc\0def")
    'abcdef'
    """
    _refuse_half_characters(text)
    return text.replace("\0", "")


def _clean_thoroughly(raw: str) -> CleanText:
    _refuse_half_characters(raw)
    text = raw[:MAX_CHARACTERS]
    without_attachments = _without_base64(text)
    opening = without_attachments[:_RAW_CHARACTERS]
    settled, was_cut = _settled(opening)
    flags = {
        TRUNCATED: was_cut or len(raw) > MAX_CHARACTERS or len(without_attachments) > _RAW_CHARACTERS,
        VERY_SHORT: _is_very_short(settled),
        CONTROL_CHARACTERS: _CONTROL.search(opening) is not None,
        BIDI_CONTROLS: _BIDI.search(opening) is not None,
        INVISIBLE_CHARACTERS: _HIDING.search(opening) is not None,
        ATTACHMENT_REMOVED: without_attachments is not text,
        MIXED_SCRIPT: not settled.isascii() and _MIXED.search(settled) is not None,
    }
    return CleanText(settled, tuple(flag for flag in FLAGS if flags[flag]))


def _settled(text: str) -> tuple[str, bool]:
    """The text after as many rounds as it takes until a further one changes nothing; and whether it was cut."""
    was_cut = False
    for _ in range(_ROUNDS):
        folded = _folded(_without_markup(text))
        line = _one_line(folded[:_RAW_CHARACTERS])
        was_cut = was_cut or len(folded) > _RAW_CHARACTERS or len(line) > KEPT_CHARACTERS
        line = line[:KEPT_CHARACTERS].rstrip()
        if line == text:
            return text, was_cut
        text = line
    return _one_line(text.translate(_DEFUSED)), was_cut


def _without_markup(text: str) -> str:
    """Entities decoded, the tags of HTML mail and the marks of quoted replies dropped."""
    if "&" in text:
        text = _ENTITY.sub(lambda entity: html.unescape(entity[0]), text)
    if ">" in text:
        text = _QUOTE_MARKS.sub(" ", _TAG.sub(" ", text))
    return text


def _folded(text: str) -> str:
    """Visible characters in compatibility form."""
    if text.isascii():
        return text
    text = _INVISIBLE.sub("", text).replace("\uff9e", "\u3099").replace("\uff9f", "\u309a")  # marks in disguise
    return unicodedata.normalize("NFKC", _with_few_marks(text))


def _one_line(text: str) -> str:
    """Single blanks for controls and runs of blanks, plain quotes, no long runs of marks, no attachments."""
    text = _CONTROL.sub(" ", _ESCAPE_SEQUENCE.sub(" ", text))
    text = _TYPOGRAPHIC.sub(lambda sign: _TYPEWRITER[sign[0]], text)
    return " ".join(_without_base64(" ".join(_with_few_marks(text).split())).split())


def _with_few_marks(text: str) -> str:
    """The text with at most `_MARKS_IN_A_ROW` combining marks in a row."""
    if text.isascii():
        return text
    kinds = "".join(map(unicodedata.category, text))[::2]  # the first letter of each category; M is a mark
    pieces, start = [], 0
    for run in _LONG_MARKS.finditer(kinds):
        pieces.append(text[start : run.start() + _MARKS_IN_A_ROW])
        start = run.end()
    return "".join([*pieces, text[start:]])


def _without_base64(text: str) -> str:
    """The text without long base64 runs; the very same object where there are none."""
    without = _BASE64.sub(_blank_if_attachment, text)
    return text if without == text else without


def _blank_if_attachment(run: re.Match[str]) -> str:
    opening = _BETWEEN_BASE64.sub("", run[0])[:_BASE64_AT_LEAST]
    if len(opening) < _BASE64_AT_LEAST:
        return run[0]
    is_encoded = all(re.search(kind, opening) for kind in ("[a-z]", "[A-Z]", "[0-9]"))
    return " " if is_encoded else run[0]


def _is_very_short(text: str) -> bool:
    return len(tuple(islice(filter(str.isalnum, text), 3))) < 3


def _refuse_half_characters(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"The text holds half a character (a lone surrogate) at position {error.start}; expected Unicode text. "
            "Read the file or request again in its own encoding.",
            code="bad_encoding",
        ) from None
