"""A search from its first trial to its report, with all that can stop it on the way."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

import tiny
from tagdesk.errors import InputError, MissingExtra, Refused, TagdeskError, UsageError
from tagdesk.scorers import Recipe
from tagdesk.ticket import Ticket
from tagdesk.tune import Found, Goal, Limits, Plan, Row, Space, Standing, Task, open_study, search
from tagdesk.tune import run as engine
from tagdesk.tune.study import KILLED, WORKER, OpenStudy

LINEAR = Recipe(kind="linear", max_features=200, word_ngrams=1, char_ngrams=0, folds=3)
FEW = frozenset({"max_features", "word_ngrams", "char_ngrams", "calibration", "objective"})  # the rest is searched
TICKETS = tiny.tickets(40)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No clock is read to measure latency; three folds are enough."""
    monkeypatch.setattr(engine, "latency_ms", lambda _scorer: 1.0)
    monkeypatch.setattr("tagdesk.tune.plan.FOLDS", 3)


@pytest.fixture
def place(tmp_path: Path) -> str:
    return str(tmp_path / "tune.log")


def plan_of(tickets: list[Ticket] = TICKETS, **changes: Any) -> Plan:
    bases = changes.pop("bases", {"linear": LINEAR})
    return Plan.of(tickets, Task(**{"goal": Goal("f1_macro"), "space": Space.of(bases, fixed=FEW)} | changes))


def searched(plan: Plan, place: str, trials: int = 3, **more: Any) -> Found:
    return search(open_study(plan, place, "s"), Limits(trials, 600), **more)


def tried(found: Found) -> list[dict[str, Any]]:
    """The parameters of the trials that ended by themselves, in order."""
    return [dict(row.parameters) for row in found.rows if row.state != "stopped"]


class Stop:
    """A watcher that stops the search when so many trials are done, at the first fold of the next."""

    def __init__(self, done: int, error: type[BaseException] = KeyboardInterrupt) -> None:
        self.done, self.error = done, error

    def __call__(self, standing: Standing) -> None:
        if standing.done == self.done:
            self.done = -1
        elif self.done == -1:
            raise self.error


def test_the_recipe_as_it_comes_is_tried_first_and_nothing_ends_below_it(place: str) -> None:
    found = searched(plan_of(), place, trials=4)
    first = found.rows[0]
    assert (first.start, first.state) == ("linear", "complete")
    assert found.best.row.value is not None
    assert first.value is not None
    assert found.best.row.value >= first.value
    assert found.default is not None
    assert found.default.recipe == LINEAR
    assert found.default.row == first
    assert all(math.isfinite(step) for step in first.steps)
    assert first.steps[-1] == first.value


def test_recipes_as_they_come_are_tried_before_others_on_every_encoder(place: str, encoder: Path) -> None:
    probe = Recipe(encoder=str(encoder))
    space = Space.of({"probe": probe, "linear": LINEAR}, fixed=FEW, encoders=(str(encoder), "starter"))
    opened = open_study(plan_of(space=space), place, "s")
    open_study(plan_of(space=space), place, "s")
    waiting = [trial.system_attrs["fixed_params"] for trial in opened.trials()]
    assert waiting == [space.start("probe"), space.start("linear"), space.start("probe") | {"encoder": "starter"}]


