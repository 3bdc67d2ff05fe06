"""The command that holds two models against each other: compare."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from tagdesk.cli import options, reading, screen
from tagdesk.compare import FIGURES, Bootstrap, Difference, LabelDifference, by_label, differences, judge, mcnemar
from tagdesk.dataset import Columns, File
from tagdesk.errors import UsageError
from tagdesk.model import Model
from tagdesk.versus import pairs_of


def compare(
    current: Annotated[str, typer.Argument(help="What answers now: a folder, an id, or 'starter'.", metavar="CURRENT")],
    challenger: Annotated[str, typer.Argument(help="What might answer instead.", metavar="CHALLENGER")],
    file: options.TicketFile,
    figure: Annotated[str, typer.Option("--figure", help=f"What decides: {', '.join(FIGURES)}.")] = "exact_match",
    margin: Annotated[
        float | None,
        typer.Option("--margin", help="A loss that is agreed on to be none: 0.01 is one point.", show_default="none"),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="A folder for the report with its picture.")] = None,
    text_column: options.TextColumn = None,
    labels_column: options.LabelsColumn = None,
    unit_column: options.UnitColumn = None,
    encoding: options.Encoding = None,
    delimiter: options.Delimiter = None,
    file_format: options.Format = None,
    seed: options.Seed = 0,
    as_json: options.Json = False,
    models: options.Models = Path("models"),
) -> None:
    """Say which of two models is better, and by how much.

    Both label the same labelled tickets, each by its own thresholds. Tickets of one customer are taken together where a
    column names customers.
    """
    from tagdesk.report.differences import as_document, write_comparison  # noqa: PLC0415 - matplotlib is slow to import

    if margin is not None and not 0 < margin < 1:
        raise UsageError(f"--margin {margin:g}: expected a share between 0 and 1, as in 0.01.", code="bad_margin")
    if figure not in FIGURES:  # better now than after both models have answered
        raise UsageError(f"--figure {figure!r}: expected one of {', '.join(FIGURES)}.", code="unknown_figure")
    if out is not None:
        reading.refuse_folder(out)
    ours, theirs = (Model.load(name, models=models) for name in (current, challenger))
    columns = Columns(text=text_column, labels=labels_column, unit=unit_column, id="", time="")
    read = reading.read(File(file, columns, encoding, delimiter, file_format))
    with screen.progress() as progress:
        pairs = pairs_of(ours, theirs, read.tickets, progress)
    how = Bootstrap(seed)
    found = differences(pairs, list(dict.fromkeys([figure, *FIGURES])), how)
    verdict, labels, swaps = judge(found[0], margin), by_label(pairs, how), mcnemar(pairs)
    about = {
        "current": ours.id,
        "challenger": theirs.id,
        "file": file.name,
        "tickets": f"{len(pairs.targets):,} labelled ones",
    }
    if out is not None:
        write_comparison(out, verdict, found, labels, swaps, about)
    if as_json:
        screen.print_json({**about, "tickets": len(pairs.targets), **as_document(verdict, found, labels, swaps)})
    else:
        console = screen.out()
        console.print(Text(screen.visible(verdict.sentence)))
        console.print(
            f"On {len(pairs.targets):,} tickets; only {ours.id} gets {swaps.only_current:,} of them exactly right, "
            f"only {theirs.id} {swaps.only_challenger:,} (p = {swaps.p:.2g}).",
            markup=False,
        )
        console.print(figures_table(found))
        console.print(labels_table(labels))
    if out is not None:
        screen.note(f"The report with its picture: {out / 'comparison.md'}")
    reading.end(read)


COMMANDS = {"compare": compare}


def figures_table(found: Sequence[Difference]) -> object:
    """Figures of both models, and how far they are apart."""
    rows = [(one.figure.words, one.current, one.challenger, said(one)) for one in found]
    return screen.plain_table(["figure", "current", "challenger", "difference"], rows)


def labels_table(found: Sequence[LabelDifference]) -> object:
    """F1 of both models label by label."""
    rows = [(one.label, one.support, one.f1.current, one.f1.challenger, said(one.f1)) for one in found]
    return screen.plain_table(["label", "tickets", "F1, current", "F1, challenger", "difference"], rows)


def said(one: Difference) -> str:
    """The difference in words, without its name, and why it may be chance."""
    words = one.words.removeprefix(one.figure.words).lstrip(": ")
    return f"{words}; {one.doubt}" if one.doubt and one.value is not None else words
