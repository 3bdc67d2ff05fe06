from dataclasses import replace

import pytest

from tagdesk.errors import UsageError
from tagdesk.store import Conflict, Key, NotFound
from test_store_fixtures import DAY, NOW

pytest_plugins = ["test_store_fixtures"]

KEY = Key("desk", "shop", frozenset({"predict", "review"}), "ab" * 32, "ada", NOW)


def test_key_is_found_by_its_hash(store):
    store.keys.add(KEY)
    assert store.keys.find(KEY.hash) == KEY
    assert store.keys.find("cd" * 32) is None
    assert KEY.is_live


@pytest.mark.parametrize("taken", [replace(KEY, hash="cd" * 32), replace(KEY, name="other")])
def test_name_and_hash_stand_for_one_key(store, taken):
    store.keys.add(KEY)
    with pytest.raises(Conflict, match="another name"):
        store.keys.add(taken)
    assert store.keys.all() == [KEY]


def test_revoked_key_stays_on_record_and_is_not_live(store):
    store.keys.add(KEY)
    revoked = store.keys.revoke("desk", who="bob", now=NOW + DAY)
    assert (revoked.is_live, revoked.revoked_by, revoked.revoked) == (False, "bob", NOW + DAY)
    assert store.keys.find(KEY.hash) == revoked
    assert store.keys.all() == [revoked]


def test_revoking_twice_keeps_the_first(store):
    store.keys.add(KEY)
    first = store.keys.revoke("desk", who="bob", now=NOW)
    assert store.keys.revoke("desk", who="eve", now=NOW + DAY) == first


def test_unknown_key_cannot_be_revoked(store):
    with pytest.raises(NotFound):
        store.keys.revoke("desk", who="bob", now=NOW)


def test_name_of_a_revoked_key_stays_taken(store):
    store.keys.add(KEY)
    store.keys.revoke("desk", who="bob", now=NOW)
    with pytest.raises(Conflict):
        store.keys.add(replace(KEY, hash="cd" * 32))


@pytest.mark.parametrize("change", [{"name": ""}, {"tenant": "\0"}, {"scopes": frozenset({""})}, {"hash": "x" * 201}])
def test_name_that_no_database_holds_is_refused(store, change):
    with pytest.raises(UsageError):
        store.keys.add(replace(KEY, **change))
