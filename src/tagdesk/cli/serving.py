"""Commands that label tickets: predict, classify, evaluate."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from tagdesk.cli import options, screen
from tagdesk.errors import InputError, UsageError
from tagdesk.model import STARTER, Model, find_model
from tagdesk.policy import Policy
from tagdesk.prediction import Prediction
from tagdesk.text import check_text

MOST_LINES = 10_000  # of stdin that are read as tickets; files are for more
MOST_SHOWN = 1_000  # tickets in a table; more are for a file
AT_ONCE = 128  # tickets between two steps of the progress bar


def predict(
    texts: Annotated[
        list[str] | None, typer.Argument(help="Tickets; without any, one on each line of stdin.", metavar="TEXT")
    ] = None,
    model: options.ModelName = STARTER,
    tier: options.Tier = None,
    threshold: options.Threshold = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say which words speak for the labels.")] = False,
    like: Annotated[
        Path | None, typer.Option("--nearest", help="With --explain: a labelled file whose nearest tickets are shown.")
    ] = None,
    as_json: options.Json = False,
    models: options.Models = Path("models"),
) -> None:
    """Label tickets that are typed or piped in."""
    if like is not None and not explain:
        raise UsageError("--nearest shows tickets beside an explanation. Add --explain.", code="unused_option")
    tickets = list(texts or _lines())
    loaded = Model.load(model, models=models, tier=tier)
    predictions = _predictions(loaded, tickets, _policy(loaded, threshold))
    if explain:
        from tagdesk.cli.explaining import explain_predictions  # noqa: PLC0415 - predict does without it

        explain_predictions(loaded, predictions, like=like, as_json=as_json)
    else:
        _print(predictions, as_json=as_json)


def classify(
    source: Annotated[
        Path,
        typer.Argument(
            help="Tickets: CSV, TSV, JSONL or Parquet; also .gz and .xz, or a folder of Parquet files.", metavar="IN"
        ),
    ],
    out: Annotated[
        str | None,  # a path would lose the slash
        typer.Argument(
            help="The result, in the format of its name; a name that ends in a slash is a folder of Parquet files. "
            "Without it, a table.",
            metavar="OUT",
        ),
    ] = None,
    model: options.ModelName = STARTER,
    tier: options.Tier = None,
    threshold: options.Threshold = None,
    force: options.Force = False,
    text_column: options.TextColumn = None,
    id_column: options.IdColumn = None,
    encoding: options.Encoding = None,
    delimiter: options.Delimiter = None,
    file_format: options.Format = None,
    workers: Annotated[
        int,
        typer.Option("--workers", "-w", help="Processes that share the cores, each with a model of its own.", min=1),
    ] = 1,
    engine: Annotated[
        str, typer.Option("--engine", help="local, or ray: Ray Data, on this machine or on a cluster.")
    ] = "local",
    ray_address: Annotated[
        str | None,
        typer.Option("--ray-address", help="A Ray cluster that runs, as host:port; else one starts here for as long."),
    ] = None,
    as_json: options.Json = False,
    models: options.Models = Path("models"),
) -> None:
    """Label every ticket of a file, and write the result.

    A run that was ended early goes on when the same command is given again: what is finished waits, 4,096 rows at a
    time, in a hidden folder beside OUT.
    """
    from tagdesk.bulk import classify as classify_file  # noqa: PLC0415 - predict does without it
    from tagdesk.bulk import open_engine  # noqa: PLC0415 - the same
    from tagdesk.cli import reading  # noqa: PLC0415 - the same
    from tagdesk.dataset import Columns  # noqa: PLC0415 - the same

    # Labels are not read: what a row is labelled already, and how well, does not matter here.
    columns = Columns(text=text_column, id=id_column, labels="", unit="", time="")
    file = reading.File(source, columns, encoding, delimiter, file_format)
    loaded = Model.load(model, models=models, tier=tier)
    policy = _policy(loaded, threshold)
    place = model if model == STARTER else find_model(model, models=models).absolute()
    labeller = open_engine(engine, loaded, place, workers=workers, address=ray_address)
    if out is None:
        read = reading.read(file)
        _refuse_long_table(source, len(read.accepted), as_json=as_json)
        _print(_predictions(loaded, [ticket.text for ticket in read.tickets], policy), as_json=as_json)
        reading.end(read)
        return
    with screen.progress() as report:
        summary = classify_file(
            loaded, file, out, policy=policy, force=force, engine=labeller, progress=report, note=screen.note
        )
    if as_json:
        screen.print_json(summary.to_dict())
    else:
        screen.note(
            f"{summary.read:,} rows read: {summary.accepted:,} labelled into {summary.out}, {summary.rejected:,} "
            f"rejected, {summary.skipped:,} blank. {summary.without_label:,} got no label."
        )
    if summary.rejects:
        screen.note(f"Why rows were rejected: {summary.rejects}")
    if summary.left_out:
        screen.note(f"Columns that the first rows lack were left out: {', '.join(summary.left_out)}.")
    if summary.rejected:
        raise typer.Exit(reading.FINISHED_WITH_REJECTS)


def evaluate(
    model: options.ModelArgument,
    file: options.TicketFile,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="A folder for the report with its pictures.")] = None,
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
    """Measure a model on labelled tickets."""
    from tagdesk.cli import reading  # noqa: PLC0415 - predict does without it
    from tagdesk.dataset import Columns  # noqa: PLC0415 - the same
    from tagdesk.measure import judge_tickets  # noqa: PLC0415 - the same
    from tagdesk.report import write_report  # noqa: PLC0415 - the same

    if out is not None:
        reading.refuse_folder(out)
    loaded = Model.load(model, models=models, tier=tier)
    columns = Columns(text=text_column, labels=labels_column, id="", unit="", time="")
    read = reading.read(reading.File(file, columns, encoding, delimiter, file_format))
    with screen.progress() as progress:
        evidence = judge_tickets(loaded, read.tickets, policy=_policy(loaded, threshold), progress=progress)
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


COMMANDS = {"predict": predict, "classify": classify, "evaluate": evaluate}


def _predictions(model: Model, texts: Sequence[str], policy: Policy | None) -> list[Prediction]:
    """A prediction for each text, with a progress bar where there are many."""
    if len(texts) <= AT_ONCE:
        return model.predict(texts, policy=policy)
    predictions: list[Prediction] = []
    with screen.progress() as report:
        for start in range(0, len(texts), AT_ONCE):
            report("tickets", start, len(texts))
            predictions += model.predict(texts[start : start + AT_ONCE], policy=policy)
    return predictions


def _print(predictions: Sequence[Prediction], *, as_json: bool) -> None:
    if as_json:
        screen.print_json([prediction.to_dict() for prediction in predictions])
    elif predictions:
        screen.out().print(screen.predictions_table(predictions))


def _refuse_long_table(source: Path, tickets: int, *, as_json: bool) -> None:
    if tickets > MOST_SHOWN and not as_json:
        raise UsageError(
            f"{source} holds {tickets:,} tickets, too many to look at. Name a file for the result: "
            f"tagdesk classify {source} OUT",
            code="too_long",
        )


def _policy(model: Model, threshold: float | None) -> Policy | None:
    return None if threshold is None else Policy.uniform(model.taxonomy.names, threshold)


def _lines() -> list[str]:
    """The lines of stdin that are not blank; raises InputError where there are none, too many, or one is no ticket."""
    if sys.stdin is not None and sys.stdin.isatty():
        screen.note("Type tickets, one on each line; end with Ctrl-D.")
    lines: list[str] = []
    number = 0
    try:
        for line in sys.stdin or ():
            number += 1
            if line.strip():
                check_text(line)
                lines.append(line.rstrip("\r\n"))
            if len(lines) > MOST_LINES:
                raise InputError(  # noqa: TRY301 - one reason among others
                    f"That is more than {MOST_LINES:,} tickets. Use `tagdesk classify IN OUT` for files.",
                    code="too_long",
                )
    except UnicodeDecodeError as error:
        raise InputError(
            f"stdin is not UTF-8 text (near line {number + 1}). Convert it, or use `tagdesk classify --encoding`.",
            code="bad_encoding",
        ) from error
    except InputError as error:
        raise InputError(f"stdin, line {number}: {error}", code=error.code) from error
    if not lines:
        raise InputError('There is no ticket. Give one: tagdesk predict "I was charged twice".', code="empty_text")
    return lines
