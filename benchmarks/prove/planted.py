"""Personal data that is made up, and the requests that carry it, sound and malformed."""

from __future__ import annotations

import json
import random
import re
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

COUNT = 50
KINDS = ("e-mail", "card", "IBAN", "phone", "IP address", "token")
_SAYS = {
    "e-mail": "please write to {}",
    "card": "my card number is {}",
    "IBAN": "pay it back to {}",
    "phone": "call me at {}",
    "IP address": "I came from {}",
    "token": "my api key is {}",
}


@dataclass(frozen=True)
class Datum:
    """A string that nobody may find again, and the kind of thing that it is."""

    kind: str
    value: str

    @property
    def sentence(self) -> str:
        """What a customer would write."""
        return f"I was charged twice, {_SAYS[self.kind].format(self.value)} and send the parcel"

    def is_in(self, content: bytes) -> bool:
        """Whether it can be found there: as it is, as in a path, in JSON, as a field's name, or without its gaps."""
        value = self.value
        plain = re.sub(r"[ +-]", "", value)
        forms = {value, quote(value, safe=""), json.dumps(value)[1:-1], re.sub(r"\W", "_", value).lower(), plain}
        return any(form.encode() in content for form in forms)


@dataclass(frozen=True)
class Sent:
    """A request."""

    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def planted(seed: int, count: int = COUNT) -> list[Datum]:
    """So many strings, each kind in its turn; the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311 - made up, not secret
    makers = {"e-mail": _mail, "card": _card, "IBAN": _iban, "phone": _phone, "IP address": _ip, "token": _token}
    kinds = [KINDS[place % len(KINDS)] for place in range(count)]
    return [Datum(kind, makers[kind](chance, place)) for place, kind in enumerate(kinds)]


def malformed(datum: Datum, case: str) -> Iterator[Sent]:
    """Requests with the string that no route accepts, each route several times."""
    value, path = datum.value, quote(datum.value, safe="")
    name = re.sub(r"\W", "_", value).lower()  # as the name of a field
    good = {"text": datum.sentence}
    review = {"case": case, "labels": [], "reviewer": "prove"}
    for route, body in (("predict", good), ("reviews", review), ("rollback", {"who": "prove", "why": "x"})):
        whole = json.dumps(body | {"more": value})
        yield _post(f"/v1/{route}", whole.encode())
        yield _post(f"/v1/{route}", json.dumps(body | {value: 1}).encode())
        yield _post(f"/v1/{route}", json.dumps(body | {name: 1}).encode())
        yield _post(f"/v1/{route}", json.dumps([value]).encode())
        yield _post(f"/v1/{route}", json.dumps(value).encode())
        yield _post(f"/v1/{route}", whole[: whole.index(value[0], whole.index("more")) + 6].encode())
        yield _post(f"/v1/{route}", f'{{"a": "{value}", "a": "{value}"}}'.encode())
        yield _post(f"/v1/{route}", value.encode() + b"\xff\xfe")
        yield _post(f"/v1/{route}", (f'{{"{value}": ' * 40 + "1" + "}" * 40).encode())
        yield Sent("POST", f"/v1/{route}", value.encode(), {"Content-Type": f"text/{name}"})
        yield Sent(
            "POST", f"/v1/{route}", value.encode(), {"Content-Type": "application/json", "Content-Encoding": value}
        )
    yield _post("/v1/predict", json.dumps({"text": {value: value}}).encode())
    yield _post("/v1/predict", json.dumps({"text": "hi", "ticket": value * 20}).encode())
    yield _post("/v1/predict", json.dumps({"text": "\ud800" + value}).encode())
    yield _post("/v1/predict/batch", json.dumps({"tickets": [good, {"text": [value]}]}).encode())
    yield _post("/v1/predict/batch", json.dumps({"tickets": [{"text": "\ud800" + value}]}).encode())
    yield _post("/v1/reviews", json.dumps(review | {"labels": [value]}).encode())
    yield _post("/v1/reviews", json.dumps(review | {"case": value}).encode())
    yield _post("/v1/reviews", json.dumps(review | {"note": [value]}).encode())
    yield _post("/v1/reviews", json.dumps(review | {"note": value * 200}).encode())
    yield Sent("POST", "/v1/reviews", json.dumps(review).encode(), _JSON | {"Idempotency-Key": value * 20})
    yield _post(f"/v1/models/{path}/promote", b'{"who": "prove", "why": "x"}')
    yield _post("/v1/models/starter/promote", json.dumps({"who": value, "why": 1}).encode())
    yield _post("/v1/models/starter/promote", json.dumps({"who": "x", "why": "x", "expected": value}).encode())
    yield _post("/v1/erase", json.dumps({"who": "x", "customer": value, "ticket": value}).encode())
    yield _post("/v1/erase", json.dumps({"who": [value]}).encode())
    for route in ("cases?limit={}", "cases?after={}", "cases?limit=x&customer={}", "cases/{}", "queue?limit={}", "{}"):
        yield Sent("GET", f"/v1/{route.format(path)}")
    yield Sent("GET", f"/{path}?{path}={path}")
    yield Sent("GET", "/v1/taxonomy", None, {"Authorization": f"Bearer {value}", "User-Agent": value, "Cookie": value})
    yield Sent("DELETE", f"/v1/cases/{path}")
    yield Sent("BREW", f"/v1/predict?{path}")


_JSON = {"Content-Type": "application/json"}


def _post(path: str, body: bytes) -> Sent:
    return Sent("POST", path, body, _JSON)


def _letters(chance: random.Random, length: int, of: str = string.ascii_lowercase + string.digits) -> str:
    return "".join(chance.choices(of, k=length))


def _mail(chance: random.Random, place: int) -> str:
    return f"{_letters(chance, 6)}.{place}@{_letters(chance, 8, string.ascii_lowercase)}.example"


def _card(chance: random.Random, place: int) -> str:
    digits = f"4{place:02}" + _letters(chance, 12, string.digits)
    doubled = [int(digit) * (2 - place % 2) for place, digit in enumerate(digits)]
    check = -sum(value - 9 * (value > 9) for value in doubled) % 10
    whole = f"{digits}{check}"
    gap = " " if place % 2 else ""
    return gap.join(whole[start : start + 4] for start in range(0, 16, 4))


def _iban(chance: random.Random, place: int) -> str:
    account = _letters(chance, 18, string.digits)
    check = 98 - int(f"{account}131400") % 97  # D is 13, E is 14
    whole = f"DE{check:02}{account}"
    return " ".join(re.findall(".{1,4}", whole)) if place % 2 else whole.lower()


def _phone(chance: random.Random, place: int) -> str:
    return (
        f"+49 170 {_letters(chance, 7, '23456789')}" if place % 2 else f"+1 415 555 {_letters(chance, 4, '23456789')}"
    )


def _ip(chance: random.Random, place: int) -> str:
    if place % 4 == 0:
        return ":".join(["2001", "db8", *(_letters(chance, 4, "123456789abcdef") for _ in range(6))])
    return f"203.0.{chance.randrange(10, 200)}.{chance.randrange(10, 200)}"


def _token(chance: random.Random, place: int) -> str:
    prefix = ("sk_live_", "ghp_", "xoxb-", "hf_")[place % 4]
    return f"{prefix}{_letters(chance, 7, string.ascii_lowercase)}{_letters(chance, 24)}7"
