from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer

import tiny
from tagdesk.arrays import FloatArray, Targets
from tagdesk.encoders.onnx import TextGraph
from tagdesk.errors import ArtefactError, UsageError
from tagdesk.scorers import Examples, Recipe, probe
from tagdesk.scorers.probe import STEEPNESS, ProbeScorer, fit


def recipe(encoder: Path, **settings: object) -> Recipe:
    return Recipe(kind="probe", encoder=str(encoder)).changed(settings)


def logits(probs: NDArray[np.float32]) -> FloatArray:
    inside = probs.astype(np.float64)
    return np.log(inside / (1 - inside))


def dense_kernel(encoder: Path, left: list[str], right: list[str], fit_on: list[str], gamma: float) -> FloatArray:
    """The kernel between texts, term by term as the module's docstring tells it."""
    graph = TextGraph(encoder, 256)
    sights = {
        name: [graph.read(texts, [name]).outputs[0] for texts in (left, right)] for name in ("embedding", "middle")
    }
    total = np.zeros((len(left), len(right)))
    for a, b in sights.values():
        total += np.exp(-gamma * ((a[:, None, :].astype(float) - b[None, :, :]) ** 2).sum(axis=2))
    words = TfidfVectorizer(analyzer=_terms, sublinear_tf=True)
    words.fit(graph.read(fit_on, ["embedding"]).ids)
    [a, b] = (words.transform(graph.read(texts, ["embedding"]).ids).toarray() for texts in (left, right))
    return (total + a @ b.T) / 3 + 1


def _terms(ids: list[int]) -> list[str]:
    inner = [str(token) for token in ids[1:-1]]
    return inner + [f"{a} {b}" for a, b in pairwise(inner)]


def expected(kernel: FloatArray, across: FloatArray, targets: Targets, ridge: float) -> FloatArray:
    return across @ np.linalg.solve(kernel + ridge * np.eye(len(kernel)), np.where(targets, STEEPNESS, -STEEPNESS))


def test_scores_are_those_of_kernel_ridge_regression_by_hand(encoder: Path) -> None:
    examples, unseen = tiny.examples(), list(tiny.examples(20, seed=3).texts)
    texts = list(examples.texts)
    scorer = fit(examples, recipe(encoder, gamma=0.7, ridge=0.9))
    kernel = dense_kernel(encoder, texts, texts, texts, 0.7)
    across = dense_kernel(encoder, unseen, texts, texts, 0.7)
    by_hand = expected(kernel, across, examples.targets, 0.9)
    assert np.allclose(logits(scorer.score(unseen).probs), by_hand, atol=2e-3)


def test_without_words_only_the_encoder_speaks(encoder: Path) -> None:
    scorer = fit(tiny.examples(), recipe(encoder, words=0))
    assert isinstance(scorer, ProbeScorer)
    assert not scorer.head.term_weights.any()
    assert not np.allclose(
        scorer.score(["charged"]).probs, fit(tiny.examples(), recipe(encoder)).score(["charged"]).probs
    )


def test_landmarks_that_span_all_tickets_give_the_exact_solution(encoder: Path) -> None:
    """120 tickets of 60 texts, and landmarks that hold each text at least once, span what all of them span."""
    once = tiny.examples()
    twice = Examples([*once.texts, *once.texts], np.concatenate([once.targets, once.targets]))
    unseen = tiny.examples(20, seed=3).texts
    exact = fit(twice, recipe(encoder)).score(unseen).probs
    seed = next(seed for seed in range(1000) if len({row % 60 for row in _landmarks(120, 110, seed)}) == 60)
    spanned = fit(twice, recipe(encoder, landmarks=110, seed=seed))
    assert isinstance(spanned, ProbeScorer)
    assert spanned.head.landmarks.shape[1] == 110
    assert np.allclose(spanned.score(unseen).probs, exact, atol=1e-3)


def _landmarks(tickets: int, most: int, seed: int) -> list[int]:
    rows: list[int] = probe._landmarks(tickets, Recipe(landmarks=most, seed=seed)).tolist()
    return rows


