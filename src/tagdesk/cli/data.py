"""Commands that look at files of tickets before anything is learned from them: check, split."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tagdesk.cli import options, reading, screen
from tagdesk.cli.training import read_taxonomy
from tagdesk.dataset import CheckReport, Columns, File, split, write_tickets
from tagdesk.dataset import check as check_tickets
from tagdesk.errors import UsageError

SEVERITY_STYLES = {"error": "bold red", "warning": "yellow", "info": "dim"}


def check(
    file: Annotated[Path, typer.Argument(help="Tickets: CSV, TSV, JSONL or Parquet.", metavar="FILE")],
    others: Annotated[
        list[Path] | None, typer.Argument(help="Files that should share no text with it, such as the test set.")
    ] = None,
    taxonomy: Annotated[
        Path | None, typer.Option("--taxonomy", help="A taxonomy.toml that the labels should keep to.")
    ] = None,
    rare_below: Annotated[int, typer.Option("--rare-below", help="Report labels on fewer tickets.", min=0)] = 10,
    text_column: options.TextColumn = None,
    labels_column: options.LabelsColumn = None,
    unit_column: options.UnitColumn = None,
    encoding: options.Encoding = None,
    delimiter: options.Delimiter = None,
    as_json: options.Json = False,
) -> None:
    """Say what a file holds, and what to mend before training on it."""
    columns = Columns(text=text_column, labels=labels_column, unit=unit_column)
    results = {path: File(path, columns, encoding, delimiter).read() for path in [file, *(others or [])]}
    report = check_tickets(
        results[file],
        taxonomy=read_taxonomy(taxonomy) if taxonomy else None,
        others={str(path): results[path] for path in others or []},
        rare_below=rare_below,
    )
    if as_json:
        rejected = [row.to_dict() for row in results[file].rejected]
        screen.print_json({"file": str(file)} | report.to_dict() | {"rejected_rows": rejected})
    else:
        _print(file, report)
    reading.end(*results.values())


def split_file(
    file: Annotated[Path, typer.Argument(help="Tickets: CSV, TSV, JSONL or Parquet.", metavar="FILE")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder that gets one file for each part.")],
    parts: Annotated[
        list[str] | None, typer.Option("--part", "-p", help="A part and its share; repeatable. [train=.8, test=.2]")
    ] = None,
    by: Annotated[
        str, typer.Option("--by", help="labels: parts alike; unit: no customer in two parts; time: the oldest first.")
    ] = "labels",
    seed: options.Seed = 0,
    text_column: options.TextColumn = None,
    labels_column: options.LabelsColumn = None,
    unit_column: options.UnitColumn = None,
    time_column: options.TimeColumn = None,
    id_column: options.IdColumn = None,
    encoding: options.Encoding = None,
    delimiter: options.Delimiter = None,
    force: options.Force = False,
    as_json: options.Json = False,
) -> None:
    """Split tickets into parts that share no text, not even nearly."""
    columns = Columns(text=text_column, labels=labels_column, unit=unit_column, time=time_column, id=id_column)
    shares = dict(_share(text) for text in parts or ["train=0.8", "test=0.2"])
    read = reading.read(File(file, columns, encoding, delimiter))
    dealt = split(read.tickets, shares, by=by, seed=seed)
    suffix = file.suffix if file.suffix in {".csv", ".tsv", ".jsonl", ".parquet"} else ".csv"
    targets = {name: out / f"{name}{suffix}" for name in dealt}
    taken = [str(path) for path in targets.values() if path.exists()]
    if taken and not force:
        raise UsageError(f"{', '.join(taken)} exists already. Name another folder, or add --force.", code="exists")
    out.mkdir(parents=True, exist_ok=True)
    for name, tickets in dealt.items():
        write_tickets(targets[name], tickets, force=force)
    counts = {name: len(tickets) for name, tickets in dealt.items()}
    if as_json:
        screen.print_json({"file": str(file), "parts": counts, "paths": {name: str(p) for name, p in targets.items()}})
    else:
        rows = [(name, count, str(targets[name])) for name, count in counts.items()]
        screen.out().print(screen.plain_table(["part", "tickets", "file"], rows))
    reading.end(read)


COMMANDS = (check,)


def _share(text: str) -> tuple[str, float]:
    name, equals, share = text.partition("=")
    plain = bool(name) and all(character.isalnum() or character in "-_" for character in name)
    try:
        if equals and plain:
            return name, float(share)
    except ValueError:
        pass
    raise UsageError(f"--part {text!r}: expected a plain name and a share, as in --part train=0.8.", code="bad_shares")


def _print(file: Path, report: CheckReport) -> None:
    console = screen.out()
    console.print(
        f"{file}: {report.read} rows = {report.accepted} tickets + {report.rejected} rejected + {report.skipped} blank",
        markup=False,
    )
    if report.label_counts:
        labelled = report.accepted - report.unlabelled
        rows = [(label, count, count / labelled) for label, count in report.label_counts.items()]
        console.print(screen.plain_table(["label", "tickets", "share"], rows))
    facts: dict[str, int | str] = {
        "without a label": report.without_label,
        "not labelled": report.unlabelled,
        "repeated texts": report.repeated,
        "nearly repeated": report.near_duplicates,
    }
    if report.lengths:
        facts["characters"] = f"{report.lengths.median} median, {report.lengths.longest} at most"
    console.print(screen.mapping_lines(facts), markup=False)
    for problem in report.problems:
        lines = f" (lines {', '.join(map(str, problem.lines))})" if problem.lines else ""
        console.print(f"{problem.severity}: ", style=SEVERITY_STYLES[problem.severity], end="")
        console.print(f"{problem.message}{lines}", markup=False)
    if not report.problems:
        console.print("Nothing to mend.")
