"""The command that asks whether the traffic has changed: drift."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Self

import numpy as np
import typer
from rich.text import Text

from tagdesk.arrays import IntArray
from tagdesk.cli import options, reading, screen
from tagdesk.dataset import Columns
from tagdesk.drift import Meaning, Settings, Texts, Verdict, Window, compare, read_texts, shortage
from tagdesk.drift.words import HEAD, left_out, rows, sizes
from tagdesk.encoders import starter_model
from tagdesk.encoders.onnx import TextGraph
from tagdesk.measure import judge_tickets
from tagdesk.model import STARTER, Model, find_model
from tagdesk.policy import Policy
from tagdesk.scorers.base import Progress
from tagdesk.scorers.onnx import read_max_tokens
from tagdesk.text import clean
from tagdesk.ticket import Ticket

DRIFTED, NO_VERDICT = 6, 7  # exit codes with --fail
VIEWS = ("middle", "embedding")  # of an encoder, the better first: the last layer keeps little but the labels
AT_ONCE = 256  # tickets between two steps of the progress
SHOWN = 5  # labels that a line names
MOST_ROWS = 30  # of the table on the terminal


def drift(
    reference: Annotated[
        Path, typer.Argument(help="Tickets of before: CSV, TSV, JSONL or Parquet.", metavar="REFERENCE")
    ],
    current: Annotated[Path, typer.Argument(help="Tickets of now; labels are optional.", metavar="CURRENT")],
    model: options.ModelName = STARTER,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="A folder for the report with its pictures.")] = None,
    false_alarms: Annotated[
        float, typer.Option("--false-alarms", help="Share of comparisons of the same traffic that may raise an alarm.")
    ] = 0.05,
    smallest: Annotated[
        float, typer.Option("--smallest", help="The smallest change of a share that is an alarm: 0.03 is 3 points.")
    ] = 0.03,
    fewest: Annotated[
        int, typer.Option("--fewest", help="Different tickets a side without which there is no verdict.")
    ] = 100,
    fail: Annotated[
        bool, typer.Option("--fail", help="End with exit code 6 where it drifted, and 7 where there is no verdict.")
    ] = False,
    tier: options.Tier = None,
    threshold: options.Threshold = None,
    text_column: options.TextColumn = None,
    labels_column: options.LabelsColumn = None,
    encoding: options.Encoding = None,
    delimiter: options.Delimiter = None,
    file_format: options.Format = None,
    seed: options.Seed = 0,
    as_json: options.Json = False,
    models: options.Models = Path("models"),
) -> None:
    """Ask whether the tickets of now look like those of before.

    Both files are read by one model. The verdict allows for the many things that are compared, and changes too small
    to matter raise no alarm. Where the files hold labels that people gave, scores are held against them too.
    """
    if out is not None:
        reading.refuse_folder(out)
    settings = Settings(false_alarms=false_alarms, fewest=fewest, points=smallest, seed=seed)
    loaded = Model.load(model, models=models, tier=tier)
    policy = loaded.policy if threshold is None else Policy.uniform(loaded.taxonomy.names, threshold)
    columns = Columns(text=text_column, labels=labels_column, id="", unit="", time="")
    files = [reading.File(path, columns, encoding, delimiter, file_format) for path in (reference, current)]
    read = [reading.read(file) for file in files]
    before, now = (_Traffic.of(each.tickets, loaded, file.path) for each, file in zip(read, files, strict=True))
    verdict = shortage((len(before), len(now)), (before.different, now.different), settings)
    if verdict is None:
        eyes = _Eyes.of(find_model(model, models=models))
        with screen.progress() as progress:
            windows = [_window(traffic, loaded, policy, eyes, settings, progress) for traffic in (before, now)]
        verdict = compare(windows[0], windows[1], settings)
    about = {"model": loaded.id, "policy": policy.id, "reference": reference.name, "current": current.name}
    if out is not None:
        from tagdesk.report.drift import write_drift  # noqa: PLC0415 - matplotlib is slow to import

        write_drift(out, verdict, about)
    if as_json:
        screen.print_json(about | verdict.to_dict())
    else:
        _print(verdict)
    if out is not None:
        screen.note(f"The report with its pictures: {out / 'drift.md'}")
    if fail and verdict.state != "steady":
        raise typer.Exit(DRIFTED if verdict.state == "drifted" else NO_VERDICT)
    reading.end(*read)


COMMANDS = {"drift": drift}


@dataclass(frozen=True)
class _Traffic:
    """The tickets of a file with facts about their texts."""

    tickets: Sequence[Ticket]
    texts: Texts

    def __len__(self) -> int:
        return len(self.tickets)

    @property
    def different(self) -> int:
        """How many texts there are, equal ones counted once."""
        return len(np.unique(self.texts.keys))

    @classmethod
    def of(cls, tickets: Sequence[Ticket], model: Model, path: Path) -> Self:
        """Tickets without their labels where some of these mean nothing to the model."""
        strangers = model.taxonomy.unknown(name for ticket in tickets for name in ticket.labels or ())
        if strangers:
            screen.note(
                f"{path.name}: the model does not know {', '.join(map(repr, strangers[:SHOWN]))}"
                f"{', ...' if len(strangers) > SHOWN else ''}. What people labelled there is not looked at."
            )
            tickets = [replace(ticket, labels=None) for ticket in tickets]
        return cls(tickets, read_texts([ticket.text for ticket in tickets]))


@dataclass(frozen=True)
class _Eyes:
    """An encoder, and which of its outputs is looked at."""

    graph: TextGraph
    view: str

    @classmethod
    def of(cls, model: Path) -> Self:
        """The model's own encoder, or that of the starter where it has none."""
        own = [model] if (model / "model.onnx").is_file() else []
        graphs = (TextGraph(folder, read_max_tokens(folder)) for folder in (*own, starter_model()))
        return next(cls(graph, view) for graph in graphs for view in VIEWS if view in graph.widths)

    def read(self, texts: Sequence[str], rows: IntArray, progress: Progress) -> Meaning:
        """What it makes of cleaned texts, which are those of the given rows."""
        readings = []
        for start in range(0, len(texts), AT_ONCE):
            progress("embeddings", start, len(texts))
            readings.append(self.graph.read(texts[start : start + AT_ONCE], [self.view]))
        embeddings = np.concatenate([reading.outputs[0] for reading in readings])
        return Meaning(rows, embeddings, np.concatenate([reading.unknown for reading in readings]))


