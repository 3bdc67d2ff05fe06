"""Zammad: webhooks of triggers, and the tags and articles of its REST API.

Make one trigger for new articles of customers and one for changed tags, both with the same webhook and its default
payload. That payload holds no tags, so a correction comes without labels: ask `HelpDesk.tags`, then `corrected`. A
trigger does not tell who changed a tag; `who` is who last changed the ticket itself. Sources:
https://admin-docs.zammad.org/en/latest/manage/webhook.html, https://docs.zammad.org/en/latest/api/ticket/tags.html,
https://docs.zammad.org/en/latest/api/ticket/articles.html.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from tagdesk.connectors import events, payload
from tagdesk.connectors.access import Access, Call, Seen
from tagdesk.connectors.base import AGENT, OWN, PRIVATE, WINDOW, Delivery, Headers, Incoming, Own
from tagdesk.connectors.signature import delivery, header, mac, optional_header, require_same

_SIGNATURE = "X-Hub-Signature"


@dataclass(frozen=True)
class Zammad:
    """Zammad, hosted or one's own."""

    name: ClassVar[str] = "zammad"
    longest_tag: ClassVar[int] = 250

    def verify(
        self,
        headers: Headers,
        body: bytes,
        secret: str,
        *,
        now: datetime,  # noqa: ARG002 - Zammad signs no time: only who remembers digests knows a replay
        window: timedelta = WINDOW,  # noqa: ARG002 - the same
    ) -> Delivery:
        """The delivery, if the body bears the webhook's signature; see `Connector.verify`."""
        expected = f"sha1={mac(secret, body, 'sha1').hex()}".encode()
        require_same(header(headers, _SIGNATURE), expected, _SIGNATURE)
        return delivery(self.name, optional_header(headers, "X-Zammad-Delivery"), body, body)

    def read(self, delivery: Delivery, own: Own) -> Incoming:
        """A message where a customer's article comes with the ticket, a correction where none does."""
        document = payload.document(delivery)
        ticket, article = document.get("ticket"), document.get("article")
        number = payload.ticket(payload.at(ticket, "id"), delivery.source)
        if not article:
            who = payload.name(payload.at(ticket, "updated_by_id"))
            return events.correction(
                delivery,
                own,
                number,
                payload.tags(payload.at(ticket, "tags")),
                who=None if who in own.users else who,  # tagging leaves it as it was: it says nothing against an agent
                when=payload.moment(payload.at(ticket, "updated_at")),
            )
        if payload.name(payload.at(article, "created_by_id")) in own.users:
            return events.ignored(delivery, OWN, number)
        if payload.at(article, "internal") is not False:
            return events.ignored(delivery, PRIVATE, number)
        if payload.at(article, "sender") != "Customer":
            return events.ignored(delivery, AGENT, number)
        is_first = payload.at(ticket, "article_count") == 1
        written = events.Written(
            payload.text(payload.at(article, "body")),
            payload.text(payload.at(ticket, "title")) if is_first else "",
            is_html=payload.at(article, "content_type") == "text/html",
        )
        unit = payload.name(payload.at(ticket, "customer_id"))
        when = payload.moment(payload.at(article, "created_at"))
        return events.message(delivery, number, written, unit=unit, when=when)

    def headers(self, access: Access) -> Mapping[str, str]:
        """An access token with the permission ticket.agent."""
        return {"Authorization": f"Token token={access.token}"}

    def look(self, access: Access, ticket: str) -> Call:  # noqa: ARG002 - every ticket of a Zammad has its own number
        """The call that lists a ticket's tags."""
        return Call("GET", f"/api/v1/tags?object=Ticket&o_id={ticket}")

    def seen(self, answer: Any) -> Seen | None:
        """The tags in a list of them."""
        tags = payload.tags(payload.at(answer, "tags"))
        return None if tags is None else Seen(tags)

    def changes(self, access: Access, ticket: str, tags: Sequence[str], note: str, seen: Seen) -> list[Call]:  # noqa: ARG002 - tags are added one by one
        """One call for each tag, and an internal article."""
        number = int(ticket)
        calls = [Call("POST", "/api/v1/tags/add", {"object": "Ticket", "o_id": number, "item": tag}) for tag in tags]
        if note:
            article = {"body": note, "content_type": "text/plain", "type": "note", "sender": "Agent", "internal": True}
            calls.append(Call("POST", "/api/v1/ticket_articles", {"ticket_id": number, **article}))
        return calls


CONNECTOR = Zammad()
