"""Searches for a recipe that suits the tickets better than the default one, and says whether it does.

The search sees four fifths of the tickets, in folds; the last fifth judges what it has found, once.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

from tagdesk.errors import MissingExtra
from tagdesk.tune.bench import Bench
from tagdesk.tune.estimate import Estimate
from tagdesk.tune.found import Found, Judged, Row
from tagdesk.tune.goal import Goal, parse_goal
from tagdesk.tune.limits import Limits, Standing, Watch, unwatched
from tagdesk.tune.plan import Plan, Task
from tagdesk.tune.space import Space, encoders_at_hand, with_settings

if TYPE_CHECKING:
    from pathlib import Path

    from tagdesk.tune.study import OpenStudy

__all__ = [
    "Bench",
    "Estimate",
    "Found",
    "Goal",
    "Judged",
    "Limits",
    "Plan",
    "Row",
    "Space",
    "Standing",
    "Task",
    "Watch",
    "encoders_at_hand",
    "open_study",
    "parse_goal",
    "search",
    "with_settings",
    "write",
]


def open_study(plan: Plan, place: str, name: str) -> OpenStudy:
    """The study of a plan at a place: begun, or gone on with; see `tagdesk.tune.study.open_study`."""
    study: ModuleType = _engine("study")
    return study.open_study(plan, place, name)  # type: ignore[no-any-return] # imported at run time


def search(
    opened: OpenStudy, limits: Limits | None = None, *, bench: Bench | None = None, watch: Watch = unwatched
) -> Found:
    """Do trials until a limit, then judge the best on the tickets kept from the search; see `tagdesk.tune.run`."""
    run: ModuleType = _engine("run")
    begun = run.Search(opened, limits or Limits(), bench=bench, watch=watch)
    return begun.run()  # type: ignore[no-any-return] # imported at run time


def write(found: Found, opened: OpenStudy, folder: Path, title: str) -> list[Path]:
    """Write what a search has found into a folder; see `tagdesk.tune.results`."""
    results: ModuleType = _engine("results")
    return results.write(found, opened, folder, title)  # type: ignore[no-any-return] # imported at run time


def _engine(name: str) -> ModuleType:
    from importlib import import_module  # noqa: PLC0415 - only here

    try:
        return import_module(f"tagdesk.tune.{name}")
    except ImportError as error:
        if (error.name or "").startswith("tagdesk"):
            raise
        raise MissingExtra("The search", "tune") from error
