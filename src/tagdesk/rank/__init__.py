"""Says which tickets people should look at next, until looking further is no longer worth it."""

from __future__ import annotations

from tagdesk.rank.choosing import Pick, choose
from tagdesk.rank.curve import Gain, expected_gain
from tagdesk.rank.disputes import (
    Dispute,
    Judgements,
    Pair,
    agreed_share,
    agreement_by_label,
    disputes,
    judgements,
    reviewer_pairs,
)
from tagdesk.rank.live import Estimate, LiveQuality, live_quality
from tagdesk.rank.pool import Pool
from tagdesk.rank.stop import Advice, Round, advice
from tagdesk.rank.strategies import DEFAULT, STRATEGIES, doubt_of

__all__ = [
    "DEFAULT",
    "STRATEGIES",
    "Advice",
    "Dispute",
    "Estimate",
    "Gain",
    "Judgements",
    "LiveQuality",
    "Pair",
    "Pick",
    "Pool",
    "Round",
    "advice",
    "agreed_share",
    "agreement_by_label",
    "choose",
    "disputes",
    "doubt_of",
    "expected_gain",
    "judgements",
    "live_quality",
    "reviewer_pairs",
]
