from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tagdesk.connectors import Delivery, Incoming, Own, Tags, connector, corrected

OWN = Own(Tags.of(["Billing Issue"]), users=frozenset({"77"}))
TICKET = {
    "article_count": 1,
    "customer": {"email": "emily@example.com", "id": 8},
    "customer_id": 8,
    "id": 81,
    "number": "10081",
    "title": "Webhook-Test",
    "updated_at": "2026-05-01T14:34:35.333Z",
    "updated_by_id": 3,
}
ARTICLE = {
    "body": "I was charged twice.<div><br></div><blockquote>We got your order.</blockquote>",
    "content_type": "text/html",
    "created_at": "2026-05-01T14:34:35.318Z",
    "created_by_id": 8,
    "internal": False,
    "sender": "Customer",
    "type": "email",
}


def read(ticket: dict[str, Any] | None = None, article: dict[str, Any] | None = None, own: Own = OWN) -> Incoming:
    document = {"ticket": TICKET | (ticket or {}), "article": {} if article is None else ARTICLE | article}
    return connector("zammad").read(Delivery("zammad", "job", "digest", json.dumps(document).encode()), own)


def test_a_customers_article_is_a_message() -> None:
    assert read(article={}) == Incoming(
        "zammad",
        "job",
        "digest",
        "message",
        "81",
        unit="8",
        text="Webhook-Test\n\nI was charged twice.",
        when=datetime(2026, 5, 1, 14, 34, 35, 318_000, tzinfo=UTC),
        flags=("markup_removed", "quotes_removed"),
    )


def test_a_later_article_comes_without_the_title_and_plain_text_is_left_as_it_is() -> None:
    later = read({"article_count": 2}, {"body": "1 <2 and 3> 2, so what?", "content_type": "text/plain"})
    assert later.text == "1 <2 and 3> 2, so what?"


@pytest.mark.parametrize(
    ("article", "reason"),
    [
        ({"sender": "Agent"}, "agent"),
        ({"sender": "System"}, "agent"),
        ({"sender": "Agent", "internal": True}, "private"),
        ({"sender": "Agent", "internal": True, "created_by_id": 77}, "own"),
        ({"body": "<img src='x.png'>"}, None),
    ],
)
def test_articles_of_anybody_else_are_ignored(article: dict[str, Any], reason: str | None) -> None:
    found = read({"article_count": 2}, article)
    assert (found.kind, found.reason, found.ticket) == ("ignored", reason or "no_text", "81")


def test_a_change_without_an_article_is_a_correction_whose_labels_are_to_be_asked_for() -> None:
    found = read()
    assert (found.kind, found.ticket, found.labels, found.who) == ("correction", "81", None, "3")
    assert found.when == datetime(2026, 5, 1, 14, 34, 35, 333_000, tzinfo=UTC)
    assert corrected(found, ["tagdesk_billing_issue"], OWN).labels == {"Billing Issue"}
    assert corrected(found, ["other"], OWN).reason == "unchanged"


def test_tags_in_a_payload_of_ones_own_are_read() -> None:
    assert read({"tags": "vip, tagdesk_billing_issue"}).labels == {"Billing Issue"}
    assert read({"tags": ["vip"]}).reason == "unchanged"


def test_that_tagdesk_touched_a_ticket_last_says_nothing_against_an_agents_correction() -> None:
    found = read({"updated_by_id": 77, "tags": ["tagdesk_billing_issue"]})
    assert (found.kind, found.who) == ("correction", None)
    known = Own(OWN.tags, OWN.users, known={"81": frozenset({"Billing Issue"})}.get)
    assert read({"updated_by_id": 77, "tags": ["tagdesk_billing_issue"]}, own=known).reason == "unchanged"
