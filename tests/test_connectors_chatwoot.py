from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tagdesk.connectors import Delivery, Incoming, Own, Tags, connector

OWN = Own(Tags.of(["Billing Issue"]))
MESSAGE = {
    "event": "message_created",
    "id": 900,
    "account": {"id": 3, "name": "Shop"},
    "content": "I was charged twice.\n\nSent from my iPhone",
    "content_type": "text",
    "conversation": {"id": 5, "labels": [], "inbox_id": 1},
    "created_at": "2026-05-01T10:00:00.000Z",
    "message_type": "incoming",
    "private": False,
    "sender": {"id": 12, "name": "Bob", "type": "contact"},
}
UPDATE = {
    "event": "conversation_updated",
    "changed_attributes": [
        {"updated_at": {"previous_value": "a", "current_value": "b"}},
        {"label_list": {"previous_value": [], "current_value": ["tagdesk_billing_issue", "vip"]}},
    ],
    "id": 5,
    "labels": ["tagdesk_billing_issue", "vip"],
    "meta": {"sender": {"id": 12}, "assignee": {"id": 2}},
    "updated_at": 1777629600.5,
}


def read(document: dict[str, Any], own: Own = OWN) -> Incoming:
    return connector("chatwoot").read(Delivery("chatwoot", "delivery", "digest", json.dumps(document).encode()), own)


def test_a_message_without_an_id_bears_that_of_its_delivery() -> None:
    assert read(MESSAGE | {"id": None}).event_id == "delivery"


def test_what_the_contact_wrote_is_a_message() -> None:
    assert read(MESSAGE) == Incoming(
        "chatwoot",
        "message 900",
        "digest",
        "message",
        "5",
        unit="12",
        text="I was charged twice.",
        when=datetime(2026, 5, 1, 10, tzinfo=UTC),
        flags=("signature_removed",),
    )
    assert read(MESSAGE | {"message_type": 0}).kind == "message"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"message_type": "outgoing"}, "agent"),
        ({"message_type": "template"}, "agent"),
        ({"message_type": False}, "agent"),
        ({"message_type": ["incoming"]}, "agent"),
        ({"message_type": "outgoing", "private": True}, "private"),
        ({"content": None}, "no_text"),
        ({"event": "message_updated"}, "other_event"),
        ({"event": ["message_created"]}, "other_event"),
    ],
)
def test_other_messages_are_ignored(changes: dict[str, Any], reason: str) -> None:
    assert read(MESSAGE | changes).reason == reason


def test_changed_labels_are_a_correction() -> None:
    found = read(UPDATE)
    assert (found.kind, found.ticket, found.labels, found.who) == ("correction", "5", {"Billing Issue"}, None)
    assert found.when == datetime(2026, 5, 1, 10, 0, 0, 500_000, tzinfo=UTC)


def test_labels_that_tagdesk_wrote_are_ignored() -> None:
    known = Own(OWN.tags, known={"5": frozenset({"Billing Issue"})}.get)
    assert read(UPDATE, known).reason == "unchanged"


@pytest.mark.parametrize("changed", [None, [], [{"status": {"current_value": "open"}}], "label_list", [["label_list"]]])
def test_changes_of_anything_else_are_ignored(changed: Any) -> None:
    assert read(UPDATE | {"changed_attributes": changed}).reason == "other_event"
