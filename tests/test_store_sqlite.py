import sqlite3
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from sqlalchemy import event, insert
from sqlalchemy.exc import IntegrityError

from tagdesk.errors import ArtefactError, UsageError
from tagdesk.store import Receipt, Selection, Store, StoreBusy, StoreUnavailable
from tagdesk.store.sqlite import Sqlite
from tagdesk.store.tables import cases
from test_store_fixtures import NOW, case, review

SHOP = Selection("shop")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tagdesk.db"


@pytest.fixture
def store(path):
    with Store.open(path, patience=0.1) as store:
        store.cases.add([case()])
        yield store


def setting(store, name):
    with store._database.read() as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()


def test_file_outlasts_power_cuts_and_overwrites_what_is_deleted(store):
    assert [setting(store, name) for name in ("synchronous", "foreign_keys", "secure_delete")] == [2, 1, 1]
    with Sqlite(store._database.path, 5.0).read() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one() == 5_000


@pytest.mark.parametrize(("safe", "journal"), [((99, 0, 0), "truncate"), ((3, 0, 0), "wal")])
def test_write_ahead_log_is_used_only_where_sqlite_is_safe_with_it(path, monkeypatch, safe, journal):
    monkeypatch.setattr("tagdesk.store.sqlite.SAFE_WAL", safe)
    with Store.open(path) as store:
        assert setting(store, "journal_mode") == journal
        store.cases.add([case()])
        assert store.check() == []


def test_file_that_was_written_ahead_is_read_by_an_unsafe_sqlite_without_the_log(path, monkeypatch):
    monkeypatch.setattr("tagdesk.store.sqlite.SAFE_WAL", (3, 0, 0))
    with Store.open(path) as store:
        store.cases.add([case()])
    monkeypatch.setattr("tagdesk.store.sqlite.SAFE_WAL", (99, 0, 0))
    with Store.open(path) as store:
        assert (setting(store, "journal_mode"), store.cases.page(SHOP)) == ("truncate", [case()])


def test_file_that_somebody_locks_for_longer_than_the_patience_is_busy(store, path):
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert store.cases.page(SHOP) == [case()]
        with pytest.raises(StoreBusy) as error:
            store.reviews.add([review("c1", "A", key="k1")], tenant="shop")
        assert (error.value.code, error.value.retry_after) == ("store_busy", 1.0)
        other.execute("ROLLBACK")
    assert store.reviews.add([review("c1", "A", key="k1")], tenant="shop") == [Receipt.ADDED]


def test_review_is_not_acknowledged_where_a_reader_keeps_it_from_being_committed(store, path):
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM reviews").fetchall()
        with pytest.raises(StoreBusy):
            store.reviews.add([review("c1", "A", key="k1")], tenant="shop")
    assert store.reviews.page(tenant="shop") == []
    assert store.reviews.add([review("c1", "A", key="k1")], tenant="shop") == [Receipt.ADDED]


def test_locked_file_cannot_be_opened_and_can_be_later(path):
    Store.open(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreBusy):
            Store.open(path, patience=0.1)
    Store.open(path).close()


def test_thread_that_writes_for_longer_than_the_patience_makes_others_busy(store):
    writes, done = threading.Event(), threading.Event()

    def write():
        with store._database.write():
            writes.set()
            done.wait()

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        writes.wait()
        with pytest.raises(StoreBusy):
            store.reviews.add([review("c1", "A")], tenant="shop")
        done.set()
        writing.result()


def test_two_stores_of_one_file_in_a_process_share_its_writer(store, path):
    link = path.with_name("link.db")
    link.symlink_to(path)
    with Store.open(link) as other:
        assert other._database._writer is store._database._writer


def test_full_disk_keeps_nothing_and_acknowledges_nothing(store):
    limit = []
    event.listen(
        store._database.engine, "begin", lambda c: [c.exec_driver_sql(f"PRAGMA max_page_count = {n}") for n in limit]
    )
    limit.append(setting(store, "page_count"))
    with pytest.raises(StoreUnavailable, match="no room") as error:
        store.cases.add([case(f"d{n}", text="x" * 10_000) for n in range(10)])
    assert (error.value.code, error.value.reason) == ("store_unavailable", "disk_full")
    assert store.cases.page(SHOP) == [case()]
    limit[:] = [2**30]
    store.cases.add([case("d1")])


