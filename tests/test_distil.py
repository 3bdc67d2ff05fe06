from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import tiny
from tagdesk import distil
from tagdesk.distil import AGREEMENT, Choices, cuts_of, distilled, spliced
from tagdesk.encoders.graph import quantise, words_of
from tagdesk.errors import ArtefactError, InputError, UsageError
from tagdesk.export import exported
from tagdesk.model import Model
from tagdesk.scorers.base import sigmoid
from tagdesk.scorers.cascade import CascadeScorer

SMALL = {"rank": 32, "width": 32, "layers": 1, "heads": 2, "epochs": 6, "learning_rate": 3e-3}
CHOICES = Choices(spliced=300, shape=SMALL)
TEXTS = [ticket.text for ticket in tiny.tickets(1600)]
UNSEEN = [ticket.text for ticket in tiny.tickets(200, seed=9)]


@pytest.fixture(scope="module")
def large(models: dict[str, Model]) -> Model:
    """A graph that has learned something."""
    return models["onnx"]


@pytest.fixture(scope="module")
def made(large: Model, tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, distil.Found]:
    folder = tmp_path_factory.mktemp("distilled")
    with distilled(large, TEXTS, CHOICES) as (model, found):
        return Model.load(folder / model.save(folder).id), found


def test_the_small_graph_decides_as_the_large_one_on_texts_that_neither_saw(
    made: tuple[Model, distil.Found], large: Model
) -> None:
    model, found = made
    exact = [prediction.labels for prediction in large.predict(UNSEEN)]
    assert [prediction.labels for prediction in model.at_tier("exact").predict(UNSEEN)] == exact
    for tier, share in AGREEMENT.items():
        labels = [prediction.labels for prediction in model.at_tier(tier).predict(UNSEEN)]
        equal = np.mean([set(one) == set(other) for one, other in zip(labels, exact, strict=True)])
        assert equal >= share - 0.04
        assert found.tiers[tier].equal_sets >= share - 0.04
    assert found.tiers["fast"].read_by_large <= found.tiers["balanced"].read_by_large
    assert found.tiers["fast"].read_by_large < 0.9


def test_a_distilled_model_says_where_it_comes_from(made: tuple[Model, distil.Found], large: Model) -> None:
    model, found = made
    assert model.manifest is not None
    origin = model.manifest.origin["distilled"]
    assert origin["from"] == large.id
    assert origin["found"] == json.loads(json.dumps(found.to_dict()))
    assert (model.tier, model.manifest.kind) == ("balanced", "cascade")


def test_the_same_seed_gives_the_same_model(large: Model, tmp_path: Path) -> None:
    choices = replace(CHOICES, spliced=20, shape=SMALL | {"epochs": 1})
    ids = []
    for _ in range(2):
        with distilled(large, TEXTS[:1200], choices) as (model, _found):
            ids.append(model.save(tmp_path).id)
    assert ids[0] == ids[1]


def test_both_graphs_speak_on_one_scale(made: tuple[Model, distil.Found]) -> None:
    scorer = made[0].scorer
    assert isinstance(scorer, CascadeScorer)
    quick = replace_margin(scorer, 0.0).score(UNSEEN).probs
    large = scorer.at("exact").score(UNSEEN).probs
    assert np.abs(quick.mean(axis=0) - large.mean(axis=0)).max() < 0.05


def replace_margin(scorer: CascadeScorer, margin: float) -> CascadeScorer:
    margins = {"fast": margin, "balanced": margin}
    return CascadeScorer(scorer.folder, replace(scorer.settings, margins=margins, tier="fast"))


def test_the_cut_of_a_label_is_the_raw_logit_at_which_its_decision_turns() -> None:
    model = tiny.model_of(None)  # type: ignore[arg-type] # its scorer is not asked
    model = replace(model, calibration=replace(model.calibration, sets=None))
    cuts = np.array(cuts_of(model))
    for step, expected in ((1e-3, True), (-1e-3, False)):
        probs = model.calibration.apply(sigmoid((cuts + step).astype(np.float32)[None]))
        assert ((probs >= model.policy.suggest) == expected).all()


def test_spliced_texts_hold_sentences_of_the_others() -> None:
    texts = ["One. Two! Three?", "Four."]
    parts = {"One.", "Two!", "Three?", "Four."}
    made = spliced(texts, 50, seed=0)
    assert len(made) == 50
    assert all(set(text.split()) <= parts for text in made)
    assert len(set(made)) > 5


def test_too_few_texts_and_other_kinds_are_refused(large: Model, models: dict[str, Model]) -> None:
    with pytest.raises(InputError, match="999 different texts are too few"), distilled(large, TEXTS[:999]):
        pass
    with (
        pytest.raises(UsageError, match=r"kind probe cannot be distilled\. Export it first"),
        distilled(models["probe"], TEXTS),
    ):
        pass


def test_the_table_of_words_is_found_also_in_a_graph_that_was_quantised(tmp_path: Path) -> None:
    tiny.write_encoder(tmp_path / "wide", width=64)
    graph, small = tmp_path / "wide" / "model.onnx", tmp_path / "small.onnx"
    quantise(graph, small)
    assert small.stat().st_size < graph.stat().st_size
    assert np.abs(words_of(graph) - words_of(small)).max() < 0.05


def test_an_exported_probe_can_be_distilled(models: dict[str, Model]) -> None:
    with (
        exported(models["probe"], "fp32", TEXTS[:50]) as (graph, _),
        distilled(graph, TEXTS[:1200], replace(CHOICES, spliced=0, shape=SMALL | {"epochs": 1})) as (model, _found),
    ):
        assert model.at_tier("exact").predict(UNSEEN[:1])[0].labels == models["probe"].predict(UNSEEN[:1])[0].labels


def test_a_graph_without_words_is_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("Cast", ["input_ids"], ["logits"], to=TensorProto.FLOAT)]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["tickets", "tokens"])]
    onnx.save(tiny.assembled(nodes, outputs, {}), tmp_path / "model.onnx")
    with pytest.raises(ArtefactError, match="looks no words up"):
        words_of(tmp_path / "model.onnx")
