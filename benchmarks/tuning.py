"""Asks what a search is worth on tickets that neither it nor its own last check has seen, and whether a kill costs it.

For every task and seed: search the training part, then train the default recipe and the best one that was found on all
of it, and hold both against the test part. The reference tickets are those of benchmarks/seed.py; banking77 (PolyAI,
CC BY 4.0) gives some tickets of each label, GoEmotions (Google, Apache 2.0) a sample.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tables import publish, table
from tagdesk.compare import Answers, Bootstrap, Pairs, judge
from tagdesk.dataset import read_tickets, write_tickets
from tagdesk.measure import Evidence, judge_tickets
from tagdesk.scorers import Recipe, named_recipes
from tagdesk.ticket import Ticket
from tagdesk.train import taxonomy_of, train
from tagdesk.tune import Limits, Plan, Space, Standing, Task, encoders_at_hand, open_study, parse_goal, search

TASKS = ("seed_tickets", "banking77", "goemotions")
COLUMNS = {
    "task": "task",
    "seed": "seed",
    "tickets": "tickets",
    "judged": "judged by",
    "default": "default",
    "best": "best of the search",
    "difference": "difference in points (95 %)",
    "chosen": "search's own choice",
    "trials": "trials",
    "pruned": "of them pruned",
    "minutes": "minutes",
}
KILL_AFTER = 3  # trials that are done when the process is killed


@dataclass(frozen=True)
class Parts:
    """Tickets to search, and tickets to judge by."""

    train: Sequence[Ticket]
    test: Sequence[Ticket]


def main() -> None:
    """Run what was asked for; print a table and write benchmarks/results/tuning.json and .md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder with seed_tickets/ and benchmarks/")
    parser.add_argument("--tasks", nargs="+", default=TASKS, choices=TASKS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--minutes", type=float, default=15.0, help="of each search")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--objective", default="f1_macro")
    parser.add_argument("--recipes", nargs="+", default=["probe", "linear"])
    parser.add_argument("--shots", type=int, default=20, help="tickets of each label of banking77")
    parser.add_argument("--sample", type=int, default=4000, help="tickets of GoEmotions")
    parser.add_argument("--judged", type=int, default=2000, help="tickets that judge, at most")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    rows = []
    for name in arguments.tasks:
        for seed in arguments.seeds:
            rows.append(measured(name, seed, parts(name, seed, arguments), arguments))
            print({key: rows[-1][key] for key in COLUMNS}, flush=True)
    resumed = kill_and_resume(arguments.data)
    machine = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    lines = [*table(rows, COLUMNS), "", f"Killed with SIGKILL and called again: {resumed['sentence']}"]
    publish("tuning", {"machine": machine, "rows": rows, "resumed": resumed}, lines, arguments.results)


def parts(name: str, seed: int, arguments: argparse.Namespace) -> Parts:
    """The tickets of a task, as the seed draws them; those that judge are the same for every seed."""
    if name == "seed_tickets":
        folder = arguments.data / name
        known = [ticket for part in ("train", "validation") for ticket in read_tickets(folder / f"{part}.csv").tickets]
    else:
        folder = arguments.data / "benchmarks" / name
        known = read_tickets(folder / "train.csv").tickets
    test = drawn(read_tickets(folder / "test.csv").tickets, arguments.judged, 0)
    if name == "banking77":
        known = few_of_each(known, arguments.shots, seed)
    elif name == "goemotions":
        known = drawn(known, arguments.sample, seed)
    names = set(taxonomy_of(known).names)
    return Parts(known, [ticket for ticket in test if (ticket.labels or frozenset()) <= names])


def drawn(tickets: Sequence[Ticket], most: int, seed: int) -> list[Ticket]:
    """At most so many of the tickets, in order."""
    return [tickets[place] for place in np.sort(np.random.default_rng(seed).permutation(len(tickets))[:most])]


def few_of_each(tickets: Sequence[Ticket], shots: int, seed: int) -> list[Ticket]:
    """So many tickets of each label."""
    by_label = defaultdict(list)
    for ticket in tickets:
        by_label[min(ticket.labels or {""})].append(ticket)
    return [ticket for label in sorted(by_label) for ticket in drawn(by_label[label], shots, seed)]


