from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import tiny
from tagdesk.errors import ArtefactError
from tagdesk.model import Model
from tagdesk.scorers.base import sigmoid
from tagdesk.scorers.onnx import OnnxScorer, read_max_tokens, write_settings


def test_scores_are_the_sigmoid_of_the_graphs_logits(tmp_path: Path) -> None:
    scorer = tiny.onnx_scorer(tmp_path / "graph")
    weights = {t.name: numpy_helper.to_array(t) for t in onnx.load(tmp_path / "graph" / "model.onnx").graph.initializer}
    words = tiny.vocabulary()
    mean = weights["embedding_table"][[words["[CLS]"], words["card"], words["charged"], words["[SEP]"]]].mean(axis=0)
    expected = 1 / (1 + np.exp(-(mean / np.linalg.norm(mean)) @ weights["head"]))
    assert np.allclose(scorer.score(["Card charged"]).probs[0], expected, atol=1e-5)


def test_a_saved_scorer_is_opened_alike(tmp_path: Path) -> None:
    scorer = tiny.onnx_scorer(tmp_path / "graph")
    (tmp_path / "saved").mkdir()
    scorer.save(tmp_path / "saved")
    texts = tiny.examples(20).texts
    assert np.array_equal(OnnxScorer.open(tmp_path / "saved").score(texts).probs, scorer.score(texts).probs)
    assert {path.name for path in (tmp_path / "saved").iterdir()} == {"model.onnx", "tokenizer.json", "scorer.json"}


def test_scores_do_not_depend_on_the_texts_beside() -> None:
    scorer = Model.load("starter").scorer
    texts = ["ok", "Where is my parcel?", "I was charged twice, please refund one. " * 12, "the app crashes " * 4]
    alone = np.concatenate([scorer.score([text]).probs for text in texts])
    for order in ([0, 1, 2, 3], [3, 1, 0, 2], [2, 2, 2, 1, 0, 3]):
        together = scorer.score([texts[place] for place in order]).probs
        assert np.allclose(together, alone[order], atol=1e-5)


def test_no_texts_give_no_rows_and_all_labels(tmp_path: Path) -> None:
    scores = tiny.onnx_scorer(tmp_path / "graph", labels=60).score([])
    assert (scores.probs.shape, scores.truncated.shape, scores.unknown.shape) == ((0, 60), (0,), (0,))


def test_a_graph_without_logits_is_refused_with_what_it_has(tmp_path: Path) -> None:
    scorer = tiny.onnx_scorer(tmp_path / "graph", labels=0)
    with pytest.raises(ArtefactError, match=r"no output 'logits' of fixed width; it has \['embedding', 'middle'\]"):
        scorer.score(["ok"])


def test_the_number_of_threads_changes_no_score(tmp_path: Path) -> None:
    one = tiny.onnx_scorer(tmp_path / "graph")
    two = OnnxScorer(tmp_path / "graph", 64, threads=2)
    assert np.allclose(one.score(["card charged"]).probs, two.score(["card charged"]).probs, atol=1e-6)


def test_settings_are_read_back(tmp_path: Path) -> None:
    for tokens in (8, 8192):
        write_settings(tmp_path, max_tokens=tokens)
        assert read_max_tokens(tmp_path) == tokens


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "7", '{"max_tokens": "64"}', "[" * 100_000, '{"max_tokens": 64}' + " " * 100_001 + "x"]
)
def test_settings_that_are_none_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "scorer.json").write_text(text, encoding="utf-8")
    if text.endswith("x"):  # what stands beyond a sane length is never read
        assert read_max_tokens(tmp_path) == 64
        return
    with pytest.raises(ArtefactError) as refused:
        read_max_tokens(tmp_path)
    assert refused.value.code == "bad_json"


def test_missing_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="names no max_tokens"):
        read_max_tokens(tmp_path)
    (tmp_path / "scorer.json").write_text(json.dumps({"max_tokens": 7}), encoding="utf-8")
    with pytest.raises(ArtefactError, match="from 8 to 8192"):
        read_max_tokens(tmp_path)


def test_the_sigmoid_is_right_and_never_overflows() -> None:
    logits = np.array([-1e30, -88, -1, 0, 1, 88, 1e30], dtype=np.float32)
    expected = [0, 6.0546e-39, 0.26894142, 0.5, 0.73105858, 1, 1]
    assert np.allclose(sigmoid(logits), expected, rtol=1e-4, atol=1e-38)
    assert sigmoid(logits).dtype == np.float32
