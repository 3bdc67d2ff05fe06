"""Who may ask the service for what; of a key's secret the store knows the hash alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, update

from tagdesk.store.database import Database
from tagdesk.store.errors import Conflict, NotFound
from tagdesk.store.limits import check_id, check_ids
from tagdesk.store.tables import keys


@dataclass(frozen=True, slots=True)
class Key:
    """A key, whose cases its bearer sees (`tenant`), and what it allows (`scopes`)."""

    name: str
    tenant: str
    scopes: frozenset[str]
    hash: str
    created_by: str
    created: datetime
    revoked_by: str | None = None
    revoked: datetime | None = None

    @property
    def is_live(self) -> bool:
        """Whether nobody has revoked it."""
        return self.revoked is None


class Keys:
    """The keys of a store, revoked ones too: a name never comes to stand for another key."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, key: Key) -> None:
        """Keep a new key; raises Conflict where the name or the hash is taken."""
        check_id("key's name", key.name)
        check_id("tenant", key.tenant)
        check_id("hash", key.hash)
        check_id("name of who creates", key.created_by)
        check_ids("scope", key.scopes)
        row = {
            "name": key.name,
            "tenant": key.tenant,
            "scopes": sorted(key.scopes),
            "hash": key.hash,
            "created_by": key.created_by,
            "created": key.created,
        }
        with self._database.write() as connection:
            insert = self._database.insert_new(keys).values(row).returning(keys.c.name)
            if connection.execute(insert).first() is None:
                raise Conflict("A key of that name is there already, or was. Choose another name.")

    def find(self, hash_: str) -> Key | None:
        """The key with this hash, live or revoked; None where there is none."""
        check_id("hash", hash_)
        with self._database.read() as connection:
            row = connection.execute(select(keys).where(keys.c.hash == hash_)).one_or_none()
        return None if row is None else _from_row(row)

    def all(self) -> list[Key]:
        """All keys, by their names."""
        with self._database.read() as connection:
            return [_from_row(row) for row in connection.execute(select(keys).order_by(keys.c.name))]

    def revoke(self, name: str, *, who: str, now: datetime) -> Key:
        """Let a key allow nothing any more; once revoked it stays as it was. Raises NotFound for an unknown name."""
        check_id("key's name", name)
        check_id("name of who revokes", who)
        with self._database.write() as connection:
            live = update(keys).where(keys.c.name == name, keys.c.revoked.is_(None))
            connection.execute(live.values(revoked=now, revoked_by=who))
            row = connection.execute(select(keys).where(keys.c.name == name)).one_or_none()
        if row is None:
            raise NotFound("There is no key of that name. Look at the list of keys.")
        return _from_row(row)


def _from_row(row: Row[Any]) -> Key:
    return Key(
        row.name,
        row.tenant,
        frozenset(row.scopes),
        row.hash,
        row.created_by,
        row.created,
        row.revoked_by,
        row.revoked,
    )
