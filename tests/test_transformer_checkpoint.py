"""Fine-tuning that was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from tagdesk.errors import ArtefactError, UsageError
from tagdesk.scorers import Examples, Recipe
from tagdesk.scorers.transformer import fit, training
from tagdesk.scorers.transformer.checkpoint import FILE
from tiny_encoders import (
    EXAMPLES,
    TARGETS,
    TEXTS,
    VALIDATION,
    Killed,
    Told,
    assert_same_weights,
    killed_at,
    tiny_recipe,
)


@pytest.mark.parametrize("step", [1, 4, 6, 11, 16])
def test_a_killed_run_ends_with_the_weights_of_one_that_was_not(recipe: Recipe, tmp_path: Path, step: int) -> None:
    with pytest.raises(Killed):
        fit(EXAMPLES, recipe, validation=VALIDATION, checkpoint=tmp_path, progress=killed_at(step))
    told = Told()
    resumed = fit(EXAMPLES, recipe, validation=VALIDATION, checkpoint=tmp_path, progress=told)
    assert told.seen[0] == step // 4 * 4 + (step < 16)
    assert_same_weights(resumed, fit(EXAMPLES, recipe, validation=VALIDATION))


def test_a_run_killed_within_an_epoch_goes_on_from_there(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "SAVE_EVERY", 3)
    with pytest.raises(Killed):
        fit(EXAMPLES, recipe, checkpoint=tmp_path, progress=killed_at(7))
    told = Told()
    resumed = fit(EXAMPLES, recipe, checkpoint=tmp_path, progress=told)
    assert told.seen[0] == 7
    assert_same_weights(resumed, fit(EXAMPLES, recipe))


def test_patience_survives_a_kill(recipe: Recipe, tmp_path: Path) -> None:
    long = recipe.changed({"epochs": 12, "patience": 3})
    wrong = Examples(TEXTS, ~TARGETS)
    whole, resumed = Told(), Told()
    fit(EXAMPLES, long, validation=wrong, progress=whole)
    last = whole.seen[-2]  # before the report that all is done
    assert last < 48
    with pytest.raises(Killed):
        fit(EXAMPLES, long, validation=wrong, checkpoint=tmp_path, progress=killed_at(last - 3))
    fit(EXAMPLES, long, validation=wrong, checkpoint=tmp_path, progress=resumed)
    assert resumed.seen == [*range(last - 3, last + 1), 48]


def test_a_process_that_is_killed_outright_leaves_a_state_to_go_on_from(recipe: Recipe, tmp_path: Path) -> None:
    program = f"""
import os, signal
from tiny_encoders import EXAMPLES, Path, Recipe
from tagdesk.scorers.transformer import fit
def progress(what, done, total):
    if done == 9:
        os.kill(os.getpid(), signal.SIGKILL)
recipe = Recipe(kind="transformer").changed({recipe.to_dict()!r})
fit(EXAMPLES, recipe, checkpoint=Path({str(tmp_path)!r}), progress=progress)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    done = subprocess.run([sys.executable, "-c", program], env=environment, check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    told = Told()
    resumed = fit(EXAMPLES, recipe, checkpoint=tmp_path, progress=told)
    assert told.seen[0] == 9
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


def test_a_run_with_misspelled_texts_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path / "bert").changed({"epochs": 2, "typos": 0.5})
    whole = fit(EXAMPLES, recipe)
    folder = tmp_path / "state"
    with pytest.raises(Killed):
        fit(EXAMPLES, recipe, checkpoint=folder, progress=killed_at(3))
    assert_same_weights(fit(EXAMPLES, recipe, checkpoint=folder), whole)
