"""Reads JSON Lines row by row: one object per line, in bounded memory."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator
from itertools import chain
from typing import Any, NoReturn, TypeAlias

from tagdesk.dataset.records import Blank, Broken, Piece, Record, Table
from tagdesk.dataset.source import Source
from tagdesk.errors import InputError

MAX_LINE = 32 * 2**20  # characters
MAX_DEPTH = 32  # brackets within brackets
_AHEAD_LINES = 1_000  # lines whose keys are the columns of the file
_AHEAD_CHARACTERS = 8 * 2**20

_Line: TypeAlias = tuple[int, str | None]  # number and content, None where it is too long


def read_json_lines(source: Source, encoding: str | None = None) -> Table:
    """The keys of the first 1,000 rows, and all rows; raises InputError where the file is no JSON Lines at all."""
    lines = _lines(source.text(encoding))
    ahead, is_whole = _ahead(lines)
    pieces = [_piece(line) for line in ahead]
    records = [piece for piece in pieces if isinstance(piece, Record)]
    opening = next((line.strip() for _, line in ahead if line and line.strip()), "")
    if is_whole and all(isinstance(piece, Blank) for piece in pieces):
        raise InputError(f"{source.path}: the file holds blank lines only. Export it again.", code="empty")
    is_array = opening.startswith("[") and (not records or not opening.endswith("]"))
    if is_array or not (records or is_whole):
        what = "one JSON array" if is_array else "no JSON object in its first lines"
        raise InputError(
            f"{source.path}: the file holds {what}; expected one object per line. Convert it with: jq -c '.[]'",
            code="not_jsonl",
        )
    fields = dict.fromkeys(key for record in records for key in record.values)
    return Table(tuple(fields), chain(pieces, map(_piece, lines)))


def _ahead(lines: Iterator[_Line]) -> tuple[list[_Line], bool]:
    """The first lines, and whether they are all."""
    taken: list[_Line] = []
    room = _AHEAD_CHARACTERS
    for line in lines:
        taken.append(line)
        room -= len(line[1] or "")
        if len(taken) == _AHEAD_LINES or room <= 0:
            return taken, False
    return taken, True


def _lines(stream: io.TextIOWrapper) -> Iterator[_Line]:
    number = 0
    while line := stream.readline(MAX_LINE):
        number += 1
        is_whole = len(line) < MAX_LINE or line.endswith(("\n", "\r"))
        yield number, line if is_whole else None
        while not is_whole:  # pass over the rest
            rest = stream.readline(MAX_LINE)
            is_whole = len(rest) < MAX_LINE or rest.endswith(("\n", "\r"))


def _piece(line: _Line) -> Piece:
    number, content = line
    if content is None:
        return Broken(number, "too_long", f"The line has more than {MAX_LINE:,} characters.")
    if not content.strip():
        return Blank(number)
    try:
        return Record(number, _parsed(content))
    except UnicodeEncodeError:
        return Broken(number, "bad_encoding", "The line holds half of a character (a lone surrogate).")
    except json.JSONDecodeError as error:
        return Broken(number, "bad_json", f"Not valid JSON: {error.msg} at character {error.pos + 1}.")
    except (ValueError, RecursionError) as error:
        return Broken(number, "bad_json", str(error))


def _parsed(line: str) -> dict[str, Any]:
    value = _DECODER.decode(line)
    if not isinstance(value, dict):
        raise ValueError("The line is JSON, but no object.")  # noqa: TRY004 - like all that is wrong with a line
    _refuse_depth(value)
    if "\\u" in line:  # an escape can smuggle in half a character
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("A key stands twice in one object.")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value.")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("A number is too large.")
    return number


def _whole(digits: str) -> int:
    if len(digits) > 100:  # no id is longer, and Python refuses thousands of digits in words of its own
        raise ValueError("A number is too large.")
    return int(digits)


def _refuse_depth(value: object, left: int = MAX_DEPTH) -> None:
    if left < 0:
        raise ValueError(f"Nested more than {MAX_DEPTH} deep.")
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            _refuse_depth(inner, left - 1)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_no_constant, parse_float=_finite, parse_int=_whole
)
