"""Which logged cases people should look at next."""

from __future__ import annotations

import hashlib
import heapq
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, runtime_checkable

import numpy as np

from tagdesk.arrays import Embeddings, Probs
from tagdesk.case import Case
from tagdesk.dataset import near_duplicate_groups
from tagdesk.errors import ArtefactError
from tagdesk.model import Model
from tagdesk.rank import DEFAULT, Dispute, Pick, Pool, choose, disputes
from tagdesk.review import agreed
from tagdesk.scorers.base import Progress, silent
from tagdesk.store import Cursor, Selection, Store
from tagdesk.text import clean

LOOKS_AT = 1_000  # cases that nobody has reviewed, the newest ones, among which it is chosen
MOST_READ = 50_000  # cases that are read to find so many
LEARNS_FROM = 500  # reviewed cases that say what people know already
AT_ONCE = 256  # texts between two reports of progress
STRETCH = 10  # places within which two people get the same batch in different orders

SECOND = "second opinion: somebody else has labelled it"


class Kind(StrEnum):
    """Why a case waits."""

    NEW = "new"  # nobody has reviewed it
    AGAIN = "again"  # somebody else has; what they found is not shown
    DISPUTED = "disputed"  # reviewers contradict each other


@dataclass(frozen=True, slots=True)
class Waiting:
    """A case that somebody should look at.

    Attributes:
        case: with its text.
        suggested: the labels that it was given, most probable first.
        reason: in words, for whoever looks at it.
        kind: whether it is new, to be seen again, or to be settled.
        likes: other cases that wait and say nearly the same.
        is_audit: whether it was drawn at random, so that it speaks for all cases.
        probability: with which each case was drawn so; None where no lot was cast.
        found: what reviewers said; empty unless they contradict each other.
    """

    case: Case
    suggested: tuple[str, ...]
    reason: str
    kind: Kind = Kind.NEW
    likes: int = 0
    is_audit: bool = False
    probability: float | None = None
    found: Mapping[str, frozenset[str]] = field(default_factory=dict)


@runtime_checkable
class _Embeds(Protocol):
    """A scorer that gives the vectors of its encoder."""

    def embed(self, texts: Sequence[str]) -> Embeddings:
        """Vectors (texts, width) of cleaned texts."""
        ...


def waiting(  # noqa: PLR0913 - where, by whose doubt, how many, of whom, and how they are chosen
    store: Store,
    model: Model,
    n: int,
    *,
    tenant: str | None = None,
    strategy: str = DEFAULT,
    seed: int = 0,
    only_logged: bool = False,
    progress: Progress = silent,
) -> list[Waiting]:
    """Up to n cases that nobody has reviewed and whose text is kept, in the order in which to look at them.

    They are chosen among the newest: most of them because the model is in doubt, some at random.

    Args:
        store: where the cases are.
        model: whose labels count, and whose doubt.
        n: how many.
        tenant: whose cases; None: everybody's.
        strategy: one of `tagdesk.rank.STRATEGIES`.
        seed: of all draws.
        only_logged: read no text anew, which is quick; a label that was not logged then counts as improbable, and
            tickets that say the same in other words are not told to be alike.
        progress: is told how many texts the model's encoder has read, where it has one that gives vectors.

    Raises:
        UsageError: for an unknown strategy, or one that needs what the model does not give.
    """
    fresh, taught = _found(store, tenant)
    if n < 1 or not fresh:
        return []
    pool = _pool(None if only_logged else model, model, fresh, taught, progress)
    picks = choose(pool, n, strategy, seed=seed)
    return [_waiting(fresh[pick.place], pick) for pick in picks]


def disputed(store: Store, n: int, *, tenant: str | None = None) -> list[Waiting]:
    """Up to n cases whose reviewers contradict each other, those first that are most worth settling."""
    found = {one.case.id: one for one in store.reviews.contradictory(Selection(tenant)) if one.case.has_text}
    ranked = disputes([one.reviews for one in found.values()])
    return [_disputed(found[dispute.case].case, dispute) for dispute in ranked[:n]]


def seen_once(store: Store, n: int, reviewer: str, *, tenant: str | None = None, seed: int = 0) -> list[Waiting]:
    """Up to n random cases that exactly one person has reviewed, another one than `reviewer`.

    What that person found is left out, so that two people can be held against each other.
    """
    once = (
        one.case
        for one in store.reviews.reviewed(Selection(tenant))
        if one.case.has_text and _is_for(reviewer, {review.reviewer for review in one.reviews})
    )
    drawn = heapq.nsmallest(n, once, key=lambda case: (_lot(seed, case.id), case.id))
    return [Waiting(case, case.prediction.labels, SECOND, Kind.AGAIN) for case in drawn]


