"""The gate to explanations: which words speak for a label, and which against it."""

from __future__ import annotations

from tagdesk.explain.choice import MOST_LABELS, choose_labels, columns_of, scores_of
from tagdesk.explain.exact import Explains, Shares, weigh_exactly
from tagdesk.explain.occlusion import Inquiry, Limits, inquire
from tagdesk.explain.values import DECIDES, NONE, Contribution, Explanation, Reason, Weighed, explanation_of
from tagdesk.explain.words import Span, without, words_of

__all__ = [
    "DECIDES",
    "MOST_LABELS",
    "NONE",
    "Contribution",
    "Explains",
    "Explanation",
    "Inquiry",
    "Limits",
    "Reason",
    "Shares",
    "Span",
    "Weighed",
    "choose_labels",
    "columns_of",
    "explanation_of",
    "inquire",
    "scores_of",
    "weigh_exactly",
    "without",
    "words_of",
]
