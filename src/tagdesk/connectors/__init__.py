"""The gate to help desks: proven webhooks come in as events, tags and notes go back."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from tagdesk.connectors.access import Access, Call, HelpDeskError
from tagdesk.connectors.base import (
    WINDOW,
    BadPayload,
    Connector,
    Delivery,
    Forged,
    Headers,
    Incoming,
    Kind,
    Own,
    corrected,
)
from tagdesk.connectors.help_desk import HelpDesk, Patience
from tagdesk.connectors.tags import Tags
from tagdesk.errors import UsageError

__all__ = [
    "NAMES",
    "WINDOW",
    "Access",
    "BadPayload",
    "Call",
    "Connector",
    "Delivery",
    "Forged",
    "Headers",
    "HelpDesk",
    "HelpDeskError",
    "Incoming",
    "Kind",
    "Own",
    "Patience",
    "Tags",
    "connector",
    "corrected",
]

NAMES: Final = ("zendesk", "zammad", "chatwoot", "freshdesk")  # each is the module of that name, with a `CONNECTOR`


def connector(name: str) -> Connector:
    """The connector to a help desk; raises UsageError for one that there is not.

    Another header for Freshdesk's secret: `tagdesk.connectors.freshdesk.Freshdesk(secret_header=...)`.

    >>> connector("zammad").name
    'zammad'
    """
    if name not in NAMES:
        raise UsageError(
            f"Help desk {name[:40]!r} is unknown; expected one of {', '.join(NAMES)}.", code="unknown_connector"
        )
    return import_module(f"tagdesk.connectors.{name}").CONNECTOR  # type: ignore[no-any-return] # chosen at run time
