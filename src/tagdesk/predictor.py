"""The call that people know who come from the reference project, on top of any tagdesk model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from tagdesk.model import STARTER, Model
from tagdesk.policy import Policy


class PredictedTicket(TypedDict):
    """One ticket's answer, as the reference project gives it."""

    text: str
    predicted_categories: list[str]
    probabilities: dict[str, float]
    threshold: float


class SupportTicketPredictor:
    """Categories above one threshold, with the probability of every category.

    New code is better served by `Model`, whose policy holds a fitted threshold for each category.

    Args:
        model_path: a model folder, an id, or `starter`.

    >>> answer = SupportTicketPredictor().predict("I cannot log in", threshold=0.3)
    >>> answer["predicted_categories"]
    ['Account Access']
    """

    def __init__(self, model_path: str | Path = STARTER) -> None:
        self.model = Model.load(model_path)

    def predict(self, ticket: str, threshold: float = 0.3) -> PredictedTicket:
        """The categories of one ticket, in the order of the taxonomy."""
        return self.predict_batch([ticket], threshold)[0]

    def predict_batch(self, texts: Sequence[str], threshold: float = 0.3) -> list[PredictedTicket]:
        """The categories of several tickets, in their order."""
        policy = Policy.uniform(self.model.taxonomy.names, threshold)
        return [
            {
                "text": prediction.text,
                "predicted_categories": [name for name in prediction.scores if name in prediction.labels],
                "probabilities": dict(prediction.scores),
                "threshold": threshold,
            }
            for prediction in self.model.predict(texts, policy=policy)
        ]
