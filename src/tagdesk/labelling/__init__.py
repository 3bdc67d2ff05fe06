"""The gate to labelling: which logged cases people should look at next, and what they found."""

from __future__ import annotations

from tagdesk.labelling.choosing import Kind, Waiting, disputed, in_own_order, seen_once, waiting
from tagdesk.labelling.keeping import State, keep, note_picks, state_of

__all__ = [
    "Kind",
    "State",
    "Waiting",
    "disputed",
    "in_own_order",
    "keep",
    "note_picks",
    "seen_once",
    "state_of",
    "waiting",
]
