from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tagdesk.connectors import Delivery, Forged, Incoming, Own, Tags, connector
from tagdesk.connectors.freshdesk import Freshdesk

NOW = datetime(2026, 5, 1, 10, tzinfo=UTC)
OWN = Own(Tags.of(["Billing Issue"]))
CREATED = {
    "ticket_id": 11,
    "ticket_subject": "Charged twice",
    "ticket_description": "<div>Order 7 was paid two times.</div>",
    "ticket_requester_email": "bob@example.com",
    "ticket_tags": "vip",
    "triggered_event": "{ticket_action:created}",
}


def read(document: Any, own: Own = OWN) -> Incoming:
    return connector("freshdesk").read(Delivery("freshdesk", "digest", "digest", json.dumps(document).encode()), own)


def test_a_new_ticket_is_a_message() -> None:
    found = read({"freshdesk_webhook": CREATED})
    assert found == Incoming(
        "freshdesk",
        "digest",
        "digest",
        "message",
        "11",
        unit="bob@example.com",
        text="Charged twice\n\nOrder 7 was paid two times.",
        flags=("markup_removed",),
    )
    assert read(CREATED) == found  # as the advanced mode may send it


def test_a_comment_is_a_message_without_the_name_of_its_writer() -> None:
    said = "Rui LI : <div dir='ltr'>Where is my refund, please?</div>"
    found = read({"freshdesk_webhook": CREATED | {"ticket_latest_public_comment": said}})
    assert found.text == "Where is my refund, please?"
    assert read({"ticket_id": 11, "ticket_latest_public_comment": "It is 10:30 now"}).text == "It is 10:30 now"


def test_tags_without_a_text_are_a_correction() -> None:
    sent = {"ticket_id": "11", "ticket_tags": "vip, tagdesk_billing_issue", "ticket_updated_at": "2026-05-01T10:00:00Z"}
    found = read({"freshdesk_webhook": sent})
    assert (found.kind, found.ticket, found.labels, found.who) == ("correction", "11", {"Billing Issue"}, None)
    assert found.when == NOW
    known = Own(OWN.tags, known={"11": frozenset({"Billing Issue"})}.get)
    assert read({"freshdesk_webhook": sent}, known).reason == "unchanged"


def test_a_foreign_tag_that_holds_an_own_one_is_not_it() -> None:
    assert read({"ticket_id": 11, "ticket_tags": "not tagdesk_billing_issue"}).reason == "unchanged"


@pytest.mark.parametrize(
    ("sent", "reason"), [({"ticket_id": 11}, "other_event"), ({"ticket_id": 11, "ticket_description": ""}, "no_text")]
)
def test_a_rule_that_sends_neither_text_nor_tags_is_ignored(sent: dict[str, Any], reason: str) -> None:
    assert read({"freshdesk_webhook": sent}).reason == reason


def test_the_secret_stands_in_a_header_of_the_users_choice() -> None:
    own = Freshdesk(secret_header="X-Shop-Key")  # noqa: S106 - the name of a header
    assert own.verify([(b"x-shop-key", b"s3cret")], b"{}", "s3cret", now=NOW).source == "freshdesk"
    for headers in ([(b"x-tagdesk-secret", b"s3cret")], [(b"x-shop-key", b"s3cre")], [(b"x-shop-key", b"s3cret ,x")]):
        with pytest.raises(Forged):
            own.verify(headers, b"{}", "s3cret", now=NOW)
