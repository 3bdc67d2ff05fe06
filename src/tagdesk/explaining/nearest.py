"""Finds labelled tickets that are like others: what a model could have learned its answer from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np

from tagdesk.arrays import Embeddings, FloatArray, IntArray
from tagdesk.case import Case
from tagdesk.dataset import near_duplicate_groups
from tagdesk.errors import ArtefactError, InputError
from tagdesk.model import Model
from tagdesk.review import Review, agreed
from tagdesk.scorers.base import Progress, Scorer, silent
from tagdesk.text import check_text
from tagdesk.ticket import Ticket

MOST = 20_000  # tickets of an index; an encoder takes five minutes to read as many
NEIGHBOURS = 3
AT_ONCE = 256  # texts between two reports of progress

_Vectors: TypeAlias = Any  # (texts, width), rows of length 1 or 0: an array, or a scipy.sparse.csr_array
_Read: TypeAlias = Callable[[Sequence[str]], _Vectors]


@runtime_checkable
class Embeds(Protocol):
    """A scorer with an encoder that can be asked for its vectors."""

    def embed(self, texts: Sequence[str]) -> Embeddings:
        """Vectors (texts, width) of cleaned texts; raises ArtefactError (`bad_graph`) where the graph gives none."""
        ...


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A labelled ticket that is like another one.

    `similarity` is a cosine, at most 1: what is like in the eyes of one model need not be in those of another.
    `copies` counts the tickets that say nearly the same; this one carries the labels that most of them carry.
    """

    ticket: Ticket
    similarity: float
    copies: int = 1

    def to_dict(self) -> dict[str, Any]:
        """The neighbour as JSON holds it."""
        return {
            "id": self.ticket.id,
            "text": self.ticket.text,
            "labels": sorted(self.ticket.labels or ()),
            "similarity": round(self.similarity, 4),
            "copies": self.copies,
        }


@dataclass(frozen=True, slots=True, eq=False)
class TicketIndex:
    """Labelled tickets, none nearly the same as another, as a model sees them; kept in memory alone.

    Attributes:
        tickets: one of each group of near duplicates.
        copies: (tickets,), how many each stands for.
        vectors: (tickets, width), rows of length 1.
        read: turns cleaned texts into such vectors.
    """

    tickets: tuple[Ticket, ...]
    copies: IntArray
    vectors: _Vectors
    read: _Read

    def __len__(self) -> int:
        return len(self.tickets)


def build_index(
    model: Model, tickets: Sequence[Ticket], *, most: int = MOST, seed: int = 0, progress: Progress = silent
) -> TicketIndex:
    """Read labelled tickets with a model's own encoder; by their words (TF-IDF) where it has none that gives vectors.

    Of near duplicates one is kept. An encoder reads some sixty tickets a second on two cores.

    Args:
        model: whose eyes count.
        tickets: those without labels, and those that cannot be read, are left out.
        most: where there are more, a random sample of so many is read.
        seed: of the sample.
        progress: told how many are read.

    Raises:
        InputError: where no labelled ticket is left.
    """
    if most < 1:
        raise ValueError(f"most = {most}: expected at least 1.")
    kept, texts = _readable(tickets)
    if not kept:
        raise InputError(
            "No ticket carries labels, so there is nothing to compare with. Name a file of labelled tickets.",
            code="no_labels",
        )
    if len(kept) > most:
        rows = np.sort(np.random.default_rng(seed).choice(len(kept), size=most, replace=False)).tolist()
        kept, texts = [kept[row] for row in rows], [texts[row] for row in rows]
    chosen, copies = _representatives(kept, near_duplicate_groups(texts))
    kept, texts = [kept[row] for row in chosen], [texts[row] for row in chosen]
    read = _reader(model.scorer, texts)
    parts = []
    for start in range(0, len(texts), AT_ONCE):
        progress("nearest", start, len(texts))
        parts.append(read(texts[start : start + AT_ONCE]))
    progress("nearest", len(texts), len(texts))
    return TicketIndex(tuple(kept), np.array(copies, dtype=np.int64), _stacked(parts), read)


