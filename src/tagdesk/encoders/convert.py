"""Turns PyTorch networks into ONNX graphs.

All graphs take `input_ids` and `attention_mask` (tickets, tokens) as int64, any number of each.
"""

from __future__ import annotations

import hashlib
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from tagdesk.encoders import EncoderFolder, cache_folder
from tagdesk.errors import UsageError
from tagdesk.scorers.transformer.network import Network, PooledEncoder, load_encoder, tokenizer_json
from tagdesk.scorers.transformer.student import Student

if TYPE_CHECKING:
    from tagdesk.scorers.transformer import TransformerScorer

OPSET = 17  # the first with LayerNormalization as one node
LARGEST = 2**31 - 2**24  # bytes; the format holds less than 2 GiB, and the graph needs some of it
CACHE_FORMAT = "1"  # raise it when graphs of the same encoder come out differently


def encoder_to_onnx(folder: EncoderFolder, out: Path) -> None:
    """Write the encoder as a graph with outputs `embedding` and `middle`, both (tickets, width), rows of length 1.

    The first is the last layer, pooled as the folder says; the second is the mean of the layer two thirds up, which
    still tells words apart that the last one has made alike.
    """
    _export(_Embedding(PooledEncoder(load_encoder(folder), folder.pooling)), ["embedding", "middle"], out)


def scorer_to_onnx(scorer: TransformerScorer, out: Path) -> None:
    """Write the scorer as a graph with outputs `logits` (tickets, labels), `embedding`, `middle` (tickets, width)."""
    _export(_Scoring(scorer.network), ["logits", "embedding", "middle"], out)


def student_to_onnx(student: Student, out: Path) -> None:
    """Write the student as a graph with the output `logits` (tickets, columns)."""
    _export(_Reduced(student), ["logits"], out)


def cached_onnx(folder: EncoderFolder) -> Path:
    """A folder with `model.onnx` and `tokenizer.json` of the encoder, converted at the first call and kept."""
    target = cache_folder() / "encoders" / _fingerprint(folder)
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="unfinished-") as unfinished:
        made = Path(unfinished) / "encoder"
        made.mkdir()
        encoder_to_onnx(folder, made / "model.onnx")
        (made / "tokenizer.json").write_text(tokenizer_json(folder), encoding="utf-8")
        try:
            made.rename(target)
        except OSError:
            if not target.is_dir():  # else another process was quicker, with the same result
                raise
    return target


class _Embedding(nn.Module):
    def __init__(self, body: PooledEncoder) -> None:
        super().__init__()
        self.body = body

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        last, middle = self.body.two_layers(input_ids, attention_mask)
        return nn.functional.normalize(last, dim=1), nn.functional.normalize(middle, dim=1)


class _Scoring(nn.Module):
    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        last, middle = self.network.body.two_layers(input_ids, attention_mask)
        return self.network.judged(last), nn.functional.normalize(last, dim=1), nn.functional.normalize(middle, dim=1)


class _Reduced(nn.Module):
    """A student whose table of words holds what the words are reduced to."""

    def __init__(self, student: Student) -> None:
        super().__init__()
        self.student = student
        with torch.no_grad():
            self.table = nn.Parameter(student.reduce(student.vectors), requires_grad=False)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.student.judged(nn.functional.embedding(input_ids, self.table), attention_mask)


def _export(module: nn.Module, outputs: Sequence[str], out: Path) -> None:
    size = sum(parameter.numel() * 4 for parameter in module.parameters())
    if size > LARGEST:
        raise UsageError(
            f"The encoder holds {size / 2**30:.1f} GiB of weights; an ONNX file holds less than 2. "
            "Name a smaller encoder.",
            code="too_large",
        )
    # Two texts, one of them padded, so that no length is taken for a constant.
    ids = torch.full((2, 7), 3)
    mask = torch.ones_like(ids)
    mask[1, 4:] = 0
    axes = {name: {0: "tickets", 1: "tokens"} for name in ("input_ids", "attention_mask")}
    axes |= {name: {0: "tickets"} for name in outputs}
    with warnings.catch_warnings(), torch.inference_mode():
        # The tracer warns of branches on shapes, which two texts of unlike length settle, and of its age: the newer
        # exporter takes ten times as long and names two values alike in graphs such as these.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.cpu().eval(),
            (ids, mask),
            str(out),
            input_names=["input_ids", "attention_mask"],
            output_names=list(outputs),
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )


def _fingerprint(folder: EncoderFolder) -> str:
    """32 hex digits over all that a conversion depends on."""
    digest = hashlib.sha256(f"{CACHE_FORMAT} {folder.pooling} {folder.normalise}".encode())
    for path in sorted(folder.path.iterdir()):
        if path.suffix in {".json", ".safetensors", ".txt", ".model"}:
            with path.open("rb") as file:
                digest.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:32]
