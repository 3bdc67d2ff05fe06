from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from tagdesk.errors import UsageError
from tagdesk.store import Receipt, Selection, Store, StoreBusy, StoreUnavailable
from test_store_fixtures import case, review

pytest_plugins = ["test_store_fixtures"]

SHOP = Selection("shop")


@pytest.fixture
def url(server):
    return server.create()


@pytest.fixture
def store(url):
    with Store.open(url, patience=0.2) as store:
        store.cases.add([case()])
        yield store


def test_tables_are_made_once_however_many_open_the_store_at_once(url):
    def use(n):
        with Store.open(url, patience=60) as store:
            store.cases.add([case(f"c{n}")])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(use, range(8)))
    with Store.open(url) as store:
        assert len(store.cases.page(SHOP)) == 8


def test_row_that_somebody_holds_for_longer_than_the_patience_is_busy(store, url):
    with Store.open(url) as other, other._database.write() as connection:
        connection.exec_driver_sql("SELECT id FROM cases FOR UPDATE")
        with pytest.raises(StoreBusy):
            store.reviews.add([review("c1", "A", key="k1")], tenant="shop")
    assert store.reviews.add([review("c1", "A", key="k1")], tenant="shop") == [Receipt.ADDED]


def test_server_that_stops_at_once_loses_no_acknowledged_review_and_is_found_again(store, server):
    for n in range(3):
        store.reviews.add([review("c1", "A", reviewer=f"r{n}", key=f"k{n}")], tenant="shop")
        server.stop()
        try:
            with pytest.raises(StoreUnavailable) as error:
                store.reviews.add([review("c1", "B", key="lost")], tenant="shop")
            assert (error.value.reason, error.value.retry_after) == ("lost", 5.0)
        finally:
            server.start()
        assert len(store.reviews.page(tenant="shop")) == n + 1
    assert store.reviews.add([review("c1", "A", reviewer="r0", key="k0")], tenant="shop") == [Receipt.REPEATED]
    assert store.check() == []


def test_connection_that_is_cut_in_a_transaction_keeps_nothing(store, server, url):
    def delete():
        with store._database.write() as connection:
            connection.exec_driver_sql("DELETE FROM cases")
            process = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            server.execute(f"SELECT pg_terminate_backend({process}, 10000)", url)

    with pytest.raises(StoreUnavailable):
        delete()
    assert store.cases.page(SHOP) == [case()]


@pytest.mark.usefixtures("store")
def test_server_that_takes_no_writes_says_so_and_still_answers(server, url):
    name = url.partition("@/")[2].partition("?")[0]
    server.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    with Store.open(url) as other:
        with pytest.raises(StoreUnavailable) as error:
            other.cases.add([case("d1")])
        assert error.value.reason == "read_only"
        assert other.cases.page(SHOP) == [case()]


@pytest.mark.parametrize(
    ("state", "reason"),
    [("53100", "disk_full"), ("57P01", "lost"), ("08006", "lost"), ("58030", "lost"), ("XX001", "damaged"),
     ("40P01", "busy"), ("53300", "busy"), ("57014", "busy")],
)  # fmt: skip
def test_fault_of_the_server_has_a_name(store, state, reason):
    assert store._database._fault(SimpleNamespace(sqlstate=state)).reason == reason


@pytest.mark.parametrize("state", ["42P01", "22003", "23505", "25P02"])
def test_mistake_of_ours_is_no_fault_of_the_server(store, state):
    assert store._database._fault(SimpleNamespace(sqlstate=state)) is None


def test_database_that_is_not_there_is_unavailable(server):
    with pytest.raises(StoreUnavailable):
        Store.open(server.url("nowhere"))


def test_database_of_another_encoding_is_refused_with_the_remedy(server):
    url = server.create("ENCODING 'LATIN1' TEMPLATE template0")
    with pytest.raises(UsageError, match="createdb --encoding=UTF8"):
        Store.open(url)


def test_backup_is_left_to_the_servers_own_tool(store, tmp_path):
    with pytest.raises(UsageError, match="pg_dump"):
        store.backup(tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []


def test_commit_waits_for_the_disk_whatever_the_server_is_set_to(store, server, url):
    name = url.partition("@/")[2].partition("?")[0]
    server.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    with Store.open(url) as other, other._database.read() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar_one() == "on"
    store.ping()
