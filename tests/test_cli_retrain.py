"""`tagdesk retrain`: from what people corrected to a model that may answer, or must not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tiny
from command import nothing_new_in, refusal, tagdesk
from tagdesk.cli import retraining
from tagdesk.dataset import write_tickets
from tagdesk.model import Model, list_models
from tagdesk.prediction import Decision
from tagdesk.retrain import Retrained
from tagdesk.store import Decided, Promotion, Store
from tagdesk.ticket import Ticket
from test_store_fixtures import DAY, HOUR, NOW, case, review

SETTINGS = {"max_features": 500, "char_ngrams": 0, "folds": 2, "calibration": "none", "label_sets": "false"}
LINEAR = ("--recipe", "linear", *(part for name, value in SETTINGS.items() for part in ("--set", f"{name}={value}")))
EVIL = "Refund\u202e\x9b2J[red]"
EVE = "\x1b[2J\u202eeve"
ACTING = set("\x1b\x9b\u202e")
TURNED = dict(zip(tiny.LABELS, (*tiny.LABELS[1:], tiny.LABELS[0]), strict=True))


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A folder of models that may be changed."""
    return Path(shutil.copytree(saved, tmp_path / "models"))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "tagdesk.db"
    Store.open(path).close()
    return path


@pytest.fixture
def base(tmp_path: Path, tickets: list[Ticket]) -> Path:
    write_tickets(tmp_path / "base.csv", tickets)
    return tmp_path / "base.csv"


@pytest.fixture
def turned(tmp_path: Path, tickets: list[Ticket]) -> Path:
    """The base with each label in place of another one."""
    wrong = [replace(one, labels=frozenset(TURNED[label] for label in one.labels or ())) for one in tickets]
    write_tickets(tmp_path / "turned.csv", wrong)
    return tmp_path / "turned.csv"


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    write_tickets(tmp_path / "golden.csv", tiny.tickets(40, seed=5))
    return tmp_path / "golden.csv"


@pytest.fixture
def places(store: Path, folder: Path, golden: Path) -> tuple[str | Path, ...]:
    return ("--store", store, "--models", folder, "--golden", golden, *LINEAR)


def let_answer(store: Path, model: Model) -> Promotion:
    with Store.open(store) as opened:
        return opened.promotions.promote(model.id, model.policy.id, Decided("ada", NOW, "first"))


def history(store: Path) -> list[Promotion]:
    with Store.open(store) as opened:
        return opened.promotions.history()


def reviewed(store: Path, facts: Sequence[tuple[str, str, Sequence[str]]], *, who: str = "ada", **changes: Any) -> None:
    """Cases of "shop", each with its text, the label that was said for sure, and what one reviewer found."""
    with Store.open(store) as opened:
        for n, (text, said, found) in enumerate(facts):
            id_ = f"{who}-{n}"
            decisions = {said: Decision.SUGGEST}
            one = case(id_, text=text, labels=(said,), scores={said: 0.99}, decisions=decisions, time=NOW + n * HOUR)
            opened.cases.add([replace(one, **changes)])
            opened.reviews.add([review(id_, *found, reviewer=who)], tenant=changes.get("tenant", "shop"))


CORRECTED = (
    ("lost box courier number seven", "Billing Issue", ("Shipping Concern",)),
    ("reset my login code please", "Account Access", ("Account Access",)),
)


def test_a_candidate_is_made_kept_and_told_of_and_nothing_is_promoted(
    store: Path, folder: Path, base: Path, places: tuple[str | Path, ...], models: dict[str, Model]
) -> None:
    let_answer(store, models["onnx"])
    reviewed(store, CORRECTED)
    before = {manifest.id for manifest in list_models(folder)}
    answer = tagdesk("retrain", base, *places)
    assert (answer.code, answer.err) == (0, "")
    (made,) = {manifest.id for manifest in list_models(folder)} - before
    lines = answer.out.splitlines()
    assert lines[0] == "Learned from 62 tickets, among them 2 of 2 reviewed ones."
    assert lines[1] == f"On 40 golden tickets, {made} against {models['onnx'].id}:"
    assert any(line.startswith("The candidate is better: macro F1 +") for line in lines)
    assert lines[-1] == f"It may answer: tagdesk models promote {made} --why ..."
    assert len(history(store)) == 1


