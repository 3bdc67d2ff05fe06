"""Fine-tuning, and the folder that it leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from safetensors.torch import load_file, save_file

from tagdesk.errors import ArtefactError, InputError, TagdeskError, UsageError
from tagdesk.scorers import Examples, Recipe, Scorer, named_recipes, open_scorer
from tagdesk.scorers.transformer import TransformerScorer, fit, score_out_of_fold, training
from tagdesk.scorers.transformer.checkpoint import FILE
from tagdesk.scorers.transformer.network import load_encoder
from tagdesk.scorers.transformer.training import calibrated_loss, epoch_batches, positive_weights, ramp
from tiny_encoders import KINDS, POSITIONS, tiny_encoder

TEXTS = ["my card was charged twice", "please refund the order", "where is my parcel", "app crashes", "password reset"]
TARGETS = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]], dtype=np.bool_)
EXAMPLES = Examples(TEXTS * 4, np.tile(TARGETS, (4, 1)))
VALIDATION = Examples(TEXTS, TARGETS)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("encoders") / "bert")


@pytest.fixture(scope="module")
def recipe(encoder: Path) -> Recipe:
    settings = {"encoder": str(encoder), "epochs": 4, "batch_size": 6, "learning_rate": 5e-3, "max_tokens": 32}
    return Recipe(kind="transformer").changed({**settings, "device": "cpu"})


@pytest.fixture(scope="module")
def scorer(recipe: Recipe) -> TransformerScorer:
    return fit(EXAMPLES, recipe.changed({"epochs": 25, "learning_rate": 1e-2}))


@pytest.fixture
def saved(scorer: TransformerScorer, tmp_path: Path) -> Path:
    folder = tmp_path / "saved"
    folder.mkdir()
    scorer.save(folder)
    return folder


def weights_of(scorer: TransformerScorer) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in scorer.network.state_dict().items()}


def assert_same_weights(one: TransformerScorer, other: TransformerScorer) -> None:
    left, right = weights_of(one), weights_of(other)
    assert left.keys() == right.keys()
    assert all(np.array_equal(left[name], right[name]) for name in left)


class Killed(Exception):  # noqa: N818 - what happened to the run
    pass


def killed_at(step: int) -> Callable[[str, int, int], None]:
    def progress(_what: str, done: int, _total: int) -> None:
        if done == step:
            raise Killed

    return progress


# Learning


def test_it_learns_what_the_examples_say(scorer: TransformerScorer) -> None:
    assert ((scorer.score(TEXTS).probs > 0.5) == TARGETS).all()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_encoder_trains_and_opens_again(kind: str, recipe: Recipe, tmp_path: Path) -> None:
    trained = fit(EXAMPLES, recipe.changed({"encoder": str(tiny_encoder(tmp_path / kind, kind)), "epochs": 1}))
    (tmp_path / "saved").mkdir()
    trained.save(tmp_path / "saved")
    opened = open_scorer("transformer", tmp_path / "saved")
    np.testing.assert_array_equal(opened.score(TEXTS).probs, trained.score(TEXTS).probs)


def test_the_classic_recipe_fits_a_bert(encoder: Path) -> None:
    classic = named_recipes()["bert-base"]
    assert (classic.epochs, classic.batch_size, classic.learning_rate, classic.pooling) == (3, 16, 2e-5, "cls")
    trained = fit(EXAMPLES, classic.changed({"encoder": str(encoder), "max_tokens": 32}))
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
    seen: list[int] = []
    patient = recipe.changed({"epochs": 8, "patience": 0})
    fit(EXAMPLES, patient, validation=Examples(TEXTS, ~TARGETS), progress=lambda _what, done, _total: seen.append(done))
    assert seen == [*range(1, 33), 32]


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


def load_encoder_weights(recipe: Recipe) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in load_file(Path(recipe.encoder) / "model.safetensors").items()}


def test_out_of_fold_scores_cover_every_example(recipe: Recipe) -> None:
    folds = [np.arange(0, 10), np.arange(10, 20)]
    probs = score_out_of_fold(EXAMPLES, recipe.changed({"epochs": 1}), folds)
    first = fit(EXAMPLES.take(folds[1]), recipe.changed({"epochs": 1}))
    np.testing.assert_allclose(probs[folds[0]], first.score(list(EXAMPLES.texts[:10])).probs, atol=1e-6)


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


# A run that was killed


@pytest.mark.parametrize("step", [1, 4, 6, 11, 16])
def test_a_killed_run_ends_with_the_weights_of_one_that_was_not(recipe: Recipe, tmp_path: Path, step: int) -> None:
    with pytest.raises(Killed):
        fit(EXAMPLES, recipe, validation=VALIDATION, checkpoint=tmp_path, progress=killed_at(step))
    seen: list[int] = []
    resumed = fit(
        EXAMPLES,
        recipe,
        validation=VALIDATION,
        checkpoint=tmp_path,
        progress=lambda _what, done, _total: seen.append(done),
    )
    assert seen[0] == step // 4 * 4 + (step < 16)
    assert_same_weights(resumed, fit(EXAMPLES, recipe, validation=VALIDATION))


def test_a_run_killed_within_an_epoch_goes_on_from_there(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "SAVE_EVERY", 3)
    with pytest.raises(Killed):
        fit(EXAMPLES, recipe, checkpoint=tmp_path, progress=killed_at(7))
    seen: list[int] = []
    resumed = fit(EXAMPLES, recipe, checkpoint=tmp_path, progress=lambda _what, done, _total: seen.append(done))
    assert seen[0] == 7
    assert_same_weights(resumed, fit(EXAMPLES, recipe))


def test_patience_survives_a_kill(recipe: Recipe, tmp_path: Path) -> None:
    long = recipe.changed({"epochs": 12, "patience": 2})
    wrong = Examples(TEXTS, ~TARGETS)
    whole = fit(EXAMPLES, long, validation=wrong)
    with pytest.raises(Killed):
        fit(EXAMPLES, long, validation=wrong, checkpoint=tmp_path, progress=killed_at(9))
    assert_same_weights(fit(EXAMPLES, long, validation=wrong, checkpoint=tmp_path), whole)


def test_a_process_that_is_killed_outright_leaves_a_state_to_go_on_from(recipe: Recipe, tmp_path: Path) -> None:
    program = f"""
