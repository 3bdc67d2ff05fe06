"""Models to swap in: a good one that answers otherwise than the starter, and bad ones of every kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tagdesk.calibrate import Calibration
from tagdesk.model import Model
from tagdesk.policy import Policy
from tagdesk.taxonomy import Taxonomy

DOUBTFUL = 0.6  # factor of the slopes: every probability moves, so that the scores tell which model gave them


def second_model(models: Path, *, renamed: bool = False) -> Model:
    """A model that doubts more than the starter, saved below `models`; maybe with labels of other names."""
    starter = Model.load("starter")
    known = starter.calibration
    calibration = Calibration(known.slopes * DOUBTFUL, known.intercepts, known.method, known.sets)
    changed = replace(starter, calibration=calibration, manifest=None)
    if renamed:
        names = [f"{name} 2" for name in starter.taxonomy.names]
        policy = starter.policy
        changed = replace(
            changed,
            taxonomy=Taxonomy.of(names),
            policy=Policy(
                tuple(names), policy.suggest, policy.automate, policy.objective, policy.fitted_on, policy.out_of_scope
            ),
        )
    return changed.save(models)


def scores_of(model: Model, texts: Sequence[str], *, at_once: int = 64) -> np.ndarray:
    """What a model says of each text, (tickets, labels), as an answer over HTTP rounds it."""
    rows = [model.judge(texts[start : start + at_once]).probs for start in range(0, len(texts), at_once)]
    return np.concatenate(rows).astype(np.float64).round(6)
