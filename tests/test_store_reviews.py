from concurrent.futures import ThreadPoolExecutor

import pytest

from tagdesk.errors import UsageError
from tagdesk.review import Source
from tagdesk.store import Receipt, Selection, Store
from test_store_fixtures import DAY, HOUR, NOW, PATIENCE, case, review

pytest_plugins = ["test_store_fixtures"]

SHOP = Selection("shop")


def add(store, *reviews, tenant="shop"):
    return [outcome.value for outcome in store.reviews.add(reviews, tenant=tenant)]


def test_review_comes_back_as_it_was_given(shop):
    given = review("c1", "B", "A", source=Source.HELP_DESK, key="k1", note="two\nlines 🐢", settles=True)
    assert add(shop, given) == ["added"]
    assert shop.reviews.of_cases(["c2", "c1"], tenant="shop") == [(), (given,)]


def test_review_of_an_unknown_case_or_another_tenants_is_told_apart_from_the_good_ones(shop):
    assert add(shop, review("c1", "A"), review("x", "A"), review("c2", "A")) == ["added", "unknown_case", "added"]
    assert add(shop, review("c1", "A"), tenant="bank") == ["unknown_case"]
    assert len(shop.reviews.page(tenant="shop")) == 2


def test_review_sent_again_with_its_key_is_one_review(shop):
    assert add(shop, review("c1", "A", key="k1")) == ["added"]
    assert add(shop, review("c1", "A", key="k1", time=NOW + DAY)) == ["repeated"]
    assert add(shop, review("c1", "B", key="k1")) == ["key_reused"]
    assert add(shop, review("c2", "A", key="k1")) == ["key_reused"]
    assert [found.labels for _, found in shop.reviews.page(tenant="shop")] == [{"A"}]


def test_two_tenants_may_use_one_key(shop):
    shop.cases.add([case("b1", tenant="bank")])
    assert add(shop, review("c1", "A", key="k1")) == ["added"]
    assert add(shop, review("b1", "A", key="k1"), tenant="bank") == ["added"]


def test_same_review_a_thousand_times_at_once_is_one_row(shop):
    given = review("c1", "A", key="k1")
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda _: add(shop, *[given] * 20), range(50)))
    flat = [outcome for some in outcomes for outcome in some]
    assert (flat.count("added"), flat.count("repeated")) == (1, 999)
    assert len(shop.reviews.page(tenant="shop")) == 1


def test_same_review_without_a_key_is_one_row_and_a_change_of_mind_is_another(shop):
    assert add(shop, *[review("c1", "A")] * 100) == ["added"] + ["repeated"] * 99
    assert add(shop, review("c1", "B"), review("c1", "A"), review("c1", "A", reviewer="bob")) == ["added"] * 3
    assert [found.labels for _, found in shop.reviews.page(tenant="shop")] == [{"A"}, {"B"}, {"A"}, {"A"}]


def test_last_review_of_a_case_is_the_newest_by_arrival_not_by_clock(shop):
    add(shop, review("c1", "A", time=NOW + DAY), review("c1", "B", time=NOW))
    newest, none = shop.reviews.newest(["c1", "c2"], tenant="shop")
    assert (newest.labels, none) == ({"B"}, None)
    assert shop.reviews.newest(["c1"], tenant="bank") == [None]


def test_contradictory_reviews_are_both_kept_and_flagged(shop):
    add(shop, review("c1", "A"), review("c1", "B", reviewer="bob"))
    add(shop, review("c2", "A"), review("c2", "B"))
    add(shop, review("c3", "A"), review("c3", "A", reviewer="bob"))
    (found,) = shop.reviews.contradictory(SHOP)
    assert (found.case.id, len(found.reviews), found.labels) == ("c1", 2, None)
    assert list(shop.reviews.contradictory(Selection("bank"))) == []


def test_contradiction_is_left_out_of_training_until_it_is_settled(shop):
    add(shop, review("c1", "A"), review("c1", "B", reviewer="bob"), review("c2"))
    assert [ticket.id for ticket in shop.reviews.training_tickets(SHOP)] == ["c2"]
    add(shop, review("c1", "B", reviewer="eve", settles=True))
    assert list(shop.reviews.contradictory(SHOP)) == []
    assert {ticket.id: ticket.labels for ticket in shop.reviews.training_tickets(SHOP)} == {"c1": {"B"}, "c2": set()}


def test_training_ticket_holds_text_customer_and_time(shop):
    add(shop, review("c2", "A", "B"))
    (ticket,) = shop.reviews.training_tickets(SHOP)
    assert (ticket.text, ticket.labels, ticket.unit) == ("I was charged twice", {"A", "B"}, "u2")
    assert ticket.time == (NOW + HOUR).isoformat()


def test_reviewed_cases_are_read_past_the_largest_page(shop, monkeypatch):
    monkeypatch.setattr("tagdesk.store.reviews.MOST_ROWS", 2)
    add(shop, *(review(f"c{n}", "A") for n in (1, 2, 3)))
    assert [found.case.id for found in shop.reviews.reviewed(SHOP)] == ["c1", "c2", "c3"]
    assert [found.case.id for found in shop.reviews.reviewed(Selection("shop", since=NOW + DAY))] == ["c3"]


def test_every_case_comes_with_its_reviews_or_none(shop):
    add(shop, review("c2", "A"))
    assert [len(found.reviews) for found in shop.reviews.every(SHOP)] == [0, 1, 0]


def test_reviews_are_paged_by_number(shop):
    add(shop, *(review(f"c{n}", "A") for n in (1, 2, 3)))
    first = shop.reviews.page(tenant="shop", limit=2)
    rest = shop.reviews.page(tenant="shop", after=first[-1][0])
    assert [found.case for _, found in first + rest] == ["c1", "c2", "c3"]
    assert shop.reviews.page(tenant="bank") == []


@pytest.mark.parametrize(
    "bad",
    [
        review(""), review("c1", "a\0b"), review("c1", "x" * 201), review("c1", "A", reviewer=""),
        review("c1", "A", key=""), review("c1", "A", key="\ud800"), review("c1", "A", note="x" * 10_001),
    ],
)  # fmt: skip
def test_review_that_no_database_holds_is_refused_and_nothing_of_its_batch_is_kept(shop, bad):
    with pytest.raises(UsageError):
        shop.reviews.add([review("c2", "A"), bad], tenant="shop")
    assert shop.reviews.page(tenant="shop") == []


def test_reviews_of_several_processes_all_count(shop, url):
    with Store.open(url, patience=PATIENCE) as other, ThreadPoolExecutor(8) as pool:
        jobs = [(s, f"r{n}") for n in range(20) for s in (shop, other)]
        outcomes = list(pool.map(lambda job: add(job[0], review("c1", "A", reviewer=job[1], key=job[1])), jobs))
    assert sorted(outcome for (outcome,) in outcomes) == ["added"] * 20 + ["repeated"] * 20
    assert len(shop.reviews.of_cases(["c1"], tenant="shop")[0]) == 20


def test_outcome_is_a_word():
    assert Receipt.ADDED == "added"