def test_the_json_tells_the_same(
    store: Path, base: Path, places: tuple[str | Path, ...], models: dict[str, Model]
) -> None:
    let_answer(store, models["onnx"])
    reviewed(store, CORRECTED)
    found = tagdesk("retrain", base, *places, "--json").json
    assert found["current"] == models["onnx"].id
    counts = {name: found[name] for name in ("learned_from", "taught", "reviewed", "waiting", "golden")}
    assert counts == {"learned_from": 62, "taught": 2, "reviewed": 2, "waiting": 0, "golden": 40}
    assert [one["figure"] for one in found["verdicts"]] == ["f1_macro", "exact_match"]
    assert (found["is_fit"], found["is_promoted"], found["against"]) == (True, False, [])


def test_a_promotion_is_on_record_with_its_verdicts_and_who_decided(
    store: Path, base: Path, places: tuple[str | Path, ...], models: dict[str, Model]
) -> None:
    first = let_answer(store, models["onnx"])
    answer = tagdesk("retrain", base, *places, "--promote", "--who", "ada", "--json")
    assert (answer.code, answer.json["is_promoted"]) == (0, True)
    last = history(store)[-1]
    assert (last.model, last.previous, last.who) == (answer.json["candidate"], first.number, "ada")
    assert last.why.startswith("retrained: The candidate is better: macro F1 +")
    assert last.verdict == answer.json["verdicts"]
    again = tagdesk("retrain", base, *places, "--promote")  # what answers now is what would come of it
    assert (again.code, again.out.splitlines()[-1]) == (0, "It is the model that answers already.")
    assert history(store)[-1] == last


def test_a_candidate_that_is_worse_is_refused_in_one_line(
    store: Path, turned: Path, places: tuple[str | Path, ...], models: dict[str, Model]
) -> None:
    let_answer(store, models["linear"])
    answer = tagdesk("retrain", turned, *places, "--promote")
    assert answer.code == 4
    assert len(answer.err.splitlines()) == 1
    assert "was not promoted: it loses on the golden set: macro F1 -" in answer.err
    assert "it is worse: F1 of Billing Issue" in answer.err
    assert "It must not answer: it loses on the golden set" in answer.out.replace("\n", " ")
    assert len(history(store)) == 1
    machine = tagdesk("retrain", turned, *places, "--promote", "--json")
    assert (machine.code, machine.json["is_fit"], machine.json["is_promoted"]) == (4, False, False)
    assert set(machine.json["worse_labels"]) == set(tiny.LABELS)


def test_a_candidate_that_is_worse_is_no_failure_where_nobody_wants_it_to_answer(
    store: Path, turned: Path, places: tuple[str | Path, ...], models: dict[str, Model]
) -> None:
    let_answer(store, models["linear"])
    answer = tagdesk("retrain", turned, *places)
    assert (answer.code, answer.err) == (0, "")
    assert "It must not answer" in answer.out


def test_rows_that_were_left_out_are_told_and_do_not_hide_a_refusal(
    store: Path, base: Path, turned: Path, places: tuple[str | Path, ...], models: dict[str, Model]
) -> None:
    let_answer(store, models["linear"])
    for path in (base, turned):
        path.write_text(path.read_text() + "x,,Billing Issue,\n")
    assert tagdesk("retrain", base, *places).code == 5
    answer = tagdesk("retrain", turned, *places, "--promote")
    assert answer.code == 4
    assert "1 of 61 rows rejected" in answer.err


