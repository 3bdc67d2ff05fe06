"""A process that dies at the worst moment loses nothing that it acknowledged, and leaves nothing half done."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tagdesk.store import Conflict, Decided, Job, Receipt, Selection, State, Store
from tagdesk.store.failpoints import VARIABLE, reach
from test_store_fixtures import NOW, PATIENCE, case, review

pytest_plugins = ["test_store_fixtures"]

PROCESSES = multiprocessing.get_context("forkserver")
ADA = Decided("ada", NOW, "better")
REVIEW = review("c1", "A", key="k1")
JOB = Job("j1", "shop", "ada", NOW, NOW)


@pytest.fixture(scope="module", autouse=True)
def children() -> Iterator[None]:
    """A process that has loaded all this once, and of which the others are copies."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", str(Path(__file__).parent))
        PROCESSES.set_forkserver_preload(["test_store_crashes"])
        yield


def dies_at(failpoint: str, work: Callable[[Store], Any], url: str) -> bool:
    """Whether a process that does the work is killed at the failpoint."""
    child = PROCESSES.Process(target=_work, args=(failpoint, work, url))
    child.start()
    child.join()
    assert child.exitcode in {0, -signal.SIGKILL}
    return child.exitcode != 0


def _work(failpoint: str, work: Callable[[Store], Any], url: str) -> None:
    os.environ[VARIABLE] = failpoint
    with Store.open(url, patience=PATIENCE) as store:
        work(store)


def add_review(store: Store) -> None:
    store.reviews.add([REVIEW], tenant="shop")


def promote(store: Store) -> None:
    store.promotions.promote("m2", "p1", ADA)


def rollback(store: Store) -> None:
    store.promotions.rollback(ADA)


def update_job(store: Store) -> None:
    store.jobs.update(Job("j1", "shop", "ada", NOW, NOW, State.DONE, counts={"n": 9}), expected=State.QUEUED)


def nothing(_: Store) -> None:
    pass


def test_failpoint_that_nobody_names_does_nothing(monkeypatch):
    reach("review_before_commit")
    monkeypatch.setenv(VARIABLE, "another")
    reach("review_before_commit")


def test_process_lives_where_no_failpoint_is_named(shop, url):
    assert not dies_at("", add_review, url)
    assert len(shop.reviews.page(tenant="shop")) == 1


@pytest.mark.parametrize(("failpoint", "kept"), [("review_before_commit", 0), ("review_after_commit", 1)])
def test_review_is_kept_once_when_it_is_sent_again_after_a_kill(shop, url, failpoint, kept):
    assert dies_at(failpoint, add_review, url)
    assert len(shop.reviews.page(tenant="shop")) == kept
    assert shop.reviews.add([REVIEW], tenant="shop") == [Receipt.REPEATED if kept else Receipt.ADDED]
    assert len(shop.reviews.page(tenant="shop")) == 1
    assert shop.check() == []


@pytest.mark.parametrize(("failpoint", "model"), [("promote_before_commit", "m1"), ("promote_after_commit", "m2")])
def test_promotion_is_whole_after_a_kill_and_can_be_asked_for_again(store, url, failpoint, model):
    seen = store.promotions.promote("m1", "p1", ADA).number
    assert dies_at(failpoint, promote, url)
    assert store.promotions.current().model == model
    assert store.promotions.promote("m2", "p1", ADA, expected=None if model == "m2" else seen).model == "m2"
    assert [found.model for found in store.promotions.history()] == ["m1", "m2"]
    assert store.check() == []


@pytest.mark.parametrize(("failpoint", "model"), [("rollback_before_commit", "m2"), ("rollback_after_commit", "m1")])
def test_rollback_is_whole_after_a_kill_and_is_done_once(store, url, failpoint, model):
    store.promotions.promote("m1", "p1", ADA)
    seen = store.promotions.promote("m2", "p1", ADA).number
    assert dies_at(failpoint, rollback, url)
    assert store.promotions.current().model == model
    assert store.promotions.rollback(ADA, expected=seen).model == "m1"
    assert len(store.promotions.history()) == 3
    assert store.check() == []


def test_job_stands_where_it_stood_before_a_kill(store, url):
    store.jobs.add(JOB)
    assert dies_at("job_mid", update_job, url)
    assert store.jobs.get("j1", tenant="shop") == JOB
    update_job(store)
    assert store.jobs.get("j1", tenant="shop").state is State.DONE
    assert store.check() == []


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_store_whose_making_was_killed_is_made_by_the_next(kind, request, tmp_path):
    url = str(tmp_path / "new.db") if kind == "sqlite" else request.getfixturevalue("server").create()
    assert dies_at("migration_mid", nothing, url)
    with Store.open(url, patience=PATIENCE) as store:
        store.cases.add([case()])
        assert store.cases.page(Selection("shop")) == [case()]
        assert store.check() == []


def _add_until_killed(url: str, acknowledged: Any) -> None:
    with Store.open(url, patience=PATIENCE) as store:
        n = 0
        while True:
            store.reviews.add([review("c1", "A", reviewer=f"r{n}", key=f"k{n}")], tenant="shop")
            acknowledged.send(n)
            n += 1


def test_no_acknowledged_review_is_lost_to_kills_at_any_moment(shop, url):
    last = -1
    for round_ in range(3):
        ours, theirs = PROCESSES.Pipe(duplex=False)
        child = PROCESSES.Process(target=_add_until_killed, args=(url, theirs))
        child.start()
        theirs.close()
        for _ in range(last + 2 + 7 * round_):  # those of the rounds before come again, and are repetitions
            last_now = ours.recv()
        child.kill()
        child.join()
        last = max(last, last_now, *_rest(ours))
        keys = [found.key for _, found in shop.reviews.page(tenant="shop", limit=1_000)]
        assert len(keys) == len(set(keys))
        assert {f"k{n}" for n in range(last + 1)} <= set(keys)
        assert len(keys) <= last + 2  # one may have been kept and not acknowledged any more
        assert shop.check() == []


def _rest(ours: Any) -> list[int]:
    found = [-1]
    try:
        while True:
            found.append(ours.recv())
    except EOFError:
        return found


def _promote_at_once(url: str, model: str, seen: int, barrier: Any, won: Any) -> None:
    with Store.open(url, patience=PATIENCE) as store:
        barrier.wait()
        try:
            won.put(store.promotions.promote(model, "p1", ADA, expected=seen).model)
        except Conflict:
            won.put(None)


def test_of_two_processes_that_promote_at_once_one_wins_and_the_other_is_told(store, url):
    seen = store.promotions.promote("m0", "p1", ADA).number
    barrier, won = PROCESSES.Barrier(2), PROCESSES.Queue()
    children = [
        PROCESSES.Process(target=_promote_at_once, args=(url, model, seen, barrier, won)) for model in ("m1", "m2")
    ]
    for child in children:
        child.start()
    answers = {won.get(), won.get()}
    for child in children:
        child.join()
    assert answers == {None, store.promotions.current().model}
    assert len(store.promotions.history()) == 2


def test_job_of_a_process_that_was_killed_is_taken_by_another(store, url):
    store.jobs.add(JOB)
    assert dies_at("job_mid", _take_and_update, url)
    assert store.jobs.take(now=NOW + timedelta(minutes=1)) is None
    assert store.jobs.take(now=NOW + timedelta(minutes=6)).id == "j1"


def _take_and_update(store: Store) -> None:
    taken = store.jobs.take(now=NOW)
    assert taken is not None
    store.jobs.update(taken, expected=State.RUNNING)
