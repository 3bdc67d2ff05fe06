from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tagdesk.desk import Desk, Settings, Where
from tagdesk.errors import ArtefactError, UsageError
from tagdesk.experiment.definition import Experiment, Variant
from tagdesk.experiment.design import Arm, Design, Kind, State
from tagdesk.model import STARTER, Model
from tagdesk.policy import Policy
from tagdesk.store import Conflict, NotFound, Selection, Store

NOW = datetime(2026, 5, 1, tzinfo=UTC)
HALVES = (Variant("current", 0.5), Variant("challenger", 0.5))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "tagdesk.db") as opened:
        yield opened


@pytest.fixture
def make(store: Store, saved: Path, tmp_path: Path) -> Iterator[Callable[[], Desk]]:
    root = Path(shutil.copytree(saved, tmp_path / "models"))
    made = []

    def desk() -> Desk:
        made.append(Desk(store, Settings(models=root)))
        return made[-1]

    yield desk
    for one in made:
        one.close()


def design(first: Model, second: Model, name: str = "colder", **changes: object) -> Design:
    arms = {"current": Arm(first.id), "challenger": Arm(second.id)}
    return Design(Experiment(name, HALVES), arms, **changes)


def begun(desk: Desk, one: Design) -> None:
    desk.experiments.create(one, who="ada", now=NOW)
    desk.experiments.start(one.name, who="ada", why="to see", now=NOW)


def asked(desk: Desk, customers: list[str]) -> list:
    places = [Where("shop", unit=customer) for customer in customers]
    return desk.ask([f"card charged {n}" for n in range(len(customers))], places, within=30).result(30)


def test_each_customer_is_answered_by_one_variant_always_and_the_case_says_by_which(
    make: Callable[[], Desk], models: dict[str, Model], store: Store
) -> None:
    desk = make()
    begun(desk, design(models["probe"], models["linear"]))
    customers = [f"c-{n}" for n in range(40)] * 2
    answers = asked(desk, customers)
    by_mark = {"colder:current": models["probe"].id, "colder:challenger": models["linear"].id}
    assert [answer.prediction.model for answer in answers] == [by_mark[str(answer.variant)] for answer in answers]
    assert [answer.variant for answer in answers[:40]] == [answer.variant for answer in answers[40:]]
    assert min(Counter(answer.variant for answer in answers[:40]).values()) >= 8
    desk.remember(desk.cases(answers))
    assert desk.logbook.flush(10)
    found = store.cases.page(Selection("shop", variant="colder:challenger"))
    assert {case.prediction.model for case in found} == {models["linear"].id}
    assert len(found) == sum(answer.variant == "colder:challenger" for answer in answers)


def test_who_has_neither_customer_nor_id_is_answered_by_what_is_live(
    make: Callable[[], Desk], models: dict[str, Model]
) -> None:
    desk = make()
    begun(desk, design(models["probe"], models["linear"]))
    (answer,) = desk.ask(["card charged"], [Where("shop")], within=30).result(30)
    assert (answer.variant, answer.prediction.model) == (None, Model.load(STARTER).id)


def test_a_policy_alone_can_be_a_variant(make: Callable[[], Desk], models: dict[str, Model]) -> None:
    desk, names = make(), models["probe"].taxonomy.names
    all_or_nothing = Policy.uniform(names, 0.0)
    arms = {"current": Arm(models["probe"].id), "challenger": Arm(models["probe"].id, all_or_nothing.to_dict())}
    begun(desk, Design(Experiment("bolder", HALVES), arms))
    answers = asked(desk, [f"c-{n}" for n in range(20)])
    bold = [answer.prediction for answer in answers if answer.variant == "bolder:challenger"]
    assert bold
    assert {one.policy for one in bold} == {all_or_nothing.id}
    assert all(set(one.labels) == set(names) for one in bold)


def test_it_ends_when_it_is_stopped_and_others_follow(make: Callable[[], Desk], models: dict[str, Model]) -> None:
    desk, other = make(), make()
    begun(desk, design(models["probe"], models["linear"]))
    assert other.experiments.running is None
    other.follow()
    assert other.experiments.running is not None
    assert {answer.variant for answer in asked(other, [f"c-{n}" for n in range(20)])} == {
        "colder:current",
        "colder:challenger",
    }
    desk.experiments.stop("colder", who="ada", why="seen enough", now=NOW)
    other.follow()
    assert [one.experiments.running for one in (desk, other)] == [None, None]
    assert {answer.variant for answer in asked(other, ["c-1", "c-2"])} == {None}


def test_a_process_that_starts_later_takes_part(make: Callable[[], Desk], models: dict[str, Model]) -> None:
    begun(make(), design(models["probe"], models["linear"]))
    running = make().experiments.running
    assert running is not None
    assert running.design.state is State.RUNNING


