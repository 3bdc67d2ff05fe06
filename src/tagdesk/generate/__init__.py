"""The gate to made-up tickets with known labels, for tests of scale and for training."""

from __future__ import annotations

from tagdesk.generate.asking import Asked, Author
from tagdesk.generate.book import PhraseBook, support_phrases
from tagdesk.generate.compose import Composer, Written
from tagdesk.generate.endpoint import Endpoint, ProviderError

__all__ = ["Asked", "Author", "Composer", "Endpoint", "PhraseBook", "ProviderError", "Written", "support_phrases"]
