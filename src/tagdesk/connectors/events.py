"""Makes an event of the fields that a help desk sent."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tagdesk.connectors.base import NO_TEXT, OWN, Delivery, Incoming, Own, corrected
from tagdesk.connectors.hygiene import newest
from tagdesk.text import stored

_LONGEST_SUBJECT = 300  # characters
_REPLY_MARKS = re.compile(r"^(?:(?:re|fwd?|aw|wg|antw|rv|sv|vs|tr) ?: ?)+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Written:
    """What a customer wrote: the body as it came, and the subject where it opens a ticket."""

    body: str
    subject: str = ""
    is_html: bool = False


def ignored(delivery: Delivery, reason: str, ticket: str = "") -> Incoming:
    """An event that asks for nothing."""
    return Incoming(delivery.source, delivery.id, delivery.digest, "ignored", ticket, reason)


def message(delivery: Delivery, ticket: str, written: Written, *, unit: str | None, when: datetime | None) -> Incoming:
    """A customer's message; ignored where it has no text."""
    found = newest(written.body, is_html=written.is_html)
    subject = _REPLY_MARKS.sub("", " ".join(stored(written.subject[:_LONGEST_SUBJECT]).split()))
    is_told = subject.casefold() in found.text.casefold()
    text = found.text if is_told else f"{subject}\n\n{found.text}".strip()
    if not any(map(str.isalnum, text)):
        return ignored(delivery, NO_TEXT, ticket)
    return Incoming(
        delivery.source,
        delivery.id,
        delivery.digest,
        "message",
        ticket,
        unit=unit,
        text=text,
        when=when,
        flags=found.flags,
    )


def correction(
    delivery: Delivery, own: Own, ticket: str, tags: Sequence[str] | None, *, who: str | None, when: datetime | None
) -> Incoming:
    """An agent's change of a ticket's tags; ignored where tagdesk made it or nothing is new."""
    if who in own.users:
        return ignored(delivery, OWN, ticket)
    event = Incoming(delivery.source, delivery.id, delivery.digest, "correction", ticket, who=who, when=when)
    return event if tags is None else corrected(event, tags, own)
