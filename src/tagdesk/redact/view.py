"""The plain view of a text that finders read: as long as the text, in the characters of a keyboard."""

from __future__ import annotations

_ZEROS = (0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xE50, 0x1D7CE, 0x1D7D8, 0x1D7E2, 0x1D7EC, 0x1D7F6)
_PLAIN = {
    **{0xFF01 + place: chr(0x21 + place) for place in range(94)},  # full-width forms
    **{zero + digit: str(digit) for zero in _ZEROS for digit in range(10)},
    **dict.fromkeys((0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000), " "),
    **dict.fromkeys((*range(0x2010, 0x2016), 0x2212, 0xFE58, 0xFE63), "-"),
    **dict.fromkeys((0x201C, 0x201D, 0x201E, 0xAB, 0xBB), '"'),
    **dict.fromkeys((0x2018, 0x2019), "'"),
    **dict.fromkeys((0xAD, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x206A), 0xFEFF), "\u200b"),
}


def plain(text: str) -> str:
    """The text with full-width forms and other digits as ASCII, and every blank, dash and quote as a plain one.

    >>> plain("\uff11\uff12\u2013\u0663")
    '12-3'
    """
    return text if text.isascii() else text.translate(_PLAIN)