def test_a_promotion_that_came_in_between_wins(
    store: Path,
    base: Path,
    places: tuple[str | Path, ...],
    models: dict[str, Model],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    let_answer(store, models["onnx"])

    def meanwhile(*given: Any, **more: Any) -> Retrained:
        let_answer(store, models["probe"])
        return train(*given, **more)

    train: Callable[..., Retrained] = retraining.retrain_model
    monkeypatch.setattr(retraining, "retrain_model", meanwhile)
    assert "Another promotion came first" in refusal(1, "retrain", base, *places, "--promote")
    assert [one.model for one in history(store)] == [models["onnx"].id, models["probe"].id]


@pytest.mark.parametrize("was_brought_back", [False, True], ids=["never promoted", "brought back"])
def test_the_starter_is_what_answers_at_first_and_after_a_rollback_to_it(
    store: Path,
    base: Path,
    places: tuple[str | Path, ...],
    was_brought_back: bool,  # noqa: FBT001 - a case of the table
) -> None:
    starter = Model.load("starter")
    if was_brought_back:
        let_answer(store, starter)
    answer = tagdesk("retrain", base, *places, "--promote", "--json")
    assert (answer.code, answer.json["current"]) == (4, starter.id)
    assert "it no longer knows 'Product Inquiry', which no ticket to learn from carries" in answer.json["against"]


def test_a_mass_of_corrections_waits_and_no_name_or_text_acts_on_the_terminal(
    store: Path, tmp_path: Path, tickets: list[Ticket], places: tuple[str | Path, ...], models: dict[str, Model]
) -> None:
    let_answer(store, models["onnx"])
    refunds = [Ticket(f"r{n}", f"send \x1b[2J\u202emoney back {n}", frozenset({EVIL})) for n in range(20)]
    write_tickets(tmp_path / "base.jsonl", [*tickets, *refunds])
    reviewed(store, [(f"refund \x1b[2J\u202enow {n}", EVIL, ["Billing Issue"]) for n in range(12)], who=EVE)
    answer = tagdesk("retrain", tmp_path / "base.jsonl", *places)
    assert answer.code == 0
    assert not ACTING & set(answer.out + answer.err)
    words = " ".join(answer.out.split())
    assert words.startswith("Learned from 80 tickets, among them 0 of 12 reviewed ones. Held back until")
    assert r"\x1b[2J\u202eeve took 'Refund" in words
    assert "away in 12 of 12 cases; the model expects 0." in words
    assert "12 waiting: one of many cases" in words
    held_back = tagdesk("retrain", tmp_path / "base.jsonl", *places, "--json").json["held_back"]
    assert [one["case"] for one in held_back] == [f"{EVE}-{n}" for n in range(12)]
    trusting = tagdesk("retrain", tmp_path / "base.jsonl", *places, "--trust", EVE, "--trust", "Eve", "--json")
    assert (trusting.json["waiting"], trusting.json["taught"], trusting.json["masses"]) == (0, 12, [])
    assert trusting.err == "warning: --trust 'Eve': no review that counts is theirs.\n"


def test_reviews_that_teach_nothing_are_counted_with_their_reasons(
    store: Path, base: Path, places: tuple[str | Path, ...], models: dict[str, Model]
) -> None:
    let_answer(store, models["onnx"])
    near = tiny.tickets(40, seed=5)[0]
    reviewed(store, [("an old text", "Billing Issue", ())])
    with Store.open(store) as opened:
        opened.retain(1, who="ada", now=NOW + 2 * DAY)
        opened.cases.add([case(f"c{n}", text=text) for n, text in enumerate(("pay me", near.text, "late parcel"))])
        given = [review("c0"), review("c0", "Billing Issue", reviewer="bob")]
        given += [review("c1", *near.labels or ()), review("c2", "Shipping Concern")]
        opened.reviews.add(given, tenant="shop")
    lines = tagdesk("retrain", base, *places).out.splitlines()
    assert lines[0] == "Learned from 61 tickets, among them 1 of 2 reviewed ones."
    assert " ".join(lines[1:3]).startswith(
        "Teach nothing: 1 near golden tickets, 1 on which reviewers contradict each other, 1 whose text is no longer "
        "kept."
    )


def test_only_one_tenants_reviews_teach_where_one_is_named(
    store: Path, base: Path, places: tuple[str | Path, ...], models: dict[str, Model]
) -> None:
    let_answer(store, models["onnx"])
    reviewed(store, CORRECTED)
    reviewed(store, CORRECTED[:1], who="bob", tenant="bank")
    found = {
        tenant: tagdesk("retrain", base, *places, "--json", *(("--tenant", tenant) if tenant else ())).json["reviewed"]
        for tenant in ("shop", "bank", "nobody", "")
    }
    assert found == {"shop": 2, "bank": 1, "nobody": 0, "": 3}


def test_without_a_golden_file_a_fifth_of_the_base_decides(
    store: Path, folder: Path, base: Path, models: dict[str, Model]
) -> None:
    let_answer(store, models["onnx"])
    found = tagdesk("retrain", base, "--store", store, "--models", folder, *LINEAR, "--json").json
    assert (found["golden"], found["learned_from"]) == (12, 48)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--margin", "0"), "--margin 0"),
        (("--margin", "nan"), "--margin nan"),
        (("--recipe", "magic"), "no recipe 'magic'"),
        (("--promote", "--who", ""), "name of who decides"),
        (("--tenant", ""), "tenant"),
        (("--seed", "-1"), "--seed"),
    ],
)
def test_what_makes_no_sense_is_refused_before_the_training(
    base: Path,
    folder: Path,
    places: tuple[str | Path, ...],
    more: tuple[str, ...],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tagdesk.retrain.train", None)  # would end in a TypeError
    with nothing_new_in(folder):
        assert said in refusal(2, "retrain", base, *places, *more)


def test_a_store_that_is_not_there_is_not_made(base: Path, places: tuple[str | Path, ...], tmp_path: Path) -> None:
    with nothing_new_in(tmp_path):
        assert "there is no store" in refusal(2, "retrain", base, *places, "--store", tmp_path / "no.db")


def test_models_that_cannot_be_kept_are_told_before_the_training(
    base: Path, places: tuple[str | Path, ...], tmp_path: Path
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("mine")
    assert "taken" in refusal(2, "retrain", base, *places, "--models", taken)


@pytest.mark.parametrize("content", [None, "", "text,labels\n", "number\n7\n", "text\nmy card was charged\n"])
def test_files_without_labelled_tickets_are_refused(
    store: Path,
    base: Path,
    places: tuple[str | Path, ...],
    tmp_path: Path,
    models: dict[str, Model],
    content: str | None,
) -> None:
    let_answer(store, models["onnx"])
    path = tmp_path / "wrong.csv"
    if content is not None:
        path.write_text(content)
    refusal(3, "retrain", path, *places)
    refusal(3, "retrain", base, *places, "--golden", path)


def test_a_model_that_answers_and_is_gone_is_named(
    store: Path, folder: Path, base: Path, places: tuple[str | Path, ...], models: dict[str, Model]
) -> None:
    let_answer(store, models["onnx"])
    shutil.rmtree(folder / models["onnx"].id)
    assert models["onnx"].id in refusal(4, "retrain", base, *places)


def test_the_help_of_all_commands_does_without_the_store() -> None:
    script = "import sys; sys.modules['sqlalchemy'] = None; from tagdesk.cli import run; sys.exit(run(sys.argv[1:]))"
    captured = {"capture_output": True, "text": True}
    said = subprocess.run([sys.executable, "-c", script, "--help"], check=True, **captured)
    assert "retrain" in said.stdout
    asked = subprocess.run([sys.executable, "-c", script, "retrain", "x.csv"], check=False, **captured)
    assert (asked.returncode, asked.stdout) == (2, "")
    assert "pip install 'tagdesk[serve]'" in asked.stderr
