"""Reads the project's own tickets, data/tickets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TICKETS = Path(__file__).resolve().parent.parent / "data" / "tickets"
PILOT = TICKETS / "pilot.jsonl"
TEST = TICKETS / "test.jsonl"


def own_rows(split: str) -> list[dict[str, Any]]:
    """The fields of each ticket of one part, "train" or "test"."""
    lines = [line for file in sorted(TICKETS.glob("*.jsonl")) for line in file.read_text(encoding="utf-8").splitlines()]
    return [row for row in map(json.loads, lines) if row["split"] == split]
