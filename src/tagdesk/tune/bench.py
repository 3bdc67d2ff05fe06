"""Fits recipes to some of a plan's tickets and scores others; a frozen encoder reads each text once."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from tagdesk.arrays import IntArray, Probs
from tagdesk.dataset import stratified_folds
from tagdesk.encoders.onnx import TextGraph
from tagdesk.measure import Evidence, judge_tickets
from tagdesk.model import Model
from tagdesk.scorers import Examples, Recipe, Scorer, fit_scorer
from tagdesk.scorers.base import Progress, sigmoid, silent
from tagdesk.scorers.probe import ProbeScorer, Seen, open_graph, see
from tagdesk.scorers.probe import _fit_head as fit_head
from tagdesk.ticket import Ticket
from tagdesk.train import _judgement as judgement
from tagdesk.train import cross_fitted, train
from tagdesk.tune.plan import Plan

# Of 20 words; latency is measured by it.
TICKET: Final = "I was charged twice for my order last week and the parcel has not come, please send one payment back"
_WARM, _TIMED = 2, 15  # readings of it: before the clock counts, and of which the median is taken


class Fitted(Protocol):
    """A scorer that was fitted to some of the inner tickets."""

    @property
    def scorer(self) -> Scorer:
        """The scorer, as a model would hold it."""
        ...

    def score(self, texts: Sequence[str]) -> Probs:
        """Probabilities (tickets, columns) of cleaned texts."""
        ...


@dataclass(frozen=True, slots=True)
class _Plain:
    scorer: Scorer

    def score(self, texts: Sequence[str]) -> Probs:
        return self.scorer.score(texts).probs


@dataclass(frozen=True, slots=True)
class _OnReadings:
    """A probe that is given what its encoder has read already."""

    scorer: ProbeScorer
    readings: Readings
    recipe: Recipe

    def score(self, texts: Sequence[str]) -> Probs:
        return sigmoid(self.scorer.head.logits(self.readings.of(self.recipe, texts)))


class Readings:
    """What frozen encoders make of texts, each text read once by each; in memory, some 3 kB for a text.

    Args:
        progress: told how many texts an encoder has read; what it raises ends the reading.
    """

    def __init__(self, progress: Progress = silent) -> None:
        self.progress = progress
        self._graphs: dict[tuple[str, int], TextGraph] = {}
        self._rows: dict[tuple[str, int], dict[str, int]] = {}
        self._seen: dict[tuple[str, int], Seen] = {}

    def graph(self, recipe: Recipe) -> TextGraph:
        """The recipe's encoder, opened once."""
        key = (recipe.encoder, recipe.max_tokens)
        if key not in self._graphs:
            self._graphs[key] = open_graph(recipe.changed({"middle": True}))
        return self._graphs[key]

    def of(self, recipe: Recipe, texts: Sequence[str]) -> Seen:
        """The texts as the recipe's encoder sees them."""
        key, graph = (recipe.encoder, recipe.max_tokens), self.graph(recipe)
        rows = self._rows.setdefault(key, {})
        unread = [text for text in dict.fromkeys(texts) if text not in rows]
        if unread:
            new = see(graph, unread, recipe.changed({"middle": True}), self.progress)
            old = self._seen.get(key)
            self._seen[key] = (
                new if old is None else Seen(np.concatenate([old.views, new.views], axis=1), [*old.ids, *new.ids])
            )
            rows |= {text: len(rows) + place for place, text in enumerate(unread)}
        seen = self._seen[key].take(np.array([rows[text] for text in texts], dtype=np.int64))
        return seen if recipe.middle else Seen(seen.views[:1], seen.ids)


class Bench:
    """Where the trials of a plan are fitted and judged."""

    def __init__(self, plan: Plan, progress: Progress = silent) -> None:
        self.plan = plan
        self.readings = Readings(progress)

    def fit(self, recipe: Recipe, rows: IntArray) -> Fitted:
        """Fit a recipe to the inner tickets at some rows."""
        examples = self.plan.inner.take(rows)
        if recipe.kind == "probe":
            head = fit_head(self.readings.of(recipe, examples.texts), examples.targets, recipe)
            return _OnReadings(ProbeScorer(self.readings.graph(recipe), head), self.readings, recipe)
        if recipe.folds:
            return _Plain(fit_scorer(examples, recipe))
        # As `train` does: without folds a part of the tickets decides when to stop.
        share = max(2, round(1 / recipe.validation_share))
        held = stratified_folds(examples.texts, examples.targets, share, recipe.seed)[0]
        seen = np.setdiff1d(np.arange(len(examples)), held)
        return _Plain(fit_scorer(examples.take(seen), recipe, validation=examples.take(held)))

    def score(self, recipe: Recipe, fold: IntArray) -> tuple[Probs, Fitted]:
        """Scores of one fold by a scorer that saw all other inner tickets, and that scorer."""
        fitted = self.fit(recipe, np.setdiff1d(np.arange(len(self.plan.inner)), fold))
        return fitted.score([self.plan.inner.texts[row] for row in fold]), fitted

    def worth(self, recipe: Recipe, raw: Probs, folds: Sequence[IntArray]) -> float:
        """The goal's figure on some folds, each calibrated and decided by what the other ones teach.

        Args:
            recipe: how to calibrate and decide.
            raw: (inner tickets, columns), scores of which those of these folds are read.
            folds: two or more.
        """
        rows = np.concatenate(folds)
        ends = np.cumsum([len(fold) for fold in folds])
        places = np.split(np.arange(len(rows)), ends[:-1])
        targets = self.plan.inner.targets[rows][:, : len(self.plan.names)]
        evidence = cross_fitted(targets, raw[rows], places, self.plan.names, recipe)
        return self.plan.task.goal.of(evidence.targets, evidence.probs, evidence.decided)

    def on_outer(self, recipe: Recipe) -> Evidence:
        """What a model that was trained on all inner tickets says of the outer ones.

        The same as `train` and `measure.judge_tickets` say; but an encoder reads the inner ones once.
        """
        plan, labels = self.plan, len(self.plan.names)
        inner = plan.inner
        if recipe.folds:
            targets = inner.targets[:, :labels]
            raw = np.zeros(inner.targets.shape, dtype=np.float32)
            for fold in stratified_folds(inner.texts, targets, recipe.folds, recipe.seed, units=plan.units):
                raw[fold] = self.score(recipe, fold)[0]
            fitted = self.fit(recipe, np.arange(len(inner)))
            model = Model(plan.taxonomy, fitted.scorer, *judgement(targets, raw, plan.names, recipe))
        else:
            model = train(_tickets(plan, inner), recipe, taxonomy=plan.taxonomy).model
        return judge_tickets(model, _tickets(plan, plan.outer))


def latency_ms(scorer: Scorer) -> float:
    """Milliseconds that a scorer takes for one ticket of 20 words: the median of some readings."""
    for _ in range(_WARM):
        scorer.score([TICKET])
    times = []
    for _ in range(_TIMED):
        started = time.perf_counter()
        scorer.score([TICKET])
        times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times)


def _tickets(plan: Plan, examples: Examples) -> list[Ticket]:
    labels = plan.taxonomy.decode(examples.targets[:, : len(plan.names)])
    rows = enumerate(zip(examples.texts, labels, strict=True), start=1)
    return [Ticket(str(number), text, frozenset(given)) for number, (text, given) in rows]
