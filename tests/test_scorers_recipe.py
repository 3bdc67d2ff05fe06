from __future__ import annotations

import json
import math
import tomllib
from dataclasses import asdict, fields
from typing import Any

import pytest

from tagdesk.errors import UsageError
from tagdesk.scorers.recipe import KINDS, Recipe, named_recipes


def refusal(**settings: Any) -> UsageError:
    with pytest.raises(UsageError) as refused:
        Recipe(kind=settings.pop("kind", "transformer")).changed(settings)
    assert refused.value.exit_code == 2
    return refused.value


@pytest.mark.parametrize("kind", KINDS)
def test_a_recipe_file_is_read_back_unchanged(kind: str) -> None:
    recipe = Recipe(kind=kind, seed=7, objective="cost:fp=2,fn=1", validation_share=0.2)
    assert Recipe.from_toml(recipe.to_toml()) == recipe
    assert tomllib.loads(recipe.to_toml()) == recipe.to_dict()


@pytest.mark.parametrize("name", ['quo"te', "back\\slash", "Ä/é", "\U0001f600", "\x7f", "new\nline", "\u2028"])
def test_any_folder_name_survives_a_recipe_file(name: str) -> None:
    recipe = Recipe(encoder=name)
    assert Recipe.from_toml(recipe.to_toml()) == recipe


def test_a_recipe_file_holds_only_what_concerns_its_kind() -> None:
    assert "epochs" not in Recipe(kind="probe").to_toml()
    assert "gamma" not in Recipe(kind="linear").to_toml()
    assert {"kind", "seed", "folds", "objective"} <= set(Recipe(kind="linear").to_dict())
    for field in fields(Recipe):  # each setting serves some kind
        assert any(field.name in Recipe(kind=kind).to_dict() for kind in KINDS)


def test_settings_given_as_text_become_numbers() -> None:
    recipe = Recipe(kind="transformer").changed({"epochs": "5", "learning_rate": "1e-4", "encoder": "somewhere"})
    assert (recipe.epochs, recipe.learning_rate, recipe.encoder) == (5, 1e-4, "somewhere")
    assert Recipe(kind="transformer").changed({"learning_rate": 1}).learning_rate == 1.0


def test_a_setting_of_another_kind_is_refused_with_its_kinds() -> None:
    assert str(refusal(kind="linear", epochs=3)) == "epochs concerns transformer recipes; this one is linear."
    assert refusal(kind="probe", strength=1).code == "unused_setting"
    assert Recipe(kind="probe").changed({"kind": "transformer", "epochs": 1}).epochs == 1


def test_an_unknown_setting_is_refused_with_the_known_ones() -> None:
    error = refusal(epoch=3, lr=1)
    assert error.code == "unknown_setting"
    assert "epoch, lr" in str(error)
    assert "learning_rate" in str(error)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", "three"),
        ("epochs", "1.5"),
        ("epochs", 2.0),
        ("epochs", True),
        ("epochs", None),
        ("epochs", [3]),
        ("epochs", "9" * 5000),
        ("learning_rate", "fast"),
        ("learning_rate", True),
        ("learning_rate", 10**400),
        ("encoder", 7),
        ("pooling", {"mean": 1}),
    ],
)
def test_a_value_of_another_type_is_refused(name: str, value: Any) -> None:
    error = refusal(**{name: value})
    assert error.code == "bad_setting"
    assert str(error).startswith(f"{name} = ")
    assert len(str(error)) < 300


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", -1),
        ("folds", 1),
        ("folds", -1),
        ("folds", 51),
        ("validation_share", 0.01),
        ("validation_share", 0.9),
        ("max_tokens", 7),
        ("max_tokens", 8193),
        ("epochs", 0),
        ("learning_rate", math.nan),
        ("learning_rate", "inf"),
        ("learning_rate", "1e999"),
        ("warmup_share", 1.1),
        ("dropout", 0.95),
        ("pooling", "max"),
        ("calibration", "isotonic"),
        ("fold_by", "moon"),
        ("kind", "pickle"),
    ],
)
def test_a_value_outside_its_range_is_refused_with_the_range(name: str, value: Any) -> None:
    error = refusal(**{name: value})
    assert error.code == "bad_setting"
    assert "expected" in str(error)


def test_an_objective_is_checked_before_and_not_after_the_training() -> None:
    assert refusal(objective="f2_macro").code == "bad_objective"
    with pytest.raises(UsageError):
        Recipe(objective="precision>=2")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "kind = ",
        "epochs = 3",
        "[" * 100_000,
        "a = [" + "[" * 5000,
        "seed = 1" + "0" * 5000,
        "kind = 'probe'\nkind = 'x'",
    ],
    ids=["empty", "no value", "no kind", "deep", "deep value", "long number", "repeated"],
)
def test_a_recipe_file_that_is_none_is_refused_by_name(text: str) -> None:
    with pytest.raises(UsageError, match=r"^mine\.toml") as refused:
        Recipe.from_toml(text, "mine.toml")
    assert refused.value.code == "bad_recipe"


def test_a_wrong_setting_in_a_recipe_file_is_told_with_the_file() -> None:
    with pytest.raises(UsageError, match=r"^mine\.toml: ridge = 'much'"):
        Recipe.from_toml("kind = 'probe'\nridge = 'much'", "mine.toml")
    with pytest.raises(UsageError, match=r"^mine\.toml: kind = 'forest': expected one of"):
        Recipe.from_toml("kind = 'forest'\nepochs = 3", "mine.toml")


def test_the_named_recipes_load_and_are_what_they_are_called() -> None:
    recipes = named_recipes()
    assert {name: recipe.kind for name, recipe in recipes.items()} == {
        "bert-base": "transformer",
        "linear": "linear",
        "probe": "probe",
        "transformer": "transformer",
    }
    bert = recipes["bert-base"]
    assert (bert.encoder, bert.epochs, bert.batch_size, bert.learning_rate) == ("bert-base-uncased", 3, 16, 2e-5)


def test_the_fingerprint_covers_every_setting() -> None:
    def other(value: Any, choices: tuple[str, ...]) -> Any:
        if choices:
            return next(choice for choice in choices if choice != value)
        return value + 1 if isinstance(value, int) else value * 0.9 + 0.013 if isinstance(value, float) else value + "x"

    base = Recipe()
    changed = [
        Recipe(**(asdict(base) | {field.name: other(getattr(base, field.name), field.metadata["choices"])}))
        for field in fields(Recipe)
        if field.name != "objective"
    ]
    prints = {recipe.fingerprint for recipe in [base, Recipe(objective="f1_micro"), *changed]}
    assert len(prints) == len(changed) + 2
    assert Recipe().fingerprint == base.fingerprint
    assert json.loads(json.dumps(base.to_dict())) == base.to_dict()