def test_one_runs_at_a_time_and_none_twice(make: Callable[[], Desk], models: dict[str, Model]) -> None:
    desk = make()
    begun(desk, design(models["probe"], models["linear"]))
    desk.experiments.create(design(models["probe"], models["linear"], "warmer"), who="ada", now=NOW)
    with pytest.raises(Conflict, match="'colder' runs"):
        desk.experiments.start("warmer", who="ada", why="too", now=NOW)
    with pytest.raises(Conflict, match="already"):
        desk.experiments.create(design(models["probe"], models["linear"]), who="ada", now=NOW)
    desk.experiments.stop("colder", who="ada", why="seen enough", now=NOW)
    with pytest.raises(UsageError, match="Only a draft"):
        desk.experiments.start("colder", who="ada", why="again", now=NOW)
    with pytest.raises(UsageError, match="Only one that runs"):
        desk.experiments.stop("colder", who="ada", why="again", now=NOW)
    with pytest.raises(NotFound):
        desk.experiments.stop("nothing", who="ada", why="again", now=NOW)


def test_an_experiment_with_a_model_that_is_not_there_does_not_start(
    make: Callable[[], Desk], models: dict[str, Model]
) -> None:
    desk = make()
    arms = {"current": Arm(models["probe"].id), "challenger": Arm("0123456789ab")}
    desk.experiments.create(Design(Experiment("colder", HALVES), arms), who="ada", now=NOW)
    with pytest.raises(ArtefactError):
        desk.experiments.start("colder", who="ada", why="to see", now=NOW)
    assert desk.experiments.running is None


def test_variants_must_know_the_same_labels(make: Callable[[], Desk], models: dict[str, Model]) -> None:
    desk = make()
    arms = {"current": Arm(STARTER), "challenger": Arm(models["probe"].id)}
    desk.experiments.create(Design(Experiment("colder", HALVES), arms), who="ada", now=NOW)
    with pytest.raises(Conflict, match="same labels"):
        desk.experiments.start("colder", who="ada", why="to see", now=NOW)


def test_where_a_model_is_gone_what_is_live_answers(make: Callable[[], Desk], models: dict[str, Model]) -> None:
    desk = make()
    begun(desk, design(models["probe"], models["linear"]))
    shutil.rmtree(desk.settings.models / models["linear"].id)
    late = make()
    assert late.experiments.running is None
    late.follow()  # it is not tried every second
    assert {answer.variant for answer in asked(late, ["c-1", "c-2", "c-3"])} == {None}


def test_a_variant_that_fails_is_stood_in_for_and_is_not_counted(
    make: Callable[[], Desk], models: dict[str, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make()
    begun(desk, design(models["probe"], models["linear"]))
    predict = Model.predict

    def failing(self: Model, *given: object, **named: object) -> list:
        if self.id == models["linear"].id:
            raise ArtefactError("Its weights are damaged.", code="model_unhealthy")
        return predict(self, *given, **named)

    monkeypatch.setattr(Model, "predict", failing)
    answers = asked(desk, [f"c-{n}" for n in range(20)])
    assert {answer.variant for answer in answers} == {"colder:current", None}
    assert {a.prediction.model for a in answers if a.variant is None} == {desk.live.model.id}


def test_a_shadow_is_asked_behind_the_answers_and_heard_by_nobody(
    make: Callable[[], Desk], models: dict[str, Model], store: Store
) -> None:
    desk = make()
    begun(desk, design(models["probe"], models["linear"], kind=Kind.SHADOW))
    answers = asked(desk, [f"c-{n}" for n in range(12)])
    assert {(answer.variant, answer.prediction.model) for answer in answers} == {(None, desk.live.model.id)}
    cases = desk.cases(answers)
    desk.remember(cases)
    shadow, until = desk.experiments.shadow, time.monotonic() + 60
    assert shadow is not None
    while shadow.written < len(cases) and time.monotonic() < until:
        time.sleep(0.05)
    found = [one for _, one in store.shadows.page("colder:challenger")]
    assert {one.case for one in found} == {case.id for case in cases}
    by_case = {case.id: case.prediction.text for case in cases}
    for one in found:
        (expected,) = models["linear"].predict([by_case[one.case]])
        assert (one.prediction.labels, one.prediction.text) == (expected.labels, "")
        assert dict(one.prediction.scores) == pytest.approx(dict(expected.scores), abs=1e-5)
    store.erase(Selection("shop", case=cases[0].id), who="ada", now=NOW)
    assert len(store.shadows.page("colder:challenger")) == len(cases) - 1


def test_a_shadow_that_cannot_keep_up_leaves_the_oldest_out(
    make: Callable[[], Desk], models: dict[str, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tagdesk.desk.shadow.MOST_WAITING", 5)
    desk = make()
    begun(desk, design(models["probe"], models["linear"], kind=Kind.SHADOW))
    shadow = desk.experiments.shadow
    assert shadow is not None
    cases = desk.cases(asked(desk, [f"c-{n}" for n in range(60)]))
    shadow.offer(cases)
    assert len(shadow) <= 5
    assert shadow.dropped >= 60 - 5 - 16  # one question may have left already
