"""Simulates reviewers who label what the queue asks about, and counts the labels that a good model takes.

A model is a logistic regression for each label on the embeddings of a frozen encoder; its cuts follow from its scores
of a reserve of texts whose labels it never sees. Each round asks about a batch that `tagdesk.rank.choose` picks, and
the known answers are given. The stop rule sees macro F1 on the reserve. The strategy, the stop rule's settings
and the strength of each head were chosen on the tasks of `--part development`, no text of which is in those of
`--part report`: other intents, another part of GoEmotions, the tickets of other writers. 3,000 texts of banking77 were
looked at as well, with seeds below 20.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t

from active.head import Head, f1_macro
from active.plot import GOAL, drawn
from active.simulation import DEFAULT, RANDOM, WAYS, Run, Size, simulated
from active.tasks import CACHE, SOURCES, Task, read_task
from tables import RESULTS, publish, table
from tagdesk.rank.stop import AHEAD, WORTH


def main() -> None:
    """Run every task, way and seed; write benchmarks/results/active.json, .md and .png, or build/active for others."""
    arguments = _arguments()
    size = Size(arguments.start, arguments.batch, arguments.growth, arguments.upto)
    results = []
    for name, source in SOURCES[arguments.part].items():
        if name in arguments.tasks:
            task = read_task(name, source(arguments.data), arguments)
            results.append(measured(task, size, arguments))
    rows = [{name: row[name] for name in FIGURES} for result in results for row in result["rows"]]
    stops = [{"task": result["task"]} | told(result["stop"]) for result in results if result["stop"]]
    lines = [*table(rows), "", *(table(stops) if stops else []), "", NOTE]
    is_report = arguments.part == "report" and not arguments.trial
    folder = RESULTS if is_report else CACHE
    publish("active", results, lines, folder)
    (folder / "active.png").write_bytes(drawn(results))


FIGURES = (
    "task",
    "pool",
    "way",
    "labels for 95 %",
    "of random's",
    "area over random's",
    "low",
    "high",
    "f1 at the end",
)
NOTE = (
    "Labels for 95 %: until macro F1 on the test part first reaches 95 % of what all labels of the pool give; medians "
    "over seeds, a dash where half of them did not get there. Area over random's: mean difference of macro F1 over all "
    "numbers of labels, with a 95 % interval (Student's) over seeds that start with the same tickets. Stop: where the "
    "rule stopped, as a share of where macro F1 less the price of the labels is highest, and what that costs in points."
)


def measured(task: Task, size: Size, arguments: argparse.Namespace) -> dict[str, Any]:
    """All ways and seeds of one task."""
    full = Head(task.pool.seen.shape[1], len(task.labels), task.strength)
    full.fit(task.pool.seen, task.pool.targets)
    policy = full.policy(task.reserve.seen, task.labels)
    best = f1_macro(task.test.targets, full.decided(task.test.seen, policy))
    runs: dict[str, list[Run]] = {}
    seconds = {}
    for way in dict.fromkeys([RANDOM, *arguments.ways]):
        started = time.process_time()
        whole = replace(size, upto=1.0) if way == RANDOM else size
        runs[way] = [simulated(task, WAYS[way], whole, seed) for seed in arguments.seeds]
        seconds[way] = round(time.process_time() - started, 1)
        print(task.name, way, f"{seconds[way]:.0f} s", flush=True)
    rows = [_row(task, way, runs, best, size) for way in runs]
    for row in rows:
        print(row, flush=True)
    stops = _stops(runs[DEFAULT], size, len(task.pool.seen)) if DEFAULT in runs else None
    print("stop rule", stops, flush=True)
    return {
        "task": task.name,
        "texts": {name: len(getattr(task, name).seen) for name in ("pool", "reserve", "test")},
        "labels": len(task.labels),
        "f1_macro_of_all": round(best, 4),
        "seeds": list(arguments.seeds),
        "rows": rows,
        "stop": stops,
        "seconds": seconds,
        "curves": {
            way: [[each.labels.tolist(), each.f1.round(4).tolist()] for each in found] for way, found in runs.items()
        },
    }


def labels_for(run: Run, goal: float) -> float | None:
    """Labels at which the curve first reaches a figure, between rounds on a straight line; None where it does not."""
    reached = np.flatnonzero(run.f1 >= goal)
    if not len(reached):
        return None
    last = int(reached[0])
    if last == 0:
        return float(run.labels[0])
    return float(np.interp(goal, run.f1[last - 1 : last + 1], run.labels[last - 1 : last + 1]))


def area(run: Run, until: float) -> float:
    """The mean macro F1 from the start until so many labels."""
    grid = np.linspace(run.labels[0], until, 200)
    return float(np.interp(grid, run.labels, run.f1).mean())


def _row(task: Task, way: str, runs: dict[str, list[Run]], best: float, size: Size) -> dict[str, Any]:
    """The figures of one way of asking."""
    until = size.upto * len(task.pool.seen)
    taken, base = (_median([labels_for(run, GOAL * best) for run in runs[name]]) for name in (way, RANDOM))
    apart = np.array([area(a, until) - area(b, until) for a, b in zip(runs[way], runs[RANDOM], strict=True)])
    half = float(t.ppf(0.975, len(apart) - 1) * apart.std(ddof=1) / np.sqrt(len(apart))) if len(apart) > 1 else None
    return {
        "task": task.name,
        "pool": len(task.pool.seen),
        "way": way,
        "labels for 95 %": None if taken is None else round(taken),
        "of random's": None if taken is None or base is None else round(taken / base, 3),
        "area over random's": None if way == RANDOM else round(float(apart.mean()), 4),
        "low": None if way == RANDOM or half is None else round(float(apart.mean()) - half, 4),
        "high": None if way == RANDOM or half is None else round(float(apart.mean()) + half, 4),
        "f1 at the end": round(float(np.mean([np.interp(until, run.labels, run.f1) for run in runs[way]])), 3),
    }


def told(stop: dict[str, Any]) -> dict[str, object]:
    """Where the rule stopped, as the table shows it: medians over the seeds that stopped."""
    ratios, points = stop["of the best"], stop["net points lost"]
    return {
        "best stop": stop["best"],
        "stopped at": ", ".join("-" if labels is None else str(labels) for labels in stop["stopped"]),
        "of the best": round(statistics.median(ratios), 3) if ratios else None,
        "points lost": round(statistics.median(points), 3) if points else None,
    }


def _stops(runs: list[Run], size: Size, tickets: int) -> dict[str, Any]:
    """Where the rule stopped, and where it had best stopped: where macro F1 less the price of the labels is highest.

    The price is what the rule asks of a label; the curve is the mean over seeds.
    """
    grid = np.arange(size.start, int(size.upto * tickets))
    curve = np.mean([np.interp(grid, run.labels, run.f1) for run in runs], axis=0)
    net = curve - WORTH / AHEAD * grid
    best = int(grid[net.argmax()])
    found = [next((n for n, said in enumerate(run.advices) if said.stop), None) for run in runs]
    stops = [None if place is None else int(run.labels[place]) for run, place in zip(runs, found, strict=True)]
    known = [stop for stop in stops if stop is not None]
    lost = [100 * float(net.max() - np.interp(stop, grid, net)) for stop in known]
    return {
        "best": best,
        "stopped": stops,
        "of the best": [round(stop / best, 2) for stop in known],
        "net points lost": [round(points, 2) for points in lost],
        "first sentence": next(
            (run.advices[n].sentence for run, n in zip(runs, found, strict=True) if n is not None), None
        ),
    }


def _median(values: Sequence[float | None]) -> float | None:
    """The median; None counts as more than any."""
    middle = statistics.median([np.inf if value is None else value for value in values])
    return None if np.isinf(middle) else float(middle)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder with benchmarks/")
    parser.add_argument("--part", choices=sorted(SOURCES), default="report")
    parser.add_argument("--tasks", nargs="+", default=sorted({name for part in SOURCES.values() for name in part}))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[20, 21, 22, 23, 24])
    parser.add_argument("--pool", type=int, default=10_000, help="tickets that can be asked about, at most")
    parser.add_argument("--judged", type=int, default=6_000, help="tickets to measure on, at most")
    parser.add_argument("--reserve", type=int, default=1_000, help="tickets from which cuts and the stop follow")
    parser.add_argument("--start", type=int, default=50, help="tickets that are labelled first, at random")
    parser.add_argument("--batch", type=int, default=25, help="tickets of a round, at least")
    parser.add_argument("--growth", type=float, default=0.2, help="tickets of a round as a share of those labelled")
    parser.add_argument("--upto", type=float, default=0.6, help="share of the pool that is asked about")
    parser.add_argument("--trial", action="store_true", help="leave benchmarks/results alone; write to build/active")
    return parser.parse_args()


if __name__ == "__main__":
    main()
