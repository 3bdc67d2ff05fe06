from __future__ import annotations

import pytest

from tagdesk.connectors import Access
from tagdesk.connectors.access import ticket_number
from tagdesk.errors import UsageError

TOKEN = "tok-very-secret"  # noqa: S105 - a test's


@pytest.mark.parametrize(
    "url",
    [
        "http://acme.zendesk.com",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "ftp://x",
        "acme.zendesk.com",
        "",
        "https://",
        "https://me:pw@acme.zendesk.com",
        "https://acme.zendesk.com?x=1",
        "https://acme.zendesk.com#x",
        "https://acme.zendesk.com/a b",
        "https://acme\r\n.com",
        "https://a..b",
        "http://[::1",
        "https://x:y",
    ],
)
def test_an_address_that_could_leak_the_token_or_is_none_is_refused(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        Access(url, TOKEN)
    assert caught.value.code == "bad_url"


@pytest.mark.parametrize(("url", "is_here"), [("https://acme.zendesk.com", False), ("http://[::1]:80/x", True)])
def test_https_and_this_machine_are_addresses(url: str, is_here: bool) -> None:  # noqa: FBT001 - a table's column
    assert Access(url, TOKEN).is_here is is_here


@pytest.mark.parametrize("token", ["", "a b", "a\nb", "ü", "\0"])
def test_a_token_that_no_header_can_hold_is_refused_without_showing_it(token: str) -> None:
    with pytest.raises(UsageError) as caught:
        Access("https://acme.zendesk.com", token)
    assert caught.value.code == "bad_token"


def test_users_and_accounts_are_checked() -> None:
    for user in ("", "a:b", "a b", "a\nb"):
        with pytest.raises(UsageError, match="e-mail"):
            Access("https://acme.zendesk.com", TOKEN, user=user)
    for account in ("", "x", "1/2", "\u0663"):
        with pytest.raises(UsageError, match="account"):
            Access("https://acme.zendesk.com", TOKEN, account=account)


def test_the_token_never_shows() -> None:
    assert TOKEN not in repr(Access("https://acme.zendesk.com", TOKEN, user="ada@example.com"))


@pytest.mark.parametrize(
    "ticket", ["", "0", "07", "-1", "1.0", "1/2", "../1", "1%2f2", "1?x", "1\n", "\u0667", "1" * 20]
)
def test_a_ticket_that_could_lead_elsewhere_is_refused(ticket: str) -> None:
    with pytest.raises(UsageError) as caught:
        ticket_number(ticket)
    assert caught.value.code == "bad_ticket"
