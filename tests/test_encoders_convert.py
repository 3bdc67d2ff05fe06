"""PyTorch networks as ONNX graphs: the same numbers."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("onnx")

import torch

from tagdesk.encoders import EncoderFolder, convert, resolve
from tagdesk.encoders.convert import cached_onnx, encoder_to_onnx, scorer_to_onnx
from tagdesk.errors import UsageError
from tagdesk.scorers import Examples, Recipe, open_scorer
from tagdesk.scorers.onnx import write_settings
from tagdesk.scorers.transformer import TransformerScorer, fit
from tagdesk.scorers.transformer.network import PooledEncoder, load_encoder
from tiny_encoders import KINDS, tiny_encoder

TEXTS = ["my card was charged twice", "refund", "where is my parcel please the order is late " * 3]
SHAPES = [(1, 2), (1, 40), (3, 7), (5, 33)]  # (tickets, tokens)


def batch(tickets: int, tokens: int) -> dict[str, np.ndarray]:
    """Random ids; the last text is half padding."""
    ids = np.random.default_rng(0).integers(5, 60, size=(tickets, tokens))
    mask = np.ones_like(ids)
    mask[-1, max(1, tokens // 2) :] = 0
    return {"input_ids": ids * mask, "attention_mask": mask}


def run(path: Path, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_a_graph_gives_the_encoders_own_vectors_at_every_shape(kind: str, pooling: str, tmp_path: Path) -> None:
    folder = resolve(str(tiny_encoder(tmp_path / kind, kind, pooling=pooling)))
    encoder_to_onnx(folder, tmp_path / "model.onnx")
    network = PooledEncoder(load_encoder(folder), folder.pooling).eval()
    for shape in SHAPES:
        inputs = batch(*shape)
        with torch.inference_mode():
            pair = network.two_layers(*(torch.from_numpy(value) for value in inputs.values()))
        outputs = run(tmp_path / "model.onnx", inputs)
        assert list(outputs) == ["embedding", "middle"]
        for name, vectors in zip(outputs, pair, strict=True):
            expected = vectors.numpy() / np.linalg.norm(vectors.numpy(), axis=1, keepdims=True)
            np.testing.assert_allclose(outputs[name], expected, atol=2e-6)


def test_padding_does_not_move_a_vector(tmp_path: Path) -> None:
    encoder_to_onnx(resolve(str(tiny_encoder(tmp_path / "bert"))), tmp_path / "model.onnx")
    bare = {"input_ids": np.array([[2, 9, 10, 3]]), "attention_mask": np.ones((1, 4), dtype=np.int64)}
    padded = {name: np.pad(value, ((0, 0), (0, 9))) for name, value in bare.items()}
    for name, value in run(tmp_path / "model.onnx", bare).items():
        np.testing.assert_allclose(run(tmp_path / "model.onnx", padded)[name], value, atol=2e-6)


@pytest.mark.parametrize("length", [0.0, 10.0])
def test_a_fine_tuned_scorer_and_its_graph_score_alike(tmp_path: Path, length: float) -> None:
    settings = {"epochs": 2, "learning_rate": 1e-2, "max_tokens": 24, "vector_length": length}
    recipe = Recipe(kind="transformer").changed({"encoder": str(tiny_encoder(tmp_path / "bert"))} | settings)
    scorer = fit(Examples(TEXTS, np.eye(3, dtype=np.bool_)), recipe)
    scorer_to_onnx(scorer, tmp_path / "model.onnx")
    (tmp_path / "tokenizer.json").write_text(scorer.tokenizer.to_json())
    write_settings(tmp_path, max_tokens=scorer.max_tokens)
    graph = open_scorer("onnx", tmp_path)
    mine, its = scorer.score(TEXTS), graph.score(TEXTS)
    np.testing.assert_allclose(its.probs, mine.probs, atol=1e-5)
    assert its.truncated.tolist() == mine.truncated.tolist() == [False, False, True]
    assert list(run(tmp_path / "model.onnx", batch(2, 5))) == ["logits", "embedding", "middle"]


def test_converting_leaves_a_scorer_able_to_score(tmp_path: Path) -> None:
    recipe = Recipe(kind="transformer").changed({"encoder": str(tiny_encoder(tmp_path / "bert")), "max_tokens": 24})
    scorer: TransformerScorer = fit(Examples(TEXTS, np.eye(3, dtype=np.bool_)), recipe.changed({"epochs": 1}))
    before = scorer.score(TEXTS).probs
    scorer_to_onnx(scorer, tmp_path / "model.onnx")
    np.testing.assert_array_equal(scorer.score(TEXTS).probs, before)


def test_two_conversions_give_the_same_bytes_and_name_no_place(tmp_path: Path) -> None:
    folder = resolve(str(tiny_encoder(tmp_path / "bert")))
    for name in ("one", "two"):
        encoder_to_onnx(folder, tmp_path / name)
    content = (tmp_path / "one").read_bytes()
    assert content == (tmp_path / "two").read_bytes()
    assert str(tmp_path).encode() not in content
    assert b".py" not in content


def test_converting_is_silent(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = resolve(str(tiny_encoder(tmp_path / "bert")))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        encoder_to_onnx(folder, tmp_path / "model.onnx")
    assert not caught
    assert capfd.readouterr() == ("", "")


def test_an_encoder_that_no_file_can_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convert, "LARGEST", 1000)
    with pytest.raises(UsageError, match="Name a smaller encoder"):
        encoder_to_onnx(resolve(str(tiny_encoder(tmp_path / "bert"))), tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


# The cache


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EncoderFolder:
    monkeypatch.setenv("TAGDESK_CACHE", str(tmp_path / "cache"))
    return resolve(str(tiny_encoder(tmp_path / "bert")))


def test_an_encoder_is_converted_once(folder: EncoderFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    first = cached_onnx(folder)
    assert run(first / "model.onnx", batch(3, 5))["embedding"].shape == (3, 32)
    assert (first / "tokenizer.json").is_file()
    monkeypatch.setattr(convert, "encoder_to_onnx", None)
    assert cached_onnx(folder) == first


def test_other_weights_or_pooling_are_another_entry(folder: EncoderFolder) -> None:
    first = cached_onnx(folder)
    other_pooling = cached_onnx(EncoderFolder(folder.name, folder.path, "cls", normalise=False))
    (folder.path / "config.json").write_text((folder.path / "config.json").read_text() + "\n")
    assert len({first, other_pooling, cached_onnx(folder)}) == 3


def test_a_conversion_that_fails_leaves_nothing_behind(folder: EncoderFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convert, "LARGEST", 1000)
    with pytest.raises(UsageError):
        cached_onnx(folder)
    assert list((folder.path.parent / "cache").rglob("*.*")) == []
