"""The encoder that fine-tuning begins with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from tagdesk.encoders import resolve
from tagdesk.errors import InputError, TagdeskError, UsageError
from tagdesk.scorers import Examples, Recipe
from tagdesk.scorers.transformer import fit
from tagdesk.scorers.transformer.network import load_encoder
from tiny_encoders import (
    EXAMPLES,
    POSITIONS,
    change_json,
    change_weights,
    tiny_encoder,
)


def spoiled_encoder(tmp_path: Path, spoil: Callable[[Path], object]) -> Recipe:
    folder = tiny_encoder(tmp_path / "spoiled")
    spoil(folder)
    return Recipe(kind="transformer").changed({"encoder": str(folder), "max_tokens": 32})


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"), "can hold code and stay unread"),
        (lambda f: (f / "model.safetensors").write_bytes(b"no"), "cannot be read"),
        (lambda f: change_json(f / "config.json", auto_map={"AutoModel": "evil.Model"}), "runs none"),
        (lambda f: change_json(f / "config.json", vocab_size=9), "cannot be read|does not suit"),
        (
            lambda f: change_weights(f / "model.safetensors", lambda w: w.pop("encoder.layer.0.output.dense.bias")),
            "lacks 1 weights",
        ),
        (lambda f: (f / "tokenizer.json").write_text("{"), "is not a tokenizer that works"),
        (lambda f: change_weights(f / "model.safetensors", spoil_embedding), "not finite"),
    ],
)
def test_an_encoder_that_cannot_be_fine_tuned_is_refused(
    tmp_path: Path, spoil: Callable[[Path], object], message: str
) -> None:
    with pytest.raises(TagdeskError, match=message):
        fit(EXAMPLES, spoiled_encoder(tmp_path, spoil))


def spoil_embedding(weights: dict[str, torch.Tensor]) -> None:
    weights["embeddings.word_embeddings.weight"][:] = torch.nan


def test_more_tokens_than_the_encoder_reads_are_refused(recipe: Recipe) -> None:
    with pytest.raises(UsageError, match="Lower max_tokens"):
        fit(EXAMPLES, recipe.changed({"max_tokens": POSITIONS + 1}))


def test_no_examples_and_no_gpu_are_named(recipe: Recipe) -> None:
    with pytest.raises(InputError, match="no labelled tickets"):
        fit(Examples([], np.zeros((0, 3), dtype=np.bool_)), recipe)
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="device=auto"):
            fit(EXAMPLES, recipe.changed({"device": "cuda"}))


def test_loading_says_nothing(recipe: Recipe, capfd: pytest.CaptureFixture[str]) -> None:
    load_encoder(resolve(recipe.encoder))
    assert capfd.readouterr() == ("", "")


def test_frozen_words_stay_as_they_were_pretrained(recipe: Recipe) -> None:
    before = load_encoder(resolve(recipe.encoder)).get_input_embeddings().weight
    for freeze in (True, False):
        scorer = fit(EXAMPLES, recipe.changed({"epochs": 2, "freeze_words": freeze}))
        after = scorer.network.body.encoder.get_input_embeddings().weight
        assert torch.equal(after, before) is freeze


def test_frozen_layers_stay_as_they_were_pretrained_and_drop_nothing(recipe: Recipe) -> None:
    before = load_encoder(resolve(recipe.encoder))
    network = fit(EXAMPLES, recipe.changed({"epochs": 2, "freeze_layers": 1})).network
    after = network.body.encoder
    for name, weight in before.named_parameters():
        is_frozen = name.startswith(("embeddings.", "encoder.layer.0."))
        assert torch.equal(weight, after.get_parameter(name)) is is_frozen, name
    network.train()
    assert not after.encoder.layer[0].training
    assert after.encoder.layer[1].training


def test_more_frozen_layers_than_there_are_is_named(recipe: Recipe) -> None:
    with pytest.raises(UsageError, match="freeze_layers = 100"):
        fit(EXAMPLES, recipe.changed({"freeze_layers": 100}))
