"""What was fine-tuned: its scores, and the folder that it is kept in."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from tagdesk.errors import ArtefactError
from tagdesk.scorers import Recipe, open_scorer
from tagdesk.scorers.transformer import TransformerScorer, fit
from tagdesk.scorers.transformer.scorer import averaged
from tiny_encoders import (
    EXAMPLES,
    POSITIONS,
    TEXTS,
    change_json,
    change_weights,
)


@pytest.fixture
def saved(scorer: TransformerScorer, tmp_path: Path) -> Path:
    folder = tmp_path / "saved"
    folder.mkdir()
    scorer.save(folder)
    return folder


def test_a_texts_scores_do_not_depend_on_its_neighbours(scorer: TransformerScorer) -> None:
    texts = [*TEXTS, "where is my order " * 20, "app"]
    together = scorer.score(texts).probs
    alone = np.concatenate([scorer.score([text]).probs for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(scorer.score(texts[::-1]).probs, together[::-1], atol=1e-5)


def test_no_texts_give_no_scores(scorer: TransformerScorer) -> None:
    assert scorer.score([]).probs.shape == (0, 3)


def test_more_texts_than_are_tokenised_at_once_keep_their_order(scorer: TransformerScorer) -> None:
    probs = scorer.score(TEXTS * 250).probs
    np.testing.assert_allclose(probs, np.tile(scorer.score(TEXTS).probs, (250, 1)), atol=1e-5)


def test_long_and_unknown_texts_are_flagged(scorer: TransformerScorer) -> None:
    scores = scorer.score(["card " * 100, "card \u4e2d", ""])
    assert scores.truncated.tolist() == [True, False, False]
    assert scores.unknown.tolist() == [0.0, 0.5, 1.0]


def test_special_tokens_that_a_customer_types_are_text(scorer: TransformerScorer) -> None:
    assert scorer.tokenizer.split(["[MASK] [PAD]"]).ids[0].count(4) == 0
    assert scorer.tokenizer.split(["[MASK] [PAD]"]).ids[0].count(0) == 0


def test_weights_that_turn_bad_are_no_score(saved: Path) -> None:
    opened = TransformerScorer.open(saved)
    with torch.no_grad():
        opened.network.head.bias[0] = torch.nan
    with pytest.raises(ArtefactError, match="not finite"):
        opened.score(TEXTS)


# The folder


def test_a_saved_scorer_opens_with_the_same_scores(scorer: TransformerScorer, saved: Path) -> None:
    np.testing.assert_array_equal(open_scorer("transformer", saved).score(TEXTS).probs, scorer.score(TEXTS).probs)
    assert sorted(path.name for path in saved.iterdir()) == [
        "config.json",
        "model.safetensors",
        "scorer.json",
        "tokenizer.json",
    ]


def test_saving_names_no_place_and_no_code(saved: Path, recipe: Recipe) -> None:
    config = (saved / "config.json").read_text()
    assert recipe.encoder not in config
    assert not {"architectures", "auto_map", "_name_or_path"} & set(json.loads(config))


def set_nan(weights: dict[str, torch.Tensor]) -> None:
    weights["body.encoder.embeddings.word_embeddings.weight"][3, 3] = torch.nan


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "M1 cut short": (
        lambda f: (f / "model.safetensors").write_bytes((f / "model.safetensors").read_bytes()[:-9]),
        "not a safetensors file",
    ),
    "M6 header of 2**64-1 bytes": (
        lambda f: (f / "model.safetensors").write_bytes(b"\xff" * 8 + (f / "model.safetensors").read_bytes()[8:]),
        "not a safetensors file",
    ),
    "M6 wrong type": (
        lambda f: change_weights(f / "model.safetensors", lambda w: w.update({"head.bias": w["head.bias"].half()})),
        "head.bias holds torch.float16",
    ),
    "M6 missing tensor": (
        lambda f: change_weights(f / "model.safetensors", lambda w: w.pop("head.bias")),
        r"head.bias is missing; expected \(3,\)",
    ),
    "M6 tensor too many": (
        lambda f: change_weights(f / "model.safetensors", lambda w: w.update({"zebra": torch.zeros(1)})),
        r"zebra is \(1,\); expected not there",
    ),
    "M7 other number of labels": (
        lambda f: change_json(f / "scorer.json", labels=4),
        r"head.bias is \(3,\); expected \(4,\)",
    ),
    "M7 labels that are no number": (lambda f: change_json(f / "scorer.json", labels=True), "expected 1 or more"),
    "unknown pooling": (lambda f: change_json(f / "scorer.json", pooling="max"), "mean or cls"),
    "M8 tokenizer beyond the table": (
        lambda f: (f / "tokenizer.json").write_text(
            (f / "tokenizer.json").read_text().replace('"crashes":', '"zebra":900,"crashes":', 1)
        ),
        "ids up to 900",
    ),
    "no tokenizer": (lambda f: (f / "tokenizer.json").write_text("{}"), "is not a tokenizer that works"),
    "more tokens than positions": (
        lambda f: change_json(f / "scorer.json", max_tokens=POSITIONS + 1),
        f"max_tokens = {POSITIONS + 1} at once",
    ),
    "M9 nan": (lambda f: change_weights(f / "model.safetensors", set_nan), "not finite"),
    "code of its own": (lambda f: change_json(f / "config.json", auto_map={"AutoModel": "evil.Model"}), "runs none"),
    "unknown architecture": (lambda f: change_json(f / "config.json", model_type="zebra"), "describes no encoder"),
    "no encoder": (lambda f: change_json(f / "config.json", model_type="gpt2"), "expected a BERT-like encoder"),
    "a huge encoder": (
        lambda f: change_json(f / "config.json", hidden_size=2**20, intermediate_size=2**22),
        "expected",
    ),
    "endless layers": (lambda f: change_json(f / "config.json", num_hidden_layers=10**9), "1000000000 layers"),
    "config that is a list": (lambda f: (f / "config.json").write_text("[]"), "expected an object"),
    "deeply nested config": (lambda f: (f / "config.json").write_text("[" * 100_000), "cannot be read"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_folder_is_refused_with_what_is_wrong(saved: Path, case: str) -> None:
    spoil, message = BROKEN[case]
    spoil(saved)
    with pytest.raises(ArtefactError, match=message) as caught:
        open_scorer("transformer", saved)
    assert str(saved) in str(caught.value)


def test_vectors_of_one_length_are_read_alike_from_disk(recipe: Recipe, tmp_path: Path) -> None:
    scorer = fit(EXAMPLES, recipe.changed({"epochs": 3, "vector_length": 10.0}))
    with torch.inference_mode():
        long, short = (scorer.network.judged(scale * torch.ones(1, 32)) for scale in (100.0, 0.01))
    assert torch.allclose(long, short, atol=1e-4)
    scorer.save(tmp_path)
    opened = TransformerScorer.open(tmp_path)
    assert opened.network.length == 10
    np.testing.assert_allclose(opened.score(TEXTS).probs, scorer.score(TEXTS).probs, atol=1e-6)


def test_a_folder_of_an_earlier_version_says_nothing_of_lengths(scorer: TransformerScorer, saved: Path) -> None:
    settings = json.loads((saved / "scorer.json").read_text(encoding="utf-8"))
    settings.pop("vector_length")
    (saved / "scorer.json").write_text(json.dumps(settings), encoding="utf-8")
    np.testing.assert_array_equal(TransformerScorer.open(saved).score(TEXTS).probs, scorer.score(TEXTS).probs)


@pytest.mark.parametrize("length", [-1, "ten", True, None, 1e300])
def test_a_length_that_is_none_is_refused(length: object, saved: Path) -> None:
    change_json(saved / "scorer.json", vector_length=length)
    with pytest.raises(ArtefactError, match="vector_length"):
        TransformerScorer.open(saved)


def test_the_mean_of_networks_has_the_mean_of_their_weights(scorer: TransformerScorer, saved: Path) -> None:
    first, second = TransformerScorer.open(saved), TransformerScorer.open(saved)
    with torch.no_grad():
        for tensor in second.network.state_dict().values():
            tensor.mul_(3)
    before = {name: tensor.clone() for name, tensor in scorer.network.state_dict().items()}
    mean = averaged([first, second])
    for name, tensor in mean.network.state_dict().items():
        torch.testing.assert_close(tensor, 2 * before[name])
    assert averaged([TransformerScorer.open(saved)]).score(TEXTS).probs.tolist() == scorer.score(TEXTS).probs.tolist()
