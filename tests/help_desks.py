"""A service with the doors of help desks, and the help desks: real HTTP servers on this machine."""

from __future__ import annotations

import json
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from fastapi.testclient import TestClient

from tagdesk.api import ApiSettings, create_app
from tagdesk.connectors.sites import Site
from tagdesk.desk import Desk
from tagdesk.review import Review
from tagdesk.store import Reviewed, Selection
from test_connectors import SECRET, SIGNINGS
from test_connectors_help_desk import ECHOES
from test_connectors_help_desk import Desk as HelpDesk

TEXT = "I was charged twice, please refund one"


@dataclass
class House:
    """The service as one help desk meets it; `outcomes` are those of its write-backs."""

    client: TestClient
    desk: Desk
    server: HelpDesk
    site: Site
    outcomes: queue.Queue[str] = field(default_factory=queue.Queue)

    def send(self, document: dict[str, Any] | bytes, *, now: datetime | None = None, **headers: str) -> Any:
        """Send a webhook as the help desk does; `headers` replace those of the same name."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        signed = SIGNINGS[self.server.name].headers(body, now=now or datetime.now(UTC))
        named = {name.decode(): value.decode() for name, value in signed if value != b"delivery-7"}
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(f"/v1/webhooks/{self.site.name}", content=body, headers=named | more)

    def say(self, text: str = TEXT, event: str = "e-1") -> Any:
        """Send a customer's message."""
        return self.send(message(self.server.name, text, event))

    def echo(self, event: str = "t-1") -> Any:
        """Send that the tags of the ticket have changed, and what they are."""
        return self.send(ECHOES[self.server.name](self.server.tags) | {"x": event} | named(self.server.name, event))

    def written(self) -> str:
        """What became of the next write-back."""
        return self.outcomes.get(timeout=30)

    def cases(self) -> list[Reviewed]:
        """The help desk's cases, oldest first."""
        found = self.desk.store.reviews.every(Selection(self.site.tenant))
        return [one for one in found if one.case.source == self.site.name]

    def reviews(self) -> list[Review]:
        """The reviews of its cases."""
        return [review for one in self.cases() for review in one.reviews]


def message(kind: str, text: str, event: str) -> dict[str, Any]:
    """What a help desk sends when a customer writes; `event` tells two of them apart."""
    return {
        "zendesk": {
            "type": "zen:event-type:ticket.created",
            "id": event,
            "detail": {"id": "7", "description": text, "requester_id": "5", "actor_id": "5"},
        },
        "zammad": {
            "event": event,
            "ticket": {"id": 7, "customer_id": 5},
            "article": {"sender": "Customer", "internal": False, "body": text, "created_by_id": 5},
        },
        "chatwoot": {
            "event": "message_created",
            "id": event,
            "message_type": "incoming",
            "content": text,
            "conversation": {"id": 7},
            "sender": {"id": 5},
        },
        "freshdesk": {"event": event, "ticket_id": 7, "ticket_description": text, "ticket_requester_id": 5},
    }[kind]


def named(kind: str, event: str) -> dict[str, Any]:
    """The field that names an event, where there is one in the body."""
    return {"id": event} if kind == "zendesk" else {}


def site_of(server: HelpDesk, name: str, **changes: Any) -> Site:
    """The help desk as its owner wrote it down; waits between tries are short."""
    help_desk = server.desk()
    patience = replace(help_desk.patience, timeout=2.0, longest=0.01)
    return replace(Site(name, replace(help_desk, patience=patience), SECRET), **changes)


@contextmanager
def house(desk: Desk, server: HelpDesk, name: str, **changes: Any) -> Iterator[House]:
    """A service that runs for the block."""
    site = site_of(server, name, **changes)
    app = create_app(desk, ApiSettings(within=30, help_desks=(site,)))
    made = House(TestClient(app, raise_server_exceptions=False), desk, server, site)
    app.state.hooks.by_name[name].write_back._told = made.outcomes.put
    with made.client:
        yield made
