"""Fine-tuning: what is learned, and by which settings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from safetensors.torch import load_file

from tagdesk.errors import UsageError
from tagdesk.scorers import Examples, Recipe, Scorer, named_recipes, open_scorer
from tagdesk.scorers.transformer import TransformerScorer, fit, score_out_of_fold, training
from tagdesk.scorers.transformer.training import calibrated_loss, epoch_batches, make_optimiser, positive_weights, ramp
from tiny_encoders import (
    EXAMPLES,
    KINDS,
    TARGETS,
    TEXTS,
    VALIDATION,
    Told,
    assert_same_weights,
    tiny_encoder,
    weights_of,
)


def test_it_learns_what_the_examples_say(scorer: TransformerScorer) -> None:
    assert ((scorer.score(TEXTS).probs > 0.5) == TARGETS).all()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_encoder_trains_and_opens_again(kind: str, recipe: Recipe, tmp_path: Path) -> None:
    trained = fit(EXAMPLES, recipe.changed({"encoder": str(tiny_encoder(tmp_path / kind, kind)), "epochs": 1}))
    (tmp_path / "saved").mkdir()
    trained.save(tmp_path / "saved")
    opened = open_scorer("transformer", tmp_path / "saved")
    np.testing.assert_array_equal(opened.score(TEXTS).probs, trained.score(TEXTS).probs)


def test_the_classic_recipe_fits_a_bert(recipe: Recipe) -> None:
    classic = named_recipes()["bert-base"]
    assert (classic.epochs, classic.batch_size, classic.learning_rate, classic.pooling) == (3, 16, 2e-5, "cls")
    trained = fit(EXAMPLES, classic.changed({"encoder": recipe.encoder, "max_tokens": 32}))
    assert isinstance(trained, Scorer)
    assert trained.network.body.pooling == "cls"


def test_pooling_is_the_encoders_own_unless_the_recipe_says_otherwise(recipe: Recipe, tmp_path: Path) -> None:
    by_first = recipe.changed({"encoder": str(tiny_encoder(tmp_path / "cls", pooling="cls")), "epochs": 1})
    assert fit(VALIDATION, by_first).network.body.pooling == "cls"
    assert fit(VALIDATION, by_first.changed({"pooling": "mean"})).network.body.pooling == "mean"


def test_the_same_seed_gives_the_same_weights_and_another_one_others(recipe: Recipe) -> None:
    first = fit(EXAMPLES, recipe)
    torch.rand(7)  # whatever the caller draws in between
    assert_same_weights(first, fit(EXAMPLES, recipe))
    other = fit(EXAMPLES, recipe.changed({"seed": 1}))
    assert not np.array_equal(weights_of(first)["head.weight"], weights_of(other)["head.weight"])


def test_fitting_leaves_the_callers_chance_alone(recipe: Recipe) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit(VALIDATION, recipe.changed({"epochs": 1}))
    assert torch.equal(torch.rand(3), expected)


def test_the_epoch_with_the_lowest_validation_loss_is_kept(recipe: Recipe) -> None:
    losses: list[float] = []
    judge = calibrated_loss

    def recording(logits: np.ndarray, targets: np.ndarray) -> float:
        losses.append(judge(logits, targets))
        return losses[-1]

    wrong = Examples(TEXTS, ~TARGETS)  # the better it learns, the worse it does here
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "calibrated_loss", recording)
        kept = fit(EXAMPLES, recipe.changed({"epochs": 12, "patience": 2}), validation=wrong)
    assert len(losses) < 12
    assert losses.index(min(losses)) == len(losses) - 3
    logits = np.log(kept.score(TEXTS).probs) - np.log1p(-kept.score(TEXTS).probs)
    assert calibrated_loss(logits, ~TARGETS) == pytest.approx(min(losses), abs=1e-6)


def test_without_patience_every_epoch_is_run(recipe: Recipe) -> None:
    told = Told()
    patient = recipe.changed({"epochs": 8, "patience": 0})
    fit(EXAMPLES, patient, validation=Examples(TEXTS, ~TARGETS), progress=told)
    assert told.seen == [*range(1, 33), 32]


def test_progress_counts_the_last_smaller_batch(recipe: Recipe) -> None:
    told: list[tuple[str, int, int]] = []
    fit(EXAMPLES, recipe, progress=lambda what, done, total: told.append((what, done, total)))
    assert told[:-1] == [("training", step, 16) for step in range(1, 17)]  # 20 examples by 6: 4 steps an epoch


def test_a_rate_that_is_too_high_is_named(recipe: Recipe) -> None:
    with pytest.raises(UsageError, match=r"learning_rate = 1e\+30 is too high") as caught:
        fit(EXAMPLES, recipe.changed({"learning_rate": 1e30, "clip_norm": 0, "epochs": 40}))
    assert caught.value.code == "diverged"


def test_the_head_may_learn_at_a_rate_of_its_own(recipe: Recipe) -> None:
    still = recipe.changed({"learning_rate": 1e-12, "head_learning_rate": 1e-2, "weight_decay": 0})
    before = load_encoder_weights(recipe)
    trained = weights_of(fit(EXAMPLES, still))
    name = "embeddings.word_embeddings.weight"
    np.testing.assert_allclose(trained[f"body.encoder.{name}"], before[name], atol=1e-9)
    assert np.abs(trained["head.bias"]).max() > 1e-3


@pytest.mark.parametrize(
    "change",
    [
        {"batch_size": 5},
        {"warmup_share": 0.5},
        {"weight_decay": 0.5},
        {"clip_norm": 1e-6},
        {"dropout": 0.5},
        {"class_weights": "balanced"},
        {"pooling": "cls"},
        {"precision": "bf16"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_setting_reaches_the_weights(recipe: Recipe, change: dict[str, object]) -> None:
    once = recipe.changed({"epochs": 1})
    plain = weights_of(fit(EXAMPLES, once))["head.weight"]
    assert not np.array_equal(weights_of(fit(EXAMPLES, once.changed(change)))["head.weight"], plain)


def test_gradients_are_clipped_to_the_norm_that_the_recipe_names(recipe: Recipe) -> None:
    nearly_nothing = recipe.changed({"clip_norm": 1e-14, "weight_decay": 0, "epochs": 1})  # far below AdamW's epsilon
    trained = weights_of(fit(EXAMPLES, nearly_nothing))
    before = load_encoder_weights(recipe)["embeddings.word_embeddings.weight"]
    np.testing.assert_allclose(trained["body.encoder.embeddings.word_embeddings.weight"], before, atol=1e-6)


def test_vectors_do_not_decay_and_the_head_has_its_rate(scorer: TransformerScorer, recipe: Recipe) -> None:
    settings = recipe.changed({"weight_decay": 0.1, "learning_rate": 1e-4, "head_learning_rate": 1e-2})
    groups = make_optimiser(scorer.network, settings).param_groups
    found = [(group["peak"], group["weight_decay"], {tensor.ndim for tensor in group["params"]}) for group in groups]
    assert found == [(1e-4, 0.1, {2}), (1e-4, 0.0, {1}), (1e-2, 0.1, {2}), (1e-2, 0.0, {1})]
    assert sum(len(group["params"]) for group in groups) == len(list(scorer.network.parameters()))


def test_out_of_fold_scores_cover_every_example(recipe: Recipe) -> None:
    folds = [np.arange(0, 10), np.arange(10, 20)]
    probs = score_out_of_fold(EXAMPLES, recipe.changed({"epochs": 1}), folds)
    first = fit(EXAMPLES.take(folds[1]), recipe.changed({"epochs": 1}))
    np.testing.assert_allclose(probs[folds[0]], first.score(list(EXAMPLES.texts[:10])).probs, atol=1e-6)


def test_mixed_precision_learns_too(recipe: Recipe) -> None:
    trained = fit(EXAMPLES, recipe.changed({"epochs": 25, "learning_rate": 1e-2, "precision": "bf16"}))
    assert ((trained.score(TEXTS).probs > 0.5) == TARGETS).mean() > 0.9


def load_encoder_weights(recipe: Recipe) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in load_file(Path(recipe.encoder) / "model.safetensors").items()}


# Its parts


def test_the_rate_rises_then_falls_over_the_real_number_of_steps() -> None:
    rates = [ramp(step, 10, 0.3) for step in range(10)]
    np.testing.assert_allclose(rates, [1 / 3, 2 / 3, 1, 1, 6 / 7, 5 / 7, 4 / 7, 3 / 7, 2 / 7, 1 / 7])
    assert [ramp(step, 2, 1.0) for step in range(2)] == [0.5, 1.0]
    assert [ramp(step, 2, 0.0) for step in range(2)] == [1.0, 0.5]


def test_an_epoch_holds_every_row_once_in_batches_of_like_length() -> None:
    lengths = np.random.default_rng(0).integers(2, 200, size=500).tolist()
    batches = epoch_batches(lengths, 16, seed=3)
    assert sorted(np.concatenate(batches).tolist()) == list(range(500))
    read = sum(len(batch) * max(lengths[row] for row in batch) for batch in batches)
    assert read < 1.2 * sum(lengths)  # in random company it would be 1.9
    assert [batch.tolist() for batch in batches] != [batch.tolist() for batch in epoch_batches(lengths, 16, seed=4)]


def test_balanced_weights_are_capped_and_leave_constant_labels_alone() -> None:
    targets = np.zeros((100, 4), dtype=np.bool_)
    targets[:20, 0] = targets[:1, 1] = targets[:, 2] = True
    assert positive_weights(targets, "balanced").tolist() == [4.0, 20.0, 1.0, 1.0]
    assert positive_weights(targets, "none").tolist() == [1.0] * 4


def test_calibrated_loss_forgives_certainty_and_punishes_confusion() -> None:
    logits = np.array([[1.0], [2.0], [-1.0], [-2.0], [0.5]], dtype=np.float32)
    targets = np.array([[True], [True], [False], [False], [False]])
    assert calibrated_loss(4 * logits, targets) == pytest.approx(calibrated_loss(logits, targets), rel=0.01)
    assert calibrated_loss(logits, targets) < calibrated_loss(logits, ~targets)
