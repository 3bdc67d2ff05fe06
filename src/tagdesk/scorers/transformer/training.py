"""The training loop: from a pretrained network to one that knows the labels."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tagdesk.arrays import IntArray, Targets
from tagdesk.errors import UsageError
from tagdesk.launched import place_here
from tagdesk.scorers.base import Progress
from tagdesk.scorers.recipe import Recipe
from tagdesk.scorers.transformer.checkpoint import Checkpoint, Standing
from tagdesk.scorers.transformer.network import Network, padded, read_logits
from tagdesk.scorers.transformer.together import company, share_of

GROUPED = 50  # batches that are sorted by length together: little padding, and still random company
HEAVIEST = 20.0  # weight of a rare label's positives; beyond that a handful of tickets would steer everything
SAVE_EVERY = 200  # steps between two checkpoints within an epoch
TEMPERATURES = np.geomspace(0.25, 8.0, 41)


@dataclass(frozen=True, slots=True)
class Encoded:
    """Texts as token ids, with their targets (tickets, labels).

    `by_epoch` holds the ids anew for each epoch, where texts are misspelled in another way each time.
    """

    ids: Sequence[Sequence[int]]
    targets: Targets
    by_epoch: Sequence[Sequence[Sequence[int]]] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def in_epoch(self, epoch: int) -> Sequence[Sequence[int]]:
        """The ids as that epoch reads them."""
        return self.by_epoch[epoch] if self.by_epoch else self.ids


def train(  # noqa: PLR0913 - what is trained, on what, how, and who is told
    network: Network,
    examples: Encoded,
    recipe: Recipe,
    *,
    pad_id: int,
    validation: Encoded | None,
    checkpoint: Checkpoint | None,
    progress: Progress,
) -> None:
    """Fit the network to the examples, in place; where several processes were launched, together with them.

    With validation, the weights of the epoch with the lowest validation loss are kept, and training stops after
    `recipe.patience` epochs without a lower one.

    Raises:
        UsageError: where the loss stops being a number.
    """
    per_epoch = math.ceil(len(examples) / recipe.batch_size)
    steps = recipe.epochs * per_epoch
    network.freeze(words=recipe.freeze_words, layers=recipe.freeze_layers)
    processes = company(network.device)
    reader = processes.wrap(network)
    optimiser = make_optimiser(network, recipe)
    loss_of = nn.BCEWithLogitsLoss(
        pos_weight=positive_weights(examples.targets, recipe.class_weights).to(network.device)
    )
    targets = torch.from_numpy(examples.targets.astype(np.float32))
    standing = checkpoint.restore(network, optimiser) if checkpoint else Standing()
    plan: list[IntArray] = []
    network.train()
    while standing.step < steps and not _is_stale(standing, recipe):
        epoch, place = divmod(standing.step, per_epoch)
        if place == 0 or not plan:
            lengths = [len(row) for row in examples.in_epoch(epoch)]
            plan = epoch_batches(lengths, recipe.batch_size, seed=seed_of(recipe.seed, epoch))
        rows, weight = share_of(plan[place], processes)
        others = (processes.index,) if processes.index else ()
        torch.manual_seed(seed_of(recipe.seed, standing.step, 1, *others))  # dropout
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * ramp(standing.step, steps, recipe.warmup_share)
        with _precision(network.device, recipe):
            logits = reader(*padded([examples.in_epoch(epoch)[row] for row in rows], pad_id, network.device))
            loss = weight * loss_of(logits.float(), targets[rows].to(network.device))
        optimiser.zero_grad()
        processes.backward(loss)
        norm = nn.utils.clip_grad_norm_(network.parameters(), recipe.clip_norm or math.inf)
        _refuse_divergence(loss, norm, standing.step, recipe)
        optimiser.step()
        standing = replace(standing, step=standing.step + 1)
        is_epoch_over = standing.step % per_epoch == 0
        if is_epoch_over and validation:
            standing = _judged(standing, network, validation, pad_id)
        if checkpoint and processes.index == 0 and (is_epoch_over or standing.step % SAVE_EVERY == 0):
            checkpoint.write(standing, network, optimiser)
        progress("training", standing.step, steps)
    if standing.best is not None:
        network.load_state_dict(standing.best)
    network.eval()
    progress("training", steps, steps)


def make_optimiser(network: Network, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW; biases and normalisation, which are vectors, do not decay, and the head may learn at a rate of its own."""
    head_rate = recipe.head_learning_rate or recipe.learning_rate
    groups = []
    for part, rate in ((network.body, recipe.learning_rate), (network.head, head_rate)):
        parameters = [parameter for parameter in part.parameters() if parameter.requires_grad]
        for decay, chosen in (
            (recipe.weight_decay, [parameter for parameter in parameters if parameter.ndim > 1]),
            (0.0, [parameter for parameter in parameters if parameter.ndim <= 1]),
        ):
            groups.append({"params": chosen, "weight_decay": decay, "lr": rate, "peak": rate})
    return torch.optim.AdamW(groups, fused=True)


def ramp(step: int, steps: int, warmup_share: float) -> float:
    """The share of the peak learning rate at a step: up in a line over the warm-up, down in a line to the end.

    >>> [ramp(step, 5, 0.4) for step in range(5)]
    [0.5, 1.0, 1.0, 0.6666666666666666, 0.3333333333333333]
    """
    warmup = round(steps * warmup_share)
    if step < warmup:
        return (step + 1) / warmup
    return (steps - step) / (steps - warmup)


