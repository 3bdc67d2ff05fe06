"""Says whether one thing is better than another: two models on the same tickets, or two groups of tickets.

Whatever is compared, and however, comes out as a `Difference`, and `judge` alone turns that into a `Verdict`.
"""

from __future__ import annotations

from tagdesk.compare.correction import corrected, holm
from tagdesk.compare.labels import LabelDifference, by_label
from tagdesk.compare.paired import FIGURES, McNemar, compare, differences, mcnemar
from tagdesk.compare.pairs import Answers, Pairs
from tagdesk.compare.resampled import Bootstrap
from tagdesk.compare.shares import difference_of_shares
from tagdesk.compare.unpaired import Estimate, Group, Relative, difference, estimate, relative
from tagdesk.compare.verdict import Difference, Figure, Finding, Verdict, judge

__all__ = [
    "FIGURES",
    "Answers",
    "Bootstrap",
    "Difference",
    "Estimate",
    "Figure",
    "Finding",
    "Group",
    "LabelDifference",
    "McNemar",
    "Pairs",
    "Relative",
    "Verdict",
    "by_label",
    "compare",
    "corrected",
    "difference",
    "difference_of_shares",
    "differences",
    "estimate",
    "holm",
    "judge",
    "mcnemar",
    "relative",
]
