from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from tagdesk.errors import UsageError
from tagdesk.store import Conflict, Request, Store
from test_store_fixtures import NOW, PATIENCE, answer

pytest_plugins = ["test_store_fixtures"]

MINE = answer().request
SECOND = timedelta(seconds=1)


def test_first_who_claims_a_request_is_to_do_it(store):
    assert store.answers.claim(MINE, now=NOW) is None


def test_answer_is_given_again_to_the_same_request(store):
    store.answers.claim(MINE, now=NOW)
    store.answers.keep(answer(labels=["A"], n=1))
    assert store.answers.claim(MINE, now=NOW) == {"labels": ["A"], "n": 1}


def test_answer_may_be_kept_without_a_claim(store):
    store.answers.keep(answer(n=1))
    assert store.answers.claim(MINE, now=NOW) == {"n": 1}


def test_key_of_another_request_is_refused(store):
    for kept in (False, True):
        if kept:
            store.answers.keep(answer(n=1))
        else:
            store.answers.claim(MINE, now=NOW)
        with pytest.raises(Conflict, match="stands for another request") as error:
            store.answers.claim(answer(digest="d2").request, now=NOW)
        assert error.value.code == "key_reused"


def test_answer_to_another_request_under_the_key_is_not_kept(store):
    store.answers.claim(MINE, now=NOW)
    with pytest.raises(Conflict):
        store.answers.keep(answer(digest="d2", n=2))
    store.answers.keep(answer(n=1))
    assert store.answers.claim(MINE, now=NOW) == {"n": 1}


def test_two_callers_may_use_one_key(store):
    store.answers.keep(answer(n=1))
    assert store.answers.claim(Request("bank", "k1", "d2"), now=NOW) is None


def test_request_that_somebody_is_doing_is_not_done_twice(store):
    store.answers.claim(MINE, now=NOW)
    with pytest.raises(Conflict, match="being answered") as error:
        store.answers.claim(MINE, now=NOW + SECOND)
    assert error.value.code == "conflict"


def test_request_of_somebody_who_died_goes_to_the_next_after_a_while(store):
    store.answers.claim(MINE, now=NOW)
    assert store.answers.claim(MINE, now=NOW + 60 * SECOND) is None
    with pytest.raises(Conflict):
        store.answers.claim(MINE, now=NOW + 61 * SECOND)


def test_request_that_came_to_nothing_goes_to_the_next_at_once(store):
    store.answers.claim(MINE, now=NOW)
    store.answers.release(MINE)
    assert store.answers.claim(MINE, now=NOW) is None


def test_answer_outlasts_a_release(store):
    store.answers.keep(answer(n=1))
    store.answers.release(MINE)
    assert store.answers.claim(MINE, now=NOW) == {"n": 1}


def test_of_two_answers_the_first_stays(store):
    store.answers.keep(answer(n=1))
    with pytest.raises(Conflict, match="has been answered"):
        store.answers.keep(answer(n=2))
    assert store.answers.claim(MINE, now=NOW) == {"n": 1}


@pytest.mark.usefixtures("store")
def test_of_many_who_claim_at_once_one_wins(url):
    def claim(_):
        with Store.open(url, patience=PATIENCE) as mine:
            try:
                return mine.answers.claim(MINE, now=NOW) is None
            except Conflict:
                return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(claim, range(16))) == 1


@pytest.mark.parametrize("values", [("", "k", "d"), ("c", "k" * 201, "d"), ("c", "a\0b", "d"), ("c", "k", "")])
def test_name_that_no_database_holds_is_refused(values):
    with pytest.raises(UsageError):
        Request(*values)
