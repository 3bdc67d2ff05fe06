"""What holds for every connector: proofs, replays, hostile bytes, and what comes of one's own doing."""

from __future__ import annotations

import base64
import hmac
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import cycle
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagdesk.connectors import (
    NAMES,
    BadPayload,
    Connector,
    Delivery,
    Forged,
    Headers,
    Incoming,
    Own,
    Tags,
    connector,
    corrected,
)
from tagdesk.errors import InputError, UsageError

NOW = datetime(2026, 5, 1, 10, tzinfo=UTC)
SECRET = "s3cret"  # noqa: S105 - a test's
BODY = '{"a":"ü"}'.encode()
LABELS = ["Billing Issue", "Refund Request"]
OWN = Own(Tags.of(LABELS), users=frozenset({"4711"}))

hostile = partial(settings, deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machines are busy

BYTES = st.one_of(
    st.binary(max_size=80), st.sampled_from([b"", b"{}", b"[]", b"\xff\xfe", b"{" * 5000, b"[" * 100_000])
)


@dataclass(frozen=True)
class Signing:
    """How one help desk signs; `literal` is what openssl says for BODY at NOW."""

    signature: str
    sign: Callable[[str, bytes, datetime], str]
    literal: str
    time: str | None = None
    stamp: Callable[[datetime], str] = lambda _: ""
    delivery: str | None = None

    def headers(self, body: bytes = BODY, secret: str = SECRET, now: datetime = NOW) -> list[tuple[bytes, bytes]]:
        found = [
            (b"content-type", b"application/json"),
            (self.signature.encode(), self.sign(secret, body, now).encode()),
        ]
        if self.time:
            found.append((self.time.encode(), self.stamp(now).encode()))
        if self.delivery:
            found.append((self.delivery.encode(), b"delivery-7"))
        return found


def iso(now: datetime) -> str:
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(now: datetime) -> str:
    return str(int(now.timestamp()))


def digest(secret: str, message: bytes, algorithm: str = "sha256") -> bytes:
    return hmac.new(secret.encode(), message, algorithm).digest()


SIGNINGS = {
    "zendesk": Signing(
        "X-Zendesk-Webhook-Signature",
        lambda secret, body, now: base64.b64encode(digest(secret, iso(now).encode() + body)).decode(),
        "5ebXp9R+5EZYfeQjdF9d4oQSYrRmOqMEZjc2m79MlZU=",
        "X-Zendesk-Webhook-Signature-Timestamp",
        iso,
        "X-Zendesk-Webhook-Invocation-Id",
    ),
    "zammad": Signing(
        "X-Hub-Signature",
        lambda secret, body, _: f"sha1={digest(secret, body, 'sha1').hex()}",
        "sha1=c32a8240ebefb8608c0c5fb39f8618c3234cc774",
        delivery="X-Zammad-Delivery",
    ),
    "chatwoot": Signing(
        "X-Chatwoot-Signature",
        lambda secret, body, now: f"sha256={digest(secret, seconds(now).encode() + b'.' + body).hex()}",
        "sha256=10ba96b3132cbdb923b0d096a54b4713214b5ae7e552b59c5477ddf0a3089df5",
        "X-Chatwoot-Timestamp",
        seconds,
        "X-Chatwoot-Delivery",
    ),
    "freshdesk": Signing("X-Tagdesk-Secret", lambda secret, _body, _now: secret, SECRET),
}
TIMED = [name for name, signing in SIGNINGS.items() if signing.time]


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def verify(name: str, headers: Headers, body: bytes = BODY, secret: str = SECRET, **more: Any) -> Delivery:
    return connector(name).verify(headers, body, secret, **({"now": NOW} | more))


def refusal(name: str, headers: Headers, body: bytes = BODY, secret: str = SECRET, **more: Any) -> str:
    with pytest.raises(Forged) as caught:
        verify(name, headers, body, secret, **more)
    assert SECRET not in str(caught.value)
    return caught.value.code


def test_each_connector_is_named_as_one_asks_for_it(name: str) -> None:
    found: Connector = connector(name)
    assert found.name == name


def test_an_unknown_help_desk_names_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="zendesk, zammad, chatwoot, freshdesk"):
        connector("../os")


