"""Commands that label tickets: predict, classify, evaluate."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from tagdesk.cli import options, screen
from tagdesk.errors import InputError
from tagdesk.model import STARTER, Model
from tagdesk.policy import Policy
from tagdesk.prediction import Prediction

MAX_STDIN = 10_000  # lines that are read as tickets; files are for more


def predict(
    texts: Annotated[
        list[str] | None, typer.Argument(help="Tickets; without any, one ticket per line of stdin.")
    ] = None,
    model: options.ModelName = STARTER,
    threshold: options.Threshold = None,
    as_json: options.Json = False,
    models: options.Models = Path("models"),
) -> None:
    """Label tickets that are typed or piped in."""
    tickets = list(texts or _lines())
    loaded = Model.load(model, models=models)
    _print(loaded.predict(tickets, policy=_policy(loaded, threshold)), as_json=as_json)


def classify(
    source: Annotated[Path, typer.Argument(help="CSV, TSV, JSONL or Parquet.", metavar="IN")],
    out: Annotated[
        Path | None, typer.Argument(help="The result, in the format of its name; without it, a table.", metavar="[OUT]")
    ] = None,
    model: options.ModelName = STARTER,
    threshold: options.Threshold = None,
    force: options.Force = False,
    text_column: options.TextColumn = None,
    id_column: options.IdColumn = None,
    encoding: options.Encoding = None,
    delimiter: options.Delimiter = None,
    as_json: options.Json = False,
    models: options.Models = Path("models"),
) -> None:
    """Label every ticket of a file: the same rows come out, with labels, scores and decisions."""
    from tagdesk.bulk import classify as classify_file  # noqa: PLC0415 - predict does without it
    from tagdesk.cli import reading  # noqa: PLC0415 - the same
    from tagdesk.dataset import Columns  # noqa: PLC0415 - the same

    # Labels are not read: what a row is labelled already, and how well, does not matter here.
    columns = Columns(text=text_column, id=id_column, labels="", unit="", time="")
    file = reading.File(source, columns, encoding, delimiter)
    loaded = Model.load(model, models=models)
    policy = _policy(loaded, threshold)
    if out is None:
        read = reading.read(file)
        _print(loaded.predict([ticket.text for ticket in read.tickets], policy=policy), as_json=as_json)
        reading.end(read)
        return
    with screen.progress() as report:
        summary = classify_file(loaded, file, out, policy=policy, force=force, progress=report)
    if as_json:
        screen.print_json(summary.to_dict())
    else:
        screen.note(
            f"{summary.read} rows read: {summary.accepted} labelled into {summary.out}, {summary.rejected} rejected, "
            f"{summary.skipped} blank. {summary.without_label} got no label."
        )
        if summary.rejects:
            screen.note(f"Why rows were rejected: {summary.rejects}")
    if summary.rejected:
        raise typer.Exit(reading.FINISHED_WITH_REJECTS)


def evaluate(
    model: options.ModelArgument,
    file: Annotated[Path, typer.Argument(help="Labelled tickets.", metavar="FILE")],
    out: Annotated[Path | None, typer.Option("--out", help="A folder for the report with its pictures.")] = None,
    threshold: options.Threshold = None,
    text_column: options.TextColumn = None,
    labels_column: options.LabelsColumn = None,
    encoding: options.Encoding = None,
    delimiter: options.Delimiter = None,
    seed: options.Seed = 0,
    as_json: options.Json = False,
    models: options.Models = Path("models"),
) -> None:
    """Measure a model on labelled tickets."""
    from tagdesk.cli import reading  # noqa: PLC0415 - predict does without it
    from tagdesk.dataset import Columns  # noqa: PLC0415 - the same
    from tagdesk.measure import judge_tickets  # noqa: PLC0415 - the same
    from tagdesk.report import write_report  # noqa: PLC0415 - the same

    loaded = Model.load(model, models=models)
    columns = Columns(text=text_column, labels=labels_column, id="", unit="", time="")
    read = reading.read(reading.File(file, columns, encoding, delimiter))
    evidence = judge_tickets(loaded, read.tickets, policy=_policy(loaded, threshold))
    report = evidence.report(loaded.taxonomy.names, seed=seed)
    if out is not None:
        about = {"model": loaded.id, "file": file.name, "tickets": str(report.n)}
        known = evidence.known
        write_report(
            out, report, evidence.targets[known], evidence.probs[known], title="What the model is worth", about=about
        )
    if as_json:
        screen.print_json({"model": loaded.id, "file": str(file)} | report.to_dict())
    else:
        screen.print_report(report)
    if out is not None:
        screen.note(f"The report with its pictures: {out / 'report.md'}")
    reading.end(read)


COMMANDS = (predict, classify, evaluate)


def _print(predictions: Sequence[Prediction], *, as_json: bool) -> None:
    if as_json:
        screen.print_json([prediction.to_dict() for prediction in predictions])
    else:
        screen.out().print(screen.predictions_table(predictions))


def _policy(model: Model, threshold: float | None) -> Policy | None:
    return None if threshold is None else Policy.uniform(model.taxonomy.names, threshold)


def _lines() -> list[str]:
    """The lines of stdin that are not blank; raises InputError where there are none, too many, or no text."""
    if sys.stdin.isatty():
        screen.note("Type tickets, one per line; end with Ctrl-D.")
    lines = []
    try:
        for line in sys.stdin:
            if line.strip():
                lines.append(line.rstrip("\r\n"))
            if len(lines) > MAX_STDIN:
                raise InputError(
                    f"stdin has more than {MAX_STDIN:,} lines. Use `tagdesk classify IN OUT` for files.",
                    code="too_long",
                )
    except UnicodeDecodeError as error:
        raise InputError(
            f"stdin is not UTF-8 text (byte {error.start}). Convert it, or use `tagdesk classify --encoding`.",
            code="bad_encoding",
        ) from error
    if not lines:
        raise InputError('There is no ticket. Give one: tagdesk predict "I was charged twice".', code="empty_text")
    return lines
