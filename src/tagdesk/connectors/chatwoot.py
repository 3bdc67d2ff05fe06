"""Chatwoot: account webhooks, and the labels and messages of its application API.

Subscribe the webhook to message_created and conversation_updated. A conversation is the ticket, its label the tag;
labels must exist in the account before they are written. Chatwoot does not tell who changed a label. Sources:
https://www.chatwoot.com/hc/user-guide/articles/1677693021-how-to-use-webhooks,
https://developers.chatwoot.com/api-reference/conversations/add-labels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

from tagdesk.connectors import events, payload
from tagdesk.connectors.access import Access, Call, Seen
from tagdesk.connectors.base import AGENT, OTHER, PRIVATE, WINDOW, Delivery, Forged, Headers, Incoming, Own
from tagdesk.connectors.signature import delivery, header, mac, optional_header, require_fresh, require_same
from tagdesk.errors import UsageError

_SIGNATURE = "X-Chatwoot-Signature"
_TIME = "X-Chatwoot-Timestamp"
_SECONDS = re.compile(r"[0-9]{1,10}", re.ASCII)
_LABELS = ("label_list", "cached_label_list")


@dataclass(frozen=True)
class Chatwoot:
    """Chatwoot, hosted or one's own."""

    name: ClassVar[str] = "chatwoot"
    longest_tag: ClassVar[int] = 255

    def verify(
        self, headers: Headers, body: bytes, secret: str, *, now: datetime, window: timedelta = WINDOW
    ) -> Delivery:
        """The delivery, if timestamp and body bear the webhook's signature; see `Connector.verify`."""
        given, time = header(headers, _SIGNATURE), header(headers, _TIME)
        signed = time.encode() + b"." + body
        require_same(given, f"sha256={mac(secret, signed, 'sha256').hex()}".encode(), _SIGNATURE)
        moment = payload.moment(int(time)) if _SECONDS.fullmatch(time) else None
        if moment is None:
            raise Forged(f"{_TIME} is no time; expected seconds since 1970.", code="bad_header")
        require_fresh(moment, now, window)
        return delivery(self.name, optional_header(headers, "X-Chatwoot-Delivery"), signed, body)

    def read(self, delivery: Delivery, own: Own) -> Incoming:
        """A message of the contact, or a correction where labels changed; see `Connector.read`.

        A message's own id, which is signed, names it: one sent again is signed anew, with another time.
        """
        document = payload.document(delivery)
        if document.get("event") == "message_created":
            return _message(delivery, document)
        if document.get("event") != "conversation_updated" or not _labels_changed(document):
            return events.ignored(delivery, OTHER)
        return events.correction(
            delivery,
            own,
            payload.ticket(document.get("id"), delivery.source),
            payload.tags(document.get("labels")),
            who=None,
            when=payload.moment(document.get("updated_at")),
        )

    def headers(self, access: Access) -> Mapping[str, str]:
        """The access token of an agent or a bot."""
        return {"api_access_token": access.token}

    def look(self, access: Access, ticket: str) -> Call:
        """The call that lists a conversation's labels."""
        return Call("GET", f"{_conversation(access, ticket)}/labels")

    def seen(self, answer: Any) -> Seen | None:
        """The labels in a list of them."""
        tags = payload.tags(payload.at(answer, "payload"))
        return None if tags is None else Seen(tags)

    def changes(self, access: Access, ticket: str, tags: Sequence[str], note: str, seen: Seen) -> list[Call]:
        """One call that writes all labels, the old and the new, and a private message."""
        path, calls = _conversation(access, ticket), []
        if tags:
            calls.append(Call("POST", f"{path}/labels", {"labels": [*seen.tags, *tags]}, adds=tuple(tags)))
        if note:
            message = {"content": note, "message_type": "outgoing", "private": True}
            calls.append(Call("POST", f"{path}/messages", message))
        return calls


def _message(delivery: Delivery, document: dict[str, Any]) -> Incoming:
    number = payload.ticket(payload.at(document, "conversation", "id"), delivery.source)
    if document.get("private") is True:
        return events.ignored(delivery, PRIVATE, number)
    if str(document.get("message_type")) not in {"incoming", "0"}:  # an agent's, the system's or a template's
        return events.ignored(delivery, AGENT, number)
    number_of_message = payload.name(document.get("id"))
    if number_of_message is not None:
        delivery = replace(delivery, id=f"message {number_of_message}")
    written = events.Written(payload.text(document.get("content")))
    unit = payload.name(payload.at(document, "sender", "id"))
    return events.message(delivery, number, written, unit=unit, when=payload.moment(document.get("created_at")))


def _labels_changed(document: dict[str, Any]) -> bool:
    changed = document.get("changed_attributes")
    each = changed if isinstance(changed, list) else [changed]
    return any(payload.at(attribute, name) is not None for attribute in each for name in _LABELS)


def _conversation(access: Access, ticket: str) -> str:
    if access.account is None:
        raise UsageError(
            "Chatwoot's account is missing. Give its number, which the address bar shows.", code="bad_account"
        )
    return f"/api/v1/accounts/{access.account}/conversations/{ticket}"


CONNECTOR = Chatwoot()
