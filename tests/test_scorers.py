from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import tiny
from tagdesk.arrays import IntArray
from tagdesk.errors import ArtefactError, InputError, MissingExtra
from tagdesk.scorers import Examples, Recipe, Scorer, fit_scorer, open_scorer, score_out_of_fold
from tagdesk.scorers.base import out_of_fold

KINDS = ("linear", "probe")


def folds_of(count: int, folds: int) -> list[IntArray]:
    return [np.arange(start, count, folds) for start in range(folds)]


def few(examples: Examples, labels: int) -> Examples:
    """The examples with the first of their labels repeated so often that there are so many."""
    return Examples(examples.texts, np.tile(examples.targets, (1, labels))[:, :labels])


@pytest.mark.parametrize("kind", KINDS)
def test_a_fitted_scorer_tells_what_new_tickets_are_about(kind: str, encoder: Path) -> None:
    scorer = fit_scorer(tiny.examples(120), tiny.recipe(kind, encoder))
    unseen = tiny.examples(60, seed=9)
    assert isinstance(scorer, Scorer)
    assert ((scorer.score(unseen.texts).probs >= 0.5) == unseen.targets).mean() > 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_scores(kind: str, encoder: Path) -> None:
    recipe = tiny.recipe(kind, encoder)
    first, second = (fit_scorer(tiny.examples(), recipe).score(tiny.examples(9, seed=2).texts) for _ in range(2))
    assert np.array_equal(first.probs, second.probs)


@pytest.mark.parametrize("kind", KINDS)
def test_no_texts_give_no_rows_and_all_labels(kind: str, encoder: Path) -> None:
    scores = fit_scorer(tiny.examples(), tiny.recipe(kind, encoder)).score([])
    assert scores.probs.shape == (0, 3)
    assert scores.truncated.shape == scores.unknown.shape == (0,)
    assert scores.probs.dtype == np.float32


@pytest.mark.parametrize("labels", [1, 60])
@pytest.mark.parametrize("kind", KINDS)
def test_any_number_of_labels_can_be_learned(kind: str, labels: int, encoder: Path) -> None:
    examples = few(tiny.examples(), labels)
    probs = fit_scorer(examples, tiny.recipe(kind, encoder)).score(examples.texts).probs
    assert probs.shape == (60, labels)
    assert ((probs >= 0.5) == examples.targets).mean() > 0.95


@pytest.mark.parametrize("kind", KINDS)
def test_a_label_that_nobody_or_everybody_carries_gets_a_constant_side(kind: str, encoder: Path) -> None:
    examples = tiny.examples()
    targets = examples.targets.copy()
    targets[:, 0], targets[:, 1] = False, True
    probs = (
        fit_scorer(Examples(examples.texts, targets), tiny.recipe(kind, encoder))
        .score(tiny.examples(20, seed=4).texts)
        .probs
    )
    assert (probs[:, 0] < 0.1).all()
    assert (probs[:, 1] > 0.9).all()
    assert np.isfinite(probs).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_of_one_token_and_one_of_20_000_characters_are_scored(kind: str, encoder: Path) -> None:
    scorer = fit_scorer(tiny.examples(), tiny.recipe(kind, encoder))
    for text in ("a", "\U0001f600", "a" * 20_000, ("charged " * 2500)[:20_000]):
        scores = scorer.score([text])
        assert np.isfinite(scores.probs).all()
        assert 0 <= scores.unknown[0] <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_to_learn_from_is_told(kind: str, encoder: Path) -> None:
    with pytest.raises(InputError) as refused:
        fit_scorer(Examples([], np.zeros((0, 3), dtype=np.bool_)), tiny.recipe(kind, encoder))
    assert refused.value.code == "too_few"


@pytest.mark.parametrize("kind", KINDS)
def test_a_scorer_that_was_saved_scores_bit_for_bit_alike(kind: str, encoder: Path, tmp_path: Path) -> None:
    scorer = fit_scorer(tiny.examples(), tiny.recipe(kind, encoder))
    scorer.save(tmp_path)
    texts = [*tiny.examples(20, seed=5).texts, "Ünknown wörds \u4e2d\u6587"]
    assert np.array_equal(open_scorer(kind, tmp_path).score(texts).probs, scorer.score(texts).probs)


