from datetime import datetime, timedelta, timezone

import pytest

from naughty_strings import NAUGHTY_STRINGS
from tagdesk.errors import UsageError
from tagdesk.store import Conflict, Selection, Store
from test_store_fixtures import DAY, HOUR, NOW, answer, case

pytest_plugins = ["test_store_fixtures"]

SHOP = Selection("shop")


def ids(cases):
    return [found.id for found in cases]


def test_case_comes_back_as_it_was_logged(store):
    logged = case(scores={"Refund": 1 / 3, "Billing": 1e-12}, variant="trial/b")
    store.cases.add([logged])
    assert store.cases.get(["c1"], tenant="shop") == [logged]
    assert list(store.cases.get(["c1"], tenant="shop")[0].prediction.scores) == ["Refund", "Billing"]


def test_time_comes_back_in_utc_whatever_zone_it_was_given_in(store):
    there = NOW.astimezone(timezone(timedelta(hours=-9, minutes=-30))).replace(microsecond=123_457)
    store.cases.add([case(time=there)])
    found = store.cases.get(["c1"], tenant="shop")[0].time
    assert (found, found.utcoffset()) == (there, timedelta(0))


def test_time_without_a_zone_is_a_mistake(store):
    with pytest.raises(ValueError, match="without a zone"):
        store.cases.add([case(time=datetime(2026, 5, 1))])  # noqa: DTZ001 - the mistake
    assert store.cases.page(SHOP) == []


def test_cases_come_in_the_order_asked_for_with_none_for_the_unknown(shop):
    assert [found and found.id for found in shop.cases.get(["c3", "x", "c1", "c3"], tenant="shop")] == [
        "c3",
        None,
        "c1",
        "c3",
    ]


def test_case_of_another_tenant_is_not_there(shop):
    assert shop.cases.get(["c1"], tenant="bank") == [None]
    assert shop.cases.page(Selection("bank")) == []
    assert ids(shop.cases.get(["c1"], tenant=None)) == ["c1"]


def test_case_logged_twice_is_logged_once(store):
    store.cases.add([case(text="a\0b")])
    store.cases.add([case(text="a\0b"), case("c2")])
    assert ids(store.cases.page(SHOP)) == ["c1", "c2"]


def test_id_never_comes_to_stand_for_another_case(store):
    store.cases.add([case()])
    with pytest.raises(Conflict, match="new id"):
        store.cases.add([case("c2"), case(text="something else")])
    assert store.cases.page(SHOP) == [case()]


def test_all_unicode_text_comes_back_but_for_nul_and_half_pairs(store):
    texts = [text for text in NAUGHTY_STRINGS if text] + ["a\0b", "\ud800c", "x" * 100_000]
    store.cases.add([case(f"c{n}", text=text) for n, text in enumerate(texts)])
    found = store.cases.get([f"c{n}" for n in range(len(texts))], tenant="shop")
    clean = [text.encode("utf-8", "ignore").decode().replace("\0", "") for text in texts]
    assert [one.prediction.text for one in found] == clean


@pytest.mark.parametrize(
    "changes",
    [{"id_": ""}, {"id_": "x" * 201}, {"ticket": "a\0b"}, {"unit": "\ud800"}, {"tenant": ""}, {"model": "m" * 201}],
)
def test_name_that_no_database_holds_is_refused_before_anything_is_written(store, changes):
    with pytest.raises(UsageError) as error:
        store.cases.add([case("c0"), case(**changes)])
    assert error.value.code == "bad_value"
    assert store.cases.page(SHOP) == []


def test_score_that_is_no_number_never_gets_in(store):
    for bad in ({"scores": {"A": float("nan")}}, {"out_of_scope": float("inf")}):
        with pytest.raises(ValueError, match="no finite number"):
            store.cases.add([case(**bad)])
    assert store.cases.page(SHOP) == []


def test_pages_give_each_case_once_in_either_direction(store):
    moments = [0, 1, 1, 1, 2, 3, 3]
    store.cases.add([case(f"c{n}", time=NOW + HOUR * moment) for n, moment in enumerate(moments)])
    for newest_first in (False, True):
        seen, after = [], None
        while page := store.cases.page(SHOP, after=after, limit=2, newest_first=newest_first):
            seen += page
            after = page[-1].time, page[-1].id
        assert ids(seen) == sorted(ids(seen), reverse=newest_first)
        assert len(seen) == len(moments)


def test_each_reads_on_past_the_largest_page(store, monkeypatch):
    monkeypatch.setattr("tagdesk.store.cases.MOST_ROWS", 2)
    store.cases.add([case(f"c{n}") for n in range(5)])
    assert ids(store.cases.each(SHOP)) == ["c0", "c1", "c2", "c3", "c4"]


def test_span_holds_its_beginning_and_not_its_end(shop):
    assert ids(shop.cases.page(Selection("shop", since=NOW + HOUR, until=NOW + DAY))) == ["c2"]


def test_selection_narrows_by_customer_ticket_case_and_variant(store):
    store.cases.add([case("c1"), case("c2", unit="u2"), case("c3", ticket="t3"), case("c4", variant="b")])
    for wanted, expected in [
        (Selection("shop", unit="u2"), ["c2"]),
        (Selection("shop", ticket="t3"), ["c3"]),
        (Selection("shop", case="c1"), ["c1"]),
        (Selection("shop", variant="b"), ["c4"]),
        (Selection(None, unit="u1", ticket="t1"), ["c1", "c4"]),
    ]:
        assert ids(store.cases.page(wanted)) == expected


def test_last_case_of_a_ticket_is_found_by_the_help_desks_name(store):
    store.cases.add([case("c1"), case("c2", time=NOW + HOUR), case("c3", time=NOW + DAY, source="zendesk")])
    assert store.cases.newest_of_ticket("t1", source="zammad", tenant="shop").id == "c2"
    assert store.cases.newest_of_ticket("t9", source="zammad", tenant="shop") is None
    assert store.cases.newest_of_ticket("t1", source="zammad", tenant="bank") is None


def test_answer_is_kept_with_the_cases_it_tells_of(store):
    store.cases.add([case()], answer=answer(label="Billing"))
    assert store.answers.claim(answer().request, now=NOW) == {"label": "Billing"}


def test_answer_that_tells_of_no_case_is_kept_too(store):
    store.cases.add([], answer=answer(error="empty_text"))
    assert store.answers.claim(answer().request, now=NOW) == {"error": "empty_text"}


def test_of_two_who_answer_one_request_the_first_logs_its_cases(store):
    store.cases.add([case("c1")], answer=answer(n=1))
    with pytest.raises(Conflict, match="has been answered"):
        store.cases.add([case("c2")], answer=answer(n=2))
    assert ids(store.cases.page(SHOP)) == ["c1"]
    assert store.answers.claim(answer().request, now=NOW) == {"n": 1}


def test_another_process_sees_a_case_at_once(store, url):
    with Store.open(url) as other:
        store.cases.add([case()])
        assert ids(other.cases.page(SHOP)) == ["c1"]


def test_thousands_of_ids_are_looked_up_at_once(shop):
    wanted = [*(f"x{n}" for n in range(5_000)), "c1"]
    assert shop.cases.get(wanted, tenant="shop") == [None] * 5_000 + [case()]
