"""Looks for tickets that the starter learns from and that also stand, nearly, in a set it is measured on.

Two texts are near duplicates where their sets of words overlap by a Jaccard index of at least 0.8 (see
tagdesk.dataset.near). Exits with 1 where there are any.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from own import own_rows
from tables import publish, table
from tagdesk.dataset import near_duplicate_groups, read_tickets

NEAR = "near duplicates among the tickets to learn from"


def main() -> None:
    """Compare with every set; write results/leaks.json and .md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder with messages/ and seed_tickets/")
    data = parser.parse_args().data
    learned = [row["text"] for row in own_rows("train")]
    sets = {"own test part": [row["text"] for row in own_rows("test")]}
    for file in (*sorted((data / "messages").glob("*.csv")), data / "seed_tickets" / "test.csv"):
        sets[f"{file.parent.name}/{file.name}"] = [ticket.text for ticket in read_tickets(file).tickets]
    rows = []
    for name, texts in sets.items():
        pairs = leaked(learned, texts)
        rows.append({"set": name, "messages": len(texts), NEAR: len(pairs)})
        for ours, theirs in pairs[:20]:
            print(f"{name}: {ours!r} ~ {theirs!r}")
    publish("leaks", rows, table(rows))
    sys.exit(any(row[NEAR] for row in rows))


def leaked(learned: Sequence[str], measured: Sequence[str]) -> list[tuple[str, str]]:
    """Texts to learn from, each with one that it is nearly the same as."""
    groups = near_duplicate_groups([*measured, *learned]).tolist()
    theirs = dict(zip(groups[: len(measured)], measured, strict=True))
    ours = zip(groups[len(measured) :], learned, strict=True)
    return [(text, theirs[group]) for group, text in ours if group in theirs]


if __name__ == "__main__":
    main()
