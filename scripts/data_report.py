"""Counts and draws what data/tickets holds; run it with `make data-report`."""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.sparse import csr_array

from tagdesk.agreement import alpha, same_sets
from tagdesk.arrays import FloatArray, Targets
from tagdesk.report.canvas import BLUE, GREY, canvas, png, tidy, written
from tagdesk.taxonomy import Taxonomy
from tagdesk.train import support_taxonomy

DATA = Path(__file__).resolve().parent.parent / "data"
ALIKE = 0.6  # Jaccard index of two tickets' sets of words from which they are alike
BLOCK = 500  # tickets that are compared with all others at a time
LENGTHS = (1, 5, 10, 20, 40, 80, 160, 1000)  # words


@dataclass(frozen=True, slots=True)
class Facts:
    """What a set of tickets holds: figures by name, and counts by what is counted."""

    figures: Mapping[str, float]
    counts: Mapping[str, Mapping[str, int]]
    together: Mapping[tuple[str, str], int]


def main() -> None:
    """Write data/report.md, data/report.json and the pictures; print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    folder = parser.parse_args().data
    rows = [
        json.loads(line)
        for file in sorted((folder / "tickets").glob("*.jsonl"))
        for line in file.read_text(encoding="utf-8").splitlines()
    ]
    taxonomy = support_taxonomy()
    facts = gathered(rows, taxonomy)
    (folder / "images").mkdir(exist_ok=True)
    for name, figure in pictures(rows, facts).items():
        (folder / "images" / name).write_bytes(png(figure))
    document = {"figures": dict(facts.figures), "counts": {key: dict(value) for key, value in facts.counts.items()}}
    (folder / "report.json").write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    (folder / "report.md").write_text(markdown(facts), encoding="utf-8")
    for name, value in facts.figures.items():
        print(f"{name}: {shown(value)}")


def gathered(rows: Sequence[Mapping[str, Any]], taxonomy: Taxonomy) -> Facts:
    """Count everything that the card tells."""
    words = [re.findall(r"\w+", row["text"].lower()) for row in rows]
    grams = [gram for one in words for gram in zip(one, one[1:], one[2:], one[3:], strict=False)]
    targets = taxonomy.encode([frozenset(row["labels"]) for row in rows])
    figures: dict[str, float] = {
        "tickets": len(rows),
        "for training": sum(row["split"] == "train" for row in rows),
        "for the test": sum(row["split"] == "test" for row in rows),
        "domains": len({row["domain"] for row in rows}),
        "distinct word 4-grams / all": len(set(grams)) / len(grams),
        f"tickets with another at word Jaccard >= {ALIKE}": float((nearest(words) >= ALIKE).mean()),
        "vocabulary": len({word for one in words for word in one}),
        "words in the shortest": min(len(row["text"].split()) for row in rows),
        "words in the longest": max(len(row["text"].split()) for row in rows),
        "median words": float(np.median([len(row["text"].split()) for row in rows])),
        "with no label": float((targets.sum(axis=1) == 0).mean()),
        "with one": float((targets.sum(axis=1) == 1).mean()),
        "with two": float((targets.sum(axis=1) == 2).mean()),
        "with three or more": float((targets.sum(axis=1) >= 3).mean()),
        **agreement(rows, taxonomy),
    }
    counts = {
        "labels": dict(zip(taxonomy.names, targets.sum(axis=0).tolist(), strict=True)),
        **{key: counted(row[key] for row in rows) for key in ("domain", "channel", "register", "batch")},
    }
    together = {
        (taxonomy.names[i], taxonomy.names[j]): int((targets[:, i] & targets[:, j]).sum())
        for i in range(len(taxonomy))
        for j in range(i + 1, len(taxonomy))
    }
    return Facts(figures, counts, together)


def agreement(rows: Sequence[Mapping[str, Any]], taxonomy: Taxonomy) -> dict[str, float]:
    """How far the two labellings agree, overall, on the test part and by category."""
    first, second = (
        taxonomy.encode([frozenset(row[key]) for row in rows]) for key in ("first_labels", "second_labels")
    )
    is_test = np.array([row["split"] == "test" for row in rows])
    found = {
        "both labellings the same": same_sets(first, second),
        "both the same, test part": same_sets(first[is_test], second[is_test]) if is_test.any() else float("nan"),
        "Krippendorff's alpha of label sets": alpha(as_codes(first, second)),
    }
    for place, name in enumerate(taxonomy.names):
        found[f"alpha of {name}"] = alpha(np.stack([first[:, place], second[:, place]]).astype(np.int64))
    return found


def as_codes(*labellings: Targets) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Each label set as one number, (labellings, tickets)."""
    weights = 2 ** np.arange(labellings[0].shape[1])
    codes = np.stack([labels @ weights for labels in labellings])
    return np.unique(codes, return_inverse=True)[1].reshape(codes.shape)


