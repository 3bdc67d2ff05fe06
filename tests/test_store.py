"""Opening a store, and what concerns all that is in it."""

import json
import os
import stat
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest

from tagdesk.errors import MissingExtra, UsageError
from tagdesk.store import Decided, ExperimentVersion, Selection, Store
from test_store_fixtures import DAY, HOUR, NOW, case, review

pytest_plugins = ["test_store_fixtures"]

SHOP = Selection("shop")


def test_store_is_a_file_here_unless_told_otherwise(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Store.open() as store:
        store.cases.add([case()])
    with Store.open(tmp_path / "tagdesk.db") as store:
        assert store.cases.page(SHOP) == [case()]


def test_what_was_kept_is_there_when_the_store_is_opened_again(url):
    with Store.open(url) as store:
        store.cases.add([case()])
    with Store.open(url) as store:
        assert store.cases.page(SHOP) == [case()]


@pytest.mark.parametrize(
    ("place", "complaint"),
    [
        ("", "is empty"),
        ("mysql://localhost/x", "'mysql' is unknown; expected a file, or postgresql"),
        ("postgresql://host:port/x", "cannot be read"),
        ("postgresql:///x?host=/nowhere&colour=red", "an option that PostgreSQL does not know"),
        ("a\0b", "null"),
        ("/dev/null", "no plain file"),
        ("/dev/null/x", "Not a directory"),
        ("/nowhere/at/all.db", "No such file"),
    ],
)
def test_place_that_makes_no_sense_is_refused_in_one_line(place, complaint):
    with pytest.raises(UsageError, match=complaint) as error:
        Store.open(place)
    assert "\n" not in str(error.value)


def test_folder_is_no_store(tmp_path):
    with pytest.raises(UsageError, match="no plain file"):
        Store.open(tmp_path)


def test_password_of_a_server_is_never_said():
    with pytest.raises(Exception, match="does not answer") as error:
        Store.open("postgresql://ada:hush@127.0.0.1:1/x", patience=0.1)
    assert "hush" not in str(error.value)


def test_missing_driver_is_said_with_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtra, match=r"PostgreSQL needs .*tagdesk\[postgres\]"):
        Store.open("postgresql:///x")


def test_missing_library_is_said_with_the_remedy():
    code = "import sys; sys.modules['sqlalchemy'] = None; import tagdesk.store"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MissingExtra: The store needs an extra that is not installed" in done.stderr
    assert "tagdesk[serve]" in done.stderr


def test_opening_a_store_that_is_up_to_date_loads_no_migrations(tmp_path):
    Store.open(tmp_path / "tagdesk.db").close()
    code = f"""
import sys
from tagdesk.store import Store
Store.open({str(tmp_path / "tagdesk.db")!r}).close()
heavy = {{"alembic", "mako", "psycopg", "torch", "transformers", "pandas", "pyarrow", "numpy"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_new_file_is_its_owners_alone(tmp_path):
    old = os.umask(0)
    try:
        with Store.open(tmp_path / "tagdesk.db") as store:
            store.cases.add([case()])
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    finally:
        os.umask(old)
    assert set(modes.values()) == {0o600}


def test_sound_store_answers_and_has_no_faults(shop):
    shop.ping()
    assert shop.check() == []


def test_cases_are_counted_by_day_and_label(shop):
    shop.cases.add(
        [
            case("c4", labels=("Refund", "Billing"), time=NOW + 2 * HOUR),
            case("c5", labels=(), time=NOW + 2 * HOUR),
            case("c6", tenant="bank"),
        ]
    )
    shop.reviews.add([review("c1", "A"), review("c1", "B"), review("c3", "A")], tenant="shop")
    first, second = shop.counts(SHOP)
    assert (first.day, first.cases, first.without_label, first.reviewed) == (date(2026, 5, 1), 4, 1, 1)
    assert first.labels == {"Billing": 3, "Refund": 1}
    assert (second.day, second.cases, second.reviewed, second.labels) == (date(2026, 5, 2), 1, 1, {"Billing": 1})
    assert [count.cases for count in shop.counts(Selection(None, since=NOW + DAY))] == [1]
    assert shop.counts(Selection("nobody")) == []


def test_day_ends_at_midnight_utc(store):
    midnight = NOW.replace(hour=0)
    store.cases.add([case("c1", time=midnight), case("c2", time=midnight - timedelta(microseconds=1))])
    assert [(count.day, count.cases) for count in store.counts(SHOP)] == [(date(2026, 4, 30), 1), (date(2026, 5, 1), 1)]


def test_label_of_any_script_is_counted_as_it_is_written(store):
    names = ("żółw", "退款", "🐢", 'a "b" \\', "[]", "'; DROP TABLE cases;--", "null")
    store.cases.add([case(labels=names)])
    assert set(store.counts(SHOP)[0].labels) == set(names)


def exported(shop, which):
    return [
        (line["record"], line.get("id") or line.get("case") or line.get("model") or line.get("name"))
        for line in shop.export(which)
    ]


def test_export_holds_cases_with_their_reviews_and_then_what_was_decided(shop):
    shop.reviews.add([review("c1", "A")], tenant="shop")
    shop.promotions.promote("m1", "p1", Decided("ada", NOW, "first"))
    shop.experiments.add(ExperimentVersion("trial", 1, {}, "ada", NOW))
    shop.erase(Selection("shop", case="c3"), who="officer", now=NOW)
    assert exported(shop, Selection(None)) == [
        ("case", "c1"),
        ("review", "c1"),
        ("case", "c2"),
        ("promotion", "m1"),
        ("experiment", "trial"),
        ("erasure", None),
    ]


def test_export_of_a_customer_holds_what_is_known_of_that_customer_alone(shop):
    shop.promotions.promote("m1", "p1", Decided("ada", NOW, "first"))
    assert exported(shop, Selection("shop", unit="u2")) == [("case", "c2"), ("case", "c3")]
    assert exported(shop, Selection("bank")) == []


def test_export_file_is_lines_of_json_that_its_owner_alone_reads(shop, tmp_path):
    shop.cases.add([case("c4", text="two\nlines \u2028 and =1+1 🐢", tenant="bank")])
    path = tmp_path / "export.jsonl"
    assert shop.write_export(path, Selection("bank")) == 1
    (line,) = path.read_text(encoding="utf-8").split("\n")[:-1]
    assert json.loads(line)["text"] == "two\nlines \u2028 and =1+1 🐢"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_export_overwrites_only_when_told_to(shop, tmp_path):
    path = tmp_path / "export.jsonl"
    path.write_text("precious")
    with pytest.raises(UsageError, match="there already"):
        shop.write_export(path)
    assert path.read_text() == "precious"
    assert shop.write_export(path, force=True) == 3
    assert list(Path(tmp_path).glob(".*")) == []


def test_export_of_nothing_is_an_empty_file(store, tmp_path):
    assert store.write_export(tmp_path / "export.jsonl") == 0
    assert (tmp_path / "export.jsonl").read_bytes() == b""
