"""A network that is small enough to read a text in a millisecond, and learns to score as a larger one does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tagdesk.arrays import FloatArray, Probs
from tagdesk.encoders.onnx import BATCH_TOKENS, batches
from tagdesk.encoders.tokens import TextTokenizer
from tagdesk.scorers.base import Progress, silent
from tagdesk.scorers.transformer.network import padded
from tagdesk.scorers.transformer.training import chance_of_its_own, epoch_batches, ramp, seed_of

FAR = -1e4  # added to what attention must not look at; any less than a float's lowest, so that no row is all infinite
SUREST = 0.997  # no probability beyond it is taught, so that the network is not driven to extremes
WARMUP = 0.05  # share of the steps
DECAY = 0.02  # of matrices
CLIP = 1.0  # length of a step's gradient


@dataclass(frozen=True, slots=True)
class Shape:
    """How large the network is, and how it learns.

    Attributes:
        rank: numbers that a word's vector is reduced to; a multiple of 32 is stored in int8.
        width: of the layers.
        layers: how many.
        heads: of each layer's attention.
        epochs: how often every text is read.
        batch_size: texts of one step.
        learning_rate: at its highest.
        dropout: share of the numbers that a step leaves out.
        unread: share of the words that a step hides.
    """

    rank: int = 64
    width: int = 192
    layers: int = 2
    heads: int = 6
    epochs: int = 5
    batch_size: int = 64
    learning_rate: float = 1e-3
    dropout: float = 0.1
    unread: float = 0.05


class Student(nn.Module):
    """Tokens to one logit per column.

    Words keep the vectors that the large network reads, (words, any width), and the network learns how to reduce them:
    so words that no text taught it are placed among those that did.

    Args:
        vectors: (words, any width), a row for each token id.
        columns: how many logits.
        positions: the longest text, in tokens.
        shape: how large it is.
    """

    vectors: Tensor

    def __init__(self, vectors: Tensor, columns: int, positions: int, shape: Shape) -> None:
        super().__init__()
        self.register_buffer("vectors", nn.functional.layer_norm(vectors, vectors.shape[1:]), persistent=False)
        self.reduce = nn.Linear(vectors.shape[1], shape.rank, bias=False)
        self.widen = nn.Linear(shape.rank, shape.width)
        self.places = nn.Embedding(positions, shape.width)
        self.norm = nn.LayerNorm(shape.width)
        self.layers = nn.ModuleList(_Layer(shape) for _ in range(shape.layers))
        self.dropout = nn.Dropout(shape.dropout)
        self.head = nn.Linear(2 * shape.width, columns)
        nn.init.normal_(self.places.weight, std=0.02)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Logits (tickets, columns)."""
        return self.judged(self.reduce(self.vectors[input_ids]), attention_mask)

    def judged(self, words: Tensor, attention_mask: Tensor) -> Tensor:
        """Logits (tickets, columns) of words that were reduced, (tickets, tokens, rank)."""
        mask = attention_mask.unsqueeze(-1).to(words.dtype)
        barred = (1 - attention_mask[:, None, None].to(words.dtype)) * FAR
        states = self.norm(self.widen(words) + self.places.weight[: words.shape[1]])
        for layer in self.layers:
            states = layer(states, barred)
        mean = (states * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
        highest = (states + (1 - mask) * FAR).amax(dim=1)
        logits: Tensor = self.head(self.dropout(torch.cat([mean, highest], dim=1)))
        return logits

    def read(self, ids: Sequence[Sequence[int]], pad_id: int) -> NDArray[np.float32]:
        """Logits (tickets, columns) of texts as token ids, in their order."""
        logits = np.zeros((len(ids), self.head.out_features), dtype=np.float32)
        with torch.inference_mode():
            for rows in batches([len(row) for row in ids], BATCH_TOKENS):
                part = self(*padded([ids[row] for row in rows], pad_id, self.head.weight.device))
                logits[rows] = part.float().cpu().numpy()
        return logits

    def rescale(self, slopes: FloatArray, intercepts: FloatArray) -> None:
        """Change each logit to slope x logit + intercept, both (columns,)."""
        factors, shifts = (torch.from_numpy(values).to(self.head.weight) for values in (slopes, intercepts))
        with torch.no_grad():
            self.head.weight.mul_(factors[:, None])
            self.head.bias.mul_(factors).add_(shifts)


class _Layer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        self.heads = shape.heads
        self.asked, self.seen = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.inner, self.outer = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, states: Tensor, barred: Tensor) -> Tensor:
        tickets, tokens, width = states.shape
        parts = self.asked(states).view(tickets, tokens, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        weights = torch.softmax(query @ key.transpose(-1, -2) / math.sqrt(width // self.heads) + barred, dim=-1)
        seen = self.seen((weights @ value).transpose(1, 2).reshape(tickets, tokens, width))
        states = self.norms[0](states + self.dropout(seen))
        return self.norms[1](states + self.dropout(self.outer(nn.functional.gelu(self.inner(states)))))  # type: ignore[no-any-return] # torch's modules have no types


def fit_student(  # noqa: PLR0913 - what is taught, from what, how, and who is told
    words: NDArray[np.float32],
    ids: Sequence[Sequence[int]],
    probs: Probs,
    shape: Shape,
    *,
    tokenizer: TextTokenizer,
    seed: int = 0,
    progress: Progress = silent,
) -> Student:
    """A student of the probabilities (texts, columns) that a larger network gave to texts as token ids.

    Words are hidden at random, so that it does not lean on any one. The same seed gives the same weights on the same
    machine.

    Args:
        words: (words, any width), the vectors that the larger network reads.
        ids: the texts.
        probs: what to learn.
        shape: how large the student is, and how it learns.
        tokenizer: has split the texts.
        seed: of all chance.
        progress: told of every step.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    targets = torch.from_numpy(np.clip(probs, 1 - SUREST, SUREST).astype(np.float32))
    hidden_as = tokenizer.unknown_id if tokenizer.unknown_id >= 0 else tokenizer.pad_id
    with chance_of_its_own(device, seed):
        student = Student(torch.from_numpy(words), probs.shape[1], tokenizer.max_tokens, shape).to(device)
        optimiser = _optimiser(student, shape)
        steps, step = shape.epochs * math.ceil(len(ids) / shape.batch_size), 0
        for epoch in range(shape.epochs):
            for rows in epoch_batches([len(row) for row in ids], shape.batch_size, seed=seed_of(seed, epoch)):
                for group in optimiser.param_groups:
                    group["lr"] = shape.learning_rate * ramp(step, steps, WARMUP)
                input_ids, mask = padded([ids[row] for row in rows], tokenizer.pad_id, device)
                hidden = (torch.rand(input_ids.shape, device=device) < shape.unread) & (mask > 0)
                logits = student(input_ids.masked_fill(hidden, hidden_as), mask)
                loss = nn.functional.binary_cross_entropy_with_logits(logits, targets[rows].to(device))
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call] # torch's
                nn.utils.clip_grad_norm_(student.parameters(), CLIP)
                optimiser.step()
                step += 1
                progress("student", step, steps)
    return student.eval()


def _optimiser(student: Student, shape: Shape) -> torch.optim.Optimizer:
    parameters = list(student.parameters())
    groups = [
        {"params": [one for one in parameters if one.ndim > 1], "weight_decay": DECAY},
        {"params": [one for one in parameters if one.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=shape.learning_rate, fused=True)
