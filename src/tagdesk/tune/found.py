"""What a search has come to, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tagdesk.compare import Verdict
from tagdesk.evaluate import Report
from tagdesk.scorers import Recipe


@dataclass(frozen=True, slots=True)
class Row:
    """One trial.

    Attributes:
        number: of the trial, from 0.
        state: `complete`, `pruned` (worse than most after some folds), `too slow`, `failed`, `stopped` (and done again
            under another number) or `running`.
        value: the goal's figure on the inner folds; None where the trial was not done to the end.
        parameters: the recipe's name and what was changed in it.
        start: the recipe's name, where the trial is the recipe as it comes.
        seconds: how long it took.
        latency_ms: of one ticket of 20 words; None where it was not measured.
        steps: the figure after two folds, after three, and so on.
        reason: why it failed.
    """

    number: int
    state: str
    value: float | None
    parameters: Mapping[str, Any]
    start: str | None = None
    seconds: float | None = None
    latency_ms: float | None = None
    steps: tuple[float, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """A recipe, fitted to all tickets that the search saw, by the tickets that it did not see.

    Attributes:
        row: the trial that it comes from.
        recipe: the recipe.
        report: what the model is worth on the outer tickets; None where it could not be fitted.
        outer: the goal's figure there; None where it is undefined.
        problem: why it could not be fitted.
    """

    row: Row
    recipe: Recipe
    report: Report | None
    outer: float | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search has found, and whether it is better than what there was.

    Attributes:
        objective: the goal, as it is written.
        study: its name and place.
        tickets: how many the search saw, and how many it did not.
        counts: tickets of each label.
        warnings: what makes the result worth less, a sentence each.
        rows: all trials.
        best: the best trial that was allowed.
        default: the recipe with which it is compared, as it comes; None where it could not be tried.
        verdict: on the outer tickets, the best against the default; None where one of them could not be judged there.
        seconds: that the search took this time.
        latency_ms: the limit; None where there was none.
    """

    objective: str
    study: tuple[str, str]
    tickets: tuple[int, int]
    counts: Mapping[str, int]
    warnings: tuple[str, ...]
    rows: tuple[Row, ...]
    best: Judged
    default: Judged | None
    verdict: Verdict | None
    seconds: float
    latency_ms: float | None = None

    @property
    def is_better(self) -> bool:
        """Whether the best trial was shown to be better than the default, or there is no default to keep."""
        if self.default is None or self.default.report is None or self.default.row.state == "too slow":
            return self.best.report is not None
        return self.verdict is not None and self.verdict.is_better

    @property
    def chosen(self) -> Judged:
        """What should be used: the default, unless the best was shown to be better."""
        return self.best if self.is_better or self.default is None else self.default

    @property
    def sentence(self) -> str:
        """The result in plain words."""
        if self.default is None:
            return "The default recipe could not be tried, so there is nothing to compare the best one with."
        if self.best.row.parameters == self.default.row.parameters:
            return "The search found nothing better than the default recipe, which stays."
        if self.default.row.state == "too slow":
            limit = f"The default recipe takes longer than {self.latency_ms:g} ms, so the best that does not was taken."
            return f"{limit} {self.verdict.sentence}" if self.verdict else limit
        if self.verdict is None:
            problems = "; ".join(judged.problem for judged in (self.best, self.default) if judged.problem)
            return f"On the tickets kept from the search the two could not be compared: {problems}"
        if self.verdict.is_better:
            return self.verdict.sentence
        return (
            f"The search did not beat the default recipe beyond chance on tickets that it had not seen, so the default "
            f"stays. {self.verdict.sentence}"
        )

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON holds it."""
        return {
            "objective": self.objective,
            "study": self.study[0],
            "storage": self.study[1],
            "tickets": {"searched": self.tickets[0], "kept": self.tickets[1]},
            "labels": dict(self.counts),
            "warnings": list(self.warnings),
            "seconds": round(self.seconds, 1),
            "latency_ms": self.latency_ms,
            "is_better": self.is_better,
            "sentence": self.sentence,
            "verdict": self.verdict.to_dict() if self.verdict else None,
            "best": _judged(self.best),
            "default": _judged(self.default) if self.default else None,
            "recipe": self.chosen.recipe.to_dict(),
            "trials": [asdict(row) | {"parameters": dict(row.parameters)} for row in self.rows],
        }


def _judged(judged: Judged) -> dict[str, Any]:
    figures = ("exact_match", "f1_micro", "f1_macro", "ece")
    return {
        "trial": judged.row.number,
        "inner": judged.row.value,
        "outer": judged.outer,
        "latency_ms": judged.row.latency_ms,
        "problem": judged.problem,
        "recipe": judged.recipe.to_dict(),
        "figures": {name: getattr(judged.report, name) for name in figures} if judged.report else None,
    }
