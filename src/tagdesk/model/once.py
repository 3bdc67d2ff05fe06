"""Reads equal texts once: those of one call, and where there is a cache those of earlier calls and of other threads."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TypeAlias

from tagdesk.model.reading import Reading

Read: TypeAlias = Callable[[Sequence[str]], Reading]


class ReadingCache:
    """The latest readings of one model, by a digest of the text: no text is kept. Safe to share between threads.

    Policies decide afterwards, so it stays right when the policy changes.

    Args:
        most: readings that are kept; the one that was used least recently goes first. Each takes about a kilobyte.

    Attributes:
        hits: texts that were answered without reading them.
        misses: texts that were read.
    """

    def __init__(self, most: int = 10_000) -> None:
        if most < 1:
            raise ValueError(f"most = {most}: a cache keeps at least one reading.")
        self.most = most
        self.hits = self.misses = 0
        self._lock = threading.Lock()
        self._kept: OrderedDict[bytes, Reading] = OrderedDict()
        self._pending: dict[bytes, threading.Event] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def clear(self) -> None:
        """Forget all readings, as when a customer's tickets are erased."""
        with self._lock:
            self._kept.clear()

    def read(self, texts: Sequence[str], read: Read) -> Reading:
        """The readings of different texts; what another thread reads at this moment is waited for, not read again."""
        keys = [_digest(text) for text in texts]
        found: dict[bytes, Reading] = {}
        mine: list[int] = []
        theirs: list[tuple[int, threading.Event]] = []
        with self._lock:
            for place, key in enumerate(keys):
                if key in self._kept:
                    self._kept.move_to_end(key)
                    found[key] = self._kept[key]
                elif key in self._pending:
                    theirs.append((place, self._pending[key]))
                else:
                    self._pending[key] = threading.Event()
                    mine.append(place)
            self.hits += len(found) + len(theirs)
            self.misses += len(mine)
        found |= self._read_new([texts[place] for place in mine], [keys[place] for place in mine], read)
        for place, over in theirs:
            over.wait()
            with self._lock:
                reading = self._kept.get(keys[place])
            # The other thread failed, or so much was read since that its reading is gone.
            found[keys[place]] = reading if reading is not None else read([texts[place]])
        return Reading.joined([found[key] for key in keys]) if keys else read([])

    def _read_new(self, texts: Sequence[str], keys: Sequence[bytes], read: Read) -> dict[bytes, Reading]:
        rows: dict[bytes, Reading] = {}
        try:
            if texts:
                reading = read(texts)
                rows = {key: reading.take([row]) for row, key in enumerate(keys)}
        finally:
            with self._lock:
                self._kept |= rows
                while len(self._kept) > self.most:
                    self._kept.popitem(last=False)
                for key in keys:
                    self._pending.pop(key).set()
        return rows


def read_once(texts: Sequence[str], read: Read, cache: ReadingCache | None = None) -> Reading:
    """The reading of each text, in their order, though equal ones are read once."""
    different = list(dict.fromkeys(texts))
    reading = cache.read(different, read) if cache is not None else read(different)
    if len(different) == len(texts):
        return reading
    row_of = {text: row for row, text in enumerate(different)}
    return reading.take([row_of[text] for text in texts])


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8"), digest_size=16).digest()