def nearest(texts: Sequence[str], index: TicketIndex, k: int = NEIGHBOURS) -> list[list[Neighbour]]:
    """For each text the `k` tickets of an index that are most like it, the nearest first; ties in the index's order.

    Tickets that have nothing in common with the text are left out. Raises InputError for a text that `check_text`
    refuses.
    """
    found = []
    for start in range(0, len(texts), AT_ONCE):
        vectors = index.read([check_text(text).text for text in texts[start : start + AT_ONCE]])
        for row in _similarities(vectors, index.vectors):
            order = np.argsort(-row, kind="stable")[: max(0, k)]
            found.append(
                [
                    Neighbour(index.tickets[place], float(row[place]), int(index.copies[place]))
                    for place in order.tolist()
                    if row[place] > 0
                ]
            )
    return found


def ticket_of(case: Case, reviews: Sequence[Review]) -> Ticket:
    """A logged case as a ticket with the labels that its reviewers, oldest review first, agree on.

    >>> from datetime import UTC, datetime
    >>> from tagdesk.prediction import Prediction
    >>> may = datetime(2026, 5, 1, tzinfo=UTC)
    >>> case = Case("7", "shop", may, Prediction("hi", (), {"A": 0.1}, {}, "m", "p"))
    >>> ticket_of(case, [Review("7", frozenset({"A"}), "ada", may)]).labels
    frozenset({'A'})
    """
    return Ticket(case.id, case.prediction.text, agreed(reviews), unit=case.unit, time=case.time.isoformat())


def _readable(tickets: Sequence[Ticket]) -> tuple[list[Ticket], list[str]]:
    """Labelled tickets, and their cleaned texts."""
    kept, texts = [], []
    for ticket in tickets:
        if ticket.is_labelled:
            try:
                texts.append(check_text(ticket.text).text)
            except InputError:
                continue
            kept.append(ticket)
    return kept, texts


def _representatives(tickets: Sequence[Ticket], groups: IntArray) -> tuple[list[int], list[int]]:
    """One row of each group, the first with the labels that most of it carry, and the groups' sizes."""
    members: dict[int, list[int]] = {}
    for row, group in enumerate(groups.tolist()):
        members.setdefault(group, []).append(row)
    rows = []
    for group in members.values():
        times = Counter(tickets[row].labels for row in group)
        rows.append(max(group, key=lambda row: times[tickets[row].labels]))
    return rows, [len(group) for group in members.values()]


def _reader(scorer: Scorer, texts: Sequence[str]) -> _Read:
    """What turns texts into vectors: the scorer's encoder, else the words of the given texts."""
    if isinstance(scorer, Embeds):
        try:
            scorer.embed(texts[:1])
        except ArtefactError as error:
            if error.code != "bad_graph":  # a graph that gives no vectors is no fault; a damaged one is
                raise
        else:
            return lambda some: _of_length_one(scorer.embed(some))
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415 - slow to import

    # Signs are words too, so that no text ends without any.
    signs = r"(?u)\w+|[^\w\s]"
    words = TfidfVectorizer(sublinear_tf=True, token_pattern=signs, ngram_range=(1, 2)).fit(texts)
    read: _Read = words.transform
    return read


def _of_length_one(vectors: Embeddings) -> Embeddings:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.float32(1e-12)), dtype=np.float32)


def _stacked(parts: Sequence[_Vectors]) -> _Vectors:
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    from scipy.sparse import vstack  # noqa: PLC0415 - slow to import

    return vstack(parts, format="csr")


def _similarities(left: _Vectors, right: _Vectors) -> FloatArray:
    """Cosines (left, right)."""
    product = left @ right.T
    return np.asarray(product if isinstance(product, np.ndarray) else product.toarray(), dtype=np.float64)