def in_own_order(batch: Sequence[Waiting], again: Sequence[Waiting], seed: int) -> list[Waiting]:
    """Two lists as one for one person: the second spread evenly among the first, and stretches of ten shuffled.

    So two people who work at the same time do not look at the same case at the same moment.
    """
    places = [(place + 0.5) / len(part) for part in (batch, again) for place in range(len(part))]
    both = [*batch, *again]
    merged = [both[number] for number in sorted(range(len(both)), key=lambda number: places[number])]
    chance = random.Random(seed)  # noqa: S311 - an order, no secret
    result: list[Waiting] = []
    for start in range(0, len(merged), STRETCH):
        stretch = merged[start : start + STRETCH]
        chance.shuffle(stretch)
        result += stretch
    return result


def _waiting(case: Case, pick: Pick) -> Waiting:
    more = f"; {pick.likes:,} more like it" if pick.likes else ""
    chance = pick.probability or None
    return Waiting(
        case,
        case.prediction.labels,
        f"{pick.reason}{more}",
        likes=pick.likes,
        is_audit=pick.is_check,
        probability=chance,
    )


def _disputed(case: Case, dispute: Dispute) -> Waiting:
    reason = f"reviewers differ on {', '.join(dispute.at_odds)}"
    return Waiting(case, case.prediction.labels, reason, Kind.DISPUTED, found=dispute.found)


def _is_for(reviewer: str, others: set[str]) -> bool:
    """Whether a case that these have reviewed is to be seen by a second person who is this one."""
    return len(others) == 1 and reviewer not in others


def _lot(seed: int, id_: str) -> bytes:
    """A number that orders cases at random, always in the same way for one seed."""
    return hashlib.sha256(f"{seed}:{id_}".encode()).digest()


def _found(store: Store, tenant: str | None) -> tuple[list[Case], list[frozenset[str]]]:
    """The newest cases that nobody has reviewed, and what people gave to those beside them; all with their texts."""
    fresh: list[Case] = []
    taught: list[frozenset[str]] = []
    after: Cursor | None = None
    for _ in range(MOST_READ // LOOKS_AT):
        page = store.cases.page(Selection(tenant), after=after, limit=LOOKS_AT, newest_first=True)
        reviews = store.reviews.of_cases([case.id for case in page], tenant=tenant)
        for case, found in zip(page, reviews, strict=True):
            if not case.has_text:
                continue
            if not found:
                fresh.append(case)
            elif (labels := agreed(found)) is not None:
                taught.append(labels)
        if len(page) < LOOKS_AT or len(fresh) >= LOOKS_AT:
            break
        after = page[-1].time, page[-1].id
    return fresh[:LOOKS_AT], taught[:LEARNS_FROM]


def _pool(
    reader: Model | None, model: Model, cases: Sequence[Case], taught: Sequence[frozenset[str]], progress: Progress
) -> Pool:
    """The cases as the model sees them; without a reader as far as that was logged."""
    texts = [case.prediction.text for case in cases]
    known = set(model.taxonomy.names)
    scopes = [case.prediction.out_of_scope for case in cases]
    return Pool(
        _probs(reader, model.taxonomy.names, cases),
        model.policy,
        none=None if None in scopes else np.array(scopes, dtype=np.float32),
        embeddings=None if reader is None else _embeddings(reader, texts, progress),
        groups=near_duplicate_groups(texts),
        labelled=model.taxonomy.encode([labels & known for labels in taught]) if taught else None,
    )


def _probs(reader: Model | None, names: Sequence[str], cases: Sequence[Case]) -> Probs:
    """The probabilities that were logged, (cases, labels); the reader's where a label was not."""
    logged = [[case.prediction.scores.get(name, np.nan) for name in names] for case in cases]
    probs: Probs = np.array(logged, dtype=np.float32)
    lacking = [place for place in np.flatnonzero(np.isnan(probs).any(axis=1)).tolist() if _is_readable(cases[place])]
    if lacking and reader is not None:
        probs[lacking] = reader.judge([cases[place].prediction.text for place in lacking]).probs
    return np.asarray(np.nan_to_num(probs).clip(0, 1), dtype=np.float32)


def _is_readable(case: Case) -> bool:
    return bool(clean(case.prediction.text).text)


def _embeddings(model: Model, texts: Sequence[str], progress: Progress) -> Embeddings | None:
    """Vectors of length 1, (texts, width), by the model's own encoder; None where it gives none."""
    scorer = model.scorer
    if not isinstance(scorer, _Embeds):
        return None
    cleaned = [clean(text).text or "?" for text in texts]
    parts: list[Embeddings] = []
    try:
        for start in range(0, len(cleaned), AT_ONCE):
            progress("texts", start, len(cleaned))
            parts.append(scorer.embed(cleaned[start : start + AT_ONCE]))
    except ArtefactError as error:
        if error.code != "bad_graph":  # a graph that gives no vectors is no fault; a damaged one is
            raise
        return None
    progress("texts", len(cleaned), len(cleaned))
    vectors = np.concatenate(parts)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.float32(1e-12)), dtype=np.float32)
