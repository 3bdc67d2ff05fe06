"""A ticket: what a customer wrote and, where it is known, the labels it deserves."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ticket:
    """One customer message.

    `labels` is None where nobody has labelled the ticket, and empty where somebody found that it needs no label.
    `unit` names the customer, so that grouped splits and experiments treat their tickets alike; `time` is ISO 8601.

    >>> Ticket("7", "I was charged twice", frozenset({"Billing Issue"})).is_labelled
    True
    """

    id: str
    text: str
    labels: frozenset[str] | None = None
    unit: str | None = None
    time: str | None = None

    @property
    def is_labelled(self) -> bool:
        """Whether a person or a source has said which labels apply."""
        return self.labels is not None