def epoch_batches(lengths: Sequence[int], size: int, seed: int) -> list[IntArray]:
    """Every row once, in batches of texts of like length, in random order; the last ones may be smaller.

    >>> sorted(sorted(batch.tolist()) for batch in epoch_batches([9, 1, 9, 1, 5], size=2, seed=0))
    [[0], [1, 3], [2, 4]]
    """
    chance = np.random.default_rng(seed)
    order = chance.permutation(len(lengths))
    measured = np.asarray(lengths, dtype=np.int64)
    batches = []
    for start in range(0, len(order), size * GROUPED):
        group = order[start : start + size * GROUPED]
        group = group[np.argsort(measured[group], kind="stable")]
        batches += [group[first : first + size] for first in range(0, len(group), size)]
    return [batches[index] for index in chance.permutation(len(batches))]


def positive_weights(targets: Targets, how: str) -> Tensor:
    """The weight of each label's positives, (labels,): 1, or where `how` is balanced, negatives / positives.

    >>> positive_weights(np.array([[1, 0], [0, 0], [0, 0]], dtype=bool), "balanced").tolist()
    [2.0, 1.0]
    """
    positives = targets.sum(axis=0)
    weights = (len(targets) - positives) / np.maximum(positives, 1)
    is_known = (positives > 0) & (positives < len(targets)) & (how == "balanced")
    return torch.tensor(np.where(is_known, np.clip(weights, 1 / HEAVIEST, HEAVIEST), 1.0), dtype=torch.float32)


def calibrated_loss(logits: NDArray[np.float32], targets: Targets) -> float:
    """Cross-entropy at the temperature that suits the logits best: what no calibration can mend.

    A network that is fine-tuned soon grows too sure of itself. Its plain loss then rises while it still learns to tell
    labels apart; calibration undoes the first, so the choice of the epoch looks at the second.

    >>> right = np.array([[1.0], [-1.0], [1.0]], dtype=np.float32)
    >>> bool(calibrated_loss(right, right > 0) < calibrated_loss(-right, right > 0))
    True
    """
    signed = np.where(targets, logits, -logits).astype(np.float64)
    return float(min(np.logaddexp(0, -signed / temperature).mean() for temperature in TEMPERATURES))


def fingerprint_of(network: Network, examples: Encoded, validation: Encoded | None, recipe: Recipe) -> str:
    """32 hex digits over all that decides how a run goes."""
    digest = hashlib.sha256(recipe.fingerprint.encode())
    digest.update(network.config.to_json_string(use_diff=False).encode())
    for part in (examples, validation):
        if part is not None:
            digest.update(json.dumps([list(row) for row in part.ids]).encode() + np.packbits(part.targets).tobytes())
    for parameter in network.parameters():
        digest.update(parameter.detach().cpu().numpy().tobytes())
    return digest.hexdigest()[:32]


def device_of(recipe: Recipe) -> torch.device:
    """Where to train; raises UsageError for a GPU that is not there."""
    has_gpu = torch.cuda.is_available()
    if recipe.device == "cuda" and not has_gpu:
        raise UsageError("device = 'cuda', but there is no GPU that torch can use. Set device=auto.", code="no_gpu")
    return torch.device("cuda", place_here()) if has_gpu and recipe.device != "cpu" else torch.device("cpu")


@contextmanager
def chance_of_its_own(device: torch.device, seed: int) -> Iterator[None]:
    """Draw from the seed, leave the caller's chance as it was, and on a GPU use kernels that always sum alike."""
    on_gpu = device.type == "cuda"
    was_strict = torch.are_deterministic_algorithms_enabled()
    warned_only = torch.is_deterministic_algorithms_warn_only_enabled()
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if on_gpu else []):
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(on_gpu or was_strict, warn_only=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(was_strict, warn_only=warned_only)


def _judged(standing: Standing, network: Network, validation: Encoded, pad_id: int) -> Standing:
    loss = calibrated_loss(read_logits(network, validation.ids, pad_id), validation.targets)
    if standing.best_loss is not None and loss >= standing.best_loss:
        return replace(standing, stale=standing.stale + 1)
    weights = {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}
    return replace(standing, best_loss=loss, stale=0, best=weights)


def _is_stale(standing: Standing, recipe: Recipe) -> bool:
    return 0 < recipe.patience <= standing.stale


def _precision(device: torch.device, recipe: Recipe) -> torch.autocast:
    suits = device.type == "cuda" and torch.cuda.is_bf16_supported()
    wanted = recipe.precision == "bf16" or (recipe.precision == "auto" and suits)
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=wanted)


def _refuse_divergence(loss: Tensor, norm: Tensor, step: int, recipe: Recipe) -> None:
    if not (math.isfinite(loss.item()) and math.isfinite(norm.item())):
        raise UsageError(
            f"Training failed at step {step + 1}: the loss is no longer a number. learning_rate = "
            f"{recipe.learning_rate:g} is too high for this encoder; try a tenth of it.",
            code="diverged",
        )


def seed_of(*parts: int) -> int:
    """One seed made of several, so that no two uses of chance are alike."""
    return int(np.random.SeedSequence(parts).generate_state(1)[0])
