from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tagdesk.connectors import BadPayload, Delivery, Incoming, Own, Tags, connector

OWN = Own(Tags.of(["Billing Issue", "Refund Request"]), users=frozenset({"4711"}))
DETAIL = {
    "actor_id": "8447388090494",
    "assignee_id": "8447388090494",
    "description": "I was charged twice for order 7.\n\nBest regards,\nBob Smith",
    "id": "5158",
    "is_public": True,
    "requester_id": "8447388090495",
    "subject": "RE: Fwd: Double payment",
    "tags": ["vip", "tagdesk_billing_issue"],
    "via": {"channel": "email"},
}


def read(event: str, detail: dict[str, Any] | None = None, change: Any = None, own: Own = OWN) -> Incoming:
    document = {
        "account_id": 22129848,
        "detail": DETAIL | (detail or {}),
        "event": change,
        "id": "cbe4028c-7239-495d-b020-f22348516046",
        "subject": "zen:ticket:5158",
        "time": "2026-05-01T10:00:00.5Z",
        "type": f"zen:event-type:{event}",
        "zendesk_event_version": "2022-11-06",
    }
    return connector("zendesk").read(Delivery("zendesk", "invocation", "digest", json.dumps(document).encode()), own)


def comment(**changes: Any) -> Incoming:
    said = {"id": 1, "body": "Any news?\n> We look into it", "is_public": True, "author": {"id": 99, "is_staff": False}}
    return read("ticket.comment_added", change={"comment": said | changes})


def test_a_new_ticket_is_a_message_with_its_subject() -> None:
    assert read("ticket.created") == Incoming(
        "zendesk",
        "cbe4028c-7239-495d-b020-f22348516046",
        "digest",
        "message",
        "5158",
        unit="8447388090495",
        text="Double payment\n\nI was charged twice for order 7.",
        when=datetime(2026, 5, 1, 10, 0, 0, 500_000, tzinfo=UTC),
        flags=("signature_removed",),
    )


def test_a_subject_that_the_text_repeats_is_not_said_twice() -> None:
    assert read("ticket.created", {"subject": "I was CHARGED twice"}).text == "I was charged twice for order 7."


def test_a_customers_comment_is_a_message() -> None:
    found = comment()
    assert (found.kind, found.unit, found.text) == ("message", "8447388090495", "Any news?\n> We look into it")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"author": {"id": 5, "is_staff": True}}, "agent"),
        ({"author": None}, "agent"),
        ({"is_public": False}, "private"),
        ({"author": {"id": 4711, "is_staff": True}, "is_public": False}, "own"),
        ({"body": " \u200b "}, "no_text"),
        ({"body": None}, "no_text"),
    ],
)
def test_a_comment_of_anybody_else_is_ignored(changes: dict[str, Any], reason: str) -> None:
    found = comment(**changes)
    assert (found.kind, found.reason, found.ticket, found.text) == ("ignored", reason, "5158", "")


def test_a_chat_message_of_the_customer_is_a_message() -> None:
    event = {"actor": {"id": "u-1", "type": "end_user"}, "message": {"body": "Where is parcel 9?", "id": "m"}}
    found = read("messaging_ticket.message_added", change=event)
    assert (found.kind, found.unit, found.text) == ("message", "u-1", "Where is parcel 9?")
    event["actor"] = {"id": "zd:answerBot", "type": "system"}
    assert read("messaging_ticket.message_added", change=event).reason == "agent"


def test_tags_that_an_agent_changed_are_a_correction() -> None:
    found = read("ticket.tags_changed", change={"tags_added": ["vip"], "tags_removed": ["tagdesk_refund_request"]})
    assert (found.kind, found.ticket, found.labels) == ("correction", "5158", {"Billing Issue"})
    assert (found.who, found.when) == ("8447388090494", datetime(2026, 5, 1, 10, 0, 0, 500_000, tzinfo=UTC))


def test_tags_that_tagdesk_wrote_are_ignored() -> None:
    assert read("ticket.tags_changed", {"actor_id": "4711"}).reason == "own"
    assert read("ticket.tags_changed", {"actor_id": 4711}).reason == "own"
    known = Own(OWN.tags, known={"5158": frozenset({"Billing Issue"})}.get)
    assert read("ticket.tags_changed", own=known).reason == "unchanged"
    assert read("ticket.created", {"actor_id": "4711"}).reason == "own"


def test_other_events_are_ignored() -> None:
    assert read("ticket.status_changed").reason == "other_event"
    assert read("user.created").reason == "other_event"


@pytest.mark.parametrize("number", [None, "", "5/../6", "0", -1, True, 1.5, "\u0667", "1" * 20, 10**19])
def test_a_ticket_without_a_number_is_refused(number: Any) -> None:
    with pytest.raises(BadPayload) as caught:
        read("ticket.created", {"id": number})
    assert caught.value.code == "no_ticket"
