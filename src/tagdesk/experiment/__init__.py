"""Plans an experiment, shares its units out, and says at every look what it shows.

`Experiment` and `assign` say who gets which variant; `sample_ratio` whether that went well; `size_for_shares` and
`size_factor` how many units it takes; `watch` what may be said before the end; `decide` what to do.
"""

from __future__ import annotations

from tagdesk.experiment.assignment import Assignment, Standing, assign, unit_of, variants_of
from tagdesk.experiment.cuped import Adjusted, adjust
from tagdesk.experiment.decision import (
    LATENCY,
    NO_LABEL,
    OUT_OF_SCOPE,
    Action,
    Day,
    Decision,
    Evidence,
    Guardrail,
    decide,
    recall_of,
)
from tagdesk.experiment.definition import Experiment, Step, Unit, Variant
from tagdesk.experiment.planning import (
    Chances,
    Size,
    days,
    error_for_means,
    error_for_shares,
    power_for_means,
    power_for_shares,
    size_for_means,
    size_for_shares,
)
from tagdesk.experiment.reviewed import ReviewShares, review_probability, review_shares, review_weights
from tagdesk.experiment.sample_ratio import SampleRatio, sample_ratio
from tagdesk.experiment.sequential import Mixture, p_values, size_factor, watch

__all__ = [
    "LATENCY",
    "NO_LABEL",
    "OUT_OF_SCOPE",
    "Action",
    "Adjusted",
    "Assignment",
    "Chances",
    "Day",
    "Decision",
    "Evidence",
    "Experiment",
    "Guardrail",
    "Mixture",
    "ReviewShares",
    "SampleRatio",
    "Size",
    "Standing",
    "Step",
    "Unit",
    "Variant",
    "adjust",
    "assign",
    "days",
    "decide",
    "error_for_means",
    "error_for_shares",
    "p_values",
    "power_for_means",
    "power_for_shares",
    "recall_of",
    "review_probability",
    "review_shares",
    "review_weights",
    "sample_ratio",
    "size_factor",
    "size_for_means",
    "size_for_shares",
    "unit_of",
    "variants_of",
    "watch",
]
