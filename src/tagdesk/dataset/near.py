"""Finds texts that say nearly the same, so that they never stand on two sides of a split.

Two texts are near duplicates where their sets of words overlap by a Jaccard index of at least 0.8. The search is exact:
sets that overlap so much share some of their few rarest words (Bayardo et al. 2007, "Scaling up all pairs similarity
search"), so that only texts with rare words in common are compared.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from tagdesk.arrays import IntArray

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]+|[^\W\u3040-\u30ff\u3400-\u9fff]+")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")  # Japanese and Chinese write no blanks between words
_NUMERATOR, _DENOMINATOR = 4, 5  # the Jaccard index from which texts are near duplicates
_CROWD = 2_000  # texts that share a rare word; more are boilerplate, and compared with their neighbours only
_NEIGHBOURS = 20
_BLOCK = 4_000_000  # comparisons at a time, which bounds the memory

_Matrix: TypeAlias = Any  # a scipy.sparse.csr_array, whose import is slow


def near_duplicate_groups(texts: Sequence[str]) -> IntArray:
    """The group of each text, (texts,), numbered from 0 by first appearance; near duplicates of near duplicates join.

    Time grows with the number of texts, not with its square, also where thousands are the same. Where more than 2,000
    different texts share a rare word, some of their pairs may be missed.

    >>> near_duplicate_groups(["I was charged twice!", "i was charged TWICE", "Where is my parcel?"]).tolist()
    [0, 0, 1]
    """
    numbers: dict[frozenset[str], int] = {}
    number_of = np.fromiter((numbers.setdefault(words(text), len(numbers)) for text in texts), np.int64, len(texts))
    groups = _components(_word_matrix(list(numbers)))[number_of] if numbers else number_of
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].astype(np.int64)


def words(text: str) -> frozenset[str]:
    """The words of a text whatever their case; pairs of characters where no blanks part them; the text if it has none.

    >>> sorted(words("Refund, please: REFUND"))
    ['please', 'refund']
    """
    found = _WORD.findall(text.casefold())
    if not text.isascii():
        found = [part for word in found for part in (_pairs(word) if _UNSPACED.match(word) else (word,))]
    return frozenset(found or (text.strip(),))


def _pairs(word: str) -> list[str]:
    return [word[i : i + 2] for i in range(max(1, len(word) - 1))]


def _word_matrix(sets: Sequence[frozenset[str]]) -> _Matrix:
    """Which set holds which word, (sets, words), words from rare to common in each row."""
    from scipy.sparse import csr_array  # noqa: PLC0415 - slow to import

    columns: dict[str, int] = {}
    indices = np.fromiter((columns.setdefault(w, len(columns)) for one in sets for w in sorted(one)), np.int64)
    sizes = np.fromiter(map(len, sets), np.int64, len(sets))
    frequency = np.bincount(indices, minlength=len(columns))
    rank = np.argsort(np.argsort(frequency, kind="stable"))
    rows = np.repeat(np.arange(len(sets)), sizes)
    order = np.lexsort((rank[indices], rows))
    starts = np.concatenate(([0], np.cumsum(sizes)))
    ones = np.ones(len(indices), np.int32)
    return csr_array((ones, rank[indices][order], starts), shape=(len(sets), len(columns)))


def _components(matrix: _Matrix) -> IntArray:
    """The connected component of each distinct set, (sets,)."""
    rare, needed = _rare_words(matrix)
    crowd = np.diff(rare.tocsc().indptr)
    is_crowded = crowd > _CROWD
    links = _matching(matrix, *_neighbour_pairs(matrix, rare, np.flatnonzero(is_crowded)))
    component = _joined(np.arange(matrix.shape[0]), links)
    kept = rare[:, ~is_crowded].tocsr()
    left_out = np.diff(rare.indptr) - np.diff(kept.indptr)
    for start, stop in _blocks(kept @ crowd[~is_crowded]):
        shared = (kept[start:stop] @ kept.T).tocoo()
        left, right = shared.coords[0] + start, shared.coords[1]
        least = np.minimum(needed[left], needed[right]) - np.minimum(left_out[left], left_out[right])
        is_open = (left < right) & (shared.data >= least) & (component[left] != component[right])
        component = _joined(component, _matching(matrix, left[is_open], right[is_open]))
    return component


def _blocks(cost: IntArray) -> list[tuple[int, int]]:
    """Ranges of rows that cost about `_BLOCK` each."""
    total = np.cumsum(cost)
    edges = np.searchsorted(total, np.arange(_BLOCK, total[-1], _BLOCK))
    bounds = np.unique(np.concatenate(([0], edges, [len(cost)])))
    return [(int(start), int(stop)) for start, stop in pairwise(bounds)]


def _rare_words(matrix: _Matrix) -> tuple[_Matrix, IntArray]:
    """The rarest words of each row, (rows, words), and how many of them a near duplicate must share, (rows,).

    Of two rows the one that needs less decides. Asking long texts for more leaves fewer pairs to compare.
    """
    from scipy.sparse import csr_array  # noqa: PLC0415

    sizes = np.diff(matrix.indptr)
    needed = 1 + sizes // 16
    kept = sizes - -(-sizes * _NUMERATOR // _DENOMINATOR) + needed
    place = np.arange(len(matrix.indices)) - np.repeat(matrix.indptr[:-1], sizes)
    is_kept = place < np.repeat(kept, sizes)
    starts = np.concatenate(([0], np.cumsum(kept)))
    return csr_array((matrix.data[is_kept], matrix.indices[is_kept], starts), shape=matrix.shape), needed


def _neighbour_pairs(matrix: _Matrix, rare: _Matrix, crowded: IntArray) -> tuple[IntArray, IntArray]:
    """Pairs of rows that share a crowded word and stand near each other when sorted by their common words."""
    if not len(crowded):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    bounds = zip(matrix.indptr, matrix.indptr[1:], strict=False)
    common_first = [matrix.indices[start:stop][::-1].tobytes() for start, stop in bounds]
    order = np.argsort(np.argsort(np.array(common_first, dtype=object), kind="stable"))
    by_word = rare.tocsc()
    left, right = [], []
    for word in crowded:
        rows = by_word.indices[by_word.indptr[word] : by_word.indptr[word + 1]]
        rows = rows[np.argsort(order[rows])]
        for step in range(1, _NEIGHBOURS + 1):
            left.append(rows[:-step])
            right.append(rows[step:])
    return np.concatenate(left), np.concatenate(right)


def _matching(matrix: _Matrix, left: IntArray, right: IntArray) -> tuple[IntArray, IntArray]:
    """The pairs of rows whose Jaccard index reaches the threshold."""
    sizes = np.diff(matrix.indptr)
    both = sizes[left] + sizes[right]
    may = np.minimum(sizes[left], sizes[right]) * _DENOMINATOR >= np.maximum(sizes[left], sizes[right]) * _NUMERATOR
    left, right, both = left[may], right[may], both[may]
    overlap = np.zeros(len(left), np.int64)
    step = 200_000  # pairs at a time, which bounds the memory
    for start in range(0, len(left), step):
        some = slice(start, start + step)
        overlap[some] = (matrix[left[some]] * matrix[right[some]]).sum(axis=1)
    is_near = overlap * (_NUMERATOR + _DENOMINATOR) >= both * _NUMERATOR
    return left[is_near], right[is_near]


def _joined(component: IntArray, links: tuple[IntArray, IntArray]) -> IntArray:
    """The components after linking pairs of rows."""
    from scipy.sparse import coo_array  # noqa: PLC0415 - slow to import
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415

    left, right = component[links[0]], component[links[1]]
    count = int(component.max()) + 1
    graph = coo_array((np.ones(len(left), np.bool_), (left, right)), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)[component]