@pytest.mark.parametrize("kind", KINDS)
def test_out_of_fold_scores_never_saw_their_fold(kind: str, encoder: Path) -> None:
    """Words that stand in one ticket alone decide its label: whoever saw the ticket knows, whoever did not cannot."""
    rng = np.random.default_rng(0)
    texts = ["".join(letters) for letters in rng.choice(list("abcdefghij"), size=(80, 12))]
    examples = Examples(texts, rng.permutation(np.arange(80) % 2 == 0)[:, None])
    recipe = tiny.recipe(kind, encoder)
    recipe = recipe.changed({"ridge": 1e-4, "gamma": 100}) if kind == "probe" else recipe.changed({"strength": 1e4})
    seen = fit_scorer(examples, recipe).score(texts).probs
    unseen = score_out_of_fold(examples, recipe, folds_of(80, 5))
    assert ((seen >= 0.5) == examples.targets).mean() > 0.95
    assert ((unseen >= 0.5) == examples.targets).mean() < 0.7


@pytest.mark.parametrize("kind", KINDS)
def test_out_of_fold_scores_are_those_of_a_scorer_fitted_to_the_other_folds(kind: str, encoder: Path) -> None:
    examples, recipe, folds = tiny.examples(), tiny.recipe(kind, encoder), folds_of(60, 3)
    probs = score_out_of_fold(examples, recipe, folds)
    others = np.concatenate(folds[1:])
    by_hand = fit_scorer(examples.take(np.sort(others)), recipe).score(examples.take(folds[0]).texts).probs
    assert np.allclose(probs[folds[0]], by_hand, atol=1e-6)
    assert np.allclose(probs, out_of_fold(examples, folds, lambda part: fit_scorer(part, recipe)), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_progress_counts_up_to_its_end(kind: str, encoder: Path) -> None:
    told: list[tuple[str, int, int]] = []
    recipe = tiny.recipe(kind, encoder)
    fit_scorer(tiny.examples(), recipe, progress=lambda *step: told.append(step))
    score_out_of_fold(tiny.examples(), recipe, folds_of(60, 3), progress=lambda *step: told.append(step))
    assert [done for what, done, _ in told if what == "folds"] == [0, 1, 2, 3]
    assert all(0 <= done <= total for _, done, total in told)
    last = {what: (done, total) for what, done, total in told}
    assert all(done == total for what, (done, total) in last.items() if what != "features")


def test_an_unknown_kind_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(
        ArtefactError, match="'forest' is unknown; this version reads linear, probe, onnx, cascade, transformer"
    ):
        open_scorer("forest", tmp_path)
    with pytest.raises(ArtefactError):
        open_scorer("../base", tmp_path)


def test_a_kind_whose_extra_is_not_installed_says_how_to_get_it(tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
sys.modules["torch"] = None
from tagdesk.errors import MissingExtra
from tagdesk.scorers import open_scorer
try:
    open_scorer("transformer", Path(sys.argv[1]))
except MissingExtra as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(MissingExtra("A transformer scorer", "train"))


def test_texts_and_targets_of_unlike_length_are_a_programmers_mistake() -> None:
    with pytest.raises(ValueError, match="2 texts with 1 rows"):
        Examples(["a", "b"], np.zeros((1, 1), dtype=np.bool_))


def test_examples_are_taken_in_the_order_asked_for() -> None:
    examples = Examples(["a", "b", "c"], np.eye(3, dtype=np.bool_))
    taken = examples.take(np.array([2, 0]))
    assert (list(taken.texts), taken.targets.tolist()) == (["c", "a"], [[False, False, True], [True, False, False]])
    assert len(taken) == 2


def test_settings_of_a_scorer_come_from_its_recipe_alone(encoder: Path) -> None:
    def scores(recipe: Recipe) -> Sequence[float]:
        probs: Sequence[float] = fit_scorer(tiny.examples(), recipe).score(["parcel charged"]).probs[0].tolist()
        return probs

    probe, linear = tiny.recipe("probe", encoder), tiny.recipe("linear", encoder)
    probes = [probe, *(probe.changed({name: value}) for name, value in PROBE_SETTINGS.items())]
    linears = [linear, *(linear.changed({name: value}) for name, value in LINEAR_SETTINGS.items())]
    for recipes in (probes, linears):
        assert len({tuple(scores(recipe)) for recipe in recipes}) == len(recipes)


PROBE_SETTINGS = {"gamma": 3, "ridge": 5, "words": 0, "landmarks": 20, "max_terms": 10, "max_tokens": 8}
LINEAR_SETTINGS = {"strength": 1, "word_ngrams": 1, "char_ngrams": 3, "max_features": 30}