def test_what_the_help_desk_signed_is_delivered(name: str) -> None:
    signing = SIGNINGS[name]
    assert dict(signing.headers())[signing.signature.encode()] == signing.literal.encode()
    found = verify(name, signing.headers())
    assert (found.source, found.body) == (name, BODY)
    assert found.id == ("delivery-7" if signing.delivery else found.digest)
    assert "ü" not in repr(found)


def test_names_of_headers_have_no_case_and_values_no_outer_blanks(name: str) -> None:
    headers = [(key.upper(), b" " + value + b"\t") for key, value in SIGNINGS[name].headers()]
    assert verify(name, headers) == verify(name, SIGNINGS[name].headers())


@pytest.mark.parametrize("name", [name for name in NAMES if name != "freshdesk"])  # which signs no body
def test_a_changed_byte_is_forged(name: str) -> None:
    headers = SIGNINGS[name].headers()
    for changed in (BODY + b" ", BODY[:-1], b"", BODY.replace(b"a", b"b")):
        assert refusal(name, headers, changed) == "bad_signature"


def test_a_changed_signature_is_forged(name: str) -> None:
    signing = SIGNINGS[name]
    right = signing.headers()[1][1]
    wrong = [right[:-2], right + b"=", right.swapcase(), right.partition(b"=")[2] or b"=", b"sha1=", b"x" * 999]
    for value in wrong:
        headers = [(key, value if key == signing.signature.encode() else old) for key, old in signing.headers()]
        assert refusal(name, headers) == "bad_signature"


def test_another_secret_is_forged(name: str) -> None:
    assert refusal(name, SIGNINGS[name].headers(secret=SECRET[::-1])) == "bad_signature"


def test_a_missing_or_empty_header_is_forged(name: str) -> None:
    signing = SIGNINGS[name]
    for missing in filter(None, (signing.signature, signing.time)):
        left = [(key, value) for key, value in signing.headers() if key != missing.encode()]
        assert refusal(name, left) == "missing_header"
        assert refusal(name, [*left, (missing.encode(), b"  ")]) == "missing_header"


def test_a_header_that_comes_twice_is_forged_even_if_both_say_the_same(name: str) -> None:
    for key, value in SIGNINGS[name].headers()[1:]:
        twice = [*SIGNINGS[name].headers(), (key.lower(), value)]
        assert refusal(name, twice) == "repeated_header"


@pytest.mark.parametrize("value", [b"\xff\xfe", "ü".encode(), b"a\r\nb", b"a\0b", b"x" * 1_001, b"\x80"])
def test_a_header_that_is_no_line_of_ascii_is_forged(name: str, value: bytes) -> None:
    for at in range(1, len(SIGNINGS[name].headers())):
        headers = SIGNINGS[name].headers()
        headers[at] = headers[at][0], value
        assert refusal(name, headers) in {"bad_header", "bad_signature"}


@pytest.mark.parametrize("name", TIMED)
def test_an_old_delivery_and_one_from_the_future_are_stale(name: str) -> None:
    headers = SIGNINGS[name].headers()
    for within in (timedelta(seconds=300), timedelta(seconds=-300)):
        assert verify(name, headers, now=NOW + within).source == name
        assert refusal(name, headers, now=NOW + within * 1.01) == "stale"
    assert refusal(name, headers, now=NOW + timedelta(seconds=11), window=timedelta(seconds=10)) == "stale"


@pytest.mark.parametrize("name", TIMED)
def test_a_time_that_was_changed_is_forged(name: str) -> None:
    signing = SIGNINGS[name]
    later = NOW + timedelta(days=1)
    headers = [*signing.headers()[:2], (str(signing.time).encode(), signing.stamp(later).encode())]
    assert refusal(name, headers, now=later) == "bad_signature"


