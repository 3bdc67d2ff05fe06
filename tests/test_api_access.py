from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tagdesk.api.access import REMEMBERED, SLOW, Doorkeeper, hash_of, new_secret
from tagdesk.api.problems import Problem
from tagdesk.store import Key, Store, StoreUnavailable

NOW = datetime(2026, 5, 1, tzinfo=UTC)


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "tagdesk.db") as opened:
        yield opened


@pytest.fixture
def secret(store: Store) -> str:
    made = new_secret()
    store.keys.add(Key("shop", "default", frozenset({"predict"}), hash_of(made), "ada", NOW))
    return made


def answering(store: Store, monkeypatch: pytest.MonkeyPatch, find: Callable[[str], Key | None]) -> None:
    monkeypatch.setattr(type(store.keys), "find", lambda _, digest: find(digest))


def test_a_known_key_waits_for_no_store_that_is_slow(
    store: Store, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, asked, go, find = Clock(), [], threading.Event(), store.keys.find
    doorkeeper = Doorkeeper(store, clock=clock)

    def slowly(digest: str) -> Key | None:
        asked.append(digest)
        assert go.wait(30)
        return find(digest)

    async def ask() -> None:
        assert (await doorkeeper.caller(f"Bearer {secret}")).name == "shop"
        answering(store, monkeypatch, slowly)
        clock.now += REMEMBERED
        names = [one.name for one in await asyncio.gather(*[doorkeeper.caller(f"Bearer {secret}") for _ in range(3)])]
        for _ in range(3):
            clock.now += SLOW
            names.append((await doorkeeper.caller(f"Bearer {secret}")).name)
        assert names == ["shop"] * 6
        assert len(asked) == 1  # one question at a time, however slow the answer
        store.keys.revoke("shop", who="ada", now=NOW)
        go.set()
        await asyncio.wait_for(asyncio.gather(*doorkeeper._asking.values()), 30)
        with pytest.raises(Problem) as refused:  # as soon as the store has said so
            await doorkeeper.caller(f"Bearer {secret}")
        assert refused.value.status_code == 401

    asyncio.run(ask())


def test_a_key_that_nobody_knows_yet_needs_the_store(
    store: Store, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    doorkeeper, clock = Doorkeeper(store), Clock()
    known = Doorkeeper(store, clock=clock)

    def gone(_: str) -> Key | None:
        raise StoreUnavailable("It is gone.")

    async def ask() -> None:
        await known.caller(f"Bearer {secret}")
        answering(store, monkeypatch, gone)
        clock.now += REMEMBERED
        assert (await known.caller(f"Bearer {secret}")).name == "shop"
        with pytest.raises(StoreUnavailable):
            await doorkeeper.caller(f"Bearer {secret}")

    asyncio.run(ask())