def measured(name: str, seed: int, tickets: Parts, arguments: argparse.Namespace) -> dict[str, Any]:
    """One search, and what the recipes are worth on the test part."""
    goal = parse_goal(arguments.objective)
    matching = {"seed": seed} | ({"objective": goal.kind} if goal.has_thresholds else {})
    bases = {base: named_recipes()[base].changed(matching) for base in arguments.recipes}
    space = Space.of(bases, thresholds=goal.has_thresholds, encoders=encoders_at_hand())
    plan = Plan.of(tickets.train, Task(goal, space, seed=seed))
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, open_study(plan, f"{folder}/tune.log", "s") as opened:
        found = search(opened, Limits(arguments.trials, 60 * arguments.minutes), watch=told())
    minutes = (time.monotonic() - started) / 60
    said = {
        who: answers(tickets, recipe)
        for who, recipe in (("default", bases[plan.task.default]), ("best", found.best.recipe))
    }
    pairs = Pairs(
        said["default"].targets,
        *(Answers(evidence.decided, evidence.probs) for evidence in said.values()),
        taxonomy_of(tickets.train).names,
    )
    verdict = judge(goal.difference(pairs, Bootstrap(seed=seed)), who="The best")
    low, high = verdict.difference.interval or (0.0, 0.0)
    states = Counter(row.state for row in found.rows)
    return {
        "task": name,
        "seed": seed,
        "tickets": len(tickets.train),
        "judged": len(tickets.test),
        "default": verdict.difference.current,
        "best": verdict.difference.challenger,
        "difference": f"{100 * (verdict.difference.value or 0):+.1f} ({100 * low:.1f} to {100 * high:.1f})",
        "chosen": "best" if found.chosen is found.best and found.is_better else "default",
        "trials": len(found.rows),
        "pruned": states["pruned"],
        "minutes": round(minutes, 1),
        "sentence": verdict.sentence,
        "search": found.to_dict() | {"trials": len(found.rows)},
    }


def told() -> Any:
    """A watcher that prints each new best."""
    best = [-1.0]

    def tell(standing: Standing) -> None:
        if standing.best is not None and standing.best > best[0]:
            best[0] = standing.best
            print(f"  trial {standing.done}: {standing.best:.4f} ({standing.recipe})", flush=True)

    return tell


def answers(tickets: Parts, recipe: Recipe) -> Evidence:
    """What a model of all training tickets says of the test tickets."""
    model = train(tickets.train, recipe, taxonomy=taxonomy_of(tickets.train)).model
    return judge_tickets(model, tickets.test)


def kill_and_resume(data: Path) -> dict[str, Any]:
    """Kill a search at work and call it again; what was done must stand, and be gone on with."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_tickets(folder / "in.csv", read_tickets(data / "seed_tickets" / "train.csv").tickets[:200])
        call = [sys.executable, "-m", "tagdesk", "tune", str(folder / "in.csv"), "--recipes", "linear"]
        call += ["--set", "max_features=3000", "--trials", str(2 * KILL_AFTER), "--minutes", "30", "--yes"]
        call += ["--out", str(folder / "out")]
        log = folder / "out" / "tune.log"
        process = subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and done(log) < KILL_AFTER:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        before = log.read_bytes()
        subprocess.run(call, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with (folder / "out" / "trials.csv").open(encoding="utf-8", newline="") as file:
            states = Counter(row["state"] for row in csv.DictReader(file))
        stands = log.read_bytes().startswith(before[: before.rfind(b"\n") + 1])
    ended = sum(states.values()) - states["stopped"]
    sentence = (
        f"{states['stopped']} trial was cut off and done again, {ended} of {2 * KILL_AFTER} ended, and the journal's "
        f"records from before the kill {'stand' if stands else 'are LOST'}."
    )
    return {"states": dict(states), "records_stand": stands, "sentence": sentence}


def done(log: Path) -> int:
    """How many trials of a journal have a value."""
    try:
        lines = log.read_text(encoding="utf-8").splitlines()
        return sum('"op_code":6' in line and json.loads(line).get("values") is not None for line in lines)
    except (OSError, ValueError):  # not there yet, or being written
        return 0


if __name__ == "__main__":
    main()