@pytest.mark.parametrize("name", TIMED)
@pytest.mark.parametrize(
    "stamp", ["now", "1e9", "-1", "99999999999999999999", "0001-01-01T00:00:00+14:00", "1_0", "NaN"]
)
def test_a_signed_time_that_is_none_is_forged(name: str, stamp: str) -> None:
    if name == "zendesk":
        sign = base64.b64encode(digest(SECRET, stamp.encode() + BODY))
    else:
        sign = b"sha256=" + digest(SECRET, stamp.encode() + b"." + BODY).hex().encode()
    signing = SIGNINGS[name]
    headers = [(signing.signature.encode(), sign), (str(signing.time).encode(), stamp.encode())]
    assert refusal(name, headers) in {"bad_header", "stale"}


@pytest.mark.parametrize("secret", ["", "\ud800"])
def test_a_secret_that_is_none_is_the_owners_mistake(name: str, secret: str) -> None:
    with pytest.raises(UsageError) as caught:
        verify(name, SIGNINGS[name].headers(), secret=secret)
    assert caught.value.code == "no_secret"


def test_without_a_delivery_id_a_digest_names_what_was_signed(name: str) -> None:
    def plain(body: bytes, now: datetime = NOW) -> Delivery:
        headers = SIGNINGS[name].headers(body, now=now)
        return verify(name, [header for header in headers if header[1] != b"delivery-7"], body, now=now)

    first = plain(BODY)
    assert first.id == first.digest == plain(BODY).id
    assert plain(b"{}").id != first.id
    assert (plain(BODY, NOW + timedelta(seconds=1)).id == first.id) is (name not in TIMED)


def test_sources_share_no_digest() -> None:
    assert len({verify(name, SIGNINGS[name].headers()).digest for name in NAMES}) == len(NAMES)


@hostile(max_examples=150)
@given(
    name=st.sampled_from(NAMES),
    body=BYTES,
    loose=st.lists(st.tuples(st.binary(max_size=30), st.binary(max_size=60)), max_size=3),
    values=st.lists(st.one_of(st.binary(max_size=60), st.text(max_size=40).map(str.encode)), min_size=3, max_size=3),
)
def test_no_bytes_raise_anything_but_forged(
    name: str, body: bytes, loose: list[tuple[bytes, bytes]], values: list[bytes]
) -> None:
    signing = SIGNINGS[name]
    names = [signing.signature, signing.time or "X-Other", signing.delivery or "X-More"]
    headers = loose + [(key.encode(), value) for key, value in zip(names, values, strict=True)]
    with pytest.raises(Forged):
        verify(name, headers, body)


JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**30), 10**30),
        st.floats(),
        st.text(max_size=10),
        st.sampled_from(
            ["7", "<p>hi</p>", "2026-05-01T10:00:00Z", "Customer", "incoming", "\ud800", "tagdesk_x", 7, 10**400]
        ),
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "type", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)
SHAPES: dict[str, list[dict[str, Any]]] = {
    "zendesk": [
        {
            "type": "zen:event-type:ticket.created",
            "time": 0,
            "id": 0,
            "detail": {"id": 0, "description": 0, "subject": 0},
        },
        {
            "type": "zen:event-type:ticket.comment_added",
            "detail": {"id": "7", "requester_id": 0},
            "event": {"comment": {"author": {"id": 0, "is_staff": False}, "body": 0, "is_public": True}},
        },
        {"type": "zen:event-type:ticket.tags_changed", "time": 0, "detail": {"id": "7", "tags": 0, "actor_id": 0}},
        {
            "type": "zen:event-type:messaging_ticket.message_added",
            "detail": {"id": "7"},
            "event": {"actor": {"type": "end_user", "id": 0}, "message": {"body": 0}},
        },
    ],
    "zammad": [
        {
            "ticket": {"id": 7, "title": 0, "article_count": 1, "customer_id": 0},
            "article": {
                "sender": "Customer",
                "internal": False,
                "body": 0,
                "content_type": "text/html",
                "created_at": 0,
            },
        },
        {"ticket": {"id": 7, "updated_by_id": 0, "updated_at": 0, "tags": 0}, "article": {}},
    ],
    "chatwoot": [
        {
            "event": "message_created",
            "message_type": "incoming",
            "content": 0,
            "conversation": {"id": 7},
            "sender": {"id": 0},
        },
        {
            "event": "conversation_updated",
            "id": 7,
            "labels": 0,
            "updated_at": 0,
            "changed_attributes": [{"label_list": {}}],
        },
    ],
    "freshdesk": [
        {
            "freshdesk_webhook": {
                "ticket_id": 7,
                "ticket_description": 0,
                "ticket_subject": 0,
                "ticket_requester_email": 0,
            }
        },
        {"ticket_id": 7, "ticket_latest_public_comment": 0},
        {"ticket_id": 7, "ticket_tags": 0, "ticket_updated_at": 0},
    ],
}


