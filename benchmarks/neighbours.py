"""Asks whether a ticket's scores depend on the company that it is scored in.

Each ticket is scored alone, then among others that are drawn at random, of any length: batches and padding change.
"""

from __future__ import annotations

import argparse

import numpy as np

from own import own_rows
from tables import publish, table
from tagdesk.model import Model
from tagdesk.prediction import Decision

COMPANY = 63  # others that are scored together with a ticket


def main() -> None:
    """Compare the models that were named; write results/neighbours.json and .md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["starter"])
    parser.add_argument("--mates", type=int, default=10_000, help="others in all")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    texts = [row["text"] for row in own_rows("test")]
    rows = [compared(name, texts, arguments.mates, arguments.seed) for name in arguments.models]
    publish("neighbours", rows, table(rows))


def compared(name: str, texts: list[str], mates: int, seed: int) -> dict[str, object]:
    """How far scores and decisions of one model move with the company."""
    model = Model.load(name)
    chance = np.random.default_rng(seed)
    rounds = -(-mates // COMPANY)
    chosen = chance.integers(len(texts), size=rounds)
    change, moved = 0.0, 0
    for one in chosen.tolist():
        alone = model.judge([texts[one]])
        others = [texts[other] for other in chance.integers(len(texts), size=COMPANY).tolist()]
        place = int(chance.integers(COMPANY + 1))
        together = model.judge([*others[:place], texts[one], *others[place:]])
        change = max(change, float(np.abs(alone.probs[0] - together.probs[place]).max()))
        decided = [
            model.policy.decide(judged.probs, judged.none)[row] >= Decision.SUGGEST
            for judged, row in ((alone, 0), (together, place))
        ]
        moved += int((decided[0] != decided[1]).sum())
    decisions = rounds * len(model.taxonomy)
    return {
        "model": model.id,
        "tickets": rounds,
        "mates": rounds * COMPANY,
        "largest change of a probability": f"{change:.1e}",
        "decisions that moved": f"{moved} of {decisions}",
    }


if __name__ == "__main__":
    main()
