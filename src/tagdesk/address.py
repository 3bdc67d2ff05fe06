"""Which addresses a key may be sent to."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from tagdesk.errors import UsageError


def check_address(address: str, name: str, *, example: str, key: str) -> None:
    """Raise UsageError for what is no web address, holds a password, or would send a key in the open.

    Args:
        address: of another system.
        name: what messages call it.
        example: an address as it should be.
        key: where the key belongs, as the end of the sentence "Give ...".

    >>> check_address("http://example.com", "Help desk", example="https://acme.example", key="the token apart")
    Traceback (most recent call last):
    ...
    tagdesk.errors.UsageError: Help desk 'http://example.com': plain HTTP is for this machine only. Use https://.
    """
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname or "", parts.port
        host.encode("idna")  # as looking up its address does; refuses empty labels and those beyond 63 letters
    except ValueError:
        host, parts = "", urlsplit("")
    if not host or not is_word(address) or parts.scheme not in {"http", "https"} or parts.query or parts.fragment:
        shown = "" if "@" in address else f" {address[:80]!r}"  # a password stands before that sign
        raise UsageError(f"{name}{shown}: expected an address such as {example}.", code="bad_url")
    if parts.username is not None or parts.password is not None:
        raise UsageError(f"{name}: the address holds a user or password. Give {key}.", code="bad_url")
    if parts.scheme == "http" and not is_here(host):
        raise UsageError(f"{name} {address[:80]!r}: plain HTTP is for this machine only. Use https://.", code="bad_url")


def is_here(host: str) -> bool:
    """Whether a host name means this machine.

    >>> is_here("localhost"), is_here("127.0.0.2"), is_here("localhost.example.com")
    (True, True, False)
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_word(value: str) -> bool:
    """Whether a text is of printable ASCII without a space, as keys and addresses are.

    >>> is_word("s3cret"), is_word(""), is_word("two words")
    (True, False, False)
    """
    return bool(value) and all("!" <= sign <= "~" for sign in value)
