"""The command that looks for labels that are probably wrong: audit."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from tagdesk.audit import Audit, audit
from tagdesk.audit.apply import apply as apply_verdicts
from tagdesk.audit.table import ACCEPT, NO_LABEL, read_verdicts, write_table
from tagdesk.cli import options, reading, screen
from tagdesk.cli.training import choose_recipe, read_taxonomy
from tagdesk.dataset import Accepted, Columns, File
from tagdesk.dataset.draft import refuse_target
from tagdesk.dataset.kinds import output_kind
from tagdesk.errors import UsageError

RECIPE = "probe"
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
    recipe: Annotated[str, typer.Option("--recipe", "-r", help="How the models are trained that judge.")] = RECIPE,
    settings: Annotated[
        list[str] | None, typer.Option("--set", "-s", help="A setting of the recipe, as in folds=5; repeatable.")
    ] = None,
    taxonomy: options.Taxonomy = None,
    seed: options.RecipeSeed = None,
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
    labels = read_taxonomy(taxonomy) if taxonomy else None
    columns = Columns(text=text_column, labels=labels_column, time="", unit="")
    source = File(file, columns, encoding, delimiter, file_format)
    if apply is not None:
        if out is None or recipe != RECIPE or settings or seed is not None:
            raise UsageError(
                "--apply trains nothing and writes a new file. Name that file with --out, and leave out --recipe, "
                "--set and --seed.",
                code="missing_option" if out is None else "unused_setting",
            )
        _refuse_place(out, force=force, inputs=[file, apply])
        read = reading.read(source)
        known = {name for row in read.accepted for name in row.ticket.labels or ()} | set(
            labels.names if labels else ()
        )
        changed = apply_verdicts(read, read_verdicts(apply, known), out, force=force, inputs=[file, apply])
        answer = {"file": str(file), "tickets": len(read.accepted), "changed": changed, "out": str(out)}
        if as_json:
            screen.print_json(answer)
        else:
            screen.out().print(screen.mapping_lines(answer), markup=False)
    else:
        target = out or Path(f"{file.stem}.audit.csv")
        _refuse_place(target, force=force, inputs=[file])
        chosen = choose_recipe(recipe, settings or [], seed)
        read = reading.read(source)
        labelled = [row for row in read.accepted if row.ticket.is_labelled]
        with screen.progress() as report:
            found = audit([row.ticket for row in labelled], chosen, taxonomy=labels, progress=report)
        write_table(target, found, labelled, force=force, inputs=[file])
        _tell(found, labelled, file, target, as_json=as_json)
    reading.end(read)


COMMANDS = {"audit": audit_file}


def _refuse_place(target: Path, *, force: bool, inputs: list[Path]) -> None:
    """Raise, before any work is done, for a file that cannot be written."""
    reading.refuse_folder(target.parent)
    refuse_target(target, force=force, inputs=inputs)
    output_kind(target)


def _tell(found: Audit, rows: list[Accepted], file: Path, path: Path, *, as_json: bool) -> None:
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
                "too_rare_to_judge": list(found.rare),
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
    if found.rare:
        console.print(Text(screen.visible(f"On too few tickets, or too many, to be judged: {', '.join(found.rare)}.")))
    console.print(
        f"The table is {path}. Fill in new_labels (labels joined by |, {NO_LABEL}, or {ACCEPT}), then:\n"
        f"tagdesk audit {shlex.quote(str(file))} --apply {shlex.quote(str(path))} --out corrected{file.suffix}",
        markup=False,
    )
