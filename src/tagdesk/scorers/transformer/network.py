"""The network: a pretrained encoder, its pooling, a linear head."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from torch import Tensor, nn

from tagdesk.encoders import EncoderFolder
from tagdesk.encoders.onnx import BATCH_TOKENS, BATCH_TOKENS_CUDA, batches
from tagdesk.errors import UsageError

Pooling = Literal["mean", "cls"]
ATTENTION = "eager"  # every encoder has it, and it never fetches a kernel that a config names
HEAD_SPREAD = 0.02  # standard deviation of the head's first weights, as BERT was begun


class PooledEncoder(nn.Module):
    """Tokens to one vector per text."""

    def __init__(self, encoder: transformers.PreTrainedModel, pooling: Pooling) -> None:
        super().__init__()
        self.encoder = encoder
        self.pooling = pooling

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Vectors (tickets, width) of token ids and their mask, both (tickets, tokens); 0 in the mask is padding."""
        states: Tensor = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return states[:, 0] if self.pooling == "cls" else _mean(states, attention_mask)

    def two_layers(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """The same vectors, and the mean over tokens of the layer two thirds up, both (tickets, width)."""
        reading = self.encoder(input_ids=input_ids, attention_mask=attention_mask, output_hidden_states=True)
        last, layers = reading.last_hidden_state, reading.hidden_states
        middle = layers[round((len(layers) - 1) * 2 / 3)]
        return last[:, 0] if self.pooling == "cls" else _mean(last, attention_mask), _mean(middle, attention_mask)


def _mean(states: Tensor, attention_mask: Tensor) -> Tensor:
    """The mean over tokens that are no padding, (tickets, width)."""
    weights = attention_mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


class Network(nn.Module):
    """Tokens to one logit per label.

    Where `length` is above 0, the head reads vectors that were brought to that length: what counts is then their
    direction alone, which is what sentence encoders were trained for.
    """

    def __init__(self, body: PooledEncoder, labels: int, dropout: float = 0.0, length: float = 0.0) -> None:
        super().__init__()
        self.body = body
        self.length = length
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(body.encoder.config.hidden_size, labels)
        self._frozen: tuple[nn.Module, ...] = ()
        nn.init.normal_(self.head.weight, std=HEAD_SPREAD)
        nn.init.zeros_(self.head.bias)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Logits (tickets, labels)."""
        return self.judged(self.body(input_ids, attention_mask))

    def judged(self, vectors: Tensor) -> Tensor:
        """Logits (tickets, labels) of what the body gave, (tickets, width)."""
        if self.length:
            vectors = nn.functional.normalize(vectors, dim=1) * self.length
        logits: Tensor = self.head(self.dropout(vectors))
        return logits

    def freeze(self, *, words: bool, layers: int) -> None:
        """Keep the table of words, or all below and in the lowest layers, as it is: it learns nothing, drops nothing.

        Raises:
            UsageError: where the encoder has no such layers.
        """
        encoder = self.body.encoder
        if words:
            encoder.get_input_embeddings().requires_grad_(False)
        if layers:
            self._frozen = _lowest(encoder, layers)
        for module in self._frozen:
            module.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> Network:  # noqa: FBT001, FBT002 - torch's signature
        """Switch dropout on or off; what is frozen never has any."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.head.weight.device

    @property
    def config(self) -> transformers.PretrainedConfig:
        """What the encoder is built from."""
        return self.body.encoder.config


def _lowest(encoder: transformers.PreTrainedModel, layers: int) -> tuple[nn.Module, ...]:
    """The embeddings and the lowest layers."""
    depth = encoder.config.num_hidden_layers
    stacks = [part for part in encoder.modules() if isinstance(part, nn.ModuleList) and len(part) == depth]
    embeddings = getattr(encoder, "embeddings", None)
    if not stacks or embeddings is None or layers > depth:
        raise UsageError(
            f"freeze_layers = {layers}: the encoder has {depth if stacks else 'no'} layers that can be frozen.",
            code="bad_setting",
        )
    return embeddings, *stacks[0][:layers]


def padded(ids: Sequence[Sequence[int]], pad_id: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Token ids and their mask, both (tickets, tokens), as wide as the longest text.

    >>> padded([[7, 8], [9]], pad_id=0, device=torch.device("cpu"))
    (tensor([[7, 8],
            [9, 0]]), tensor([[1, 1],
            [1, 0]]))
    """
    rows = [torch.tensor(row, dtype=torch.long) for row in ids]
    input_ids = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=pad_id)
    mask = nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
    return input_ids.to(device), mask.to(device)


def read_logits(network: Network, ids: Sequence[Sequence[int]], pad_id: int) -> NDArray[np.float32]:
    """Logits (tickets, labels) of texts as token ids, in their order, without dropout."""
    logits = np.zeros((len(ids), network.head.out_features), dtype=np.float32)
    was_training = network.training
    network.eval()
    with torch.inference_mode():
        budget = BATCH_TOKENS_CUDA if network.device.type == "cuda" else BATCH_TOKENS
        for rows in batches([len(row) for row in ids], budget):
            part = network(*padded([ids[row] for row in rows], pad_id, network.device))
            logits[rows] = part.float().cpu().numpy()
    network.train(was_training)
    return logits


def load_encoder(folder: EncoderFolder) -> transformers.PreTrainedModel:
    """The pretrained encoder in float32, from safetensors only and without running code of the folder.

    Raises UsageError where the folder holds anything else.
    """
    refuse_own_code(folder.path / "config.json")
    if folder.is_onnx or not list(folder.path.glob("*.safetensors")):
        raise UsageError(
            f"The encoder {folder.name!r} has no model.safetensors in {folder.path}, so it cannot be fine-tuned. "
            "Name an encoder that has one, such as all-MiniLM-L6-v2; other weight files can hold code and stay unread.",
            code="no_weights",
        )
    try:
        with _quiet():
            encoder, report = transformers.AutoModel.from_pretrained(
                str(folder.path),
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                attn_implementation=ATTENTION,
                output_loading_info=True,
            )
    except Exception as error:  # the library raises many kinds, bare ones among them
        raise UsageError(
            f"The encoder {folder.name!r} cannot be read: {_first_line(error)} "
            f"Expected a BERT-like model in {folder.path}.",
            code="bad_encoder",
        ) from error
    missing = sorted(name for name in report["missing_keys"] if "pooler" not in name)
    if missing or not is_bert_like(encoder.config):
        reason = f"its file lacks {len(missing)} weights, such as {missing[0]}" if missing else "it is not BERT-like"
        raise UsageError(
            f"The encoder {folder.name!r} cannot be used: {reason}. Name a complete BERT-like encoder.",
            code="bad_encoder",
        )
    return _without_pooler(encoder.float())


def build_encoder(config: transformers.PretrainedConfig) -> transformers.PreTrainedModel:
    """An encoder of that shape with random weights."""
    with _quiet():
        encoder = transformers.AutoModel.from_config(  # type: ignore[no-untyped-call] # has no types
            config, trust_remote_code=False, attn_implementation=ATTENTION
        )
    return _without_pooler(encoder.float())


def is_bert_like(config: transformers.PretrainedConfig) -> bool:
    """Whether models of this kind read a text in both directions: those that are pretrained to fill gaps."""
    return type(config) in transformers.MODEL_FOR_MASKED_LM_MAPPING and not config.is_encoder_decoder


def tokenizer_json(folder: EncoderFolder) -> str:
    """The folder's tokenizer as `tokenizer.json` holds it, made from a vocabulary file where there is no such file."""
    path = folder.path / "tokenizer.json"
    if path.is_file():
        return path.read_text(encoding="utf-8")
    try:
        with _quiet():
            tokenizer = transformers.AutoTokenizer.from_pretrained(
                str(folder.path), local_files_only=True, trust_remote_code=False
            )
        return str(tokenizer.backend_tokenizer.to_str())
    except Exception as error:  # the library raises many kinds, bare ones among them
        raise UsageError(
            f"The encoder {folder.name!r} has no tokenizer that can be read: {_first_line(error)} "
            f"Expected tokenizer.json in {folder.path}.",
            code="bad_encoder",
        ) from error


def refuse_own_code(config: Path) -> None:
    """Raise UsageError where the config asks for code of its own to be run."""
    try:
        fields = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{config} cannot be read: {error}. Expected a model's config.json.", code="bad_encoder"
        ) from error
    if not isinstance(fields, dict) or "auto_map" in fields:
        raise UsageError(
            f"{config} asks to run code of its own (auto_map); tagdesk runs none. Name an encoder that needs none.",
            code="own_code",
        )


def _without_pooler(encoder: transformers.PreTrainedModel) -> transformers.PreTrainedModel:
    """BERT's own pooler takes no part in our pooling; weights that are never trained are not carried along."""
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler = None  # type: ignore[assignment] # every model of the library allows for a pooler that is None
    return encoder


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's notes and bars off the terminal; what matters of them becomes an error here."""
    notes: Any = transformers.utils.logging  # parts of it have no types
    verbosity, has_bars = notes.get_verbosity(), notes.is_progress_bar_enabled()
    notes.set_verbosity(logging.CRITICAL)
    notes.disable_progress_bar()
    try:
        yield
    finally:
        notes.set_verbosity(verbosity)
        if has_bars:
            notes.enable_progress_bar()


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{(lines[0] if lines else type(error).__name__)[:300]}."