def test_few_landmarks_still_learn_from_all_tickets(encoder: Path) -> None:
    examples, unseen = tiny.examples(300), tiny.examples(60, seed=3)
    scorer = fit(examples, recipe(encoder, landmarks=40))
    assert isinstance(scorer, ProbeScorer)
    assert scorer.head.landmarks.shape == (2, 40, tiny.WIDTH)
    right = ((scorer.score(unseen.texts).probs >= 0.5) == unseen.targets).mean()
    alone = fit(examples.take(np.array(_landmarks(300, 40, 0))), recipe(encoder))
    assert right > ((alone.score(unseen.texts).probs >= 0.5) == unseen.targets).mean()
    assert right > 0.9


def test_landmarks_are_a_sample_by_seed() -> None:
    assert _landmarks(5, 10, 0) == [0, 1, 2, 3, 4]
    assert _landmarks(100, 10, 0) == _landmarks(100, 10, 0) != _landmarks(100, 10, 1)
    assert _landmarks(100, 10, 0) == sorted(set(_landmarks(100, 10, 0)))


@pytest.mark.parametrize("landmarks", [10, 4000])
def test_a_thousand_copies_of_two_tickets_are_no_singular_system(landmarks: int, encoder: Path) -> None:
    examples = Examples(["card charged"] * 500 + ["parcel late"] * 500, np.repeat(np.eye(2, dtype=bool), 500, axis=0))
    probs = fit(examples, recipe(encoder, ridge=1e-4, landmarks=landmarks)).score(["card charged", "parcel late"]).probs
    assert np.allclose(logits(probs), STEEPNESS * np.array([[1, -1], [-1, 1]]), atol=0.05)


def test_tickets_beyond_one_block_are_learned_and_scored_alike(encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    examples, unseen = tiny.examples(50), tiny.examples(33, seed=3).texts
    for landmarks in (20, 4000):
        whole = fit(examples, recipe(encoder, landmarks=landmarks)).score(unseen).probs
        with monkeypatch.context() as patched:
            patched.setattr(probe, "KERNEL_AT_ONCE", 7)
            patched.setattr(probe, "EMBED_AT_ONCE", 7)
            assert np.allclose(
                fit(examples, recipe(encoder, landmarks=landmarks)).score(unseen).probs, whole, atol=1e-5
            )


def test_an_encoder_with_one_output_serves_too(tmp_path: Path) -> None:
    encoder = tiny.write_encoder(tmp_path / "one", middle=False)
    scorer = fit(tiny.examples(), recipe(encoder))
    assert isinstance(scorer, ProbeScorer)
    assert scorer.head.landmarks.shape == (1, 60, tiny.WIDTH)
    (tmp_path / "saved").mkdir()
    scorer.save(tmp_path / "saved")
    assert np.array_equal(ProbeScorer.open(tmp_path / "saved").score(["ok"]).probs, scorer.score(["ok"]).probs)


def test_long_texts_are_cut_and_flagged(encoder: Path) -> None:
    scores = fit(tiny.examples(), recipe(encoder, max_tokens=8)).score(
        ["my card was charged", "parcel " * 7, "parcel " * 6]
    )
    assert scores.truncated.tolist() == [False, True, False]


def test_more_tokens_than_the_encoder_reads_are_refused_before_the_training(tmp_path: Path) -> None:
    encoder = tiny.write_encoder(tmp_path / "short", positions=16)
    assert fit(tiny.examples(), recipe(encoder, max_tokens=16)).score(["a " * 100]).truncated.all()
    with pytest.raises(UsageError, match="cannot read max_tokens = 17 tokens"):
        fit(tiny.examples(), recipe(encoder, max_tokens=17))


def test_an_encoder_whose_vectors_have_any_length_is_refused(tmp_path: Path) -> None:
    encoder = tiny.write_encoder(tmp_path / "wild", normalise=False)
    with pytest.raises(ArtefactError, match="not of length 1"):
        fit(tiny.examples(), recipe(encoder))


def test_a_graph_without_embedding_is_no_encoder(tmp_path: Path) -> None:
    encoder = tiny.write_encoder(tmp_path / "renamed", labels=2)
    graph = onnx.load(encoder / "model.onnx")
    del graph.graph.output[1]
    onnx.save(graph, encoder / "model.onnx")
    with pytest.raises(ArtefactError, match="no output 'embedding'"):
        fit(tiny.examples(), recipe(encoder))


def test_unknown_is_the_share_of_tokens_that_the_vocabulary_lacks(encoder: Path) -> None:
    scores = fit(tiny.examples(), recipe(encoder)).score(["charged \u4e2d", "\u4e2d", "charged"])
    assert scores.unknown.tolist() == [0.5, 1.0, 0.0]
