"""Keeps what a person found for a case that waited."""

from __future__ import annotations

from datetime import datetime
from enum import Enum

from tagdesk.labelling.choosing import Kind, Waiting
from tagdesk.review import Review, is_contradictory
from tagdesk.store import Picked, Receipt, Store


class State(Enum):
    """Whether a case still waits."""

    WAITS = "waits"
    DONE = "done"  # others were quicker
    GONE = "gone"  # it was erased, or its text forgotten


def state_of(store: Store, one: Waiting, reviewer: str) -> State:
    """Whether a case still waits for this reviewer; raises StoreUnavailable where the store cannot say."""
    id_, tenant = one.case.id, one.case.tenant
    (case,) = store.cases.get([id_], tenant=tenant)
    if case is None or not case.has_text:
        return State.GONE
    (reviews,) = store.reviews.of_cases([id_], tenant=tenant)
    names = {review.reviewer for review in reviews}
    still = {
        Kind.NEW: not reviews,
        Kind.AGAIN: len(names) == 1 and reviewer not in names,
        Kind.DISPUTED: is_contradictory(reviews),
    }
    return State.WAITS if still[one.kind] else State.DONE


def keep(store: Store, one: Waiting, labels: frozenset[str], reviewer: str, now: datetime) -> Receipt:
    """Add a review; what this returns from is on the disk.

    A review of a case whose reviewers contradict each other settles it. A case that was drawn from many is noted with
    the probability of that, so that the random ones tell what the model is worth on all. UNKNOWN_CASE: it was erased
    meanwhile, or its text forgotten. Raises StoreUnavailable where nothing was kept.
    """
    note_picks(store, [one], now)
    review = Review(one.case.id, labels, reviewer, now, settles=one.kind is Kind.DISPUTED)
    (receipt,) = store.reviews.add([review], tenant=one.case.tenant)
    return receipt


def note_picks(store: Store, batch: list[Waiting], now: datetime) -> None:
    """Note of cases that are put before people with which probability they were; the first note of a case counts."""
    drawn = [
        Picked(one.case.id, now, one.reason, one.probability, is_audit=one.is_audit)
        for one in batch
        if one.probability is not None
    ]
    if drawn:
        store.picks.add(drawn)
