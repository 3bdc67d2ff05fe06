"""What every connector to a help desk does, in the values that it takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal, Protocol, TypeAlias

from tagdesk.connectors.access import Access, Call, Seen
from tagdesk.connectors.tags import Tags
from tagdesk.errors import InputError, TagdeskError

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]  # as an ASGI server hands them over; a name may come twice
Kind: TypeAlias = Literal["message", "correction", "ignored"]

WINDOW: Final = timedelta(seconds=300)  # a signed time may lie this far from now, before or after

# Why an event asks for nothing.
OWN: Final = "own"  # tagdesk did it
UNCHANGED: Final = "unchanged"  # the ticket bears the labels that it is known to bear
AGENT: Final = "agent"  # an agent wrote it, not a customer
PRIVATE: Final = "private"  # an internal note
NO_TEXT: Final = "no_text"  # a message without a letter or digit, such as a lone picture
OTHER: Final = "other_event"  # about something else than messages and tags


class Forged(TagdeskError):  # noqa: N818 - the word for what it is
    """A webhook that does not prove that the help desk sent it, and just now.

    `code` is one of missing_header, repeated_header, bad_header, bad_signature, stale.
    """


class BadPayload(InputError):  # noqa: N818 - the words for what it is
    """A webhook of the right sender whose content is not what that help desk sends."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A webhook whose sender is proven; only `verify` should make one.

    Attributes:
        source: the connector's name.
        id: what the help desk calls this delivery, the same when it sends it again; else a digest.
        digest: SHA-256 of source and of all that was signed. The id is a header that no signature covers: who has
            seen the one before or the other before has seen the delivery.
        body: the payload.
    """

    source: str
    id: str
    digest: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Incoming:
    """What a webhook says.

    Attributes:
        source: the connector's name.
        event_id: the delivery's; unique within the source.
        digest: the delivery's; see `Delivery`.
        kind: a customer's "message"; a "correction": an agent changed the ticket's labels; "ignored" asks for nothing.
        ticket: the ticket's number in the help desk, "" where an ignored event names none.
        reason: why an event is ignored.
        unit: the customer.
        text: what the customer wrote in this message, without quotes, signature and markup; see `hygiene`.
        labels: those of the ticket as it now stands; None where the payload does not tell: ask `HelpDesk.tags`, then
            `corrected`.
        who: the agent behind a correction, None where the help desk does not tell.
        when: the moment of the event, None where the help desk does not tell.
        flags: what hygiene did to the text.
    """

    source: str
    event_id: str
    digest: str
    kind: Kind
    ticket: str = ""
    reason: str = ""
    unit: str | None = None
    text: str = field(default="", repr=False)
    labels: frozenset[str] | None = None
    who: str | None = None
    when: datetime | None = None
    flags: tuple[str, ...] = ()


def nothing_known(_ticket: str) -> frozenset[str] | None:
    """That no ticket's labels are known."""
    return None


@dataclass(frozen=True)
class Own:
    """What is tagdesk's own at a help desk.

    Attributes:
        tags: the tags that stand for labels.
        users: the ids of the users that tagdesk acts as.
        known: the labels that a ticket is last known to bear, None for a ticket that is not known. Whoever writes
            labels back records them before writing, whoever takes a correction records it: so the echo of a write-back
            is no correction, and each correction comes once.
    """

    tags: Tags
    users: frozenset[str] = frozenset()
    known: Callable[[str], frozenset[str] | None] = nothing_known


def corrected(event: Incoming, tags: Sequence[str], own: Own) -> Incoming:
    """A correction with the ticket's tags, or an ignored event where they say nothing that is not known."""
    labels = own.tags.labels_of(tags)
    known = own.known(event.ticket)
    if labels == (known or frozenset()):
        return replace(event, kind="ignored", reason=UNCHANGED, labels=labels)
    return replace(event, labels=labels)


class Connector(Protocol):
    """A help desk: how its webhooks are proven and read, and which calls change its tickets.

    Nothing here touches the network: `HelpDesk` sends the calls.
    """

    @property
    def name(self) -> str:
        """The word for the help desk: zendesk, zammad, chatwoot or freshdesk."""
        ...

    @property
    def longest_tag(self) -> int:
        """The most characters that a tag may have there."""
        ...

    def verify(
        self, headers: Headers, body: bytes, secret: str, *, now: datetime, window: timedelta = WINDOW
    ) -> Delivery:
        """The delivery, if its sender knows the secret; raises Forged, and UsageError where the secret is none.

        Args:
            headers: names and values as they came.
            body: the bytes as they came.
            secret: what this webhook is signed with.
            now: with a time zone.
            window: how old or how far ahead a delivery may be where the help desk signs the time.
        """
        ...

    def read(self, delivery: Delivery, own: Own) -> Incoming:
        """What a proven delivery says; raises BadPayload or another InputError where it cannot be read."""
        ...

    def headers(self, access: Access) -> Mapping[str, str]:
        """The headers that let tagdesk in."""
        ...

    def look(self, access: Access, ticket: str) -> Call:
        """The call that reads a ticket's tags."""
        ...

    def seen(self, answer: Any) -> Seen | None:
        """The tags in an answer to `look`, or in one that repeats the ticket; None where there are none."""
        ...

    def changes(self, access: Access, ticket: str, tags: Sequence[str], note: str, seen: Seen) -> list[Call]:
        """The calls that add tags and an internal note to a ticket.

        Args:
            access: where and as whom.
            ticket: its number.
            tags: those to add; the ticket has none of them.
            note: "" for none.
            seen: what `look` found.
        """
        ...
