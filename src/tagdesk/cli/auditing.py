"""The command that looks for labels that are probably wrong: audit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from tagdesk.audit import ACCEPT, NO_LABEL, Audit, audit, corrected
from tagdesk.cli import options, reading, screen
from tagdesk.cli.training import choose_recipe, read_taxonomy
from tagdesk.dataset import Accepted, Columns, File, ReadResult, open_writer
from tagdesk.dataset.draft import refuse_target
from tagdesk.dataset.labels import join_labels, parse_labels
from tagdesk.errors import InputError, UsageError

FIELDS = ("row", "id", "labels", "suggested_labels", "new_labels", "doubt", "reason", "text")
SHOWN = 10  # findings and pairs of labels that are printed
LONGEST = 100  # characters of a ticket that are printed
NOTEWORTHY = 0.2  # share of the rarer label's tickets from which a pair of labels is named


def audit_file(
    file: options.TicketFile,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The table of findings; with --apply, the file with corrected labels."),
    ] = None,
    apply: Annotated[
        Path | None, typer.Option("--apply", help="A table of findings whose column new_labels a person filled in.")
    ] = None,
    recipe: Annotated[str, typer.Option("--recipe", "-r", help="How the models are trained that judge.")] = "probe",
    settings: Annotated[
        list[str] | None, typer.Option("--set", "-s", help="A setting of the recipe, as in folds=5; repeatable.")
    ] = None,
    taxonomy: Annotated[
        Path | None, typer.Option("--taxonomy", help="A taxonomy.toml; else the labels found in the file.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Overrides the recipe's seed.", min=0)] = None,
    text_column: options.TextColumn = None,
    labels_column: options.LabelsColumn = None,
    encoding: options.Encoding = None,
    delimiter: options.Delimiter = None,
    file_format: options.Format = None,
    force: options.Force = False,
    as_json: options.Json = False,
) -> None:
    """Find labels that are probably wrong.

    Run it on labelled tickets: the findings go to a table, the most doubtful first. Fill in its column
    new_labels: labels joined by |, "none" for no label, "suggested" to accept the suggestion, or nothing to leave the
    ticket as it is. Then run it again with --apply to get the corrected file.
    """
    target = out or (Path(f"{file.name.partition('.')[0]}.audit.csv") if apply is None else None)
    if target is None:
        raise UsageError(
            "--apply writes the corrected tickets to a new file. Name it with --out.", code="missing_option"
        )
    refuse_target(target, force=force, inputs=[file, *([apply] if apply else [])])
    columns = Columns(text=text_column, labels=labels_column, time="", unit="")
    read = reading.read(File(file, columns, encoding, delimiter, file_format))
    if apply is None:
        labelled = [row for row in read.accepted if row.ticket.is_labelled]
        chosen = choose_recipe(recipe, settings or [], seed)
        labels = read_taxonomy(taxonomy) if taxonomy else None
        with screen.progress() as report:
            found = audit([row.ticket for row in labelled], chosen, taxonomy=labels, progress=report)
        _write_table(target, found, labelled, force=force)
        _tell(found, labelled, target, as_json=as_json)
    else:
        changed = _apply(read, _verdicts(apply), labels_column, target, force=force)
        answer = {"file": str(file), "tickets": len(read.accepted), "changed": changed, "out": str(target)}
        if as_json:
            screen.print_json(answer)
        else:
            screen.out().print(screen.mapping_lines(answer), markup=False)
    reading.end(read)


COMMANDS = {"audit": audit_file}


def _write_table(path: Path, found: Audit, rows: list[Accepted], *, force: bool) -> None:
    with open_writer(path, FIELDS, force=force, types={"row": int, "doubt": float}) as table:
        for finding in found.findings:
            row = rows[finding.place]
            table.write(
                {
                    "row": row.number,
                    "id": row.ticket.id,
                    "labels": join_labels(finding.labels),
                    "suggested_labels": join_labels(finding.suggested),
                    "new_labels": "",
                    "doubt": round(finding.doubt, 3),
                    "reason": "; ".join(finding.reasons),
                    "text": row.ticket.text,
                }
            )


def _tell(found: Audit, rows: list[Accepted], path: Path, *, as_json: bool) -> None:
    pairs = [pair for pair in found.overlaps if max(pair.together, pair.confused) >= NOTEWORTHY]
    if as_json:
        screen.print_json(
            {
                "tickets": len(rows),
                "findings": [
                    {
                        "row": rows[finding.place].number,
                        "id": rows[finding.place].ticket.id,
                        "labels": sorted(finding.labels),
                        "suggested_labels": sorted(finding.suggested),
                        "doubt": round(finding.doubt, 3),
                        "reasons": list(finding.reasons),
                    }
                    for finding in found.findings
                ],
                "overlaps": [
                    {
                        "labels": [pair.first, pair.second],
                        "together": round(pair.together, 3),
                        "confused": round(pair.confused, 3),
                    }
                    for pair in pairs
                ],
                "out": str(path),
            }
        )
        return
    console = screen.out()
    console.print(f"{len(found.findings):,} of {len(rows):,} tickets deserve a second look.", markup=False)
    table = [
        (
            rows[finding.place].number,
            screen.percent(finding.doubt),
            "; ".join(finding.reasons),
            screen.safe(rows[finding.place].ticket.text, LONGEST).plain,
        )
        for finding in found.findings[:SHOWN]
    ]
    if table:
        console.print(screen.plain_table(["row", "doubt", "why", "ticket"], table))
    for pair in pairs[:SHOWN]:
        said = f"{screen.percent(pair.together)} of the rarer one's tickets carry both"
        mixed = f"{screen.percent(pair.confused)} get the one for the other"
        console.print(Text(screen.visible(f"{pair.first} and {pair.second}: {said}, {mixed}.")))
    console.print(
        f"The table is {path}. Fill in new_labels (labels joined by |, {NO_LABEL}, or {ACCEPT}), then:\n"
        f"tagdesk audit FILE --apply {path} --out corrected.csv",
        markup=False,
    )


def _verdicts(path: Path) -> Mapping[int, tuple[str, frozenset[str], str]]:
    """What a person wrote into a table of findings: by row its id, what was suggested, and the verdict."""
    read = File(path, Columns(text="text", labels="", id="id", time="", unit="")).read()
    needed = {"row", "suggested_labels", "new_labels"}
    if missing := needed - set(read.fields):
        raise InputError(
            f"{path}: no column {', '.join(sorted(missing))}. Expected a table that `tagdesk audit` wrote.",
            code="missing_column",
        )
    verdicts = {}
    for row in read.accepted:
        number, suggested, verdict = (
            str(row.raw.get(column) or "") for column in ("row", "suggested_labels", "new_labels")
        )
        if verdict.strip():
            try:
                verdicts[int(number)] = (row.ticket.id, parse_labels(suggested), verdict)
            except ValueError as error:
                raise InputError(f"{path}, line {row.where}: {error}", code="bad_labels") from error
    return verdicts


def _apply(
    read: ReadResult,
    verdicts: Mapping[int, tuple[str, frozenset[str], str]],
    labels_column: str | None,
    out: Path,
    *,
    force: bool,
) -> int:
    """Write the tickets with the labels that a person decided on; gives how many changed."""
    column = labels_column or next(
        (field for field in read.fields if field.strip().casefold() in {"labels", "categories"}), "labels"
    )
    fields = list(dict.fromkeys([*read.fields, *(name for row in read.accepted for name in row.raw), column]))
    strays = set(verdicts) - {row.number for row in read.accepted}
    if strays:
        raise InputError(
            f"The file has no row {min(strays)}. Apply the table to the file that was audited.", code="other_file"
        )
    changed = 0
    with open_writer(out, fields, force=force) as writer:
        for row in read.accepted:
            cells = dict(row.raw)
            if row.number in verdicts:
                ticket_id, suggested, verdict = verdicts[row.number]
                if ticket_id != row.ticket.id:
                    raise InputError(
                        f"Row {row.number} has id {row.ticket.id[:60]!r}, and {ticket_id[:60]!r} in the table. Apply "
                        "the table to the file that was audited.",
                        code="other_file",
                    )
                labels = corrected(row.ticket.labels or frozenset(), suggested, verdict)
                changed += labels != row.ticket.labels
                cells[column] = sorted(labels)
            writer.write(cells)
    return changed
