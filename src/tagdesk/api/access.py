"""Who may do what: keys, what each route asks for, and how often a key may ask."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from starlette.requests import Request

from tagdesk.api.problems import Problem
from tagdesk.store import Key, Store, StoreUnavailable

PREFIX = "td_"  # so that scanners for leaked secrets know one when they see it
LONGEST = 200  # characters of a header that may hold a key
REMEMBERED = 10.0  # seconds that a key is trusted without asking the store; a revoked one lives as much longer
PATIENCE = 0.2  # seconds that the store may take to say again what is known of a key
SLOW = 1.0  # seconds until a store that was slower is asked again
MOST_REMEMBERED = 10_000


class Permission(StrEnum):
    """What a route asks for; every route names one."""

    PUBLIC = "public"  # no key: signs of life, the description of the interface
    PREDICT = "predict"
    REVIEW = "review"
    ADMIN = "admin"


SCOPES = (Permission.PREDICT, Permission.REVIEW, Permission.ADMIN)


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever asks: the key's name, whose cases it sees, and what it may do."""

    name: str
    tenant: str
    scopes: frozenset[str]

    def allows(self, permission: Permission) -> bool:
        """Whether the caller may use routes that ask for this; `admin` may everything."""
        return permission is Permission.PUBLIC or bool(self.scopes & {permission.value, Permission.ADMIN.value})


NOBODY = Caller("anonymous", "default", frozenset(SCOPES))  # who asks where no keys are: on this machine alone


def new_secret() -> str:
    """A secret that nobody can guess.

    >>> len(new_secret()), new_secret()[:3]
    (46, 'td_')
    """
    return PREFIX + secrets.token_urlsafe(32)


def hash_of(secret: str) -> str:
    """What the store keeps of a secret; it holds 256 bits of chance, so that one round of SHA-256 is enough."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


class Doorkeeper:
    """Knows callers by their keys. Where the store has no key at all, everybody is `NOBODY`: see `is_open`."""

    def __init__(self, store: Store, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, Key | None]] = OrderedDict()
        self._asking: dict[str, asyncio.Future[Key | None]] = {}
        self.is_open = not store.keys.all()

    async def caller(self, authorization: str | None) -> Caller:
        """Who sent this header (`Bearer td_...`); raises Problem (401), the same for every kind of wrong key."""
        if self.is_open:
            return NOBODY
        scheme, _, secret = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not secret.startswith(PREFIX) or len(secret) > LONGEST:
            raise _unknown()
        key = await self._key(hash_of(secret.strip()))
        if key is None or not key.is_live:
            raise _unknown()
        return Caller(key.name, key.tenant, key.scopes)

    async def _key(self, digest: str) -> Key | None:
        """The key with this hash; where it is known and the store is slow to say it again, as it was."""
        known = self._known.get(digest)
        if known is not None and self._clock() < known[0]:
            return known[1]
        asking = self._asking.get(digest)
        if asking is None:  # whoever else comes meanwhile waits for the same answer
            asking = self._asking[digest] = asyncio.ensure_future(asyncio.to_thread(self._store.keys.find, digest))
            asking.add_done_callback(lambda asked: self._told(digest, asked))
        try:
            return await asyncio.wait_for(asyncio.shield(asking), None if known is None else PATIENCE)
        except (TimeoutError, StoreUnavailable):
            if known is None:
                raise
            self._remember(digest, known[1], SLOW)
            return known[1]

    def _told(self, digest: str, asked: asyncio.Future[Key | None]) -> None:
        del self._asking[digest]
        if not asked.cancelled() and asked.exception() is None:
            self._remember(digest, asked.result(), REMEMBERED)

    def _remember(self, digest: str, key: Key | None, seconds: float) -> None:
        self._known[digest] = (self._clock() + seconds, key)
        self._known.move_to_end(digest)
        while len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)


class Meter:
    """Lets each caller ask so often: a bucket that fills at `rate` a second and holds `burst`."""

    def __init__(self, rate: float, burst: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, name: str, cost: float = 1.0) -> None:
        """Take from the caller's bucket; raises Problem (429) that says when there is enough again."""
        if self._rate <= 0:
            return
        now = self._clock()
        with self._lock:
            level, since = self._buckets.get(name, (self._burst, now))
            level = min(self._burst, level + (now - since) * self._rate)
            cost = min(cost, self._burst)
            if level < cost:
                self._buckets[name] = (level, now)
                wait = max(1, round((cost - level) / self._rate + 0.5))
                raise Problem(429, "rate_limit", "This key asks too often.", {"Retry-After": str(wait)})
            self._buckets[name] = (level - cost, now)


async def admitted(request: Request, permission: Permission) -> Caller:
    """Who sends a request; raises Problem where the key is wrong, may not do this, or asks too often."""
    keeper: Doorkeeper = request.app.state.doorkeeper
    found = await keeper.caller(request.headers.get("authorization"))
    if not found.allows(permission):
        raise Problem(403, "not_allowed", f"The key lacks the scope {permission.value!r}.")
    request.app.state.meter.take(found.name)
    return found


def _unknown() -> Problem:
    return Problem(
        401, "no_key", "Send a key that is valid: Authorization: Bearer td_...", {"WWW-Authenticate": "Bearer"}
    )
