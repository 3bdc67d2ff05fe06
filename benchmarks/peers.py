"""Compares tagdesk with other ways to label tickets: how fast, how large, how good.

Every peer lives in a process of its own, in an environment below build/peers that is made from the package index when
it is missing, and all have the same threads. Speed is measured in rounds that take turns. What is found is merged into
results/peers.json, so that parts can be run alone; what is run again replaces its rows.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from peers import environments, results
from peers.encoder import laid_out
from peers.environments import BUILD, PROJECT
from peers.peer import Peer, PeerError, Worker
from peers.plot import drawn
from peers.quality import learned
from peers.results import Result
from peers.speed import QUESTION, CommandLine, Kept, Subject, measured
from peers.tasks import SEED_TICKETS, Task, tasks
from peers.texts import ALONE, SETS, text_sets, written
from tables import RESULTS, publish
from tagdesk.encoders import resolve

PARTS = ("speed", "quality")
ALL = tuple(tasks(None))
# The models that tagdesk offers, by the names that tables show: `starter`, or a folder. Further tiers go here.
TAGDESK = {"tagdesk": "starter"}
RECIPES = {  # by which tagdesk learns the tasks
    "probe": "the named recipe `probe` on the encoder that the others use",
    "linear": "the named recipe `linear`",
}
PEERS = {
    peer.name: peer
    for peer in (
        Peer(
            "reference",
            "transformers",
            "reference",
            fraction=25,
            note="the shape of BERT base with random weights, one ticket at a time, padded and cut to 128 tokens",
        ),
        Peer(
            "sentence-transformers",
            "sentence-transformers",
            "sentence_transformers",
            tasks=ALL,
            note="frozen encoder, logistic regression with C = 10, threshold 0.5; texts are cut at 512 tokens",
        ),
        Peer(
            "setfit",
            "setfit",
            "setfit",
            hurried={"steps": "10"},
            tasks=ALL,
            note="defaults, threshold 0.5, but for a limit on steps (`options` in the JSON file); cut at 512 tokens",
        ),
        Peer(
            "pipeline",
            "transformers",
            "pipeline",
            note="text-classification in batches of 32, the encoder with a random head; texts are cut at 512 tokens",
        ),
        Peer("tfidf", "tfidf", "tfidf", tasks=ALL, note="logistic regression per label with C = 10, threshold 0.5"),
        Peer(
            "autointent",
            "autointent",
            "autointent",
            tasks=ALL,
            note="preset `classic-light`, with its own rule of decision; texts are cut at 512 tokens",
        ),
        *(
            Peer(
                name,
                "tagdesk",
                "tagdesk",
                {"model": model if model == "starter" else str(PROJECT / model)},
                tasks=(SEED_TICKETS,),
                learns=False,
                note="as it ships: it has learned nothing of these tasks; reads long texts to the end",
            )
            for name, model in TAGDESK.items()
        ),
        *(
            Peer(
                f"tagdesk-{recipe}",
                "tagdesk",
                "tagdesk",
                {"recipe": recipe},
                tasks=ALL,
                note=f"{note}, with its own policy",
            )
            for recipe, note in RECIPES.items()
        ),
    )
}
COMMAND_LINE = "{}, command line"
FILE = "peers.json"
SPARSE = 100  # in a trial one text in as many is read


@dataclass(frozen=True)
class Plan:
    """What to do: with whom, on what, how often.

    Attributes:
        peers: Those that take part, in the order of their turns.
        tasks: What is learned and judged.
        lesson: What those learn whose speed is measured.
        seeds: How often, and by which draws.
        data: The folder with the public data.
        rounds: How often speed is measured.
        threads: Of every peer.
        fraction: One text in as many is read.
        options: What else the figures depend on.
        out: The folder for what is found.
    """

    peers: Sequence[Peer]
    tasks: Sequence[Task]
    lesson: Task
    seeds: Sequence[int]
    data: Path
    rounds: int
    threads: int
    fraction: int
    options: Mapping[str, str | int]
    out: Path

    def worker(self, peer: Peer) -> Worker:
        """A fresh process of the peer."""
        return Worker(peer, self.threads)


def main() -> None:
    """Run the parts that were asked for; write results/peers.json, .md and .png."""
    arguments = asked_for()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.threads])  # for all that starts below as well
    plan = planned(arguments)
    result = results.known(plan.out / FILE, results.machine(plan.threads))
    for environment in dict.fromkeys(peer.environment for peer in plan.peers):
        environments.ensure(environment)
    failures: list[str] = []
    if "speed" in arguments.parts:
        failures += find_speed(plan, result)
    if "quality" in arguments.parts:
        failures += find_quality(plan, result)
    show(plan, result)
    if failures:
        raise SystemExit("\n".join(failures))


def asked_for() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder with seed_tickets/ and benchmarks/")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--tasks", nargs="+", choices=ALL, default=ALL)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--rounds", type=int, default=5, help="of measuring speed")
    parser.add_argument("--threads", type=int, default=2, help="and cores, of every peer")
    parser.add_argument("--encoder", default="gte-small", help="of all peers that take one")
    parser.add_argument("--setfit-steps", type=int, default=500, help="at most, of 16 pairs each")
    parser.add_argument("--goemotions", type=int, default=1000, help="examples of it to learn from")
    parser.add_argument("--trial", action="store_true", help="a few texts, to see that all works; writes into build/")
    return parser.parse_args()


def planned(arguments: argparse.Namespace) -> Plan:
    """What the command line asks for."""
    encoder = resolve(arguments.encoder)
    folder = laid_out(encoder, BUILD / "encoder")
    settings = {"encoder": str(folder), "steps": str(arguments.setfit_steps)}
    peers = [PEERS[name] for name in arguments.peers]
    if any("recipe" in peer.settings for peer in peers):
        from tagdesk.encoders.convert import cached_onnx  # noqa: PLC0415 - needs torch, and a while

        settings["graph"] = str(cached_onnx(encoder))
    known = tasks(arguments.goemotions)
    if arguments.trial:
        known = {name: replace(task, shots=task.shots and 2, learned=40, judged=20) for name, task in known.items()}
    return Plan(
        peers=[replace(peer, settings={**settings, **peer.settings}) for peer in peers],
        tasks=[known[name] for name in arguments.tasks],
        lesson=known[SEED_TICKETS],
        seeds=arguments.seeds,
        data=arguments.data,
        rounds=arguments.rounds,
        threads=arguments.threads,
        fraction=SPARSE if arguments.trial else 1,
        options={"encoder": arguments.encoder, "setfit_steps": arguments.setfit_steps},
        out=BUILD / "trial" if arguments.trial else RESULTS,
    )


def find_speed(plan: Plan, result: Result) -> list[str]:
    """Measure time and memory; the failures of peers that cannot be measured."""
    sets = text_sets(BUILD / "texts", plan.fraction)
    alone = sets.pop(ALONE)
    question = written("question", [QUESTION], BUILD / "texts")
    failures, subjects = [], list[Subject]()
    with ExitStack() as stack:
        for peer in plan.peers:
            try:
                model = trained(plan, peer)
                worker = stack.enter_context(plan.worker(peer))
                worker.ask("load", folder=str(model), settings=dict(peer.settings))
            except PeerError as error:
                failures.append(str(error))
                print(error, flush=True)
                continue
            subjects.append(Kept(worker, model, plan.worker, question, tuple(SETS)))
            if not peer.learns:
                named = replace(
                    peer, name=COMMAND_LINE.format(peer.name), note="a process for each file, and its start"
                )
                subjects.append(CommandLine(named, plan.threads, ("tickets",)))
        found = measured(subjects, sets, alone, plan.rounds)
    result["speed"] |= found.speed
    result["processes"] |= found.processes
    results.keep(result, plan.out / FILE)
    return failures


def trained(plan: Plan, peer: Peer) -> Path:
    """The folder of a classifier that a peer has trained, fit to measure its speed."""
    folder = BUILD / "models" / peer.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if peer.learns:
        file = folder.with_suffix(".json")
        plan.lesson.train(plan.data, 0).write(file)
        with plan.worker(peer) as worker:
            worker.ask("train", file=str(file), settings={**peer.settings, **peer.hurried}, seed=0)
            worker.ask("save", folder=str(folder))
    return folder


def find_quality(plan: Plan, result: Result) -> list[str]:
    """Train and judge; the failures of peers that cannot be trained."""
    failures = []
    for task in plan.tasks:
        for peer in (peer for peer in plan.peers if task.name in peer.tasks):
            try:
                row = learned(peer, task, plan.data, plan.seeds, plan.worker)
            except PeerError as error:
                failures.append(f"{task.name}: {error}")
                print(failures[-1], flush=True)
                continue
            result["quality"][f"{peer.name} | {task.name}"] = {**row, "options": plan.options}
            print(row, flush=True)
            results.keep(result, plan.out / FILE)  # it took long
    return failures


def show(plan: Plan, result: Result) -> None:
    """Write and print what is known."""
    publish("peers", result, results.lines(result), plan.out)
    picture = drawn(result)
    if picture is not None:
        (plan.out / "peers.png").write_bytes(picture)


if __name__ == "__main__":
    main()
