"""Says in words why a ticket is worth looking at."""

from __future__ import annotations

import numpy as np

from tagdesk.arrays import BoolArray, Embeddings, FloatArray, IntArray, Probs
from tagdesk.policy import Policy
from tagdesk.rank.diversity import sample
from tagdesk.rank.pool import Pool
from tagdesk.rank.strategies import gaps, novelty

RANDOM = "random check"
NOTHING_LIKE_IT = "nobody has labelled anything like it"
CLOSE = 1.1  # log odds: a probability in .25 to .75 is a close call at a cut of .5
FEW_LIKE_IT = 0.99  # of the labelled tickets resemble another one more than this ticket resembles any
MOST_LABELLED = 2_000  # labelled tickets that a ticket is held against, a random sample of more
FEWEST_LABELLED = 20  # fewer say nothing about what is unlike them


def reasons(pool: Pool, places: IntArray) -> list[str]:
    """Why the tickets at the given places are worth looking at, in that order.

    >>> pool = Pool(np.array([[0.1, 0.3], [0.1, 0.01]], dtype=np.float32), Policy.uniform(["A", "B"], 0.5))
    >>> reasons(pool, np.array([0, 1]))
    ['close call: B (.30, given from .50)', 'no category fits: the likeliest is A (.10)']
    """
    some = pool.take(places)
    strange = _is_strange(some)
    return [NOTHING_LIKE_IT if is_strange else _of_scores(some, row) for row, is_strange in enumerate(strange.tolist())]


def _is_strange(pool: Pool) -> BoolArray:
    """Which tickets resemble no labelled one, held against how the labelled ones resemble each other, (tickets,)."""
    labelled = pool.labelled_embeddings
    if pool.embeddings is None or labelled is None or len(labelled) < FEWEST_LABELLED:
        return np.zeros(len(pool), dtype=np.bool_)
    known = sample(labelled, MOST_LABELLED, 0)
    return np.asarray(novelty(pool.embeddings, known) > np.quantile(_to_each_other(known), FEW_LIKE_IT))


def _to_each_other(rows: Embeddings) -> FloatArray:
    """How unlike each row is to the other one that it resembles most, (rows,)."""
    cosines = rows @ rows.T
    np.fill_diagonal(cosines, -1.0)
    return np.asarray(1.0 - cosines.max(axis=1), dtype=np.float64)


def _of_scores(pool: Pool, row: int) -> str:
    """The reason that lies in the scores of one ticket."""
    probs, policy = pool.probs[row], pool.policy
    above = gaps(pool.probs[row : row + 1], policy.suggest)[0]
    first, second = [*np.argsort(-above, kind="stable")[:2].tolist(), None][:2]
    if second is not None and max(abs(above[first]), abs(above[second])) <= CLOSE:
        names = f"{policy.names[first]} and {policy.names[second]}"
        return f"close call between {names} ({_short(probs[first])} / {_short(probs[second])})"
    if pool.none is not None and abs(_scope_gap(pool.none[row : row + 1], policy)) <= CLOSE:
        return f"may belong to no category ({_short(pool.none[row])})"
    nearest = int(np.abs(above).argmin())
    if abs(above[nearest]) <= CLOSE:
        return f"close call: {policy.names[nearest]} ({_short(probs[nearest])}, {_cut(policy, nearest)})"
    if above[first] < 0:
        return f"no category fits: the likeliest is {policy.names[first]} ({_short(probs[first])})"
    given = [policy.names[label] for label in np.flatnonzero(above >= 0)]
    if len(given) > 1:
        return f"a set of categories to confirm: {', '.join(given)}"
    return f"among the most doubtful: {given[0]} ({_short(probs[first])})"


def _scope_gap(none: Probs, policy: Policy) -> float:
    return float(gaps(none[:, np.newaxis], np.array([policy.out_of_scope]))[0, 0])


def _cut(policy: Policy, label: int) -> str:
    cut = float(policy.suggest[label])
    return f"given from {_short(cut)}" if np.isfinite(cut) else "never given"


def _short(share: float) -> str:
    """A probability as people read it: .48.

    >>> _short(0.4849), _short(1.0)
    ('.48', '1.00')
    """
    return f"{share:.2f}".removeprefix("0")
