"""Commands about what people label: queue, review."""

from __future__ import annotations

import dataclasses
import getpass
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tagdesk.cli import options, screen
from tagdesk.cli.reading import FINISHED_WITH_REJECTS
from tagdesk.cli.service import USUAL, StoreUrl
from tagdesk.errors import InputError, UsageError

if TYPE_CHECKING:
    from tagdesk.cli.reviewing import Asked
    from tagdesk.labelling import Waiting
    from tagdesk.labelling.importing import Plan
    from tagdesk.labelling.session import Tally
    from tagdesk.model import Model
    from tagdesk.store import Store

LONGEST_NAME = 200  # characters of a reviewer
MOST_PROBLEMS = 5  # rows that are named
MOST_SHOWN = 1_000  # cases in a list

Count = Annotated[int, typer.Option("--count", "-n", help="How many tickets.", min=1, max=MOST_SHOWN)]
Strategy = Annotated[
    str | None,
    typer.Option("--strategy", help="What makes a ticket doubtful: margin, max_entropy, cvirs, ...; else mix."),
]
Tenant = Annotated[str | None, typer.Option("--tenant", help="Only theirs; else everybody's.")]
Contradictory = Annotated[
    bool, typer.Option("--contradictory", help="Tickets on which reviewers contradict each other, to be settled.")
]


def queue(
    store: StoreUrl = USUAL,
    count: Count = 20,
    strategy: Strategy = None,
    tenant: Tenant = None,
    contradictory: Contradictory = False,
    agreement: Annotated[bool, typer.Option("--agreement", help="How far reviewers agree, label by label.")] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="A table to fill in (.csv, .tsv), or tasks for Label Studio (.json)."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--label-studio-config", help="Write the labelling configuration for Label Studio here."),
    ] = None,
    root: options.Models = Path("models"),
    seed: options.Seed = 0,
    force: options.Force = False,
    as_json: options.Json = False,
) -> None:
    """Say which tickets people should look at next, and why.

    Most of them are those on which the model is in doubt, one in five is drawn at random. --out writes them for
    people who label elsewhere; `tagdesk review --import` reads what they found.
    """
    if (agreement or contradictory) and (out or config):
        raise UsageError(
            "--out and --label-studio-config are for tickets that nobody has labelled. Settle contradictions with "
            "`tagdesk review --contradictory`.",
            code="bad_queue",
        )
    from tagdesk.cli import queued  # noqa: PLC0415 - the other commands do without it
    from tagdesk.labelling import disputed, waiting  # noqa: PLC0415 - the same
    from tagdesk.labelling.accord import accord  # noqa: PLC0415 - the same
    from tagdesk.rank import DEFAULT  # noqa: PLC0415 - the same

    _refuse_places(out, config, force=force)
    with _open(store) as opened:
        if agreement:
            queued.print_accord(accord(opened, tenant=tenant), as_json=as_json)
            return
        if contradictory:
            batch = disputed(opened, count, tenant=tenant)
        else:
            model = _live(opened, root)
            with screen.progress() as report:
                batch = waiting(
                    opened, model, count, tenant=tenant, strategy=strategy or DEFAULT, seed=seed, progress=report
                )
            _write(opened, model, batch, out, config, force=force)
    if as_json:
        screen.print_json([queued.as_dict(one) for one in batch])
    elif out is None:
        queued.print_batch(batch, store, is_disputed=contradictory)
    else:
        queued.tell_how(batch, out, config, store)


