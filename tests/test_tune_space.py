from __future__ import annotations

from typing import Any

import pytest

from tagdesk.errors import UsageError
from tagdesk.scorers import Recipe, named_recipes
from tagdesk.tune.space import COMMON, RECIPE, SPACE, THRESHOLDS, Choice, Domain, Space, encoders_at_hand, with_settings

LINES = [
    (kind, name, domain) for kind, lines in SPACE.items() for name, domain in {**lines, **COMMON, **THRESHOLDS}.items()
]


def ends(domain: Domain) -> list[Any]:
    return list(domain.values) if isinstance(domain, Choice) else [domain.low, domain.high]


@pytest.mark.parametrize(("kind", "name", "domain"), LINES)
def test_every_end_of_every_line_is_a_setting_that_the_recipe_takes(kind: str, name: str, domain: Domain) -> None:
    recipe = Recipe(kind=kind)
    assert name in recipe.to_dict()
    for value in ends(domain):
        assert getattr(recipe.changed({name: value}), name) == value


def test_no_setting_stands_under_two_kinds() -> None:
    names = [name for lines in (*SPACE.values(), COMMON, THRESHOLDS) for name in lines]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", ["linear", "probe", "transformer", "bert-base"])
def test_the_recipes_that_tagdesk_comes_with_lie_in_the_space_as_it_stands(name: str) -> None:
    recipe = named_recipes()[name]
    for setting, domain in {**SPACE[recipe.kind], **COMMON, **THRESHOLDS}.items():
        if setting != "encoder":
            assert domain.holding(getattr(recipe, setting)) == domain, setting


def test_the_parameters_that_a_recipe_starts_with_give_the_recipe() -> None:
    space = Space.of({name: named_recipes()[name] for name in ("probe", "linear", "transformer")})
    for name, recipe in space.bases.items():
        assert space.recipe(space.start(name)) == recipe
        assert set(space.free(name)) == set(space.start(name)) - {RECIPE}


def test_a_recipe_is_changed_in_what_the_trial_says_alone() -> None:
    space = Space.of({"probe": Recipe(landmarks=77)})
    assert space.recipe({RECIPE: "probe", "ridge": 2.0}) == Recipe(landmarks=77, ridge=2.0)


def test_encoders_are_searched_where_there_are_several() -> None:
    bases = {"probe": Recipe(), "transformer": named_recipes()["transformer"]}
    several = Space.of(bases, encoders=("starter", "other"))
    assert several.domains["encoder"] == Choice(("starter", "other"))
    assert "encoder" not in several.free("transformer")
    assert several.on_other_encoders("probe") == [several.start("probe") | {"encoder": "other"}]
    assert several.on_other_encoders("transformer") == []
    assert "encoder" not in Space.of(bases).domains
    assert "starter" in encoders_at_hand()


def test_settings_that_are_fixed_or_do_not_matter_are_not_searched() -> None:
    space = Space.of({"linear": Recipe(kind="linear")}, fixed=frozenset({"strength"}), thresholds=False)
    assert not {"strength", "objective"} & set(space.domains)
    assert "label_sets" in space.domains


def test_a_setting_of_nobody_and_one_that_names_the_recipe_are_refused() -> None:
    bases = {"linear": Recipe(kind="linear"), "probe": Recipe()}
    for settings, said in (
        ({"epochs": "3"}, "epochs concerns transformer"),
        ({"nonsense": "3"}, "Unknown setting nonsense"),
        ({"kind": "probe"}, "--recipes"),
        ({"ridge": "-1"}, "ridge = -1.0: expected"),
    ):
        with pytest.raises(UsageError, match=said):
            with_settings(bases, settings)
