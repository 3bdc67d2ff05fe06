"""Proofs about the running service: each starts a real `tagdesk serve`, hurts it, and counts what went wrong."""

from __future__ import annotations

import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
BUILD = PROJECT / "build" / "prove"

# The tests know naughty strings, tiny models, and how a PostgreSQL server is started.
sys.path.append(str(PROJECT / "tests"))
