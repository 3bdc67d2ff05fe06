"""The gate to made-up tickets with known labels, for tests of scale and for training."""

from __future__ import annotations

from tagdesk.generate.book import PhraseBook, support_phrases
from tagdesk.generate.compose import Composer, Written

__all__ = ["Composer", "PhraseBook", "Written", "support_phrases"]