def review(
    store: StoreUrl = USUAL,
    reviewer: Annotated[
        str | None, typer.Option("--reviewer", envvar="TAGDESK_REVIEWER", help="Who labels; else the login name.")
    ] = None,
    count: Count = 50,
    strategy: Strategy = None,
    tenant: Tenant = None,
    contradictory: Contradictory = False,
    again: Annotated[
        float,
        typer.Option(
            "--again", help="Share of tickets that somebody else has labelled, to measure agreement.", min=0, max=1
        ),
    ] = 0.0,
    file: Annotated[
        Path | None,
        typer.Option(
            "--import", help="Take reviews from a filled-in table, or from an export of Label Studio (.json)."
        ),
    ] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Import the rest where some rows are bad.")] = False,
    root: options.Models = Path("models"),
    seed: Annotated[
        int | None, typer.Option("--seed", help="The same seed chooses the same tickets; else chance.", min=0)
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Label tickets in the terminal, one key for a label.

    Each is on the disk once Enter is pressed; stop whenever you like and go on another time. --import takes reviews
    from files instead.
    """
    if file is None:
        _refuse_no_terminal()
        if contradictory and again:
            raise UsageError("--contradictory and --again do not go together. Choose one.", code="bad_queue")
        from tagdesk.cli.reviewing import Asked  # noqa: PLC0415 - the other commands do without it

        asked = Asked(_name(reviewer), count, strategy, tenant, contradictory, again, seed)
        _review_here(store, root, asked, as_json=as_json)
    else:
        _import(store, file, reviewer, tenant, root, skip_bad=skip_bad, as_json=as_json)


COMMANDS = {"queue": queue, "review": review}


def _open(place: str) -> Store:
    from tagdesk.store import Store  # noqa: PLC0415 - the other commands do without it

    return Store.open(place, make=False)


def _live(store: Store, root: Path) -> Model:
    """The model that answers."""
    from tagdesk.desk import registry  # noqa: PLC0415 - the other commands do without it
    from tagdesk.model import STARTER, Model  # noqa: PLC0415 - the same

    current = store.promotions.current()
    return Model.load(STARTER if current is None else registry.named(current.model), models=root)


def _name(given: str | None) -> str:
    """Who labels; raises UsageError where nobody says so."""
    try:
        name = (getpass.getuser() if given is None else given).strip()
    except (KeyError, OSError):
        name = ""
    if not name or len(name) > LONGEST_NAME:
        raise UsageError(
            f"Who labels? Say so with --reviewer NAME, in 1 to {LONGEST_NAME} characters.", code="no_reviewer"
        )
    return name


def _refuse_no_terminal() -> None:
    """Raise UsageError where nobody can press a key."""
    if not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout)):
        raise UsageError(
            "This is no terminal, so no key can be pressed. Write a table to fill in: tagdesk queue --out tickets.csv",
            code="no_terminal",
        )


def _refuse_places(out: Path | None, config: Path | None, *, force: bool) -> None:
    """Raise, before any work is done, for files that cannot be written."""
    from tagdesk.cli import reading  # noqa: PLC0415 - the other commands do without it
    from tagdesk.dataset.draft import refuse_target  # noqa: PLC0415 - the same
    from tagdesk.dataset.kinds import output_kind  # noqa: PLC0415 - the same

    if out is not None and out.suffix.lower() != ".json":
        output_kind(out)

    for path in (out, config):
        if path is not None:
            reading.refuse_folder(path.parent)
            refuse_target(path, force=force)


def _write(
    store: Store, model: Model, batch: list[Waiting], out: Path | None, config: Path | None, *, force: bool
) -> None:
    from tagdesk.labelling import label_studio, note_picks  # noqa: PLC0415 - the other commands do without it
    from tagdesk.labelling.table import write_table  # noqa: PLC0415 - the same

    if config is not None:
        label_studio.write_configuration(config, model.taxonomy, force=force)
    if out is not None:
        (label_studio.write_tasks if out.suffix.lower() == ".json" else write_table)(out, batch, force=force)
        note_picks(store, batch, datetime.now(UTC))


def _review_here(store: str, root: Path, asked: Asked, *, as_json: bool) -> None:
    from tagdesk.cli.reviewing import batch_for, label_here  # noqa: PLC0415 - the other commands do without it

    with _open(store) as opened:
        model = _live(opened, root)
        with screen.progress() as report:
            batch = batch_for(opened, model, asked, progress=report)
        tally = label_here(opened, model.taxonomy, batch, asked.reviewer) if batch else None
    if as_json:
        screen.print_json(None if tally is None else dataclasses.asdict(tally))
    elif tally is None:
        typer.echo(_nothing(asked))
    else:
        _tell(tally, asked)


def _nothing(asked: Asked) -> str:
    if asked.is_contradictory:
        return "Reviewers contradict each other nowhere."
    return "Nothing waits to be labelled: every case whose text is kept has a review."


def _tell(tally: Tally, asked: Asked) -> None:
    """How many were labelled, how often the suggestion was right, and what next."""
    typer.echo(f"{_tickets(tally.labelled)} labelled by {screen.visible(asked.reviewer)}.")
    if tally.labelled and not asked.is_contradictory:
        share = screen.percent(tally.as_suggested / tally.labelled)
        typer.echo(f"The suggestion was exactly right for {tally.as_suggested:,} of them ({share}).")
    if tally.checks:
        typer.echo(
            f"Of the {tally.checks:,} that were drawn at random, which speak for all tickets, it was right for "
            f"{tally.checks_as_suggested:,}."
        )
    for number, what in (
        (tally.skipped, "skipped"),
        (tally.by_others, "labelled by others meanwhile"),
        (tally.gone, "erased meanwhile"),
    ):
        if number:
            typer.echo(f"{_tickets(number)} {what}.")
    if tally.labelled:
        typer.echo("Let a model learn from it: tagdesk retrain TICKETS.csv")


def _tickets(number: int) -> str:
    return "1 ticket" if number == 1 else f"{number:,} tickets"


def _import(
    store: str, file: Path, reviewer: str | None, tenant: str | None, root: Path, *, skip_bad: bool, as_json: bool
) -> None:
    from tagdesk.labelling.importing import carry_out, plan, read_file  # noqa: PLC0415 - the other commands do without
    from tagdesk.store import Receipt  # noqa: PLC0415 - the same

    who = None if reviewer is None else _name(reviewer)
    with _open(store) as opened:
        known = _live(opened, root).taxonomy.names
        handed = read_file(file, known)
        planned = plan(opened, handed, known, reviewer=who, tenant=tenant, now=datetime.now(UTC))
        if planned.problems and not skip_bad:
            raise InputError(_refusal(file, planned), code=planned.problems[0].code)
        receipts = carry_out(opened, planned)
    added = receipts[Receipt.ADDED]
    repeated = planned.repeated + receipts[Receipt.REPEATED]
    lost = len(planned.problems) + receipts[Receipt.UNKNOWN_CASE] + receipts[Receipt.KEY_REUSED]
    if as_json:
        counts = {"added": added, "repeated": repeated, "outdated": planned.outdated, "blank": planned.blank}
        problems = [{"where": one.where, "code": one.code, "detail": one.detail} for one in planned.problems]
        screen.print_json({"file": str(file), **counts, "left_out": lost, "problems": problems})
    else:
        typer.echo(
            f"{added:,} reviews added; {repeated:,} were there already, {planned.outdated:,} are older than what is, "
            f"{planned.blank:,} not labelled."
        )
        for problem in planned.problems:
            screen.note(f"Left out: {problem.sentence}")
    if lost:
        raise typer.Exit(FINISHED_WITH_REJECTS)


def _refusal(file: Path, planned: Plan) -> str:
    told = " ".join(problem.sentence for problem in planned.problems[:MOST_PROBLEMS])
    number = len(planned.problems)
    more = f" And {number - MOST_PROBLEMS:,} more." if number > MOST_PROBLEMS else ""
    rows = "1 row is bad" if number == 1 else f"{number:,} rows are bad"
    return f"{file}: {rows}, so nothing was imported. {told}{more} Mend them, or import the rest with --skip-bad."