def nearest(words: Sequence[Sequence[str]]) -> FloatArray:
    """The Jaccard index of each ticket's set of words with the one most like it, (tickets,)."""
    columns: dict[str, int] = {}
    sets = [sorted({columns.setdefault(word, len(columns)) for word in one}) for one in words]
    sizes = np.array([len(one) for one in sets])
    starts = np.concatenate(([0], np.cumsum(sizes)))
    flat = np.array([column for one in sets for column in one], dtype=np.int64)
    matrix = csr_array((np.ones(len(flat), np.float32), flat, starts), shape=(len(sets), len(columns)))
    highest = np.zeros(len(sets))
    for start in range(0, len(sets), BLOCK):
        shared = (matrix[start : start + BLOCK] @ matrix.T).toarray()
        shared[np.arange(len(shared)), np.arange(start, start + len(shared))] = 0
        union = sizes[start : start + BLOCK, np.newaxis] + sizes - shared
        highest[start : start + BLOCK] = (shared / np.maximum(union, 1)).max(axis=1)
    return highest


def counted(values: Iterable[str]) -> dict[str, int]:
    """How often each value occurs, the most frequent first."""
    return dict(Counter(values).most_common())


def pictures(rows: Sequence[Mapping[str, Any]], facts: Facts) -> dict[str, Figure]:
    """Bars of what was counted, lengths, and which categories go together."""
    lengths = [len(row["text"].split()) for row in rows]
    bounds = [f"{low} to {high - 1}" for low, high in pairwise(LENGTHS)]
    bounds[-1] = f"{LENGTHS[-2]} and more"
    histogram = np.histogram(lengths, bins=LENGTHS)[0].tolist()
    return {
        "lengths.png": bars("How long tickets are", "words", dict(zip(bounds, histogram, strict=True))),
        "categories.png": bars("Categories", "tickets; one may carry several", facts.counts["labels"]),
        "channels.png": bars("Channels", "tickets", facts.counts["channel"]),
        "domains.png": bars(
            "Domains", "tickets; the forty most frequent", dict(list(facts.counts["domain"].items())[:40])
        ),
        "together.png": bars(
            "Categories that the same tickets carry",
            "tickets",
            {f"{a} + {b}": n for (a, b), n in sorted(facts.together.items(), key=lambda pair: -pair[1])},
        ),
    }


def bars(title: str, caption: str, counts: Mapping[str, int]) -> Figure:
    """A horizontal bar for each name, in the given order, with its number."""
    figure = canvas(7.5, 1.3 + 0.24 * len(counts), title, caption)
    axes = figure.add_axes((0.36, 0.55 / figure.get_figheight(), 0.58, 1 - 1.1 / figure.get_figheight()))
    places = np.arange(len(counts))[::-1]
    axes.barh(places, list(counts.values()), color=BLUE, height=0.7)
    axes.set_yticks(places, list(counts), **written(8))
    for place, count in zip(places, counts.values(), strict=True):
        axes.text(count, place, f" {count:,}", va="center", fontsize=7.5, color=GREY)
    axes.margins(x=0.1, y=0.02)
    tidy(axes, grid="x")
    return figure


def markdown(facts: Facts) -> str:
    """The figures as tables, with the pictures."""
    lines = ["# What data/tickets holds", "", "Made by `make data-report`.", "", "| figure | value |", "|---|---|"]
    lines += [f"| {name} | {shown(value)} |" for name, value in facts.figures.items()]
    for name in ("categories", "together", "lengths", "channels", "domains"):
        lines += ["", f"![{name}](images/{name}.png)"]
    for title in ("register", "batch"):
        lines += ["", f"| {title} | tickets |", "|---|---|"]
        lines += [f"| {name} | {count} |" for name, count in facts.counts[title].items()]
    return "\n".join(lines) + "\n"


def shown(value: float) -> str:
    """A count as it is, a share with three digits."""
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}" if abs(value) <= 1 else f"{value:,.1f}"


if __name__ == "__main__":
    main()
