from __future__ import annotations

import json
import math
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiny
from tagdesk.bulk import classify
from tagdesk.dataset import File
from tagdesk.errors import ArtefactError, UsageError
from tagdesk.model import Model, ReadingCache
from tagdesk.scorers import at_tier
from tagdesk.scorers.cascade import CascadeScorer, Settings, distance, write_settings
from tagdesk.scorers.onnx import OnnxScorer
from tagdesk.scorers.onnx import write_settings as write_onnx_settings

CUTS = (0.0, 0.0, 0.0)
TEXTS = tiny.examples(60).texts


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, OnnxScorer]:
    """The small graph and the large one, each alone."""
    return {name: tiny.onnx_scorer(tmp_path / name, seed=seed) for seed, name in enumerate(("quick", "large"))}


@pytest.fixture
def folder(parts: dict[str, OnnxScorer], tmp_path: Path) -> Path:
    made = tmp_path / "cascade"
    made.mkdir()
    shutil.copyfile(parts["quick"].folder / "model.onnx", made / "quick.onnx")
    for file in ("model.onnx", "tokenizer.json"):
        shutil.copyfile(parts["large"].folder / file, made / file)
    write_settings(made, Settings(64, CUTS, {"fast": 0.0, "balanced": middle(parts["quick"])}, "balanced"))
    return made


def logits(scorer: OnnxScorer) -> np.ndarray:
    probs = scorer.score(TEXTS).probs.astype(np.float64)
    return np.log(probs / (1 - probs))


def middle(scorer: OnnxScorer) -> float:
    """A margin that half of the texts keep."""
    return float(np.median(distance(logits(scorer).astype(np.float32), CUTS)))


def test_each_text_is_scored_by_the_small_graph_where_that_is_sure_and_else_by_the_large_one(
    folder: Path, parts: dict[str, OnnxScorer]
) -> None:
    scorer = CascadeScorer.open(folder)
    quick, large = (parts[name].score(TEXTS).probs for name in ("quick", "large"))
    sure = distance(logits(parts["quick"]).astype(np.float32), CUTS) >= scorer.settings.margins["balanced"]
    assert 0 < sure.sum() < len(TEXTS)
    assert np.abs(quick - large).max() > 0.01
    assert np.allclose(scorer.score(TEXTS).probs, np.where(sure[:, None], quick, large), atol=1e-6)
    assert np.allclose(scorer.at("fast").score(TEXTS).probs, quick, atol=1e-6)
    assert np.allclose(scorer.at("exact").score(TEXTS).probs, large, atol=1e-6)


def test_scores_do_not_depend_on_the_texts_beside(folder: Path) -> None:
    scorer = CascadeScorer.open(folder)
    together = scorer.score(TEXTS).probs
    alone = np.concatenate([scorer.score([text]).probs for text in TEXTS])
    assert np.allclose(together, alone, atol=1e-5)


def test_no_texts_give_no_rows(folder: Path) -> None:
    for tier in ("fast", "balanced", "exact"):
        assert CascadeScorer.open(folder).at(tier).score([]).probs.shape == (0, 3)


def test_what_is_too_long_and_what_is_unknown_is_told_in_each_tier(folder: Path) -> None:
    scorer = CascadeScorer.open(folder)
    texts = ["charged " * 100, "zzzz zzzz", "card charged"]
    told = [scorer.at(tier).score(texts) for tier in ("fast", "exact")]
    assert told[0].truncated.tolist() == told[1].truncated.tolist() == [True, False, False]
    assert np.array_equal(told[0].unknown, told[1].unknown)
    assert len(scorer.passages(texts[0])) > 1


def test_a_model_keeps_its_tier_and_can_be_opened_in_another(folder: Path, tmp_path: Path) -> None:
    saved = tiny.model_of(CascadeScorer.open(folder)).save(tmp_path / "models")
    place = tmp_path / "models" / saved.id
    opened = Model.load(place)
    assert (opened.tier, opened.id) == ("balanced", saved.id)
    exact = Model.load(place, tier="exact")
    assert (exact.tier, exact.id) == ("exact", saved.id)
    assert not np.allclose(exact.judge(TEXTS).probs, opened.judge(TEXTS).probs, atol=1e-3)


def test_a_cache_is_not_shared_between_tiers(folder: Path) -> None:
    model = replace(tiny.model_of(CascadeScorer.open(folder)), cache=ReadingCache(100))
    exact = tiny.model_of(CascadeScorer.open(folder).at("exact")).judge(TEXTS).probs
    model.at_tier("fast").judge(TEXTS)
    model.judge(TEXTS)
    assert np.array_equal(model.at_tier("exact").judge(TEXTS).probs, exact)


def test_unfinished_work_in_another_tier_is_thrown_away(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tagdesk.bulk.parts.PART_ROWS", 20)
    saved = tiny.model_of(CascadeScorer.open(folder)).save(tmp_path / "models")
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("text\n" + "\n".join(TEXTS) + "\n")
    fast = saved.at_tier("fast")
    notes: list[str] = []

    def interrupt(_what: str, done: int, _total: int) -> None:
        if done >= 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        classify(fast, File(source), out, progress=interrupt, note=notes.append)
    classify(saved.at_tier("exact"), File(source), out, note=notes.append)
    assert "another tier" in notes[-1]
    rows = out.read_text().splitlines()
    classify(saved.at_tier("exact"), File(source), tmp_path / "whole.csv")
    assert rows == (tmp_path / "whole.csv").read_text().splitlines()


def test_tiers_that_are_not_there_are_refused_with_those_that_are(folder: Path, parts: dict[str, OnnxScorer]) -> None:
    with pytest.raises(UsageError, match="expected one of fast, balanced, exact"):
        at_tier(CascadeScorer.open(folder), "slow")
    with pytest.raises(UsageError, match="kind onnx has the tier exact alone"):
        at_tier(parts["large"], "fast")
    assert at_tier(parts["large"], "exact") is parts["large"]


@pytest.mark.parametrize(
    "change",
    [
        {"cuts": "0"},
        {"cuts": [0, 0, True]},
        {"cuts": [0, 0, math.inf]},
        {"margins": {"fast": 1}},
        {"margins": {"fast": 1, "balanced": -1}},
        {"margins": {"fast": 1, "balanced": 2, "exact": 3}},
        {"margins": None},
        {"tier": "slow"},
        {"tier": ["fast"]},
        {"max_tokens": 4},
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(folder: Path, change: dict[str, Any]) -> None:
    settings = asdict(Settings(64, CUTS, {"fast": 0.5, "balanced": 1.0}, "exact")) | change
    (folder / "scorer.json").write_text(json.dumps(settings))
    with pytest.raises(ArtefactError) as refused:
        CascadeScorer.open(folder)
    assert refused.value.code == "bad_json"


def test_settings_without_tiers_are_refused(folder: Path) -> None:
    write_onnx_settings(folder, max_tokens=64)
    with pytest.raises(ArtefactError, match="expected cuts, margins"):
        CascadeScorer.open(folder)


def test_a_small_graph_with_other_columns_is_refused(folder: Path, tmp_path: Path) -> None:
    other = tiny.write_encoder(tmp_path / "other", labels=5)
    shutil.copyfile(other / "model.onnx", folder / "quick.onnx")
    with pytest.raises(ArtefactError, match=r"\['3', '5'\] logits"):
        CascadeScorer.open(folder)
