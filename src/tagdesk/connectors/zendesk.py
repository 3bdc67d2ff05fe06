"""Zendesk: event webhooks for tickets, and the Tickets API.

Subscribe the webhook to ticket.created, ticket.comment_added, ticket.tags_changed and, for messaging,
messaging_ticket.message_added. Sources: https://developer.zendesk.com/documentation/webhooks/verifying/,
https://developer.zendesk.com/api-reference/webhooks/event-types/ticket-events,
https://developer.zendesk.com/documentation/ticketing/managing-tickets/creating-and-updating-tickets.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

from tagdesk.connectors import events, payload
from tagdesk.connectors.access import Access, Call, Seen
from tagdesk.connectors.base import AGENT, OTHER, OWN, PRIVATE, WINDOW, Delivery, Forged, Headers, Incoming, Own
from tagdesk.connectors.signature import delivery, header, mac, optional_header, require_fresh, require_same

_SIGNATURE = "X-Zendesk-Webhook-Signature"
_TIME = "X-Zendesk-Webhook-Signature-Timestamp"
_INVOCATION = "X-Zendesk-Webhook-Invocation-Id"
_EVENT = "zen:event-type:"


@dataclass(frozen=True)
class Zendesk:
    """Zendesk Support and messaging."""

    name: ClassVar[str] = "zendesk"
    longest_tag: ClassVar[int] = 255

    def verify(
        self, headers: Headers, body: bytes, secret: str, *, now: datetime, window: timedelta = WINDOW
    ) -> Delivery:
        """The delivery, if timestamp and body bear the webhook's signature; see `Connector.verify`."""
        given, time = header(headers, _SIGNATURE), header(headers, _TIME)
        signed = time.encode() + body
        require_same(given, base64.b64encode(mac(secret, signed, "sha256")), _SIGNATURE)
        moment = payload.moment(time)
        if moment is None:
            raise Forged(f"{_TIME} is no time; expected ISO 8601.", code="bad_header")
        require_fresh(moment, now, window)
        return delivery(self.name, optional_header(headers, _INVOCATION), signed, body)

    def read(self, delivery: Delivery, own: Own) -> Incoming:
        """What an event says; see `Connector.read`. Its own id, which is signed, names it."""
        document = payload.document(delivery)
        delivery = replace(delivery, id=payload.name(document.get("id")) or delivery.id)
        kind = payload.text(document.get("type")).removeprefix(_EVENT)
        reading = _READINGS.get(kind)
        return events.ignored(delivery, OTHER) if reading is None else reading(delivery, document, own)

    def headers(self, access: Access) -> Mapping[str, str]:
        """An agent's API token where the access names the agent, else OAuth's bearer token."""
        if access.user is None:
            return {"Authorization": f"Bearer {access.token}"}
        pair = base64.b64encode(f"{access.user}/token:{access.token}".encode())
        return {"Authorization": f"Basic {pair.decode()}"}

    def look(self, access: Access, ticket: str) -> Call:  # noqa: ARG002 - every ticket of a Zendesk has its own number
        """The call that reads a ticket."""
        return Call("GET", f"/api/v2/tickets/{ticket}.json")

    def seen(self, answer: Any) -> Seen | None:
        """The tags of a ticket, and when it was updated last."""
        tags = payload.tags(payload.at(answer, "ticket", "tags"))
        return None if tags is None else Seen(tags, payload.text(payload.at(answer, "ticket", "updated_at")) or None)

    def changes(self, access: Access, ticket: str, tags: Sequence[str], note: str, seen: Seen) -> list[Call]:
        """One update, which Zendesk refuses (409) where the ticket changed since it was seen."""
        changed: dict[str, Any] = {}
        if tags:
            changed["additional_tags"] = list(tags)
        if note:
            changed["comment"] = {"body": note, "public": False}
        if seen.stamp is not None:
            changed |= {"safe_update": True, "updated_stamp": seen.stamp}
        path = self.look(access, ticket).path
        return (
            [Call("PUT", path, {"ticket": changed}, adds=tuple(tags), is_guarded=seen.stamp is not None)]
            if tags or note
            else []
        )


def _created(delivery: Delivery, document: dict[str, Any], own: Own) -> Incoming:
    detail = document.get("detail")
    number = payload.ticket(payload.at(detail, "id"), delivery.source)
    if payload.name(payload.at(detail, "actor_id")) in own.users:
        return events.ignored(delivery, OWN, number)
    written = events.Written(
        payload.text(payload.at(detail, "description")), payload.text(payload.at(detail, "subject"))
    )
    return _message(delivery, document, number, written, payload.at(detail, "requester_id"))


def _commented(delivery: Delivery, document: dict[str, Any], own: Own) -> Incoming:
    comment = payload.at(document, "event", "comment")
    number = payload.ticket(payload.at(document, "detail", "id"), delivery.source)
    author = payload.at(comment, "author")
    if payload.name(payload.at(author, "id")) in own.users:
        return events.ignored(delivery, OWN, number)
    if payload.at(comment, "is_public") is not True:
        return events.ignored(delivery, PRIVATE, number)
    if payload.at(author, "is_staff") is not False:
        return events.ignored(delivery, AGENT, number)
    written = events.Written(payload.text(payload.at(comment, "body")))
    return _message(delivery, document, number, written, payload.at(document, "detail", "requester_id"))


def _chatted(delivery: Delivery, document: dict[str, Any], _own: Own) -> Incoming:
    event = document.get("event")
    number = payload.ticket(payload.at(document, "detail", "id"), delivery.source)
    if payload.at(event, "actor", "type") != "end_user":
        return events.ignored(delivery, AGENT, number)
    written = events.Written(payload.text(payload.at(event, "message", "body")))
    return _message(delivery, document, number, written, payload.at(event, "actor", "id"))


def _tagged(delivery: Delivery, document: dict[str, Any], own: Own) -> Incoming:
    detail = document.get("detail")
    return events.correction(
        delivery,
        own,
        payload.ticket(payload.at(detail, "id"), delivery.source),
        payload.tags(payload.at(detail, "tags")),
        who=payload.name(payload.at(detail, "actor_id")),
        when=payload.moment(document.get("time")),
    )


def _message(
    delivery: Delivery, document: dict[str, Any], number: str, written: events.Written, requester: Any
) -> Incoming:
    when = payload.moment(document.get("time"))
    return events.message(delivery, number, written, unit=payload.name(requester), when=when)


_READINGS = {
    "ticket.created": _created,
    "ticket.comment_added": _commented,
    "ticket.tags_changed": _tagged,
    "messaging_ticket.message_added": _chatted,
}
CONNECTOR = Zendesk()
