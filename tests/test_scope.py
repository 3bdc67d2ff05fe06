from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tiny
from tagdesk.bulk import classify
from tagdesk.calibrate import Calibration, fit, split_none, with_none
from tagdesk.dataset import File
from tagdesk.errors import ArtefactError
from tagdesk.label_sets import LabelSets
from tagdesk.model import Model
from tagdesk.policy import Policy, _scope_cut, parse_objective
from tagdesk.policy import fit as fit_policy
from tagdesk.scorers import Recipe
from tagdesk.ticket import Ticket
from tagdesk.train import Trained, train

CHATTER = ("ok ok ok", "you and you", "today is today", "is it for you", "not again ok", "and the and the")


@pytest.fixture(scope="module")
def learned(tickets: list[Ticket], encoder: Path) -> Trained:
    """A probe that saw tickets without a label."""
    silent = [Ticket(f"n{i}", f"{text} {'ok ' * (i % 3)}{i}", frozenset()) for i, text in enumerate(CHATTER * 4)]
    return train([*tickets, *silent], Recipe(kind="probe", encoder=str(encoder)))


def test_chatter_is_called_out_of_scope_and_gets_no_label(learned: Trained) -> None:
    chatter, need = learned.model.predict(["ok and today is you", "card charged twice, invoice"])
    assert chatter.out_of_scope is not None
    assert need.out_of_scope is not None
    assert chatter.out_of_scope > 0.5 > need.out_of_scope
    assert chatter.labels == ()
    assert chatter.to_dict()["out_of_scope"] == round(chatter.out_of_scope, 6)
    assert "Billing Issue" in need.labels
    assert "out_of_scope" not in need.flags


def test_none_of_these_is_no_label_of_the_taxonomy(learned: Trained) -> None:
    judged = learned.model.judge(["ok"])
    assert judged.raw.shape == judged.probs.shape == (1, 3)
    assert learned.evidence.targets.shape == learned.evidence.raw.shape == (84, 3)
    assert set(learned.model.predict(["ok"])[0].scores) == set(tiny.LABELS)


def test_the_cut_decides_whatever_the_labels_say(learned: Trained) -> None:
    strict = replace(learned.model.policy, out_of_scope=0.0)
    prediction = learned.model.predict(["card charged twice, invoice"], policy=strict)[0]
    assert prediction.labels == ()
    assert "out_of_scope" in prediction.flags
    assert strict.id != learned.model.policy.id


def test_a_result_has_the_probability_of_none_beside_the_scores(learned: Trained, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "ok and today is you"}\n', encoding="utf-8")
    model = learned.model.save(tmp_path)
    classify(model, File(tmp_path / "in.jsonl"), tmp_path / "out.jsonl")
    row = json.loads((tmp_path / "out.jsonl").read_text(encoding="utf-8"))
    assert row["out_of_scope"] == round(model.predict(["ok and today is you"])[0].out_of_scope or 0, 6)
    assert [name for name in row if name.startswith("score: ")] == [f"score: {name}" for name in model.taxonomy.names]


def test_scope_survives_the_disk(learned: Trained, tmp_path: Path) -> None:
    text = ["ok and today is you", "parcel late"]
    saved = learned.model.save(tmp_path)
    again = Model.load(tmp_path / saved.id)
    assert [p.out_of_scope for p in again.predict(text)] == [p.out_of_scope for p in learned.model.predict(text)]
    assert again.policy.out_of_scope == learned.model.policy.out_of_scope
    assert again.knows_scope


def test_without_tickets_that_carry_no_label_nothing_is_out_of_scope(models: dict[str, Model]) -> None:
    prediction = models["probe"].predict(["ok"])[0]
    assert prediction.out_of_scope is None
    assert prediction.to_dict()["out_of_scope"] is None
    assert not models["probe"].knows_scope


def test_a_cut_refuses_most_of_the_others_and_few_with_labels() -> None:
    rng = np.random.default_rng(0)
    targets = rng.random((400, 2)) < [0.5, 0.4]
    in_scope = targets.any(axis=1)
    none = np.where(in_scope, rng.beta(2, 3, 400), rng.beta(12, 1, 400)).astype(np.float32)
    probs = np.clip(targets * 0.7 + 0.1, 0, 1).astype(np.float32)
    probs[~in_scope] = 0.9  # every ticket without a label would get two
    policy = fit_policy(targets, probs, ["A", "B"], parse_objective("f1_macro"), none=none)
    refused = policy.refuses(none)
    assert 0 < refused[in_scope].mean() <= 0.05
    assert refused[~in_scope].mean() > 0.8
    assert not policy.decide(probs, none)[refused].any()


def cut_of(targets: list[int], given: list[int], none: list[float]) -> float:
    """The cut for these tickets of one label, a thousand times over; `given` says who gets it if nothing is refused."""
    found = np.tile(np.array(targets, dtype=np.bool_), 1000)[:, None]
    probs = np.where(np.tile(given, 1000), 0.9, 0.1).astype(np.float32)[:, None]
    scores = np.tile(np.array(none, dtype=np.float32), 1000)
    return fit_policy(found, probs, ["A"], parse_objective("precision>=0.01"), none=scores).out_of_scope


