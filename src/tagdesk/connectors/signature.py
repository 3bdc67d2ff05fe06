"""Proves that a webhook comes from who knows the secret, in constant time."""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import datetime, timedelta

from tagdesk.connectors.base import Delivery, Forged, Headers
from tagdesk.errors import UsageError

_PRINTABLE = re.compile(rb"[!-~](?:[ -~]*[!-~])?")
_LONGEST_VALUE = 1_000  # bytes; no signature, time or delivery id is as long


def optional_header(headers: Headers, name: str) -> str | None:
    """The one value of a header, None where it is missing or empty.

    Raises Forged where it comes twice, which proxies and servers read differently, or is not printable ASCII.
    """
    wanted = name.lower().encode()
    values = [value.strip(b" \t") for key, value in headers if key.lower() == wanted]
    if len(values) > 1:
        raise Forged(f"The header {name} comes {len(values)} times; expected once.", code="repeated_header")
    if not values or not values[0]:
        return None
    if len(values[0]) > _LONGEST_VALUE or not _PRINTABLE.fullmatch(values[0]):
        raise Forged(f"The header {name} is not what the help desk sends: a short line of ASCII.", code="bad_header")
    return values[0].decode("ascii")


def header(headers: Headers, name: str) -> str:
    """The one value of a header; raises Forged where it is missing, comes twice or is not printable ASCII."""
    value = optional_header(headers, name)
    if value is None:
        raise Forged(f"The header {name} is missing. Set the webhook's secret in the help desk.", code="missing_header")
    return value


def mac(secret: str, message: bytes, algorithm: str) -> bytes:
    """The keyed digest of a message by HMAC; `algorithm` is sha256 or sha1."""
    return hmac.digest(key(secret), message, algorithm)


def key(secret: str) -> bytes:
    """The bytes of a secret; raises UsageError where it is empty or no text."""
    try:
        encoded = secret.encode()
    except UnicodeEncodeError:
        encoded = b""
    if not encoded:
        raise UsageError(
            "The webhook's secret is empty or no text. Copy it from the help desk, or choose one.", code="no_secret"
        )
    return encoded


def require_same(given: str, expected: bytes, header_name: str) -> None:
    """Raises Forged unless a header says what is expected; takes as long wherever the two part."""
    if not hmac.compare_digest(given.encode(), expected):
        raise Forged(
            f"{header_name} does not fit this body and secret. Compare the secret with the help desk's; "
            "nothing on the way may change the body.",
            code="bad_signature",
        )


def require_fresh(signed: datetime, now: datetime, window: timedelta) -> None:
    """Raises Forged where a signed time lies further from now than the window."""
    if abs(now - signed) > window:
        raise Forged(
            f"The delivery was signed more than {window.total_seconds():g} seconds before or after now. "
            "Set the clock of this machine; an old delivery is not taken again.",
            code="stale",
        )


def delivery(source: str, given_id: str | None, signed: bytes, body: bytes) -> Delivery:
    """The proven delivery; without a given id its digest names it."""
    digest = hashlib.sha256(source.encode() + b"\n" + signed).hexdigest()
    return Delivery(source, given_id or digest, digest, body)
