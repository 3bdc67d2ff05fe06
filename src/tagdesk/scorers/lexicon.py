"""The word pieces of a text, alone and in neighbouring pairs, weighted by TF-IDF."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

ALONE = -1  # stands in a term's second place where the first is no pair


class Lexicon:
    """Terms, each one token id or a pair of neighbouring ones, and their inverse document frequencies.

    Weights are those of scikit-learn's TfidfVectorizer with sublinear term frequency: (1 + ln count) * idf, then each
    text scaled to length 1.

    Args:
        terms: (terms, 2), token ids; -1 in second place for a token that stands alone.
        idf: (terms,).
    """

    def __init__(self, terms: NDArray[np.int32], idf: NDArray[np.float32]) -> None:
        self.terms = terms
        self.idf = idf
        self._column = {(first, second): column for column, (first, second) in enumerate(terms.tolist())}

    @classmethod
    def fit(cls, ids: Sequence[Sequence[int]], *, most: int) -> Self:
        """Learn the terms of some texts: the `most` that stand in most texts, ties by token id.

        >>> Lexicon.fit([[101, 7, 8, 102], [101, 7, 102]], most=2).terms.tolist()
        [[7, -1], [7, 8]]
        """
        texts_with = Counter[tuple[int, int]]()
        for row in ids:
            texts_with.update(set(_terms(row)))
        kept = sorted(sorted(texts_with, key=lambda term: (-texts_with[term], term))[:most])
        counts = np.array([texts_with[term] for term in kept], dtype=np.float64)
        idf = np.log((1 + len(ids)) / (1 + counts)) + 1
        return cls(np.array(kept, dtype=np.int32).reshape(-1, 2), idf.astype(np.float32))

    def weigh(self, ids: Sequence[Sequence[int]]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """For each text the columns of its known terms and their weights, of length 1 together."""
        for row in ids:
            counts = Counter(column for term in _terms(row) if (column := self._column.get(term)) is not None)
            columns = np.fromiter(counts, dtype=np.int64, count=len(counts))
            values = np.fromiter(counts.values(), dtype=np.float32, count=len(counts))
            weights = (1 + np.log(values)) * self.idf[columns]
            yield columns, weights / max(float(np.linalg.norm(weights)), 1e-12)

    def matrix(self, ids: Sequence[Sequence[int]]) -> Any:
        """The same as a sparse matrix (tickets, terms)."""
        from scipy.sparse import csr_matrix  # noqa: PLC0415 - slow to import, and not needed to serve

        rows = list(self.weigh(ids))
        lengths = np.cumsum([0, *(len(columns) for columns, _ in rows)])
        columns = np.concatenate([columns for columns, _ in rows]) if rows else np.zeros(0, np.int64)
        values = np.concatenate([values for _, values in rows]) if rows else np.zeros(0, np.float32)
        return csr_matrix((values, columns, lengths), shape=(len(ids), len(self.terms)))


def _terms(ids: Sequence[int]) -> list[tuple[int, int]]:
    """The terms of one text; the special tokens at its two ends are none."""
    inner = ids[1:-1]
    alone = [(token, ALONE) for token in inner]
    return alone + list(pairwise(inner))
