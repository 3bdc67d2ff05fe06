"""Fine-tunes a pretrained encoder with a linear head."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from tagdesk.arrays import IntArray, Probs
from tagdesk.encoders import resolve
from tagdesk.encoders.tokens import TextTokenizer
from tagdesk.errors import InputError, UsageError
from tagdesk.launched import is_first
from tagdesk.scorers.base import Examples, Progress, out_of_fold, silent
from tagdesk.scorers.recipe import Recipe
from tagdesk.scorers.transformer.checkpoint import Checkpoint
from tagdesk.scorers.transformer.hurry import hurried
from tagdesk.scorers.transformer.network import Network, PooledEncoder, Pooling, load_encoder, tokenizer_json
from tagdesk.scorers.transformer.scorer import TransformerScorer, problem_of
from tagdesk.scorers.transformer.training import (
    Encoded,
    chance_of_its_own,
    device_of,
    fingerprint_of,
    seed_of,
    train,
)

__all__ = ["OPENS", "TransformerScorer", "fit", "score_out_of_fold"]

OPENS = TransformerScorer


def fit(
    examples: Examples,
    recipe: Recipe,
    *,
    validation: Examples | None = None,
    checkpoint: Path | None = None,
    progress: Progress = silent,
) -> TransformerScorer:
    """Fine-tune the recipe's encoder; the same seed gives the same weights on the same machine.

    Args:
        examples: what to learn from.
        recipe: how.
        validation: decides which epoch's weights are kept, and when to stop; without it the last epoch's are.
        checkpoint: a folder for the state of an unfinished run. A run that finds its own there goes on from it, to the
            same weights as if it had never stopped.
        progress: told of every step.

    Raises:
        InputError: where there is nothing to learn from.
        UsageError: for an encoder that cannot be fine-tuned, settings that do not suit it, or another run's checkpoint.
    """
    if not len(examples):
        raise InputError("There are no labelled tickets to learn from.", code="too_few")
    folder = resolve(recipe.encoder)
    device = device_of(recipe)
    tokenizer = TextTokenizer(tokenizer_json(folder), recipe.max_tokens, f"{folder.path}/tokenizer.json")
    with chance_of_its_own(device, recipe.seed):
        pooling = folder.pooling if recipe.pooling == "auto" else cast("Pooling", recipe.pooling)
        body = PooledEncoder(load_encoder(folder), pooling)
        network = Network(body, examples.targets.shape[1], recipe.dropout, recipe.vector_length)
        problem = problem_of(network, tokenizer)
        if problem:
            raise UsageError(
                f"The encoder {folder.name!r} does not suit: {problem} Lower max_tokens, or name another encoder.",
                code="bad_encoder",
            )
        seen = _encoded(examples, tokenizer, recipe)
        held_out = _encoded(validation, tokenizer) if validation is not None and len(validation) else None
        state = Checkpoint(checkpoint, fingerprint_of(network, seen, held_out, recipe)) if checkpoint else None
        train(
            network.to(device),
            seen,
            recipe,
            pad_id=tokenizer.pad_id,
            validation=held_out,
            checkpoint=state,
            progress=progress,
        )
    if state and is_first():
        state.remove()
    return TransformerScorer(network, tokenizer)


def score_out_of_fold(
    examples: Examples, recipe: Recipe, folds: Sequence[IntArray], *, progress: Progress = silent
) -> Probs:
    """Scores (tickets, labels) of every example by a network that never saw its fold."""
    return out_of_fold(examples, folds, lambda part: fit(part, recipe, progress=progress), progress)


def _encoded(examples: Examples, tokenizer: TextTokenizer, recipe: Recipe | None = None) -> Encoded:
    """Token ids; where a recipe wants them misspelled, anew for each of its epochs."""
    by_epoch = []
    if recipe is not None and recipe.typos:
        for epoch in range(recipe.epochs):
            texts = hurried(examples.texts, recipe.typos, seed_of(recipe.seed, epoch, 2))
            by_epoch.append(tokenizer.split(texts).ids)
    return Encoded(tokenizer.split(examples.texts).ids, examples.targets, by_epoch)