import os, signal
from test_scorers_transformer import EXAMPLES, Path, Recipe, fit
def progress(what, done, total):
    if done == 9:
        os.kill(os.getpid(), signal.SIGKILL)
recipe = Recipe(kind="transformer").changed({recipe.to_dict()!r})
fit(EXAMPLES, recipe, checkpoint=Path({str(tmp_path)!r}), progress=progress)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    seen: list[int] = []
    resumed = fit(EXAMPLES, recipe, checkpoint=tmp_path, progress=lambda _what, done, _total: seen.append(done))
    assert seen[0] == 9
    assert_same_weights(resumed, fit(EXAMPLES, recipe))


def test_the_state_is_gone_after_success(recipe: Recipe, tmp_path: Path) -> None:
    fit(VALIDATION, recipe.changed({"epochs": 2}), checkpoint=tmp_path / "state")
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("change", ["recipe", "texts", "targets", "validation"])
def test_the_state_of_another_run_is_refused(recipe: Recipe, tmp_path: Path, change: str) -> None:
    with pytest.raises(Killed):
        fit(EXAMPLES, recipe, checkpoint=tmp_path, progress=killed_at(5))
    examples, settings, validation = EXAMPLES, recipe, None
    if change == "recipe":
        settings = recipe.changed({"learning_rate": 1e-3})
    elif change == "texts":
        examples = Examples(["app crashes", *EXAMPLES.texts[1:]], EXAMPLES.targets)
    elif change == "targets":
        examples = Examples(EXAMPLES.texts, ~EXAMPLES.targets)
    else:
        validation = VALIDATION
    with pytest.raises(UsageError, match="other tickets, another recipe or another encoder") as caught:
        fit(examples, settings, validation=validation, checkpoint=tmp_path)
    assert caught.value.code == "foreign_checkpoint"


def test_a_damaged_state_is_named(recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"\xff" * 100)
    with pytest.raises(ArtefactError, match="Delete it"):
        fit(EXAMPLES, recipe, checkpoint=tmp_path)


# Scoring


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
    assert scores.unknown.tolist() == [0.0, 0.5, 0.0]


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


def test_saving_names_no_place_and_no_code(saved: Path, encoder: Path) -> None:
    config = (saved / "config.json").read_text()
    assert str(encoder) not in config
    assert not {"architectures", "auto_map", "_name_or_path"} & set(json.loads(config))


def change_json(path: Path, **fields: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def change_weights(path: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    weights = load_file(path)
    change(weights)
    save_file(weights, path)


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


# The encoder that training begins with


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


def test_mixed_precision_learns_too(recipe: Recipe) -> None:
    trained = fit(EXAMPLES, recipe.changed({"epochs": 25, "learning_rate": 1e-2, "precision": "bf16"}))
    assert ((trained.score(TEXTS).probs > 0.5) == TARGETS).mean() > 0.9


def test_loading_says_nothing(encoder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from tagdesk.encoders import resolve  # noqa: PLC0415

    load_encoder(resolve(str(encoder)))
    assert capfd.readouterr() == ("", "")
