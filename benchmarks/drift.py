"""Counts how often `tagdesk drift` raises a false alarm, and how often it sees a change that is there.

Windows are drawn from the project's own tickets, which are scored once. For a new domain stand own tickets of trades
from which the starter has never learned, those of single trades that the reference lacks and, where the data folder is
given, questions of bank customers from elsewhere.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from own import own_rows
from tables import RESULTS, publish, table
from tagdesk.arrays import BoolArray, Embeddings, IntArray
from tagdesk.dataset import read_tickets
from tagdesk.drift import Meaning, Settings, Verdict, Window, compare, read_texts
from tagdesk.drift.meaning import told_apart
from tagdesk.encoders import starter_model
from tagdesk.encoders.onnx import TextGraph
from tagdesk.measure import judge_tickets
from tagdesk.model import Model
from tagdesk.text import clean
from tagdesk.ticket import Ticket

SIZE = 500  # tickets of a window
LARGE = 2000  # of a larger reference
OWN = 3200  # tickets that windows of the usual traffic are drawn from
TRADES = 6  # single trades that are held out
STRANGERS = 150  # of them in a window: 30 %
BANK = "bank questions from elsewhere"
UNSEEN = "unseen trades"
USUAL = "own"
POINTS = 0.1  # by which a label's rate is changed

Pair: TypeAlias = tuple[IntArray, IntArray]  # rows of the reference and of the current window


@dataclass(frozen=True)
class Pool:
    """Scored tickets; `source` is (tickets,): `USUAL`, `UNSEEN`, a single trade, or `BANK`."""

    window: Window
    source: NDArray[np.str_]

    def rows(self, source: str) -> IntArray:
        """The tickets of one source."""
        return np.flatnonzero(self.source == source)


def main() -> None:
    """Count; write results/drift.json and .md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=500, help="pairs of windows of the same traffic")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS, help="the folder for the results")
    parser.add_argument("--data", type=Path, help="the folder with messages/banking77.csv")
    arguments = parser.parse_args()
    start = time.process_time()
    pool = scored(arguments.data, arguments.seed)
    print(f"scored {len(pool.window)} tickets", flush=True)
    result = {
        "false alarms": false_alarms(pool, arguments.windows, arguments.seed),
        "labels": label_changes(pool, max(4, arguments.windows // 15), arguments.seed),
        "domains": new_domains(pool, max(4, arguments.windows // 5), arguments.seed),
        "embeddings": ways(pool, max(4, arguments.windows // 4), arguments.seed),
        "seconds": seconds(pool),
    }
    minutes = (time.process_time() - start) / 60
    lines = [
        f"Windows of {SIZE} tickets; every default of `tagdesk drift`. {minutes:.0f} minutes of processor time.",
        "",
        f"The same traffic, with labels from people on both sides, {arguments.windows} pairs:",
        "",
        *table(result["false alarms"]),
        "",
        f"One label on {100 * POINTS:.0f} points more, or fewer, of the tickets, drawn anew by label:",
        "",
        *table(result["labels"]),
        "",
        f"{STRANGERS} of {SIZE} tickets from a domain that the reference lacks:",
        "",
        *table(result["domains"]),
        "",
        "Ways to compare embeddings, each alone at 5 %:",
        "",
        *table(result["embeddings"]),
        "",
        f"Comparing two windows of 100,000 scored tickets: {result['seconds']:.1f} s.",
    ]
    publish("drift", result, lines, arguments.out)


def scored(data: Path | None, seed: int) -> Pool:
    """The tickets of all sources, judged by the starter, each text once."""
    chance = np.random.default_rng(seed)
    learned, unseen = own_rows("train"), own_rows("test")
    counts = Counter(row["domain"] for row in learned if not row["domain"].startswith("unnamed") and row["labels"])
    trades = chance.permutation(sorted(trade for trade, count in counts.items() if count >= STRANGERS + 20))[:TRADES]
    sources = {trade: [row for row in learned if row["domain"] == trade] for trade in trades.tolist()}
    rest = [row for row in learned if row["domain"] not in sources]
    sources |= {USUAL: rest, UNSEEN: [row for row in unseen if row["domain"] != "off topic"]}
    most = {USUAL: OWN, UNSEEN: 600}
    tickets: list[Ticket] = []
    names: list[str] = []
    for source, rows in sources.items():
        for row in chance.permutation(np.array(rows, dtype=object))[: most.get(source, STRANGERS + 20)]:
            tickets.append(Ticket(row["id"], row["text"], frozenset(row["labels"])))
            names.append(source)
    if data is not None:
        bank = read_tickets(data / "messages" / "banking77.csv").tickets
        tickets += [bank[row] for row in chance.choice(len(bank), 400, replace=False).tolist()]
        names += [BANK] * 400
    window = judged(tickets)
    rows = window.distinct()
    return Pool(window.take(rows), np.array(names)[rows])


def judged(tickets: list[Ticket]) -> Window:
    """What the starter says of the tickets, and what its encoder makes of each."""
    model = Model.load("starter")
    evidence = judge_tickets(model, tickets)
    read = TextGraph(starter_model(), 256).read([clean(ticket.text).text for ticket in tickets], ["middle"])
    return Window(
        names=model.taxonomy.names,
        probs=evidence.probs,
        decided=evidence.decided,
        none=evidence.none,
        refused=evidence.refused,
        texts=read_texts([ticket.text for ticket in tickets]),
        meaning=Meaning(np.arange(len(tickets)), read.outputs[0], read.unknown),
        targets=evidence.targets,
    )


def compared(pool: Pool, pairs: Iterator[Pair], *, labelled: bool = False) -> list[Verdict]:
    """The verdict on each pair of windows."""
    window = pool.window if labelled else replace(pool.window, targets=None)
    return [
        compare(window.take(before), window.take(now), Settings(seed=place))
        for place, (before, now) in enumerate(pairs)
    ]


def drawn(count: int, seed: int, draw: Callable[[np.random.Generator], Pair]) -> Iterator[Pair]:
    """As many pairs of windows, each by a generator of its own."""
    return (draw(np.random.default_rng([seed, place])) for place in range(count))


def same(pool: Pool, chance: np.random.Generator) -> Pair:
    """Two windows of the usual traffic that share no ticket."""
    rows = chance.permutation(pool.rows(USUAL))
    return rows[:SIZE], rows[SIZE : 2 * SIZE]


def relabelled(pool: Pool, label: int, change: float, before: int, chance: np.random.Generator) -> Pair:
    """A window in which one label is on so many points more of the tickets than in the pool."""
    rows = chance.permutation(pool.rows(USUAL))
    has = carriers(pool)[rows, label]
    wanted = round((has.mean() + change) * SIZE)
    rest = np.arange(len(rows)) >= before
    now = np.concatenate([rows[rest & has][:wanted], rows[rest & ~has][: SIZE - wanted]])
    if len(now) < SIZE:
        raise ValueError(f"{len(now)} tickets for a window of {SIZE}: OWN is too small.")
    return rows[:before], now


def mixed(pool: Pool, source: str, chance: np.random.Generator) -> Pair:
    """A window of which a part comes from elsewhere."""
    rows = chance.permutation(pool.rows(USUAL))
    strangers = chance.choice(pool.rows(source), STRANGERS, replace=False)
    return rows[:SIZE], np.concatenate([rows[SIZE : 2 * SIZE - STRANGERS], strangers])


def carriers(pool: Pool) -> BoolArray:
    """Which tickets carry which label, as people say, (tickets, labels)."""
    if pool.window.targets is None:
        raise ValueError("The pool has no labels.")
    return pool.window.targets


def false_alarms(pool: Pool, count: int, seed: int) -> list[dict[str, Any]]:
    """How often the same traffic is called drifted, and by what."""
    verdicts = compared(pool, drawn(count, seed, lambda chance: same(pool, chance)), labelled=True)
    kinds = Counter(kind for verdict in verdicts for kind in {shift.kind for shift in verdict.drifted})
    alarms = sum(verdict.state == "drifted" for verdict in verdicts)
    print(f"false alarms: {alarms} of {count}", flush=True)
    every = {"any": alarms, **dict(kinds.most_common())}
    return [{"alarm by": kind, "pairs": count, "alarms": n, "share": n / count} for kind, n in every.items()]


def label_changes(pool: Pool, count: int, seed: int) -> list[dict[str, Any]]:
    """How often another rate of one label is seen, and the label named."""
    rows = []
    for label, name in enumerate(pool.window.names):
        row: dict[str, Any] = {"label": name, "rate": float(carriers(pool)[pool.rows(USUAL), label].mean())}
        for change, before in ((POINTS, SIZE), (-POINTS, SIZE), (POINTS, LARGE)):
            draw = lambda chance, label=label, change=change, before=before: relabelled(  # noqa: E731 - bound at once
                pool, label, change, before, chance
            )
            verdicts = compared(pool, drawn(count, seed, draw))
            what = f"{100 * change:+.0f} points" + (f", {before} before" if before != SIZE else "")
            row[what] = float(np.mean([verdict.state == "drifted" for verdict in verdicts]))
            row[f"{what}: named"] = float(
                np.mean([any(shift.label == name for shift in verdict.drifted) for verdict in verdicts])
            )
        rows.append(row | {"pairs each": count})
        print(row, flush=True)
    means = {key: float(np.mean([row[key] for row in rows])) for key in rows[0] if key not in ("label", "pairs each")}
    return [*rows, {"label": "mean", **means, "pairs each": count * len(rows)}]


def new_domains(pool: Pool, count: int, seed: int) -> list[dict[str, Any]]:
    """How often tickets of a domain that the reference lacks are seen."""
    rows = []
    for source in sorted(set(pool.source.tolist()) - {USUAL}):
        pairs = count if source in (UNSEEN, BANK) else max(4, count // 4)
        verdicts = compared(pool, drawn(pairs, seed, lambda chance, source=source: mixed(pool, source, chance)))
        meanings = [shift for verdict in verdicts for shift in verdict.shifts if shift.kind == "meaning"]
        rows.append(
            {
                "from": source,
                "pairs": pairs,
                "seen": float(np.mean([verdict.state == "drifted" for verdict in verdicts])),
                "seen by the embeddings": float(np.mean([shift.is_drift for shift in meanings])),
                "pairs told apart, mean": float(np.mean([shift.difference.current for shift in meanings])),
            }
        )
        print(rows[-1], flush=True)
    return rows


def ways(pool: Pool, count: int, seed: int) -> list[dict[str, Any]]:
    """False alarms and power of ways to compare embeddings."""
    meaning = pool.window.meaning
    if meaning is None:
        raise ValueError("The pool has no embeddings.")
    vectors = meaning.embeddings[np.argsort(meaning.rows)]
    cases = {
        "same traffic": lambda chance: same(pool, chance),
        UNSEEN: lambda chance: mixed(pool, UNSEEN, chance),
        f"+{100 * POINTS:.0f} points of {pool.window.names[0]}": lambda chance: relabelled(
            pool, 0, POINTS, SIZE, chance
        ),
    }
    rows: list[dict[str, Any]] = [{"way": way, "pairs": count} for way in WAYS]
    for case, draw in cases.items():
        pairs = list(drawn(count, seed + 1, draw))
        for row in rows:
            p = [WAYS[row["way"]](vectors[before], vectors[now], place) for place, (before, now) in enumerate(pairs)]
            row[case] = float(np.mean(np.array(p) <= 0.05))
        print(rows, flush=True)
    return rows


def by_classifier(before: Embeddings, now: Embeddings, seed: int) -> float:
    """What tagdesk does."""
    return told_apart(before, now, Settings(seed=seed, permutations=199)).p


def by_logistic_regression(before: Embeddings, now: Embeddings, seed: int) -> float:
    """A cross-fitted logistic regression, and the rank test's p-value of its guesses."""
    from scipy.stats import mannwhitneyu  # noqa: PLC0415 - here alone

    vectors = directions(before, now)
    is_new = np.arange(len(vectors)) >= len(before)
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    guesses = cross_val_predict(LogisticRegression(C=0.1), vectors, is_new, cv=folds, method="decision_function")
    return float(mannwhitneyu(guesses[is_new], guesses[~is_new], alternative="greater").pvalue)


def by_kernel(before: Embeddings, now: Embeddings, seed: int) -> float:
    """Maximum mean discrepancy (Gretton et al. 2012), a Gaussian kernel of the median distance, permutations."""
    vectors = directions(before, now)
    squares = (vectors**2).sum(axis=1)
    distances = np.maximum(squares[:, None] + squares - 2 * vectors @ vectors.T, 0)
    kernel = np.exp(-distances / np.median(distances))
    sides = np.tile(np.repeat([1 / len(before), -1 / len(now)], [len(before), len(now)]), (200, 1))
    sides[1:] = np.random.default_rng(seed).permuted(sides[1:], axis=1)
    found = ((sides @ kernel) * sides).sum(axis=1)
    return float((found >= found[0] - 1e-12).mean())


WAYS: dict[str, Callable[[Embeddings, Embeddings, int], float]] = {
    "linear classifier, permutations (tagdesk)": by_classifier,
    "logistic regression, asymptotic": by_logistic_regression,
    "maximum mean discrepancy, permutations": by_kernel,
}


def directions(before: Embeddings, now: Embeddings) -> NDArray[np.float64]:
    """Both windows' embeddings as seen from their middle, each of length 1."""
    vectors = np.concatenate([before, now]).astype(np.float64)
    vectors -= vectors.mean(axis=0)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def seconds(pool: Pool, tickets: int = 100_000) -> float:
    """How long two windows of so many tickets take, of which none is like another."""
    rows = np.arange(tickets) % len(pool.window)
    full = pool.window
    if full.texts is None or full.meaning is None or full.none is None or full.refused is None:
        raise ValueError("The pool lacks texts, embeddings or scores of being out of scope.")
    some = full.meaning.rows[:2000]
    large = Window(
        full.names,
        full.probs[rows],
        full.decided[rows],
        full.none[rows],
        full.refused[rows],
        replace(full.texts.take(rows), keys=np.arange(tickets)),
        Meaning(some, full.meaning.embeddings[:2000]),
    )
    start = time.perf_counter()
    compare(large, large)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
