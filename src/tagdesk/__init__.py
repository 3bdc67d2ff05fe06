"""Reads support tickets and gives each the categories that it deserves.

>>> from tagdesk import Model
>>> Model.load("starter").predict(["I was charged twice, please refund one"])[0].best
'Refund Request'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tagdesk.errors import TagdeskError
    from tagdesk.model import Model
    from tagdesk.policy import Policy
    from tagdesk.prediction import Decision, Prediction
    from tagdesk.predictor import SupportTicketPredictor
    from tagdesk.scorers import Recipe
    from tagdesk.taxonomy import Label, Taxonomy
    from tagdesk.ticket import Ticket

__all__ = [
    "Decision",
    "Label",
    "Model",
    "Policy",
    "Prediction",
    "Recipe",
    "SupportTicketPredictor",
    "TagdeskError",
    "Taxonomy",
    "Ticket",
]

_HOMES = {
    "Decision": "prediction",
    "Label": "taxonomy",
    "Model": "model",
    "Policy": "policy",
    "Prediction": "prediction",
    "Recipe": "scorers",
    "SupportTicketPredictor": "predictor",
    "TagdeskError": "errors",
    "Taxonomy": "taxonomy",
    "Ticket": "ticket",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that `import tagdesk` is quick and does nothing else."""
    if name not in _HOMES:
        raise AttributeError(f"module 'tagdesk' has no attribute {name!r}")
    value = getattr(import_module(f"tagdesk.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
