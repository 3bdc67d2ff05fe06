"""The categories, in a fixed order, each with words that explain it."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tagdesk.arrays import Targets
from tagdesk.errors import InputError

MAX_NAME = 200  # characters; longer names are a broken file, not a category


@dataclass(frozen=True, slots=True)
class Label:
    """One category: its name, what it means, when it applies and when it does not, and example tickets."""

    name: str
    description: str = ""
    examples: tuple[str, ...] = ()
    gives: str = ""
    not_for: str = ""


@dataclass(frozen=True)
class Taxonomy:
    """An ordered set of labels.

    >>> taxonomy = Taxonomy.of(["Billing", "Access"])
    >>> taxonomy.encode([frozenset({"Access"}), frozenset()]).tolist()
    [[False, True], [False, False]]
    >>> taxonomy.decode(np.array([[True, True]]))
    [frozenset({...})]
    """

    labels: tuple[Label, ...]
    rules: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        problem = _problem_with([label.name for label in self.labels])
        if problem:
            raise InputError(f"Taxonomy: {problem}", code="bad_taxonomy")

    @classmethod
    def of(cls, names: Iterable[str]) -> Taxonomy:
        """A taxonomy of bare names in the given order."""
        return cls(tuple(Label(name) for name in names))

    @property
    def names(self) -> tuple[str, ...]:
        """The label names in order."""
        return tuple(label.name for label in self.labels)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def fingerprint(self) -> str:
        """12 hex digits over the names in order: what a model's outputs mean."""
        return hashlib.sha256(json.dumps(self.names, ensure_ascii=False).encode()).hexdigest()[:12]

    def unknown(self, labels: Iterable[str]) -> list[str]:
        """The given labels that are not of this taxonomy, sorted."""
        return sorted(set(labels) - set(self.names))

    def encode(self, label_sets: Sequence[Iterable[str]]) -> Targets:
        """Label sets as a matrix (tickets, labels); raises InputError that names labels unknown to the taxonomy."""
        column = {name: index for index, name in enumerate(self.names)}
        targets = np.zeros((len(label_sets), len(self)), dtype=np.bool_)
        strangers: set[str] = set()
        for row, labels in enumerate(label_sets):
            for label in labels:
                index = column.get(label)
                if index is None:
                    strangers.add(label)
                else:
                    targets[row, index] = True
        if strangers:
            raise InputError(
                f"Labels outside the taxonomy: {_listing(strangers)}. It knows: {_listing(self.names)}. "
                "Rename them in the file, or choose a model or a taxonomy that holds them.",
                code="unknown_label",
            )
        return targets

    def decode(self, targets: Targets) -> list[frozenset[str]]:
        """A matrix (tickets, labels) as label sets."""
        names = self.names
        return [frozenset(names[i] for i in np.flatnonzero(row)) for row in targets]

    @classmethod
    def from_toml(cls, text: str) -> Taxonomy:
        """Parse `taxonomy.toml`; raises InputError that says what is wrong with it."""
        try:
            document = tomllib.loads(text)
        except (ValueError, RecursionError) as error:  # also numbers of thousands of digits, brackets of any depth
            raise InputError(f"taxonomy.toml is not valid TOML: {error}.", code="bad_taxonomy") from error
        strangers = set(document) - {"label", "rules"}
        if strangers:
            raise InputError(
                f"taxonomy.toml: unknown key {_listing(strangers)}; it holds `rules` and [[label]] tables.",
                code="bad_taxonomy",
            )
        entries = document.get("label")
        rules = document.get("rules", [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise InputError("taxonomy.toml holds no [[label]] tables.", code="bad_taxonomy")
        if not isinstance(rules, list) or not all(isinstance(rule, str) for rule in rules):
            raise InputError("taxonomy.toml: `rules` must be a list of strings.", code="bad_taxonomy")
        return cls(tuple(_label_from(entry) for entry in entries), tuple(rules))

    def to_toml(self) -> str:
        """The taxonomy as `taxonomy.toml` holds it; `from_toml` reads it back unchanged."""
        lines = []
        if self.rules:
            lines += ["rules = [", *(f"  {_quoted(rule)}," for rule in self.rules), "]", ""]
        for label in self.labels:
            lines += ["[[label]]", f"name = {_quoted(label.name)}"]
            for key, value in (("description", label.description), ("gives", label.gives), ("not_for", label.not_for)):
                if value:
                    lines.append(f"{key} = {_quoted(value)}")
            if label.examples:
                lines += ["examples = [", *(f"  {_quoted(example)}," for example in label.examples), "]"]
            lines.append("")
        return "\n".join(lines)


def _label_from(entry: dict[str, Any]) -> Label:
    strings = {key: entry.get(key, "") for key in ("name", "description", "gives", "not_for")}
    examples = entry.get("examples", [])
    strangers = sorted(set(entry) - {*strings, "examples"})
    if strangers:
        raise InputError(f"taxonomy.toml: unknown key {_listing(strangers)} in a [[label]].", code="bad_taxonomy")
    if not all(isinstance(value, str) for value in strings.values()):
        raise InputError("taxonomy.toml: name, description, gives and not_for are strings.", code="bad_taxonomy")
    if not isinstance(examples, list) or not all(isinstance(example, str) for example in examples):
        raise InputError("taxonomy.toml: `examples` must be a list of strings.", code="bad_taxonomy")
    return Label(examples=tuple(examples), **strings)


def _problem_with(names: Sequence[str]) -> str | None:
    if not names:
        return "it has no labels; it needs at least one."
    for name in names:
        if not name.strip() or name != name.strip():
            return f"the name {name!r} is blank or has blanks at an end."
        if len(name) > MAX_NAME:
            return f"the name {name[:40]!r}... has {len(name)} characters; at most {MAX_NAME} are allowed."
        if "|" in name or any(ord(character) < ord(" ") for character in name):
            return f"the name {name!r} holds '|' or a control character, which separate labels in files."
        if any("\ud800" <= character <= "\udfff" for character in name):
            return f"the name {name!r} holds half a character (a lone surrogate), which no file can hold."
    repeated = [name for name, times in Counter(names).items() if times > 1]
    return f"{_listing(repeated)} stands in it twice." if repeated else None


def _listing(names: Iterable[str], most: int = 12) -> str:
    ordered = sorted(names)
    shown = ", ".join(repr(name[:60]) for name in ordered[:most])
    return shown + (f" and {len(ordered) - most} more" if len(ordered) > most else "")


def _quoted(text: str) -> str:
    """A TOML basic string; JSON's escapes are a subset of TOML's except for DEL, which TOML wants escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
