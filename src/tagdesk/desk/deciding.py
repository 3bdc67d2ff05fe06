"""Ends an experiment by itself, where somebody allowed it: promotes the better variant, or stops for harm."""

from __future__ import annotations

from tagdesk.desk import Desk
from tagdesk.experiment.decision import Action, Decision
from tagdesk.experiment.design import Kind
from tagdesk.results import standing

WHO = "champion and challenger"  # on record


def settle(desk: Desk) -> Decision | None:
    """What was decided of the experiment that runs here; None where none may be decided, or it goes on.

    A challenger with a policy of its own is not promoted, for a promotion is of a model with the policy in its folder:
    the experiment ends, and its record says what to do.

    Raises:
        Conflict: where another process, or a person, was quicker.
        StoreUnavailable: where the store cannot be asked.
    """
    running = desk.experiments.running
    if running is None or not running.design.may_decide or running.design.kind is not Kind.SPLIT:
        return None
    design = running.design
    found = standing(desk.store, design, now=desk.now())
    decision = found.decision
    is_over = found.day.is_last and decision.action is Action.GO_ON
    if decision.action not in {Action.PROMOTE, Action.STOP} and not is_over:
        return None
    desk.experiments.stop(
        design.name, who=WHO, why=f"{decision.action.value}: {decision.reason}"[:2000], now=desk.now()
    )
    arm = design.arms[design.challengers[0]]
    if decision.action is Action.PROMOTE and arm.policy is None:
        desk.promote(arm.model, who=WHO, why=f"experiment {design.name}: {decision.reason}"[:2000])
    return decision
