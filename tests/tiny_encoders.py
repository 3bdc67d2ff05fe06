"""Fine-tuning small enough for a test: encoders of two layers with random weights, twenty tickets, a recipe."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from tagdesk.scorers import Examples, Recipe
from tagdesk.scorers.transformer import TransformerScorer, fit

WORDS = "my card was charged twice please refund the order is late where parcel login password reset app crashes"
LETTERS = "abcdefghijklmnopqrstuvwxyz"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCABULARY = [*SPECIAL, *sorted(WORDS.split()), *LETTERS, *(f"##{letter}" for letter in LETTERS)]
POSITIONS = 66
SHAPE = {"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 2}
KINDS = {
    "bert": transformers.BertConfig(**SHAPE, intermediate_size=64),
    "roberta": transformers.RobertaConfig(**SHAPE, intermediate_size=64),
    "mpnet": transformers.MPNetConfig(**SHAPE, intermediate_size=64),
    "distilbert": transformers.DistilBertConfig(**SHAPE, hidden_dim=64),
}


def tiny_encoder(folder: Path, kind: str = "bert", *, pooling: str = "mean") -> Path:
    """Write a Hugging Face folder and give it back."""
    (folder / "1_Pooling").mkdir(parents=True)
    _tokenizer().save(str(folder / "tokenizer.json"))
    config = KINDS[kind]
    config.update({"vocab_size": len(VOCABULARY), "max_position_embeddings": POSITIONS, "pad_token_id": 0})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = transformers.AutoModel.from_config(config)
    save_file(encoder.state_dict(), folder / "model.safetensors", {"format": "pt"})
    config.save_pretrained(folder)
    facts = {"pooling_mode_cls_token": pooling == "cls", "pooling_mode_mean_tokens": pooling == "mean"}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(facts))
    return folder


def _tokenizer() -> Tokenizer:
    ids = {word: index for index, word in enumerate(VOCABULARY)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token=SPECIAL[1]))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)])
    tokenizer.add_special_tokens(SPECIAL)
    return tokenizer


# What they are trained on


TEXTS = ["my card was charged twice", "please refund the order", "where is my parcel", "app crashes", "password reset"]
TARGETS = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]], dtype=np.bool_)
EXAMPLES = Examples(TEXTS * 4, np.tile(TARGETS, (4, 1)))
VALIDATION = Examples(TEXTS, TARGETS)


def tiny_recipe(folder: Path) -> Recipe:
    """How to fit a new tiny encoder in `folder` within a second: 4 epochs of 4 steps."""
    settings = {"epochs": 4, "batch_size": 6, "learning_rate": 5e-3, "max_tokens": 32, "device": "cpu"}
    return Recipe(kind="transformer").changed({"encoder": str(tiny_encoder(folder)), **settings})


def learned(recipe: Recipe) -> TransformerScorer:
    """What the recipe makes of the examples after enough epochs to know them by heart."""
    return fit(EXAMPLES, recipe.changed({"epochs": 25, "learning_rate": 1e-2}))


def weights_of(scorer: TransformerScorer) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in scorer.network.state_dict().items()}


def assert_same_weights(one: TransformerScorer, other: TransformerScorer) -> None:
    left, right = weights_of(one), weights_of(other)
    assert left.keys() == right.keys()
    assert all(np.array_equal(left[name], right[name]) for name in left)


class Killed(Exception):  # noqa: N818 - what happened to the run
    pass


class Told:
    """Progress that remembers the steps."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def __call__(self, _what: str, done: int, _total: int) -> None:
        self.seen.append(done)


def killed_at(step: int) -> Callable[[str, int, int], None]:
    def progress(_what: str, done: int, _total: int) -> None:
        if done == step:
            raise Killed

    return progress


def change_json(path: Path, **fields: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def change_weights(path: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    weights = load_file(path)
    change(weights)
    save_file(weights, path)
