from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tagdesk.case import Case
from tagdesk.desk import Desk, Settings, Where
from tagdesk.errors import ArtefactError, Refused, TagdeskError, UsageError
from tagdesk.model import Model
from tagdesk.review import Review
from tagdesk.store import Conflict, NotFound, Receipt, Selection, Store, StoreUnavailable

TEXT = "I was charged twice, write to ada@example.com"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "tagdesk.db") as opened:
        yield opened


@pytest.fixture
def desk(store: Store, saved: Path, tmp_path: Path) -> Iterator[Desk]:
    models = Path(shutil.copytree(saved, tmp_path / "models"))
    opened = Desk(store, Settings(models=models))
    yield opened
    opened.close()


def ask(desk: Desk, *texts: str) -> list:
    return [answer.prediction for answer in desk.ask(list(texts), within=30).result(30)]


def remembered(desk: Desk, texts: list[str], places: list[Where]) -> list[Case]:
    cases = desk.cases(desk.ask(texts, places, within=30).result(30))
    desk.remember(cases)
    return cases


def test_a_new_desk_answers_with_the_model_that_ships(desk: Desk) -> None:
    assert ask(desk, TEXT)[0].model == Model.load("starter").id
    assert desk.live.promotion == 0


def test_what_was_said_is_remembered_without_personal_data(desk: Desk, store: Store) -> None:
    (case,) = remembered(desk, [TEXT], [Where("shop", ticket="T-1", unit="c-1")])
    assert desk.logbook.flush(10)
    (found,) = store.cases.get([case.id], tenant="shop")
    assert found is not None
    assert found.prediction.text == "I was charged twice, write to [EMAIL]"
    assert (found.ticket, found.unit) == ("T-1", "c-1")
    assert found.prediction.labels == case.prediction.labels


def test_texts_can_be_kept_out_of_the_store(store: Store) -> None:
    desk = Desk(store, Settings(keeps_text=False))
    (case,) = remembered(desk, [TEXT], [Where("shop")])
    desk.close()
    (found,) = store.cases.get([case.id], tenant="shop")
    assert found is not None
    assert found.prediction.text == ""


def test_a_review_of_a_case_answered_a_moment_ago_is_kept(desk: Desk) -> None:
    (case,) = remembered(desk, [TEXT], [Where("shop")])
    review = Review(case.id, frozenset({"Billing Issue"}), "ada", desk.now())
    assert desk.review([review], tenant="shop") == [Receipt.ADDED]
    assert desk.review([review], tenant="other") == [Receipt.UNKNOWN_CASE]


def test_a_review_of_a_case_that_the_store_could_not_take_is_to_be_sent_again(desk: Desk, store: Store) -> None:
    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(type(store.cases), "add", refuse)
        (case,) = remembered(desk, [TEXT], [Where("shop")])
        review = Review(case.id, frozenset({"Billing Issue"}), "ada", desk.now())
        with pytest.raises(StoreUnavailable):
            desk.review([review], tenant="shop")
    deadline = time.monotonic() + 30
    while desk.logbook.holds([case.id]) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert desk.review([review], tenant="shop") == [Receipt.ADDED]


def refuse(*_: object, **__: object) -> None:
    raise StoreUnavailable("It is gone.")


def test_a_review_with_a_label_nobody_knows_is_refused(desk: Desk) -> None:
    with pytest.raises(UsageError) as refused:
        desk.review([Review("x", frozenset({"Weather"}), "ada", desk.now())], tenant="shop")
    assert "Weather" not in str(refused.value)


def test_a_promoted_model_answers_at_once_and_a_rollback_brings_the_old_one_back(
    desk: Desk, models: dict[str, Model]
) -> None:
    starter = desk.live.model.id
    first = desk.promote(models["probe"].id, who="ada", why="better")
    assert ask(desk, TEXT)[0].model == models["probe"].id == first.model
    desk.promote(models["linear"].id, who="ada", why="better still")
    assert desk.rollback(who="bob", why="worse").model == models["probe"].id
    assert desk.rollback(who="bob", why="worse").model == starter
    assert ask(desk, TEXT)[0].model == starter
    with pytest.raises(NotFound):
        desk.rollback(who="bob", why="worse")
    kinds = [promotion.kind.value for promotion in desk.store.promotions.history()]
    assert kinds == ["promote", "promote", "promote", "rollback", "rollback"]


def test_a_desk_that_opens_later_answers_with_what_was_promoted(
    desk: Desk, models: dict[str, Model], store: Store
) -> None:
    desk.promote(models["probe"].id, who="ada", why="better")
    again = Desk(store, desk.settings)
    assert ask(again, TEXT)[0].model == models["probe"].id
    again.close()


def test_another_process_follows_a_promotion(desk: Desk, models: dict[str, Model], store: Store) -> None:
    other = Desk(store, desk.settings)
    assert not other.follow()
    desk.promote(models["probe"].id, who="ada", why="better")
    assert other.follow()
    assert ask(other, TEXT)[0].model == models["probe"].id
    assert not other.follow()
    other.close()


