"""Asks whether explanations are faithful: do the words that they name matter more to the model than other words?

Of each test ticket that got a label, the words that speak most for its first label are left out, and as many that are
drawn at random from all of its words; the drops of the label's probability are compared. The test tickets are of trades
that no model has learned from.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from own import PILOT, own_rows
from tables import publish, table
from tagdesk.arrays import FloatArray
from tagdesk.dataset import read_tickets
from tagdesk.explain import Explains, Span, without, words_of
from tagdesk.explaining import explain
from tagdesk.model import Model
from tagdesk.scorers import Recipe, Scorer, Scores
from tagdesk.train import support_taxonomy, train

WORDS = (1, 3)  # that are left out
FEWEST = 4  # words of a ticket, so that there are others to draw
RESAMPLES = 2000


class Silent:
    """A scorer that does not explain itself."""

    kind: ClassVar[str] = "silent"

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer

    def score(self, texts: Sequence[str]) -> Scores:
        """The other's scores."""
        return self._scorer.score(texts)

    def passages(self, text: str) -> list[str]:
        """The other's passages."""
        return self._scorer.passages(text)


def main() -> None:
    """Explain test tickets with each model; write results/explanations.json and .md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickets", type=int, default=150)
    parser.add_argument("--draws", type=int, default=5, help="of random words for each ticket")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    texts = [row["text"] for row in own_rows("test") if len(words_of(row["text"])) >= FEWEST]
    chosen = np.random.default_rng(arguments.seed).choice(len(texts), size=arguments.tickets, replace=False)
    sample = [texts[place] for place in np.sort(chosen).tolist()]
    rows: list[dict[str, Any]] = []
    for name, model in models().items():
        rows += measured(name, model, sample, arguments.draws, arguments.seed)
        print(rows[-2:], flush=True)
    publish("explanations", rows, table(rows))


def models() -> dict[str, Model]:
    """The starter, and models that learn from the pilot tickets; what explains itself a second time without that."""
    tickets = read_tickets(PILOT).tickets
    found = {"starter": Model.load("starter")}
    for kind in ("probe", "linear"):
        found[kind] = train(tickets, Recipe(kind=kind), taxonomy=support_taxonomy()).model
    for name, model in list(found.items()):
        if isinstance(model.scorer, Explains):
            found[f"{name}, words left out"] = replace(model, scorer=Silent(model.scorer))
    return found


def measured(name: str, model: Model, texts: Sequence[str], draws: int, seed: int) -> list[dict[str, Any]]:
    """How far the named and the random words lower the label, for each number of words."""
    chance = np.random.default_rng(seed)
    seconds: list[float] = []
    named: dict[int, list[float]] = {count: [] for count in WORDS}
    random: dict[int, list[float]] = {count: [] for count in WORDS}
    method = ""
    for prediction in model.predict(texts):
        if not prediction.labels:
            continue
        label, text = prediction.labels[0], prediction.text
        started = time.process_time()
        (found,) = explain(model, [prediction], labels=[label])
        seconds.append(time.process_time() - started)
        method = found.method
        best = [Span(one.start, one.end) for one in found.reasons[0].speaking_for]
        words = words_of(text)
        variants = [without(text, best[:count]) for count in WORDS]
        for count in WORDS:
            picks = [chance.choice(len(words), size=len(best[:count]), replace=False) for _ in range(draws)]
            variants += [without(text, [words[place] for place in pick.tolist()]) for pick in picks]
        column = model.taxonomy.names.index(label)
        drops = prediction.scores[label] - model.judge(variants).probs[:, column].astype(np.float64)
        for turn, count in enumerate(WORDS):
            named[count].append(float(drops[turn]))
            start = len(WORDS) + turn * draws
            random[count].append(float(drops[start : start + draws].mean()))
    rows = []
    for count in WORDS:
        gain = np.array(named[count]) - np.array(random[count])
        low, high = interval(gain, seed)
        rows.append(
            {
                "model": name,
                "method": method,
                "tickets": len(gain),
                "words": count,
                "drop, named words": float(np.mean(named[count])),
                "drop, random words": float(np.mean(random[count])),
                "difference": float(gain.mean()),
                "95 % interval": f"{low:.3f} - {high:.3f}",
                "named words lower it more": f"{(gain > 0).mean():.0%}",
                "processor seconds, median": float(np.median(seconds)),
                "95th percentile": float(np.quantile(seconds, 0.95)),
            }
        )
    return rows


def interval(values: FloatArray, seed: int) -> tuple[float, float]:
    """The percentile interval of the mean, had other tickets been drawn."""
    draws: NDArray[np.int64] = np.random.default_rng(seed).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.quantile(values[draws].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


if __name__ == "__main__":
    main()