def test_the_default_stays_unless_the_best_was_shown_to_be_better(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    values = iter([0.1, 0.1, 0.9, 0.9])
    monkeypatch.setattr(engine.Bench, "worth", lambda *_: next(values))
    found = searched(plan_of(), place, trials=2)
    assert (found.best.row.number, found.verdict is not None) == (1, True)
    assert found.verdict is not None
    assert not found.verdict.is_better  # of 8 tickets nothing can be shown
    assert found.chosen is found.default
    assert found.sentence.startswith("The search did not beat the default")
    assert found.verdict.sentence in found.sentence
    shown = replace(found, verdict=replace(found.verdict, finding=type(found.verdict.finding).BETTER))
    assert shown.chosen is shown.best
    assert shown.sentence == found.verdict.sentence


def test_a_search_that_was_stopped_goes_on_as_if_it_had_not_been(place: str, tmp_path: Path) -> None:
    plan = plan_of()
    whole = searched(plan, place, trials=5)
    other = str(tmp_path / "other.log")
    with pytest.raises(KeyboardInterrupt):
        searched(plan, other, trials=5, watch=Stop(2))
    found = searched(plan_of(), other, trials=5)
    assert tried(found) == tried(whole)
    assert found.best.row.parameters == whole.best.row.parameters
    assert found.best.outer == whole.best.outer
    [stopped] = [row for row in found.rows if row.state == "stopped"]
    assert (stopped.number, stopped.reason) == (2, "done again as trial 3")


KILLED_AT_WORK = """
import sys, os, signal
sys.path.insert(0, {tests!r})
import test_tune
from tagdesk.tune import plan as plans
plans.FOLDS = 3
test_tune.engine.latency_ms = lambda scorer: 1.0
class Kill(test_tune.Stop):
    def __call__(self, standing):
        try:
            super().__call__(standing)
        except KeyboardInterrupt:
            os.kill(os.getpid(), signal.SIGKILL)
test_tune.searched(test_tune.plan_of(), {place!r}, trials=4, watch=Kill(2))
"""


def test_nothing_is_lost_by_a_kill_and_the_trial_that_it_hit_is_done_again(place: str) -> None:
    code = KILLED_AT_WORK.format(tests=str(Path(__file__).parent), place=place)
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    before = [json.loads(line) for line in Path(place).read_text().splitlines()]
    opened = open_study(plan_of(), place, "s")
    assert "1 of its trials had not ended" in opened.remarks[0]
    found = search(opened, Limits(4, 600))
    assert [row.state for row in found.rows if row.number == 2] == ["stopped"]
    assert found.rows[3].parameters == found.rows[2].parameters
    assert opened.done() == 4
    assert [json.loads(line) for line in Path(place).read_text().splitlines()][: len(before)] == before


def running(opened: OpenStudy, worker: list[Any]) -> int:
    """Begin a trial as another process would."""
    trial = opened.study.ask()
    trial.set_user_attr(WORKER, worker)
    return trial.number


def test_trials_of_living_processes_are_left_and_those_of_dead_ones_are_done_again_once(place: str) -> None:
    plan, host = plan_of(), os.uname().nodename
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    opened = open_study(plan, place, "s")
    mine = running(opened, [host, os.getpid(), ""])
    later = running(opened, [host, os.getpid(), "long ago"])  # its number was given to us since
    dead = running(opened, [host, gone.pid, ""])
    elsewhere = running(opened, ["elsewhere", 1, ""])
    opened = open_study(plan, place, "s")
    states = {trial.number: trial.state for trial in opened.trials()}
    assert (states[mine], states[later], states[dead]) == (TrialState.RUNNING, TrialState.FAIL, TrialState.FAIL)
    assert states[elsewhere] == TrialState.FAIL  # nothing was heard of it
    assert opened.stopped() == {later, dead, elsewhere}
    again = opened.study.ask()
    assert again.user_attrs[KILLED]
    again.set_user_attr(WORKER, [host, gone.pid, ""])
    opened = open_study(plan, place, "s")
    assert again.number not in opened.stopped()
    assert "killed, twice" in opened.rows()[again.number].reason


def test_a_trial_that_another_machine_took_for_dead_is_no_end(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, real = plan_of(), engine.Bench.score
    other = open_study(plan, place, "s")

    def score(self: engine.Bench, recipe: Recipe, fold: Any) -> Any:
        if other.trials()[-1].number == 1:
            other.again(1)
        return real(self, recipe, fold)

    monkeypatch.setattr(engine.Bench, "score", score)
    found = searched(plan, place, trials=2)
    assert [row.state for row in found.rows] == ["complete", "stopped", "complete"]


def test_two_processes_share_a_study_and_do_no_more_than_was_asked_for(place: str) -> None:
    plan = plan_of()
    one, two = open_study(plan, place, "s"), open_study(plan, place, "s")
    trial, _ = two.ask()
    found = search(one, Limits(3, 600))
    assert one.done() == 3  # the other one's counts
    assert [row.state for row in found.rows].count("running") == 1
    two.study.tell(trial, 0.1)
    assert two.done() == 3
    assert len({str(row) for row in tried(searched(plan, place, trials=5))}) == 5


def test_the_default_is_done_to_the_end_though_others_are_pruned(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optuna.trial.Trial, "should_prune", lambda _trial: True)
    found = searched(plan_of(), place)
    assert [row.state for row in found.rows] == ["complete", "pruned", "pruned"]
    assert all(len(row.steps) == 1 for row in found.rows[1:])
    assert "nothing better than the default" in found.sentence


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tickets": TICKETS[1:]}, "other tickets"),
        ({"goal": Goal("exact_match")}, "other objective"),
        ({"seed": 3}, "other seed"),
        ({"latency_ms": 9.0}, "other latency"),
        ({"bases": {"linear": replace(LINEAR, folds=4)}}, "other recipes"),
    ],
)
def test_a_study_of_something_else_is_refused_with_what_differs(change: dict[str, Any], said: str, place: str) -> None:
    open_study(plan_of(), place, "s")
    tickets = change.pop("tickets", TICKETS)
    with pytest.raises(UsageError, match=said):
        open_study(plan_of(tickets, **change), place, "s")
    assert open_study(plan_of(tickets, **change), place, "another").done() == 0


