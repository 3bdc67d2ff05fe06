from concurrent.futures import ThreadPoolExecutor

import pytest

from tagdesk.errors import UsageError
from tagdesk.store import Conflict, Decided, Kind, NotFound, Store
from test_store_fixtures import HOUR, NOW, PATIENCE

pytest_plugins = ["test_store_fixtures"]

ADA = Decided("ada", NOW, "better by .03", {"difference": 0.03})


def names(promotions):
    return [(found.model, found.kind.value) for found in promotions]


def test_nothing_holds_before_the_first_promotion(store):
    assert store.promotions.current() is None
    assert store.promotions.history() == []
    assert store.promotions.before_current() is None


def test_promotion_keeps_who_when_why_and_the_verdict(store):
    promotion = store.promotions.promote("m1", "p1", ADA)
    assert store.promotions.current() == promotion
    assert (promotion.who, promotion.time, promotion.why, promotion.verdict) == ("ada", NOW, ADA.why, ADA.verdict)
    assert (promotion.kind, promotion.previous) == (Kind.PROMOTE, 0)
    assert promotion.to_dict()["time"] == NOW.isoformat()


def test_last_promotion_holds(store):
    for model in ("m1", "m2", "m3"):
        store.promotions.promote(model, "p1", ADA)
    assert store.promotions.current().model == "m3"
    assert names(store.promotions.history()) == [("m1", "promote"), ("m2", "promote"), ("m3", "promote")]


def test_promoting_what_holds_already_writes_nothing(store):
    first = store.promotions.promote("m1", "p1", ADA)
    assert store.promotions.promote("m1", "p1", Decided("bob", NOW + HOUR, "again"), expected=99) == first
    assert store.promotions.history() == [first]


def test_another_policy_alone_is_a_promotion(store):
    store.promotions.promote("m1", "p1", ADA)
    assert store.promotions.promote("m1", "p2", ADA).policy == "p2"


def test_decision_on_what_holds_no_longer_is_refused(store):
    first = store.promotions.promote("m1", "p1", ADA, expected=0)
    store.promotions.promote("m2", "p1", ADA, expected=first.number)
    with pytest.raises(Conflict, match="came first") as error:
        store.promotions.promote("m3", "p1", ADA, expected=first.number)
    assert error.value.code == "conflict"
    with pytest.raises(Conflict):
        store.promotions.promote("m3", "p1", ADA, expected=0)
    assert store.promotions.current().model == "m2"


def test_rollback_is_a_promotion_of_what_came_before(store):
    store.promotions.promote("m1", "p1", ADA)
    store.promotions.promote("m2", "p2", ADA)
    assert store.promotions.before_current().model == "m1"
    back = store.promotions.rollback(Decided("bob", NOW, "too many complaints"))
    assert (back.model, back.policy, back.kind, back.who) == ("m1", "p1", Kind.ROLLBACK, "bob")
    assert names(store.promotions.history())[-2:] == [("m2", "promote"), ("m1", "rollback")]


def test_second_rollback_goes_one_further_and_the_last_has_nowhere_to_go(store):
    for model in ("m1", "m2", "m3"):
        store.promotions.promote(model, "p1", ADA)
    assert [store.promotions.rollback(ADA).model for _ in range(2)] == ["m2", "m1"]
    with pytest.raises(NotFound, match="no earlier promotion"):
        store.promotions.rollback(ADA)
    store.promotions.promote("m4", "p1", ADA)
    assert store.promotions.rollback(ADA).model == "m1"


def test_rollback_of_nothing_is_not_found(store):
    with pytest.raises(NotFound) as error:
        store.promotions.rollback(ADA)
    assert error.value.code == "not_found"


def test_rollback_asked_for_again_on_the_same_ground_is_done_once(store):
    store.promotions.promote("m1", "p1", ADA)
    seen = store.promotions.promote("m2", "p1", ADA).number
    first = store.promotions.rollback(ADA, expected=seen)
    assert store.promotions.rollback(ADA, expected=seen) == first
    assert len(store.promotions.history()) == 3


def test_rollback_on_an_old_ground_is_refused(store):
    first = store.promotions.promote("m1", "p1", ADA)
    store.promotions.promote("m2", "p1", ADA)
    with pytest.raises(Conflict):
        store.promotions.rollback(ADA, expected=first.number)


def test_of_many_who_promote_at_once_on_one_ground_one_wins(store, url):
    seen = store.promotions.promote("m0", "p1", ADA).number

    def promote(n):
        with Store.open(url, patience=PATIENCE) as mine:
            try:
                return mine.promotions.promote(f"m{n}", "p1", ADA, expected=seen).model
            except Conflict:
                return None

    with ThreadPoolExecutor(8) as pool:
        won = [model for model in pool.map(promote, range(1, 9)) if model]
    assert won == [store.promotions.current().model]
    assert len(store.promotions.history()) == 2


@pytest.mark.parametrize("why", ["a\0b", "x" * 10_001])
def test_reason_that_no_database_holds_is_refused(why):
    with pytest.raises(UsageError):
        Decided("ada", NOW, why)


def test_name_that_no_database_holds_is_refused(store):
    with pytest.raises(UsageError):
        store.promotions.promote("m\0", "p1", ADA)
    with pytest.raises(UsageError):
        Decided("", NOW, "")