def test_the_cut_gets_the_most_tickets_right() -> None:
    right = [1] * 50
    assert cut_of([*right, 0, 0], [*right, 1, 1], [0.0] * 50 + [0.25, 0.75]) == 0.125
    # To refuse the last of them would cost two tickets with labels.
    assert cut_of([*right, 0, 0], [*right, 1, 1], [0.0] * 48 + [0.5, 0.5, 0.25, 0.75]) == 0.625


def test_no_more_than_one_in_forty_tickets_with_labels_is_refused() -> None:
    targets, given = [1] * 200 + [0] * 5, [0] * 200 + [1] * 5  # all wrong, so that exactness does not mind
    assert cut_of(targets, given, [0.75] * 5 + [0.0] * 195 + [0.5] * 5) == 0.25
    assert cut_of(targets, given, [0.75] * 6 + [0.0] * 194 + [0.5] * 5) == np.inf


def test_tickets_that_get_no_label_anyway_have_none_to_lose() -> None:
    targets = np.array([[True]] * 60 + [[False]] * 5)
    given = np.array([[False]] * 10 + [[True]] * 55)
    none = np.array([0.5] * 10 + [0.0] * 50 + [0.5] * 5, dtype=np.float32)
    assert _scope_cut(targets, given, none) == 0.25


def test_where_labels_are_right_anyway_the_cut_lies_in_the_middle() -> None:
    right = [1] * 50
    assert cut_of([*right, 0], [*right, 0], [0.0] * 50 + [1.0]) == 0.5


def test_what_cannot_be_told_from_tickets_with_labels_is_not_refused() -> None:
    right = [1] * 50
    assert cut_of([*right, 0], [*right, 1], [0.25] * 51) == np.inf
    assert cut_of(right, right, [0.0] * 49 + [1.0]) == np.inf


def test_too_few_tickets_make_no_cut() -> None:
    targets = np.ones((29, 1), dtype=np.bool_)
    none = np.linspace(0, 1, 29, dtype=np.float32)
    probs = np.full((29, 1), 0.9, dtype=np.float32)
    assert fit_policy(targets, probs, ["A"], parse_objective("f1_macro"), none=none).out_of_scope == np.inf


def test_policies_written_before_there_was_a_cut_keep_their_id() -> None:
    old = {"objective": "", "fitted_on": 0, "suggest": {"A": 0.5}, "automate": {"A": None}}
    policy = Policy.from_dict(old, ["A"])
    assert policy.out_of_scope == np.inf
    assert policy.to_dict() == old
    with pytest.raises(ArtefactError, match="out_of_scope"):
        Policy.from_dict({**old, "out_of_scope": 1.5}, ["A"])


def test_a_calibration_holds_none_of_these_apart_from_the_labels() -> None:
    calibration = Calibration(np.array([1.0, 2.0, 3.0]), np.array([0.0, 0.5, -0.5]))
    document = json.loads(json.dumps(calibration.to_dict(["A", "none"])))
    assert list(document["labels"]) == ["A", "none"]
    assert document["none"] == {"slope": 3.0, "intercept": -0.5}
    assert Calibration.from_dict(document, ["A", "none"]).slopes.tolist() == [1.0, 2.0, 3.0]
    with pytest.raises(ArtefactError, match="slope"):
        Calibration.from_dict({**document, "none": {"slope": -1.0, "intercept": 0.0}}, ["A", "none"])


def test_what_speaks_for_none_speaks_against_every_label() -> None:
    sets = LabelSets(np.array([[True, False], [False, True], [False, False]]), 0.0)
    sure, unsure = (sets.apply(np.array([[0.6, 0.1, none]], dtype=np.float32))[0] for none in (0.9, 0.1))
    assert (sure[:2] < unsure[:2]).all()
    assert sure.sum() == pytest.approx(1.0, abs=1e-5)


def test_calibration_learns_the_column_from_tickets_without_labels() -> None:
    rng = np.random.default_rng(1)
    targets = rng.random((300, 2)) < 0.3
    probs = np.clip(with_none(targets) * 0.5 + 0.25 + rng.normal(0, 0.05, (300, 3)), 0.01, 0.99).astype(np.float32)
    _, none = split_none(fit(targets, probs).apply(probs), 2)
    assert none is not None
    assert none[~targets.any(axis=1)].min() > 0.9
    assert none[targets.any(axis=1)].max() < 0.1


def test_a_cut_is_no_part_of_a_model_that_cannot_see_scope(copy_of: Callable[[str], Path]) -> None:
    folder = copy_of("probe")
    policy = json.loads((folder / "policy.json").read_text(encoding="utf-8"))
    (folder / "policy.json").write_text(json.dumps({**policy, "out_of_scope": 0.7}), encoding="utf-8")
    tiny.reseal(folder)
    with pytest.raises(ArtefactError, match="out of scope"):
        Model.load(folder)


def test_copies_of_one_text_teach_nothing_of_scope(tickets: list[Ticket], encoder: Path) -> None:
    copies = [Ticket(f"n{i}", "ok ok", frozenset()) for i in range(20)]
    recipe = Recipe(kind="probe", encoder=str(encoder))
    assert not train([*tickets, *copies], recipe).model.knows_scope
