from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import BigInteger, Text

import tagdesk.store
from tagdesk.errors import ArtefactError, UsageError
from tagdesk.store import Selection, Store
from tagdesk.store.migrate import HEAD, VERSIONS, upgrade, version_of
from tagdesk.store.tables import VERSION_TABLE, Json, Time, metadata
from test_store_fixtures import case

pytest_plugins = ["test_store_fixtures"]


@pytest.fixture(params=["sqlite", "postgres"])
def new(request, tmp_path):
    """Where nothing is yet."""
    return str(tmp_path / "new.db") if request.param == "sqlite" else request.getfixturevalue("server").create()


def same_type(_context, _inspected, _declared, inspected_type, declared_type):
    plain = {Json: Text, Time: BigInteger}.get(type(declared_type))
    return None if plain is None else not isinstance(inspected_type, plain)


def test_migrations_make_the_tables_that_the_store_expects(new):
    with Store.open(new) as store, store._database.read() as connection:
        options = {"version_table": VERSION_TABLE, "compare_type": same_type}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []


def test_newest_migration_is_the_one_that_stores_are_held_against():
    config = Config()
    config.set_main_option("script_location", str(Path(tagdesk.store.__file__).with_name("migrations")))
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_current_head() == HEAD
    assert tuple(sorted(script.revision for script in scripts.walk_revisions())) == VERSIONS


def test_store_of_a_newer_tagdesk_is_refused_and_left_as_it_is(new):
    with Store.open(new) as store:
        store.cases.add([case()])
        with store._database.write() as connection:
            connection.exec_driver_sql("UPDATE tagdesk_version SET version_num = '9999'")
        with pytest.raises(ArtefactError, match="version '9999', which this tagdesk does not know") as error:
            Store.open(new)
        assert error.value.code == "newer_store"
        assert store.cases.page(Selection("shop")) == [case()]


def test_many_who_open_a_new_store_at_once_find_it_whole(new):
    def use(n):
        with Store.open(new, patience=120) as store:
            store.cases.add([case(f"c{n}")])

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(use, range(6)))
    with Store.open(new) as store:
        assert len(store.cases.page(Selection("shop"))) == 6


def test_store_of_an_older_tagdesk_is_brought_up_and_keeps_what_it_holds(new):
    database = tagdesk.store._database(new, 5.0)
    with database._migrating() as connection:
        upgrade(connection, to="0001")
    database.close()
    assert Store.inspect(new).state == "older"
    with Store.open(new, make=False) as store:
        store.cases.add([case()])
        assert store.models.all() == []
    assert Store.inspect(new).state == "current"


def test_what_is_no_store_is_not_opened_as_one(new, tmp_path):
    for look in (lambda: Store.open(new, make=False), lambda: Store.inspect(new)):
        with pytest.raises(UsageError, match="there is no store") as error:
            look()
        assert error.value.code == "no_store"
    assert list(tmp_path.iterdir()) == []


def test_newer_store_is_inspected_and_said_to_be_newer(new):
    with Store.open(new) as store, store._database.write() as connection:
        connection.exec_driver_sql("UPDATE tagdesk_version SET version_num = '9999'")
    found = Store.inspect(new)
    assert (found.state, found.is_sound, found.version, found.expected) == ("newer", False, "9999", HEAD)


def test_migration_that_fails_leaves_nothing(new, monkeypatch):
    def fail(_name):
        raise RuntimeError("power cut")

    with monkeypatch.context() as patched:
        patched.setattr("tagdesk.store.failpoints.reach", fail)
        with pytest.raises(RuntimeError, match="power cut"):
            Store.open(new)
    database = tagdesk.store._database(new, 5.0)
    with database.read() as connection:
        assert version_of(connection) is None
    database.close()
    Store.open(new).close()
