"""What somebody wrote down of an experiment: which models answer, what is asked of them, and how far it has come."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from tagdesk.errors import UsageError
from tagdesk.experiment.assignment import assign, unit_of
from tagdesk.experiment.definition import Experiment

EXACT_MATCH = "exact_match"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")  # also of variants: cases are marked `experiment:variant`


class Kind(StrEnum):
    """Who hears what the challenger says."""

    SPLIT = "split"  # its share of the customers
    SHADOW = "shadow"  # nobody: it is written down beside what is answered


class State(StrEnum):
    """How far an experiment has come; it only goes on."""

    DRAFT = "draft"
    RUNNING = "running"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Arm:
    """What a variant answers with: a model, and a policy as `policy.json` holds it; None: the model's own."""

    model: str
    policy: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Design:
    """An experiment with all that running it takes.

    Attributes:
        experiment: who gets which variant.
        arms: what each variant answers with.
        kind: who hears it.
        state: how far it has come.
        figure: what decides: `exact_match` of reviewed tickets, or the name of an outcome.
        lower_is_better: whether a smaller outcome is the better one.
        margin: a loss of the figure, in its own unit, that was agreed on to be none; 0: the challenger must be better.
        planned: customers, or tickets, of each variant after which it is over.
        days: after which it is over.
        may_decide: whether the service may promote or stop by itself.
        since: when it started.
        why: of the last step.

    Raises:
        UsageError: `bad_experiment`, for anything that does not hold.
    """

    experiment: Experiment
    arms: Mapping[str, Arm]
    kind: Kind = Kind.SPLIT
    state: State = State.DRAFT
    figure: str = EXACT_MATCH
    lower_is_better: bool = False
    margin: float = 0.0
    planned: int = 1000
    days: int = 30
    may_decide: bool = False
    since: datetime | None = None
    why: str = ""

    def __post_init__(self) -> None:
        names = [variant.name for variant in self.experiment.variants]
        for name in (self.experiment.name, *names):
            if not _NAME.fullmatch(name):
                raise _bad(f"{name[:60]!r} is no name. Expected a-z, 0-9 and -, up to 60 characters.")
        if set(self.arms) != set(names):
            raise _bad(f"models are named for {sorted(self.arms)}. Expected one for each of {sorted(names)}.")
        if self.kind is Kind.SHADOW and len(names) != 2:
            raise _bad(f"a shadow has {len(names)} variants. Expected what is current and one challenger.")
        if not 0 <= self.margin < math.inf:
            raise _bad(f"margin {self.margin:g}. Expected a number from 0 up, as in 0.01 for a point.")
        if min(self.planned, self.days) < 1:
            raise _bad(f"planned {self.planned}, days {self.days}. Expected both from 1.")

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self.experiment.name

    @property
    def challengers(self) -> tuple[str, ...]:
        """The variants that are not current."""
        return tuple(name for name in self.arms if name != self.experiment.current)

    def mark(self, variant: str) -> str:
        """What marks the cases of a variant."""
        return f"{self.name}:{variant}"

    def variant_of(self, customer: str | None, ticket: str | None, now: datetime) -> str | None:
        """The variant that a ticket is answered by; None where it takes no part.

        A ticket without a customer and an id takes no part: nothing would keep its variant.
        """
        if self.kind is not Kind.SPLIT or not (customer or ticket):
            return None
        return assign(self.experiment, unit_of(self.experiment, customer, ticket or ""), now).variant

    def started(self, now: datetime, why: str = "") -> Design:
        """The same, running; raises UsageError where it has been started."""
        if self.state is not State.DRAFT:
            raise _bad(f"experiment {self.name!r} is {self.state.value}. Only a draft can be started; make a new one.")
        return replace(self, state=State.RUNNING, since=now, why=why)

    def stopped(self, why: str = "") -> Design:
        """The same, stopped for good; raises UsageError where it is not running."""
        if self.state is not State.RUNNING:
            raise _bad(f"experiment {self.name!r} is {self.state.value}. Only one that runs can be stopped.")
        return replace(self, state=State.STOPPED, why=why)

    def to_dict(self) -> dict[str, Any]:
        """The design as JSON holds it."""
        return {
            "experiment": self.experiment.to_dict(),
            "arms": {
                name: {"model": arm.model, "policy": None if arm.policy is None else dict(arm.policy)}
                for name, arm in self.arms.items()
            },
            "kind": self.kind.value,
            "state": self.state.value,
            "figure": self.figure,
            "lower_is_better": self.lower_is_better,
            "margin": self.margin,
            "planned": self.planned,
            "days": self.days,
            "may_decide": self.may_decide,
            "since": None if self.since is None else self.since.isoformat(),
            "why": self.why,
        }

    @classmethod
    def from_dict(cls, document: Any) -> Design:
        """Read what `to_dict` wrote; raises UsageError `bad_experiment` where it is anything else."""
        try:
            since = document["since"]
            return cls(
                Experiment.from_dict(document["experiment"]),
                {name: Arm(arm["model"], arm["policy"]) for name, arm in document["arms"].items()},
                Kind(document["kind"]),
                State(document["state"]),
                document["figure"],
                document["lower_is_better"],
                document["margin"],
                document["planned"],
                document["days"],
                document["may_decide"],
                None if since is None else datetime.fromisoformat(since),
                document["why"],
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _bad(f"it cannot be read ({type(error).__name__}). Make it anew.") from None


def _bad(problem: str) -> UsageError:
    return UsageError(f"Experiment: {problem}", code="bad_experiment")
