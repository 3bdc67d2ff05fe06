"""A fine-tuned encoder that scores."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
import transformers
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from tagdesk.encoders.tokens import TextTokenizer
from tagdesk.errors import ArtefactError
from tagdesk.scorers.base import Scores, sigmoid
from tagdesk.scorers.onnx import read_max_tokens
from tagdesk.scorers.recipe import LONGEST_VECTOR
from tagdesk.scorers.transformer.network import (
    Network,
    PooledEncoder,
    Pooling,
    build_encoder,
    is_bert_like,
    read_logits,
)

TOKENIZE_AT_ONCE = 1024  # texts; keeps memory flat on long inputs
MOST_LAYERS = 200  # a config that asks for more is no encoder's
_LEFT_OUT = ("architectures", "auto_map", "_name_or_path", "transformers_version")  # names of code, and of places
_REMEDY = "Train the model again."


class TransformerScorer:
    """A network and the tokenizer that feeds it."""

    kind: ClassVar[str] = "transformer"

    def __init__(self, network: Network, tokenizer: TextTokenizer) -> None:
        self.network = network
        self.tokenizer = tokenizer

    @property
    def max_tokens(self) -> int:
        """Where longer texts are cut."""
        return self.tokenizer.max_tokens

    def score(self, texts: Sequence[str]) -> Scores:
        """Probabilities for cleaned texts, in their order; raises ArtefactError where they are not finite."""
        logits = np.zeros((len(texts), self.network.head.out_features), dtype=np.float32)
        truncated = np.zeros(len(texts), dtype=np.bool_)
        unknown = np.zeros(len(texts), dtype=np.float64)
        for start in range(0, len(texts), TOKENIZE_AT_ONCE):
            part = slice(start, start + TOKENIZE_AT_ONCE)
            tokens = self.tokenizer.split(texts[part])
            truncated[part], unknown[part] = tokens.truncated, tokens.unknown
            logits[part] = read_logits(self.network, tokens.ids, self.tokenizer.pad_id)
        if not np.isfinite(logits).all():
            raise ArtefactError(
                f"The model gives numbers that are not finite; its weights are damaged. {_REMEDY}",
                code="model_unhealthy",
            )
        return Scores(sigmoid(logits), truncated, unknown)

    def passages(self, text: str) -> list[str]:
        """A long text in parts that are each read whole."""
        return self.tokenizer.passages(text)

    def save(self, folder: Path) -> None:
        """Write weights, tokenizer, the encoder's config and the settings."""
        config = self.network.config.to_diff_dict()
        settings = {
            "max_tokens": self.max_tokens,
            "labels": self.network.head.out_features,
            "pooling": self.network.body.pooling,
            "vector_length": self.network.length,
        }
        weights = {name: tensor.cpu().contiguous() for name, tensor in self.network.state_dict().items()}
        save_file(weights, folder / "model.safetensors")
        _write_json(folder / "config.json", {key: value for key, value in config.items() if key not in _LEFT_OUT})
        _write_json(folder / "scorer.json", settings)
        (folder / "tokenizer.json").write_text(self.tokenizer.to_json(), encoding="utf-8")

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Build the scorer from its folder, without running code of it; raises ArtefactError where it does not fit."""
        settings = _read_settings(folder / "scorer.json")
        config = _read_config(folder / "config.json")
        weights = _read_weights(folder / "model.safetensors")
        tokenizer = TextTokenizer.open(folder / "tokenizer.json", read_max_tokens(folder))
        with torch.device("meta"):  # shapes without memory: a config may ask for any size
            expected = {name: tuple(tensor.shape) for name, tensor in _built(config, settings).state_dict().items()}
        _refuse_misfits(folder / "model.safetensors", weights, expected)
        network = _built(config, settings)
        network.load_state_dict(weights)
        problem = problem_of(network, tokenizer)
        if problem:
            raise ArtefactError(f"{folder}: {problem} {_REMEDY}", code="bad_model")
        return cls(network.to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer)


def averaged(scorers: Sequence[TransformerScorer]) -> TransformerScorer:
    """One scorer whose weights are the mean of others': the same encoder, fine-tuned in like ways from the same start.

    Such weights lie in one valley, and the middle carries over better to texts of another kind than each of them
    (Wortsman et al., 2022). The first scorer is changed and given back.
    """
    first, *others = scorers
    weights = first.network.state_dict()
    for name, tensor in weights.items():
        if tensor.is_floating_point():
            same = [scorer.network.state_dict()[name].to(tensor.device, torch.float64) for scorer in others]
            weights[name] = torch.stack([tensor.double(), *same]).mean(dim=0).to(tensor.dtype)
    first.network.load_state_dict(weights)
    return first


def problem_of(network: Network, tokenizer: TextTokenizer) -> str | None:
    """Why the network cannot read all that the tokenizer may give it, or None where it can."""
    table: Any = network.body.encoder.get_input_embeddings()  # always an nn.Embedding, which its type leaves out
    rows = table.num_embeddings
    if tokenizer.highest_id >= rows:
        return f"the tokenizer gives ids up to {tokenizer.highest_id}, but the encoder knows only {rows} words."
    try:
        logits = read_logits(network, [[tokenizer.highest_id] * tokenizer.max_tokens], tokenizer.pad_id)
    except (IndexError, RuntimeError, ValueError):
        reach = getattr(network.config, "max_position_embeddings", "fewer")
        return f"the encoder cannot read max_tokens = {tokenizer.max_tokens} at once (its config says {reach})."
    return None if np.isfinite(logits).all() else "its weights give numbers that are not finite."


@dataclass(frozen=True, slots=True)
class _Settings:
    labels: int
    pooling: Pooling
    vector_length: float


def _built(config: transformers.PretrainedConfig, settings: _Settings) -> Network:
    with torch.random.fork_rng(devices=[]):  # first weights are drawn only to be replaced
        body = PooledEncoder(build_encoder(config), settings.pooling)
        return Network(body, settings.labels, length=settings.vector_length).eval()


def _read_settings(path: Path) -> _Settings:
    settings = _read_json(path)
    labels, pooling = settings.get("labels"), settings.get("pooling")
    length = settings.get("vector_length", 0.0)  # models of earlier versions do not say
    if not isinstance(labels, int) or isinstance(labels, bool) or labels < 1 or pooling not in ("mean", "cls"):
        raise ArtefactError(
            f"{path}: labels = {labels!r}, pooling = {pooling!r}; expected 1 or more, and mean or cls. {_REMEDY}",
            code="bad_json",
        )
    if isinstance(length, bool) or not isinstance(length, int | float) or not 0 <= length <= LONGEST_VECTOR:
        raise ArtefactError(
            f"{path}: vector_length = {str(length)[:40]}; expected 0 to {LONGEST_VECTOR:g}. {_REMEDY}", code="bad_json"
        )
    return _Settings(labels, pooling, float(length))


def _read_config(path: Path) -> transformers.PretrainedConfig:
    fields = _read_json(path)
    if "auto_map" in fields:
        raise ArtefactError(
            f"{path} asks to run code of its own (auto_map); tagdesk runs none. {_REMEDY}", code="own_code"
        )
    try:
        config = transformers.CONFIG_MAPPING[fields["model_type"]].from_dict(fields)
        layers = int(config.num_hidden_layers)
    except Exception as error:  # the library's checks raise many kinds
        raise ArtefactError(
            f"{path} describes no encoder ({type(error).__name__}); expected a BERT-like model's. {_REMEDY}",
            code="bad_config",
        ) from error
    if not is_bert_like(config) or layers > MOST_LAYERS:
        raise ArtefactError(
            f"{path} describes a {config.model_type} of {layers} layers; expected a BERT-like encoder of at most "
            f"{MOST_LAYERS}. {_REMEDY}",
            code="bad_config",
        )
    return config


def _read_weights(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise ArtefactError(
            f"{path} is not a safetensors file: {str(error)[:200]}. {_REMEDY}", code="bad_weights"
        ) from error


def _refuse_misfits(path: Path, weights: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]]) -> None:
    for name in sorted(weights.keys() | expected.keys()):
        found = tuple(weights[name].shape) if name in weights else "missing"
        wanted = expected.get(name, "not there")
        if found != wanted:
            raise ArtefactError(f"{path}: {name} is {found}; expected {wanted}. {_REMEDY}", code="bad_weights")
        if weights[name].dtype != torch.float32 or not weights[name].isfinite().all():
            raise ArtefactError(
                f"{path}: {name} holds {weights[name].dtype} values or some that are not finite; "
                f"expected finite float32. {_REMEDY}",
                code="bad_weights",
            )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ArtefactError(f"{path} cannot be read: {error}. {_REMEDY}", code="bad_json") from error
    if not isinstance(fields, dict):
        raise ArtefactError(f"{path} holds a {type(fields).__name__}; expected an object. {_REMEDY}", code="bad_json")
    return fields


def _write_json(path: Path, fields: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(fields, indent=2, sort_keys=True) + "\n", encoding="utf-8")
