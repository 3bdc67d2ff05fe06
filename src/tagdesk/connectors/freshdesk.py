"""Freshdesk: webhooks of automation rules, and the Tickets API.

Freshdesk signs nothing: a rule sends a header with a secret, and whoever reads it once can send anything. Let the rule
send JSON in the simple mode: for messages the ticket's id, subject, requester e-mail, and description (on creation) or
latest public comment (when the requester replies); for corrections, on updates by agents, the id and the tags, and no
text. Nothing tells who did it. Sources: https://developers.freshdesk.com/api/#tickets,
https://support.freshdesk.com/support/solutions/articles/132589-using-webhooks-in-automation-rules.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from tagdesk.connectors import events, payload
from tagdesk.connectors.access import Access, Call, Seen
from tagdesk.connectors.base import OTHER, WINDOW, Delivery, Headers, Incoming, Own
from tagdesk.connectors.signature import delivery, header, key, require_same

_REQUESTERS = ("requester_id", "requester_email", "contact_id", "contact_email", "from_email")
_TIMES = ("updated_at", "updated_on", "modified_on", "created_at", "created_on")
_WRITER = re.compile(r"[^<>:\n]{1,100} : (?=\S)")  # "Ada Lovelace : " before a comment


@dataclass(frozen=True)
class Freshdesk:
    """Freshdesk.

    Attributes:
        secret_header: the header in which the rule sends the secret.
    """

    secret_header: str = "X-Tagdesk-Secret"  # noqa: S105 - the name of a header

    name: ClassVar[str] = "freshdesk"
    longest_tag: ClassVar[int] = 32

    def verify(
        self,
        headers: Headers,
        body: bytes,
        secret: str,
        *,
        now: datetime,  # noqa: ARG002 - Freshdesk signs no time: only who remembers digests knows a replay
        window: timedelta = WINDOW,  # noqa: ARG002 - the same
    ) -> Delivery:
        """The delivery, if its header holds the secret; see `Connector.verify`."""
        require_same(header(headers, self.secret_header), key(secret), self.secret_header)
        return delivery(self.name, None, body, body)

    def read(self, delivery: Delivery, own: Own) -> Incoming:
        """A message where the rule sent a text, a correction where it sent tags and no text."""
        document = payload.document(delivery)
        found = document.get("freshdesk_webhook", document)
        number = payload.ticket(_field(found, "id", "ticket_id"), delivery.source)
        comment, description = _field(found, "latest_public_comment"), _field(found, "description")
        tags = payload.tags(_field(found, "tags"))
        when = payload.moment(next(filter(None, (_field(found, name) for name in _TIMES)), None))
        if comment is None and description is None:
            if tags is None:
                return events.ignored(delivery, OTHER, number)
            return events.correction(delivery, own, number, tags, who=None, when=when)
        if comment is None:
            written = events.Written(payload.text(description), payload.text(_field(found, "subject")))
        else:
            written = events.Written(_WRITER.sub("", payload.text(comment), count=1))
        unit = next(filter(None, (payload.name(_field(found, name)) for name in _REQUESTERS)), None)
        return events.message(delivery, number, written, unit=unit, when=when)

    def headers(self, access: Access) -> Mapping[str, str]:
        """The API key of an agent, as the user of basic authentication; the password is a dummy."""
        return {"Authorization": f"Basic {base64.b64encode(f'{access.token}:X'.encode()).decode()}"}

    def look(self, access: Access, ticket: str) -> Call:  # noqa: ARG002 - every ticket of a Freshdesk has its own number
        """The call that reads a ticket."""
        return Call("GET", f"/api/v2/tickets/{ticket}")

    def seen(self, answer: Any) -> Seen | None:
        """The tags of a ticket."""
        tags = payload.tags(payload.at(answer, "tags"))
        return None if tags is None else Seen(tags)

    def changes(self, access: Access, ticket: str, tags: Sequence[str], note: str, seen: Seen) -> list[Call]:
        """One call that writes all tags, the old and the new, and a private note."""
        path, calls = self.look(access, ticket).path, []
        if tags:
            calls.append(Call("PUT", path, {"tags": [*seen.tags, *tags]}, adds=tuple(tags)))
        if note:
            body = html.escape(note).replace("\n", "<br>")
            calls.append(Call("POST", f"{path}/notes", {"body": body, "private": True}))
        return calls


def _field(found: Any, *names: str) -> Any:
    """The first of some fields, bare or after "ticket_"."""
    values = (payload.at(found, prefix + name) for name in names for prefix in ("ticket_", ""))
    return next((value for value in values if value is not None), None)


CONNECTOR = Freshdesk()
