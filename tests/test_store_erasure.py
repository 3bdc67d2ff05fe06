"""What a customer asks to be forgotten is gone, down to the bytes."""

import random
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from tagdesk.errors import UsageError
from tagdesk.store import Reach, Selection, Store, StoreBusy
from test_store_fixtures import DAY, NOW, answer, case, review

pytest_plugins = ["test_store_fixtures"]

SHOP = Selection("shop")
CANARY = "my-card-4111-stolen"


def erased(store, **named):
    return store.erase(Selection("shop", **named), who="officer", now=NOW)


def test_customers_cases_go_with_their_reviews_and_answers(shop):
    shop.cases.add([case("c4", unit="u2")], answer=answer("k2", n=1))
    shop.cases.add([case("c5")], answer=answer("k1", n=2))
    shop.reviews.add([review("c2", "A"), review("c3", "A"), review("c1", "A")], tenant="shop")
    erasure = erased(shop, unit="u2")
    assert (erasure.cases, erasure.reviews, erasure.answers) == (3, 2, 1)
    assert [found.id for found in shop.cases.page(SHOP)] == ["c1", "c5"]
    assert [found.case for _, found in shop.reviews.page(tenant="shop")] == ["c1"]
    assert shop.answers.claim(answer("k2").request, now=NOW) is None
    assert shop.answers.claim(answer("k1").request, now=NOW) == {"n": 2}


def test_erasure_is_on_record_and_names_nobody(shop):
    erasure = erased(shop, unit="u2")
    assert shop.erasures() == [erasure]
    assert (erasure.kind, erasure.who, erasure.time) == (Reach.CUSTOMER, "officer", NOW)
    assert "u2" not in str(erasure.to_dict())


@pytest.mark.parametrize(("named", "kind", "left"), [("case", Reach.CASE, ["c2", "c3"]), ("ticket", Reach.TICKET, [])])
def test_one_ticket_or_one_case_can_be_erased(shop, named, kind, left):
    erasure = erased(shop, **{named: {"case": "c1", "ticket": "t1"}[named]})
    assert erasure.kind is kind
    assert [found.id for found in shop.cases.page(SHOP)] == left


def test_another_tenants_customer_of_that_name_stays(shop):
    shop.cases.add([case("b1", tenant="bank")])
    erased(shop, unit="u1")
    assert [found.id for found in shop.cases.page(Selection(None))] == ["b1", "c2", "c3"]


def test_erasing_nothing_is_on_record_too(shop):
    assert erased(shop, unit="u9").cases == 0
    assert len(shop.erasures()) == 1


@pytest.mark.parametrize("named", [{}, {"unit": "u1", "case": "c1"}])
def test_unclear_erasure_is_refused(shop, named):
    with pytest.raises(UsageError, match="one of a unit, a ticket or a case"):
        erased(shop, **named)
    assert len(shop.cases.page(SHOP)) == 3


def test_erased_ticket_is_not_trained_on(shop):
    shop.reviews.add([review("c1", "A"), review("c2", "A")], tenant="shop")
    tickets = shop.reviews.training_tickets(SHOP)
    erased(shop, case="c1")
    assert [ticket.id for ticket in tickets] == ["c2"]


def test_old_text_customer_remark_and_answer_are_forgotten_and_figures_stay(shop):
    shop.cases.add([case("c4")], answer=answer("k1", n=1))
    shop.reviews.add([review("c1", "A", note="she called"), review("c3", "A", note="fine")], tenant="shop")
    erasure = shop.retain(1, who="timer", now=NOW + DAY + DAY)
    assert (erasure.kind, erasure.cases, erasure.reviews, erasure.answers) == (Reach.RETENTION, 3, 1, 1)
    old, new = shop.cases.get(["c1", "c3"], tenant="shop")
    assert (old.has_text, old.unit, old.ticket, old.prediction.labels) == (False, None, None, ("Billing",))
    assert new == case("c3", unit="u2", time=NOW + DAY)
    assert [found.note for _, found in shop.reviews.page(tenant="shop")] == ["", "fine"]
    assert shop.answers.claim(answer("k1").request, now=NOW) is None
    assert [ticket.id for ticket in shop.reviews.training_tickets(SHOP)] == ["c3"]


def test_forgetting_again_finds_nothing(shop):
    assert shop.retain(0, who="timer", now=NOW + 2 * DAY).cases == 3
    assert shop.retain(0, who="timer", now=NOW + 2 * DAY) is None
    assert len(shop.erasures()) == 1


@pytest.mark.parametrize("days", [-1, 36_501])
def test_retention_out_of_range_is_refused(shop, days):
    with pytest.raises(UsageError):
        shop.retain(days, who="timer", now=NOW)


def bytes_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


@pytest.mark.parametrize("wal", [False, True])
def test_no_byte_of_an_erased_text_is_left_in_the_files(tmp_path, monkeypatch, wal):
    if wal:
        monkeypatch.setattr("tagdesk.store.sqlite.SAFE_WAL", (3, 0, 0))
    chance = random.Random(7)  # noqa: S311 - to vary lengths
    with Store.open(tmp_path / "tagdesk.db") as store:
        logged = []
        for n in range(300):  # of all lengths, so that rows move from page to page
            told = n % 3 == 0
            text = (CANARY if told else "x") * chance.choice([1, 5, 40, 400])
            who = {"unit": CANARY + "-unit", "ticket": f"{CANARY}-{n}"} if told else {}
            logged.append(case(f"c{chance.random()}", text=text, **who))
        for start in range(0, 300, 20):
            store.cases.add(logged[start : start + 20])
        found = store.cases.page(SHOP, limit=300)
        store.reviews.add([review(one.id, "A", note=one.prediction.text[:500]) for one in found], tenant="shop")
        assert CANARY.encode() in bytes_of(tmp_path)
        assert store.erase(Selection("shop", unit=CANARY + "-unit"), who="officer", now=NOW).cases == 100
        assert CANARY.encode() not in bytes_of(tmp_path)
        assert len(store.cases.page(SHOP, limit=300)) == 200
        assert store.check() == []


def test_no_byte_of_a_forgotten_text_is_left_in_the_file(tmp_path):
    with Store.open(tmp_path / "tagdesk.db") as store:
        store.cases.add([case(f"c{n}", text=CANARY * n, unit=CANARY) for n in range(1, 60)])
        store.retain(0, who="timer", now=NOW + DAY)
        assert CANARY.encode() not in bytes_of(tmp_path)


def test_erasure_while_somebody_reads_is_finished_by_the_same_call_again(tmp_path):
    path = tmp_path / "tagdesk.db"
    with Store.open(path, patience=0.1) as store:
        store.cases.add([replace(case(), prediction=replace(case().prediction, text=CANARY))])
        reader = sqlite3.connect(path)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM cases").fetchall()
        with pytest.raises(StoreBusy):
            erased(store, unit="u1")
        reader.close()
        erased(store, unit="u1")
        assert store.cases.page(SHOP) == []
        assert CANARY.encode() not in path.read_bytes()


def test_postgres_forgets_deleted_rows_too(server):
    url = server.create()
    with Store.open(url) as store:
        store.cases.add([case(text=CANARY)])
        erased(store, unit="u1")
        dead = server.execute("SELECT count(*) FROM pg_stat_user_tables WHERE last_vacuum IS NOT NULL", url)
        assert dead == [(3,)]