def test_what_another_process_has_tried_is_opened_without_a_process_of_its_own(
    desk: Desk, models: dict[str, Model], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Desk(store, desk.settings)
    desk.promote(models["probe"].id, who="ada", why="better")
    monkeypatch.setattr(sys, "executable", "/no/python")
    assert other.follow()
    assert other.live.model.id == models["probe"].id
    with pytest.raises(FileNotFoundError):
        desk.promote(models["linear"].id, who="ada", why="nobody has tried it yet")
    other.close()


def test_another_model_under_the_name_of_the_promoted_one_is_not_followed(
    desk: Desk, models: dict[str, Model], store: Store
) -> None:
    other = Desk(store, desk.settings)
    desk.promote(models["probe"].id, who="ada", why="better")
    folder = desk.settings.models / models["probe"].id
    shutil.rmtree(folder)
    shutil.copytree(desk.settings.models / models["linear"].id, folder)
    with pytest.raises(Refused) as refused:
        other.follow()
    assert refused.value.code == "model_changed"
    assert other.live.promotion == 0
    other.close()


def test_of_two_who_promote_at_once_one_is_refused(desk: Desk, models: dict[str, Model]) -> None:
    desk.promote(models["probe"].id, who="ada", why="better")
    with pytest.raises(Conflict):
        desk.promote(models["linear"].id, who="bob", why="better", expected=0)
    assert desk.live.model.id == models["probe"].id


@pytest.mark.parametrize("harm", ["flip", "missing", "pickle"])
def test_a_model_that_is_not_fit_is_refused_and_the_old_one_goes_on(
    desk: Desk, models: dict[str, Model], harm: str
) -> None:
    folder = desk.settings.models / models["probe"].id
    if harm == "flip":
        file = next(path for path in folder.iterdir() if path.name.endswith((".npz", ".onnx")))
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    elif harm == "missing":
        (folder / "calibration.json").unlink()
    else:
        (folder / "weights.pkl").write_bytes(b"\x80\x04.")
    with pytest.raises(ArtefactError):
        desk.promote(models["probe"].id, who="ada", why="better")
    assert ask(desk, TEXT)[0].model == desk.live.model.id == Model.load("starter").id
    assert desk.store.promotions.current() is None or desk.store.promotions.current().model == desk.live.model.id


@pytest.mark.parametrize("name", ["../../etc", "http://x", "", "a/b", "no", "x" * 500])
def test_names_that_are_no_id_are_refused(desk: Desk, name: str) -> None:
    with pytest.raises(TagdeskError) as refused:
        desk.promote(name, who="ada", why="better")
    assert getattr(refused.value, "code", "") == "no_model"


def test_erasing_a_customer_leaves_nothing_of_theirs(desk: Desk, store: Store) -> None:
    (mine, other) = remembered(desk, [TEXT, "Where is my parcel?"], [Where("shop", unit="c-1"), Where("shop")])
    assert desk.erase(Selection("shop", unit="c-1"), who="ada") == 1
    assert [case is None for case in store.cases.get([mine.id, other.id], tenant="shop")] == [True, False]
    assert desk.live.model.cache is not None
    assert len(desk.live.model.cache) == 0


def test_the_memory_of_a_model_that_left_is_handed_back_once_nobody_waits_for_it(
    desk: Desk, models: dict[str, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    freed = []
    monkeypatch.setattr("tagdesk.desk.return_freed_memory", lambda: freed.append(1))
    waiting = desk.live
    desk.promote(models["probe"].id, who="ada", why="better")
    desk.follow()
    assert not freed
    del waiting
    desk.follow()
    desk.follow()
    assert freed == [1]


def test_a_policy_that_was_changed_on_disk_is_not_swapped_in(
    desk: Desk, models: dict[str, Model], store: Store
) -> None:
    other = Desk(store, desk.settings)
    desk.promote(models["probe"].id, who="ada", why="better")
    path = desk.settings.models / models["probe"].id / "policy.json"
    path.write_text(path.read_text(encoding="utf-8").replace("0.5", "0.55"), encoding="utf-8")
    with pytest.raises(ArtefactError):
        other.follow()
    assert other.live.promotion == 0
    other.close()


def test_a_case_that_the_store_refuses_does_not_hold_up_the_others(desk: Desk, store: Store) -> None:
    (first,) = remembered(desk, [TEXT], [Where("shop")])
    assert desk.logbook.flush(10)
    twin = replace(first, prediction=replace(first.prediction, text="another text"))  # the same id
    (second,) = (replace(first, id=first.id[:-1] + ("0" if first.id[-1] != "0" else "1")),)
    desk.logbook.add([twin, second])
    assert desk.logbook.flush(10)
    assert (desk.logbook.written, desk.logbook.dropped) == (2, 1)
    assert store.cases.get([second.id], tenant="shop")[0] is not None
