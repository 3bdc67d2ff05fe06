"""Looks for tickets that the starter learns from and that also stand, nearly, in a set it is measured on.

Two texts are near duplicates where their sets of words overlap by a Jaccard index of at least 0.8 (see
tagdesk.dataset.near). Exits with 1 where there are any.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tagdesk.dataset import near_duplicate_groups, read_tickets

RESULTS = Path(__file__).parent / "results"
OWN = Path(__file__).resolve().parent.parent / "data" / "tickets"


def main() -> None:
    """Compare with every set; write results/leaks.json and .md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder with messages/ and seed_tickets/")
    data = parser.parse_args().data
    learned = [row["text"] for row in own("train")]
    sets = {"own test part": [row["text"] for row in own("test")]}
    for file in (*sorted((data / "messages").glob("*.csv")), data / "seed_tickets" / "test.csv"):
        sets[f"{file.parent.name}/{file.name}"] = [ticket.text for ticket in read_tickets(file).tickets]
    rows = []
    for name, texts in sets.items():
        pairs = leaked(learned, texts)
        rows.append({"set": name, "messages": len(texts), "near duplicates": len(pairs)})
        for ours, theirs in pairs[:20]:
            print(f"{name}: {ours!r} ~ {theirs!r}")
    save(rows)
    sys.exit(any(row["near duplicates"] for row in rows))


def own(split: str) -> list[dict[str, str]]:
    """The project's tickets of one part."""
    lines = [line for file in sorted(OWN.glob("*.jsonl")) for line in file.read_text(encoding="utf-8").splitlines()]
    return [row for row in map(json.loads, lines) if row["split"] == split]


def leaked(learned: Sequence[str], measured: Sequence[str]) -> list[tuple[str, str]]:
    """Texts to learn from, each with one that it is nearly the same as."""
    groups = near_duplicate_groups([*measured, *learned]).tolist()
    theirs = dict(zip(groups[: len(measured)], measured, strict=True))
    ours = zip(groups[len(measured) :], learned, strict=True)
    return [(text, theirs[group]) for group, text in ours if group in theirs]


def save(rows: Sequence[dict[str, object]]) -> None:
    """Write the counts as JSON and as a table."""
    lines = ["| set | messages | near duplicates among the tickets to learn from |", "|---|---|---|"]
    lines += [f"| {row['set']} | {row['messages']} | {row['near duplicates']} |" for row in rows]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "leaks.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "leaks.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
