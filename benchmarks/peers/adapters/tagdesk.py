"""Tagdesk as its users call it: `Model.load` and `predict`, or `train` with a named recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from peers.contract import Examples, Scored, Settings
from tagdesk.model import Model
from tagdesk.prediction import Decision
from tagdesk.scorers import named_recipes
from tagdesk.ticket import Ticket
from tagdesk.train import train


@dataclass(frozen=True)
class Tagdesk:
    """A model; the labels given are those that its own policy suggests."""

    model: Model

    def score(self, texts: Sequence[str]) -> Scored:
        """Probabilities and labels of each text."""
        predictions = self.model.predict(list(texts))
        names = self.model.taxonomy.names
        probs = [[prediction.scores[name] for name in names] for prediction in predictions]
        given = [[prediction.decisions[name] >= Decision.SUGGEST for name in names] for prediction in predictions]
        return Scored(names, np.array(probs, dtype=np.float32), np.array(given))

    def save(self, folder: Path) -> None:
        """Write the model as tagdesk does."""
        self.model.save(folder)


def fit(examples: Examples, settings: Settings, seed: int) -> Tagdesk:
    """Train by the recipe, or open the model that the settings name, which has learned all that it will."""
    if "model" in settings:
        return Tagdesk(Model.load(settings["model"]))
    recipe = named_recipes()[settings["recipe"]].changed({"seed": seed})
    if recipe.kind == "probe":
        recipe = recipe.changed({"encoder": settings["graph"]})
    tickets = [
        Ticket(str(number), text, frozenset(labels))
        for number, (text, labels) in enumerate(zip(examples.texts, examples.labels, strict=True))
    ]
    return Tagdesk(train(tickets, recipe).model)


def load(folder: Path, settings: Settings) -> Tagdesk:
    """Open the model that the settings name, else what `save` wrote."""
    return Tagdesk(Model.load(settings["model"] if "model" in settings else next(folder.iterdir())))
