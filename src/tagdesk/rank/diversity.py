"""Spreads a batch over unlike tickets, so that nobody answers the same question twice."""

from __future__ import annotations

import numpy as np

from tagdesk.arrays import BoolArray, Embeddings, FloatArray, IntArray
from tagdesk.rank.pool import Pool
from tagdesk.rank.strategies import BLOCK, most_doubtful, novelty

ALIKE = 0.95  # the cosine from which one answer serves for both
WIDER = 10  # times as many doubtful tickets are looked at as are wanted
MOST_CANDIDATES = 20_000
MOST_COMPARED = 5_000  # labelled tickets that a candidate is held against, a random sample of more
LEAST_WEIGHT = 0.05  # of the least doubtful candidate; the most doubtful one weighs 1


def diverse(pool: Pool, doubt: FloatArray, n: int, *, seed: int) -> IntArray:
    """Places of up to n tickets that are doubtful, unlike each other and unlike what is labelled, (picks,).

    Among the most doubtful tickets each next one is drawn with a probability that grows with its squared distance to
    the nearest one that was picked or labelled, as k-means++ draws its centres (Arthur & Vassilvitskii, 2007), and with
    the rank of its doubt. Near duplicates of a pick are not drawn. There are fewer than n picks only where all else is
    a near duplicate of them. A doubt of -inf is never picked.

    Args:
        pool: without embeddings only `groups` count, and the most doubtful tickets are picked.
        doubt: (tickets,).
        n: how many are wanted.
        seed: of the draws.

    >>> from tagdesk.policy import Policy
    >>> twins = np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32)
    >>> pool = Pool(np.full((3, 1), 0.5, dtype=np.float32), Policy.uniform(["A"], 0.5), embeddings=twins)
    >>> len(diverse(pool, np.ones(3), 3, seed=0))
    2
    """
    generator = np.random.default_rng(seed)
    shuffled = generator.permutation(len(doubt))  # among equally doubtful tickets the oldest ones have no precedence
    order = shuffled[most_doubtful(doubt[shuffled], int((doubt > -np.inf).sum()))]
    wanted = _number_of_candidates(doubt[order], n)
    picked: list[int] = []
    while len(picked) < n and len(order):
        candidates = _Candidates(pool, order[:wanted], doubt)
        order = order[wanted:]
        for place in picked:
            candidates.close(place)
        while len(picked) < n and candidates.is_open.any():
            picked.append(candidates.drawn(generator))
            candidates.close(picked[-1])
    return np.array(picked, dtype=np.int64)


def likes(pool: Pool, places: IntArray) -> IntArray:
    """How many other tickets of the pool say nearly the same as each of the given ones, (places,).

    >>> from tagdesk.policy import Policy
    >>> probs, one = np.full((3, 1), 0.5, dtype=np.float32), Policy.uniform(["A"], 0.5)
    >>> likes(Pool(probs, one, groups=np.array([4, 4, 7])), np.array([0, 2])).tolist()
    [1, 0]
    """
    count = np.zeros(len(places), dtype=np.int64)
    for start in range(0, len(pool), BLOCK):
        block = np.arange(start, min(start + BLOCK, len(pool)))
        same = places[:, np.newaxis] == block  # a row of length 0 is still like itself
        if pool.groups is not None:
            same |= pool.groups[places][:, np.newaxis] == pool.groups[block]
        if pool.embeddings is not None:
            same |= pool.embeddings[places] @ pool.embeddings[block].T >= ALIKE
        count += same.sum(axis=1)
    return count - 1


def sample(rows: Embeddings, most: int, seed: int) -> Embeddings:
    """All rows, or a random sample of so many."""
    if len(rows) <= most:
        return rows
    return rows[np.sort(np.random.default_rng(seed).choice(len(rows), size=most, replace=False))]


class _Candidates:
    """Doubtful tickets of which some can still be picked."""

    def __init__(self, pool: Pool, places: IntArray, doubt: FloatArray) -> None:
        self.pool, self.places = pool, places
        self.is_open: BoolArray = np.ones(len(places), dtype=np.bool_)
        self.weights = _weights(doubt[places])
        self.rows = None if pool.embeddings is None else pool.embeddings[places]
        self.nearest = np.full(len(places), 2.0)  # squared distances; 2 is that between unlike tickets
        if self.rows is not None and pool.labelled_embeddings is not None:
            others = sample(pool.labelled_embeddings, MOST_COMPARED, len(places))
            self.nearest = np.maximum(0.0, 2.0 * novelty(self.rows, others))

    def close(self, place: int) -> None:
        """Leave out a ticket of the pool that is picked, with all that say nearly the same."""
        same = self.places == place
        if self.rows is not None and self.pool.embeddings is not None:
            cosines = self.rows @ self.pool.embeddings[place]
            self.nearest = np.minimum(self.nearest, np.maximum(0.0, 2.0 - 2.0 * cosines))
            same |= cosines >= ALIKE
        if self.pool.groups is not None:
            same |= self.pool.groups[self.places] == self.pool.groups[place]
        self.is_open &= ~same

    def drawn(self, generator: np.random.Generator) -> int:
        """A ticket that is open, by chance; the most doubtful one where nothing is known of distances."""
        if self.rows is None:
            return int(self.places[self.is_open.argmax()])
        mass = self.nearest * self.weights * self.is_open
        if not mass.any():
            mass = self.is_open.astype(np.float64)
        running = np.cumsum(mass)
        number = int(np.searchsorted(running, generator.random() * running[-1], side="right"))
        # Rounding may lead past the last candidate that has any chance.
        return int(self.places[min(number, int(np.flatnonzero(mass)[-1]))])


def _number_of_candidates(ranked: FloatArray, n: int) -> int:
    """How many of the most doubtful tickets are looked at; `ranked` is (tickets,), falling. Ties are not cut."""
    least = min(WIDER * n, MOST_CANDIDATES, len(ranked))
    tied = int((ranked >= ranked[least - 1]).sum()) if least else 0
    return max(1, n, min(tied, MOST_CANDIDATES))


def _weights(doubt: FloatArray) -> FloatArray:
    """From 1 for the most doubtful down to `LEAST_WEIGHT`, by rank; ties weigh the same."""
    from scipy.stats import rankdata  # noqa: PLC0415 - slow to import

    if len(doubt) < 2 or (doubt == doubt[0]).all():
        return np.ones(len(doubt))
    ranks = (rankdata(doubt) - 1) / (len(doubt) - 1)
    return np.asarray(LEAST_WEIGHT + (1 - LEAST_WEIGHT) * ranks)