def _window(
    traffic: _Traffic, model: Model, policy: Policy, eyes: _Eyes, settings: Settings, progress: Progress
) -> Window:
    """What the model says of the tickets, and what the encoder makes of some of those that differ."""
    evidence = judge_tickets(model, traffic.tickets, policy=policy, progress=progress)
    window = Window(
        names=model.taxonomy.names,
        probs=evidence.probs,
        decided=evidence.decided,
        none=evidence.none,
        refused=evidence.refused,
        texts=traffic.texts,
        targets=evidence.targets,
        known=evidence.known,
        model=model.id,
        policy=policy.id,
    )
    rows = window.distinct()
    if len(rows) > settings.embedded:
        rows = np.sort(np.random.default_rng(settings.seed).choice(rows, settings.embedded, replace=False))
    texts = [clean(traffic.tickets[row].text).text for row in rows.tolist()]
    return replace(window, meaning=eyes.read(texts, rows, progress))


def _print(verdict: Verdict) -> None:
    console = screen.out()
    console.print(Text(screen.visible(verdict.sentence)))
    console.print(sizes(verdict), markup=False)
    if verdict.shifts:
        console.print(screen.plain_table(HEAD, rows(verdict)[:MOST_ROWS]))
    if len(verdict.shifts) > MOST_ROWS:
        console.print(f"{len(verdict.shifts) - MOST_ROWS:,} more were tested: --out or --json tells all.", markup=False)
    for why, whats in left_out(verdict).items():
        named = ", ".join(whats[:SHOWN]) + (f" and {len(whats) - SHOWN} more" if len(whats) > SHOWN else "")
        console.print(Text(screen.visible(f"Not tested: {named}: {why}.")))
