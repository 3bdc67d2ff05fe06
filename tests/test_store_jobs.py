from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from tagdesk.errors import UsageError
from tagdesk.store import Conflict, Job, NotFound, State, Store
from test_store_fixtures import NOW, PATIENCE

pytest_plugins = ["test_store_fixtures"]

MINUTE = timedelta(minutes=1)


def job(id_="j1", minutes=0, **changes):
    moment = NOW + MINUTE * minutes
    return replace(Job(id_, "shop", "ada", moment, moment, details={"file": "a.csv"}), **changes)


def test_job_comes_back_as_it_was_given(store):
    store.jobs.add(job())
    assert store.jobs.get("j1", tenant="shop") == job()
    assert store.jobs.get("j1", tenant="bank") is None
    assert store.jobs.get("j2", tenant="shop") is None


def test_id_stands_for_one_job(store):
    store.jobs.add(job())
    with pytest.raises(Conflict, match="new id"):
        store.jobs.add(job(details={}))


def test_jobs_are_listed_newest_first(store):
    for n in range(3):
        store.jobs.add(job(f"j{n}", n))
    assert [found.id for found in store.jobs.newest(tenant="shop", limit=2)] == ["j2", "j1"]
    assert store.jobs.newest(tenant="bank") == []


def test_oldest_waiting_job_is_taken_once(store):
    store.jobs.add(job("j2", 1))
    store.jobs.add(job("j1", 0))
    taken = store.jobs.take(now=NOW + 2 * MINUTE)
    assert (taken.id, taken.state, taken.updated) == ("j1", State.RUNNING, NOW + 2 * MINUTE)
    assert store.jobs.take(now=NOW + 2 * MINUTE).id == "j2"
    assert store.jobs.take(now=NOW + 2 * MINUTE) is None


def test_job_that_nobody_updates_any_more_is_taken_anew(store):
    store.jobs.add(job())
    store.jobs.take(now=NOW)
    assert store.jobs.take(now=NOW + 5 * MINUTE) is None
    assert store.jobs.take(now=NOW + 6 * MINUTE).id == "j1"


def test_many_who_take_at_once_get_a_job_each(store, url):
    for n in range(6):
        store.jobs.add(job(f"j{n}", n))

    def take(_):
        with Store.open(url, patience=PATIENCE) as mine:
            found = mine.jobs.take(now=NOW)
            return found and found.id

    with ThreadPoolExecutor(8) as pool:
        taken = [id_ for id_ in pool.map(take, range(8)) if id_]
    assert sorted(taken) == [f"j{n}" for n in range(6)]


def test_job_whose_files_lie_elsewhere_is_left_to_others(store):
    store.jobs.add(job("j1", 0))
    store.jobs.add(job("j2", 1))
    assert store.jobs.take(now=NOW, is_here=lambda id_: id_ == "j2").id == "j2"
    assert store.jobs.take(now=NOW, is_here=lambda id_: id_ == "j2") is None
    assert store.jobs.get("j1", tenant="shop").state is State.QUEUED


def test_jobs_are_found_by_their_ids_whoever_they_belong_to(store):
    store.jobs.add(job("j1"))
    store.jobs.add(job("j2", tenant="bank"))
    assert [found and found.tenant for found in store.jobs.of(["j2", "none", "j1"])] == ["bank", None, "shop"]


def test_progress_is_written_down(store):
    store.jobs.add(job())
    taken = store.jobs.take(now=NOW)
    store.jobs.update(replace(taken, counts={"accepted": 7}, updated=NOW + MINUTE), expected=State.RUNNING)
    store.jobs.update(replace(taken, state=State.FAILED, error="disk full"), expected=State.RUNNING)
    found = store.jobs.get("j1", tenant="shop")
    assert (found.state, found.error, found.counts) == (State.FAILED, "disk full", {})


def test_job_in_another_state_is_not_changed(store):
    store.jobs.add(job())
    with pytest.raises(Conflict, match="another state"):
        store.jobs.update(job(state=State.DONE), expected=State.RUNNING)
    assert store.jobs.get("j1", tenant="shop").state is State.QUEUED


def test_job_that_has_ended_has_ended(store):
    store.jobs.add(job())
    store.jobs.update(job(state=State.CANCELLED), expected=State.QUEUED)
    with pytest.raises(Conflict):
        store.jobs.update(job(state=State.RUNNING), expected=State.CANCELLED)
    assert store.jobs.take(now=NOW + 60 * MINUTE) is None


def test_unknown_job_cannot_be_changed(store):
    with pytest.raises(NotFound):
        store.jobs.update(job(), expected=State.QUEUED)


@pytest.mark.parametrize("change", [{"id": ""}, {"counts": {"n": 2**63}}, {"counts": {"n": -1}}, {"error": "a\0"}])
def test_value_that_no_database_holds_is_refused(store, change):
    with pytest.raises(UsageError):
        store.jobs.add(replace(job(), **change))