def test_a_study_of_another_program_is_refused(place: str) -> None:
    from tagdesk.tune.storage import open_storage  # noqa: PLC0415 - one test's

    theirs = optuna.create_study(storage=open_storage(place)[0], study_name="s")
    theirs.tell(theirs.ask(), 1.0)
    with pytest.raises(UsageError, match="no search of tagdesk"):
        open_study(plan_of(), place, "s")


@pytest.mark.parametrize("name", ["", " ", "a\nb", "\x1b[2J", "x" * 201])
def test_a_study_needs_a_name_that_can_be_read(name: str, place: str) -> None:
    with pytest.raises(UsageError, match="visible characters"):
        open_study(plan_of(), place, name)


def failing(kind: str, error: Exception) -> Callable[..., Any]:
    real = engine.Bench.score

    def score(self: engine.Bench, recipe: Recipe, fold: Any) -> Any:
        if kind in {recipe.kind, "all"}:
            raise error
        return real(self, recipe, fold)

    return score


def test_a_setting_that_cannot_be_fitted_fails_alone_and_is_named(
    place: str, encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine.Bench, "score", failing("probe", ValueError("no such\nlandmark")))
    bases = {"linear": LINEAR, "probe": Recipe(encoder=str(encoder))}
    found = searched(plan_of(bases=bases), place, trials=4)
    failed = [row for row in found.rows if row.state == "failed"]
    assert failed
    assert {row.reason for row in failed} == {"ValueError: no such landmark"}
    assert len(found.rows) == 4


def test_a_default_that_cannot_be_fitted_leaves_the_best_with_nothing_to_beat(
    place: str, encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine.Bench, "score", failing("probe", InputError("no words", code="too_few")))
    found = searched(plan_of(bases={"probe": Recipe(encoder=str(encoder)), "linear": LINEAR}), place)
    assert (found.default, found.verdict) == (None, None)
    assert found.chosen is found.best
    assert "nothing to compare" in found.sentence


def test_where_every_trial_fails_the_reason_is_told(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine.Bench, "score", failing("all", InputError("the tickets hold no words", code="too_few")))
    with pytest.raises(Refused, match=r"None of the 2 trials could be fitted.*hold no words"):
        searched(plan_of(), place, trials=2)


