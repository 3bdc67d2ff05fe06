"""Splits texts into the token ids that an encoder reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from tagdesk.arrays import BoolArray, FloatArray
from tagdesk.errors import ArtefactError, InputError

OVERLAP = 32  # tokens that a passage shares with the one before, so that no sentence is torn in both
LARGEST = 50_000_000  # bytes; a tokenizer file beyond this is no tokenizer
_UNKNOWN = ("[UNK]", "<unk>")
_PADDING = ("[PAD]", "<pad>")


@dataclass(frozen=True, slots=True)
class Tokens:
    """Texts as token ids.

    Attributes:
        ids: one list per text, special tokens at both ends.
        truncated: (tickets,), True where a text had more tokens than are read.
        unknown: (tickets,), share of a text's tokens that the vocabulary does not know.
    """

    ids: list[list[int]]
    truncated: BoolArray
    unknown: FloatArray


class TextTokenizer:
    """A tokenizer to which special tokens that a customer types are plain text.

    Args:
        source: what `tokenizer.json` holds.
        max_tokens: longer texts are cut there, their last special token kept.
        name: what errors call it.

    Attributes:
        pad_id: what fills the rows of a batch.
        unknown_id: what stands for a word that the vocabulary does not know; -1 where it has no such id.
        highest_id: the highest id that a text can be split into.

    Raises:
        ArtefactError: where the source is no tokenizer.
    """

    def __init__(self, source: str, max_tokens: int, name: str = "tokenizer.json") -> None:
        from tokenizers import Tokenizer  # noqa: PLC0415 - costs time at start-up

        self.max_tokens = max_tokens
        self.name = name
        if len(source) > LARGEST:
            raise self._broken(f"it has more than {LARGEST:,} bytes")
        try:
            self._tokenizer: Any = Tokenizer.from_str(source)
        except BaseException as error:
            _raise_unless_broken(error)
            raise self._broken(error) from error
        self._tokenizer.encode_special_tokens = True
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.unknown_id = self._first_of(_UNKNOWN, otherwise=-1)
        self.pad_id = self._first_of(_PADDING, otherwise=0)
        self.highest_id: int = max(self._tokenizer.get_vocab().values(), default=0)

    @classmethod
    def open(cls, path: Path, max_tokens: int) -> Self:
        """Read a `tokenizer.json`; raises ArtefactError."""
        try:
            if path.stat().st_size > LARGEST:
                raise ValueError(f"it has more than {LARGEST:,} bytes")  # noqa: TRY301 - told below
            source = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise ArtefactError(f"{path} cannot be read: {error}.", code="bad_tokenizer") from error
        return cls(source, max_tokens, str(path))

    def to_json(self) -> str:
        """What `tokenizer.json` holds."""
        return str(self._tokenizer.to_str())

    def split(self, texts: Sequence[str]) -> Tokens:
        """The tokens of cleaned texts, in their order; raises InputError for what is no text."""
        try:
            encodings = self._tokenizer.encode_batch_fast(list(texts))
        except (TypeError, ValueError) as error:
            raise InputError(f"A text cannot be split into tokens: {error}.", code="bad_text") from error
        except BaseException as error:
            _raise_unless_broken(error)
            raise self._broken(error) from error
        whole = [encoding.ids for encoding in encodings]
        most = self.max_tokens
        ids = [row if len(row) <= most else [*row[: most - 1], row[-1]] for row in whole]
        unknown = [self._unknown_share(row) for row in ids]
        truncated = [len(row) > most for row in whole]
        return Tokens(ids, np.array(truncated, dtype=np.bool_), np.array(unknown, dtype=np.float64))

    def passages(self, text: str) -> list[str]:
        """The cleaned text in parts of at most `max_tokens` tokens that overlap; the first is what `split` keeps."""
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        room = self.max_tokens - self._tokenizer.num_special_tokens_to_add(is_pair=False)
        step, tokens = max(1, room - OVERLAP), len(encoding.offsets)
        starts = range(0, max(1, tokens - room + step), step)
        spans = [encoding.offsets[start : start + room] for start in starts]
        return [text[span[0][0] : span[-1][1]] for span in spans if span] or [text]

    def _unknown_share(self, row: Sequence[int]) -> float:
        """The two special tokens at the ends are always known and say nothing; without others all is unknown."""
        inner = len(row) - 2
        return min(1.0, row.count(self.unknown_id) / inner) if inner > 0 else 1.0

    def _first_of(self, names: Sequence[str], otherwise: int) -> int:
        found = (self._tokenizer.token_to_id(name) for name in names)
        return next((int(token) for token in found if token is not None), otherwise)

    def _broken(self, why: BaseException | str) -> ArtefactError:
        lines = str(why).strip().splitlines() or [type(why).__name__]
        return ArtefactError(
            f"{self.name} is not a tokenizer that works: {lines[0][:300]}. Train or export the model again.",
            code="bad_tokenizer",
        )


def _raise_unless_broken(error: BaseException) -> None:
    """Pass on what is no failure of the tokenizers library, which raises bare Exception, or panics outside of it."""
    if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
        raise error