def mutated(shape: Any, values: Iterator[Any]) -> Any:
    """The shape with the values for its zeros, and now and then for what else it holds."""
    if isinstance(shape, dict):
        found = {key: mutated(value, values) for key, value in shape.items()}
        unlucky = next(values)
        if isinstance(unlucky, int) and found:
            found[sorted(found)[unlucky % len(found)]] = next(values)
        return found
    return next(values) if shape == 0 and shape is not False else shape


@hostile(max_examples=150)
@given(
    name=st.sampled_from(NAMES), at=st.integers(0, 3), values=st.lists(JSON, min_size=1, max_size=8), raw=st.binary()
)
def test_no_payload_raises_anything_but_an_input_error(name: str, at: int, values: list[Any], raw: bytes) -> None:
    shapes = SHAPES[name]
    document = mutated(shapes[at % len(shapes)], cycle(values))
    for body in (json.dumps(document).encode(), raw):
        try:
            event = connector(name).read(Delivery(name, "7", "d", body), OWN)
        except InputError:
            continue
        assert event.source == name
        assert event.kind in {"message", "correction", "ignored"}
        assert bool(event.reason) is (event.kind == "ignored")
        assert event.kind == "ignored" or event.ticket.isdecimal()
        assert event.kind != "message" or any(map(str.isalnum, event.text))


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"7", b"null", b"{", b"\xff", b'{"a":' * 200_000, b"[" * 100_000, b'{"a":' + b"9" * 5000 + b"}"],
)
def test_what_is_no_json_object_is_refused_at_once(name: str, body: bytes) -> None:
    began = time.process_time()
    with pytest.raises(BadPayload) as caught:
        connector(name).read(Delivery(name, "7", "d", body), OWN)
    assert caught.value.code == "not_json"
    assert time.process_time() - began < 0.5


CORRECTION = Incoming("zammad", "e", "d", "correction", "7")


def test_only_a_change_of_what_is_known_is_a_correction() -> None:
    known: dict[str, frozenset[str]] = {}
    own = Own(OWN.tags, known=known.get)
    assert corrected(CORRECTION, ["vip"], own).reason == "unchanged"
    found = corrected(CORRECTION, ["vip", "TAGDESK_refund_request"], own)
    assert (found.kind, found.labels) == ("correction", {"Refund Request"})
    known["7"] = frozenset({"Refund Request"})  # written by tagdesk, or read from a correction before
    assert corrected(CORRECTION, ["tagdesk_refund_request", "vip"], own).reason == "unchanged"
    assert corrected(CORRECTION, ["vip"], own).labels == frozenset()
    known["7"] = frozenset()
    assert corrected(CORRECTION, ["tagdesk_refund_request"], own).kind == "correction"  # set again by an agent


def test_the_gate_needs_no_http_library_and_no_html_parser() -> None:
    import subprocess  # noqa: PLC0415 - one test needs it

    script = (
        "import sys, tagdesk.connectors as c; [c.connector(n) for n in c.NAMES];"
        "print(sorted({'httpx2', 'tenacity', 'lxml', 'fastapi'} & {m.partition('.')[0] for m in sys.modules}))"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    assert told.stdout.strip() == "[]"
