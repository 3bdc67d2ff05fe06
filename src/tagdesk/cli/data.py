"""Commands that look at files of tickets before anything is learned from them: check, split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from tagdesk.cli import options, reading, screen
from tagdesk.cli.training import read_taxonomy
from tagdesk.dataset import Accepted, CheckReport, Columns, File, open_writer, split
from tagdesk.dataset import check as check_tickets
from tagdesk.dataset.columns import labels_hint
from tagdesk.dataset.draft import refuse_target
from tagdesk.dataset.findings import MOST_LINES
from tagdesk.dataset.kinds import kind_of
from tagdesk.errors import UsageError

LONGEST_NAME = 100  # characters of a part's name, which is also a file's
SEVERITY_STYLES = {"error": "bold red", "warning": "yellow", "info": "dim"}


def check(
    file: options.TicketFile,
    others: Annotated[
        list[Path] | None,
        typer.Argument(help="Files that should share no text with it, such as the test set.", metavar="OTHER"),
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
    file_format: options.Format = None,
    as_json: options.Json = False,
) -> None:
    """Say what a file holds, and what to mend in it."""
    columns = Columns(text=text_column, labels=labels_column, unit=unit_column)
    results = {path: File(path, columns, encoding, delimiter, file_format).read() for path in [file, *(others or [])]}
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
    file: options.TicketFile,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder that gets one file for each part.")],
    parts: Annotated[
        list[str] | None,
        typer.Option("--part", "-p", help="A part and its share, as in test=.2; repeatable.  [train=.8, test=.2]"),
    ] = None,
    by: Annotated[
        str,
        typer.Option(
            "--by", help="labels: parts that are alike; unit: no customer in two parts; time: the oldest first."
        ),
    ] = "labels",
    seed: options.Seed = 0,
    text_column: options.TextColumn = None,
    labels_column: options.LabelsColumn = None,
    unit_column: options.UnitColumn = None,
    time_column: options.TimeColumn = None,
    encoding: options.Encoding = None,
    delimiter: options.Delimiter = None,
    file_format: options.Format = None,
    force: options.Force = False,
    as_json: options.Json = False,
) -> None:
    """Deal tickets into parts that share no text."""
    columns = Columns(text=text_column, labels=labels_column, unit=unit_column, time=time_column)
    shares = dict(_share(text) for text in parts or ["train=0.8", "test=0.2"])
    targets = {name: out / f"{name}.{kind_of(file, file_format).format}" for name in shares}
    reading.refuse_folder(out)
    for target in targets.values():
        refuse_target(target, force=force, inputs=[file])
    read = reading.read(File(file, columns, encoding, delimiter, file_format))
    dealt = split(read.tickets, shares, by=by, seed=seed)
    rows = {id(row.ticket): row for row in read.accepted}
    out.mkdir(parents=True, exist_ok=True)
    for name, tickets in dealt.items():
        _write(targets[name], [rows[id(ticket)] for ticket in tickets], read.fields, force=force)
    if by == "labels" and not any(ticket.labels for ticket in read.tickets):
        screen.note(f"{file.name}: no ticket has a label, so they are dealt by chance alone. {labels_hint(read)}")
    counts = {name: len(tickets) for name, tickets in dealt.items()}
    if as_json:
        screen.print_json({"file": str(file), "parts": counts, "paths": {name: str(p) for name, p in targets.items()}})
    else:
        table = [(name, count, str(targets[name])) for name, count in counts.items()]
        screen.out().print(screen.plain_table(["part", "tickets", "file"], table))
    reading.end(read)


COMMANDS = {"check": check, "split": split_file}


def _write(path: Path, rows: Sequence[Accepted], fields: Sequence[str], *, force: bool) -> None:
    """Write rows as they were read, with all their columns."""
    columns = dict.fromkeys(fields) | dict.fromkeys(column for row in rows for column in row.raw)
    with open_writer(path, list(columns), force=force) as writer:
        for row in rows:
            writer.write(row.raw)


def _share(text: str) -> tuple[str, float]:
    name, equals, share = text.partition("=")
    plain = 0 < len(name) <= LONGEST_NAME and all(character.isalnum() or character in "-_" for character in name)
    try:
        if equals and plain:
            return name, float(share)
    except ValueError:
        pass
    raise UsageError(f"--part {text!r}: expected a plain name and a share, as in --part train=0.8.", code="bad_shares")


def _print(file: Path, report: CheckReport) -> None:
    console = screen.out()
    counts = f"{report.accepted:,} tickets + {report.rejected:,} rejected + {report.skipped:,} blank"
    console.print(f"{screen.visible(str(file))}: {report.read:,} rows = {counts}", markup=False)
    if report.label_counts:
        labelled = report.accepted - report.unlabelled
        rows = [(label, count, screen.percent(count / labelled)) for label, count in report.label_counts.items()]
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
        severity = (f"{problem.severity}: ", SEVERITY_STYLES[problem.severity])
        console.print(Text.assemble(severity, screen.visible(problem.message), _places(problem.lines)))
    if not report.problems:
        console.print("Nothing to mend.")


def _places(lines: Sequence[int]) -> str:
    """Where a finding stands, in brackets; nothing where it stands nowhere."""
    if not lines:
        return ""
    more = f" and {len(lines) - MOST_LINES:,} more" if len(lines) > MOST_LINES else ""
    return f" (line{'s' if len(lines) > 1 else ''} {', '.join(map(str, lines[:MOST_LINES]))}{more})"
