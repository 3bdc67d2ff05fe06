"""How to fit a scorer: the only place where a training setting has a name."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib import resources
from typing import Any

from tagdesk.errors import UsageError
from tagdesk.policy import parse_objective

KINDS = ("probe", "linear", "transformer")
LONGEST_VECTOR = 1e4
_WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def _setting(
    default: Any, *kinds: str, low: float | None = None, high: float | None = None, choices: tuple[str, ...] = ()
) -> Any:
    """A field that belongs to the given kinds of recipe (all, when none is named) and the values that it may take."""
    return field(default=default, metadata={"kinds": kinds or KINDS, "low": low, "high": high, "choices": choices})


@dataclass(frozen=True)
class Recipe:
    """Every training setting, with its default and the kinds of scorer that it concerns.

    >>> Recipe(kind="transformer").changed({"epochs": "5"}).epochs
    5
    >>> Recipe(kind="linear").changed({"epochs": "5"})
    Traceback (most recent call last):
    ...
    tagdesk.errors.UsageError: epochs concerns transformer recipes; this one is linear.
    """

    kind: str = _setting("probe", choices=KINDS)
    seed: int = _setting(0, low=0)
    objective: str = _setting("f1_macro")  # what thresholds are fitted to; see tagdesk.policy
    calibration: str = _setting("platt", choices=("platt", "none"))
    label_sets: bool = _setting(True)  # labels learn which of them go together; see docs/decisions/0006-label-sets.md
    folds: int = _setting(
        5, low=0, high=50
    )  # calibrate on out-of-fold scores of this many folds; 0: on a validation part
    fold_by: str = _setting("labels", choices=("labels", "unit"))  # unit: a customer's tickets stay in one fold
    validation_share: float = _setting(
        0.15, low=0.02, high=0.5
    )  # split off where folds = 0 and no validation file is given
    encoder: str = _setting("starter", "probe", "transformer")
    max_tokens: int = _setting(256, "probe", "transformer", low=8, high=8192)
    strength: float = _setting(20.0, "linear", low=1e-6)  # C of the logistic regression: inverse regularisation
    # frozen encoder: kernel ridge regression on embeddings and word pieces; chosen by benchmarks/probe.py
    middle: bool = _setting(True, "probe")  # read the layer two thirds up as well, where the encoder gives it
    gamma: float = _setting(1.0, "probe", low=1e-3, high=100)  # of the Gaussian kernel: exp(-gamma * squared distance)
    words: float = _setting(
        1.0, "probe", low=0, high=100
    )  # weight of the word pieces beside each embedding; 0: without
    ridge: float = _setting(0.4, "probe", low=1e-4, high=100)  # penalty; more of it trusts single tickets less
    landmarks: int = _setting(4000, "probe", low=10, high=20_000)  # tickets that span the kernel; caps time and size
    max_terms: int = _setting(20_000, "probe", low=10)
    # TF-IDF
    word_ngrams: int = _setting(2, "linear", low=1, high=5)
    char_ngrams: int = _setting(5, "linear", low=0, high=8)  # from 2 up to this many; 0 leaves characters out
    max_features: int = _setting(200_000, "linear", low=10)
    # fine-tuning
    epochs: int = _setting(3, "transformer", low=1)
    batch_size: int = _setting(16, "transformer", low=1)
    learning_rate: float = _setting(2e-5, "transformer", low=0)
    head_learning_rate: float = _setting(0.0, "transformer", low=0)  # 0: the same as learning_rate
    weight_decay: float = _setting(0.01, "transformer", low=0)
    warmup_share: float = _setting(0.1, "transformer", low=0, high=1)  # of all steps
    clip_norm: float = _setting(1.0, "transformer", low=0)
    typos: float = _setting(0.0, "transformer", low=0, high=1)  # share of the texts misspelled anew in each epoch
    vector_length: float = _setting(
        0.0, "transformer", low=0, high=LONGEST_VECTOR
    )  # to which the head's input is brought; 0: as it comes
    freeze_words: bool = _setting(False, "transformer")  # keep the table of words as it was pretrained: carries further
    freeze_layers: int = _setting(0, "transformer", low=0, high=200)  # as many of the lowest layers, words included
    dropout: float = _setting(0.1, "transformer", low=0, high=0.9)  # before the head
    pooling: str = _setting("auto", "transformer", choices=("auto", "mean", "cls"))
    class_weights: str = _setting("none", "transformer", choices=("none", "balanced"))
    patience: int = _setting(
        3, "transformer", low=0
    )  # epochs without a better validation loss before stopping; 0: never stop
    precision: str = _setting("auto", "transformer", choices=("auto", "fp32", "bf16"))
    device: str = _setting("auto", "transformer", choices=("auto", "cpu", "cuda"))

    def __post_init__(self) -> None:
        for setting in fields(self):
            _validate(setting.name, getattr(self, setting.name), setting.metadata)
        if self.folds == 1:
            raise UsageError("folds = 1: expected 0 or at least 2.", code="bad_setting")
        parse_objective(self.objective)  # better now than after the training

    def changed(self, settings: Mapping[str, Any]) -> Recipe:
        """The recipe with other settings, given as values or as text (`--set epochs=5`); raises UsageError."""
        known = {setting.name: setting for setting in fields(self)}
        strangers = sorted(set(settings) - set(known))
        if strangers:
            raise UsageError(
                f"Unknown setting {', '.join(strangers)}. Known: {', '.join(known)}.", code="unknown_setting"
            )
        values = {name: _parsed(name, value, type(known[name].default)) for name, value in settings.items()}
        kind = values.get("kind", self.kind)
        _validate("kind", kind, known["kind"].metadata)
        for name in values:
            concerned = known[name].metadata["kinds"]
            if kind not in concerned:
                raise UsageError(
                    f"{name} concerns {' and '.join(concerned)} recipes; this one is {kind}.", code="unused_setting"
                )
        return dataclasses.replace(self, **values)

    def to_dict(self) -> dict[str, Any]:
        """The settings that concern this kind, in order."""
        return {s.name: getattr(self, s.name) for s in fields(self) if self.kind in s.metadata["kinds"]}

    def to_toml(self) -> str:
        """The settings that concern this kind, as a recipe file."""
        # Both formats write numbers and texts alike, except for what json would escape as halves of a character.
        lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in self.to_dict().items()]
        return "".join(lines).replace("\x7f", "\\u007f")

    @classmethod
    def from_toml(cls, text: str, source: str = "recipe") -> Recipe:
        """Parse a recipe file; raises UsageError that names the file."""
        try:
            settings = tomllib.loads(text)
        except (ValueError, RecursionError) as error:  # also numbers of thousands of digits, brackets of any depth
            raise UsageError(f"{source} is not valid TOML: {error}.", code="bad_recipe") from error
        if "kind" not in settings:
            raise UsageError(f"{source} names no kind. Add one of: {', '.join(KINDS)}.", code="bad_recipe")
        try:
            return cls().changed(settings)
        except UsageError as error:
            raise UsageError(f"{source}: {error}", code=error.code) from error

    @property
    def fingerprint(self) -> str:
        """12 hex digits over all settings."""
        return hashlib.sha256(json.dumps(dataclasses.asdict(self), sort_keys=True).encode()).hexdigest()[:12]


def named_recipes() -> dict[str, Recipe]:
    """The recipes that come with tagdesk, by name.

    >>> sorted(named_recipes())
    ['bert-base', 'linear', 'probe', 'transformer']
    """
    folder = resources.files("tagdesk") / "recipes"
    return {
        entry.name.removesuffix(".toml"): Recipe.from_toml(entry.read_text(encoding="utf-8"), entry.name)
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    }


def _validate(name: str, value: Any, rule: Mapping[str, Any]) -> None:
    if rule["choices"] and value not in rule["choices"]:
        raise UsageError(
            f"{name} = {str(value)[:60]!r}: expected one of {', '.join(rule['choices'])}.", code="bad_setting"
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{name} = {value!r}: expected a finite number.", code="bad_setting")
    low, high = rule["low"], rule["high"]
    if (low is not None and value < low) or (high is not None and value > high):
        bounds = f"at least {low:g}" if high is None else f"{low:g} to {high:g}"
        raise UsageError(f"{name} = {value!r}: expected {bounds}.", code="bad_setting")


def _parsed(name: str, value: Any, kind: type) -> Any:
    """The value as the field's type; text is converted, anything else must fit already."""
    try:
        if kind is int and isinstance(value, str | int) and not isinstance(value, bool):
            return int(value)
        if kind is float and isinstance(value, str | int | float) and not isinstance(value, bool):
            return float(value)
        if kind is bool and str(value).lower() in {"true", "false"}:
            return str(value).lower() == "true"
        if kind is str and isinstance(value, str):
            return value
    except (ValueError, OverflowError):
        pass
    raise UsageError(f"{name} = {str(value)[:60]!r}: expected {_WORDS[kind]}.", code="bad_setting")