def test_store_that_takes_no_writes_says_so_and_still_answers(store):
    event.listen(store._database.engine, "begin", lambda c: c.exec_driver_sql("PRAGMA query_only = ON"))
    with pytest.raises(StoreUnavailable) as error:
        store.cases.add([case("d1")])
    assert error.value.reason == "read_only"
    assert store.cases.page(SHOP) == [case()]


def test_file_that_is_gone_is_unavailable(store, path):
    store.close()
    path.rename(path.with_name("elsewhere"))
    path.mkdir()
    with pytest.raises(StoreUnavailable) as error:
        store.ping()
    assert error.value.reason == "lost"


@pytest.mark.parametrize("content", [b"id,text\n1,hello\n" * 100, b"\0" * 4096, b"SQLite format 3\0" + b"\xff" * 4096])
def test_file_that_is_no_database_is_refused_and_left_as_it_is(path, content):
    path.write_bytes(content)
    with pytest.raises(StoreUnavailable) as error:
        Store.open(path)
    assert error.value.reason == "damaged"
    assert path.read_bytes() == content


@pytest.mark.parametrize("statement", ["CREATE TABLE cases (id)", "PRAGMA application_id = 77"])
def test_database_of_another_program_is_refused_and_left_as_it_is(path, statement):
    with closing(sqlite3.connect(path)) as other:
        other.execute(statement)
        other.commit()
    before = path.read_bytes()
    with pytest.raises(ArtefactError, match="another program") as error:
        Store.open(path)
    assert error.value.code == "not_a_store"
    assert path.read_bytes() == before


def test_damage_is_found(store, path):
    store.cases.add([case(f"d{n}", text="x" * 5_000) for n in range(20)])
    store.close()
    content = bytearray(path.read_bytes())
    content[8_192:-8_192] = b"\xff" * (len(content) - 16_384)
    path.write_bytes(content)
    assert Store(Sqlite(path, 0.1)).check() != []


def test_backup_is_a_store_of_the_same_content_that_its_owner_alone_reads(store, tmp_path):
    copy = tmp_path / "copy.db"
    store.backup(copy)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    store.cases.add([case("d1")])
    with Store.open(copy) as other:
        assert (other.cases.page(SHOP), other.check()) == ([case()], [])
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_backup_goes_on_while_others_write(store, tmp_path):
    stop = threading.Event()

    def write():
        written = 0
        while not stop.is_set() or not written:
            store.cases.add([case(f"d{written}")])
            written += 1
        return written

    with Store.open(store._database.path) as other, ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        try:
            for n in range(5):
                other.backup(tmp_path / f"{n}.db")
        finally:
            stop.set()
        written = writing.result()
    with Store.open(tmp_path / "4.db") as copy:
        assert copy.check() == []
    assert len(list(store.cases.each(SHOP))) == written + 1


def test_backup_over_a_file_or_the_store_itself_is_refused(store, path, tmp_path):
    (tmp_path / "copy.db").write_text("precious")
    with pytest.raises(UsageError, match="there already"):
        store.backup(tmp_path / "copy.db")
    with pytest.raises(UsageError, match="is also what is read"):
        store.backup(path, force=True)
    store.backup(tmp_path / "copy.db", force=True)
    assert store.cases.page(SHOP) == [case()]


@pytest.mark.usefixtures("store")
def test_store_that_is_up_to_date_is_opened_while_somebody_writes(path):
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with Store.open(path, patience=0.1) as second:
            assert second.cases.page(SHOP) == [case()]


def test_error_never_repeats_what_a_customer_wrote(store):
    with pytest.raises(IntegrityError) as error, store._database.write() as connection:
        connection.execute(insert(cases), {"id": "c1", "text": "my secret"})
    assert "my secret" not in str(error.value)


def test_clock_that_runs_backwards_loses_nothing(store):
    store.reviews.add([review("c1", "A", time=NOW), review("c1", "B", time=NOW.replace(year=1960))], tenant="shop")
    assert [found.labels for found in store.reviews.of_cases(["c1"], tenant="shop")[0]] == [{"A"}, {"B"}]