def test_a_best_that_cannot_be_fitted_to_all_tickets_leaves_the_default(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = engine.Bench.on_outer

    def on_outer(self: engine.Bench, recipe: Recipe) -> Any:
        if recipe != LINEAR:
            raise ValueError("no room")
        return real(self, recipe)

    monkeypatch.setattr(engine.Bench, "on_outer", on_outer)
    values = iter([0.1, 0.1, 0.9, 0.9])
    monkeypatch.setattr(engine.Bench, "worth", lambda *_: next(values))
    found = searched(plan_of(), place, trials=2)
    assert (found.best.row.number, found.verdict, found.chosen) == (1, None, found.default)
    assert "could not be compared: ValueError: no room" in found.sentence


def test_an_extra_that_is_missing_ends_the_search_at_once(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine.Bench, "score", failing("all", MissingExtra("A transformer scorer", "train")))
    with pytest.raises(MissingExtra):
        searched(plan_of(), place)


@pytest.mark.parametrize("values", [[math.nan] * 9, [0.5, math.nan] * 9])
def test_an_objective_that_is_undefined_makes_a_trial_fail_only_at_the_end(
    values: list[float], place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = iter(values)
    monkeypatch.setattr(engine.Bench, "worth", lambda *_: next(told))
    with pytest.raises(Refused, match="the objective is undefined"):
        searched(plan_of(), place, trials=2)
    told = iter([math.nan, 0.5] * 9)
    assert searched(plan_of(), place, trials=3).best.row.value == 0.5


def test_what_is_too_slow_is_never_chosen(place: str, encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "latency_ms", lambda scorer: 50.0 if scorer.kind == "probe" else 2.0)
    bases = {"probe": Recipe(encoder=str(encoder)), "linear": LINEAR}
    found = searched(plan_of(bases=bases, latency_ms=5.0), place, trials=4)
    assert {row.state for row in found.rows if row.parameters["recipe"] == "probe"} == {"too slow"}
    assert found.default is not None
    assert found.default.row.value is not None  # it is measured all the same
    assert found.chosen.recipe.kind == "linear"
    assert "takes longer than 5 ms" in found.sentence
    with pytest.raises(Refused, match="answers within 1 ms"):
        searched(plan_of(latency_ms=1.0, seed=5), str(Path(place).with_name("other.log")), trials=2)


def test_a_trial_for_which_the_time_is_up_is_stopped_at_a_fold_and_done_first_next_time(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, real = plan_of(), engine.Bench.score
    clock = [0.0]
    monkeypatch.setattr(engine.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(engine.Search, "_to_judge", lambda _self: 0.0)

    def score(self: engine.Bench, recipe: Recipe, fold: Any) -> Any:
        clock[0] += 10.0  # seconds a fold
        return real(self, recipe, fold)

    monkeypatch.setattr(engine.Bench, "score", score)
    found = search(open_study(plan, place, "s"), Limits(9, 45))
    assert [row.state for row in found.rows] == ["complete", "stopped"]
    assert found.rows[1].reason == "done again as trial 2"
    more = search(open_study(plan, place, "s"), Limits(2, 10_000))
    assert more.rows[2].parameters == found.rows[1].parameters


def test_without_time_for_one_trial_it_is_said_and_kept(place: str) -> None:
    with pytest.raises(Refused, match="more --minutes"):
        search(open_study(plan_of(), place, "s"), Limits(3, 0.0))
    assert searched(plan_of(), place, trials=1).best.row.start == "linear"


def test_a_storage_that_is_lost_ends_the_search_with_what_to_do(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = open_study(plan_of(), place, "s")

    def lost(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(optuna.storages.journal.JournalFileBackend, "append_logs", lost)
    with pytest.raises(TagdeskError, match="call again"):
        search(opened, Limits(3, 600))


def test_a_search_tells_how_far_it_is(place: str) -> None:
    told: list[Standing] = []
    searched(plan_of(), place, trials=2, watch=told.append)
    assert [standing.done for standing in told] == sorted(standing.done for standing in told)
    assert (told[-1].done, told[-1].trials, told[-1].recipe) == (2, 2, "linear")
    assert told[0].best is None
    assert all(standing.seconds_left >= 0 for standing in told)


def test_the_same_seed_searches_alike_and_another_one_does_not(place: str, tmp_path: Path) -> None:
    one = searched(plan_of(), place)
    two = searched(plan_of(), str(tmp_path / "two.log"))
    other = searched(plan_of(seed=1), str(tmp_path / "other.log"))
    assert tried(one) == tried(two)
    assert tried(one)[1:] != tried(other)[1:]


def test_coverage_is_searched_for_too(place: str) -> None:
    found = searched(plan_of(goal=Goal("coverage", 0.9)), place, trials=2)
    assert found.best.row.value is not None
    assert 0 <= found.best.row.value <= 1
    assert found.to_dict()["objective"] == "coverage@precision>=0.9"
    json.dumps(found.to_dict(), allow_nan=False)


def test_rows_are_values_of_their_own(place: str) -> None:
    row = searched(plan_of(), place, trials=1).rows[0]
    assert isinstance(row, Row)
    assert row.seconds is not None
    assert row.seconds >= 0
    assert row.latency_ms == 1.0
