"""Commands about what the service remembers: check, back up, export, forget."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tagdesk.cli import options, screen
from tagdesk.cli.service import USUAL, StoreUrl, Who
from tagdesk.errors import Refused, UsageError

if TYPE_CHECKING:
    from tagdesk.store import Erasure, Store

Tenant = Annotated[str, typer.Option("--tenant", help="Whose it is.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Delete without asking.")]

store = typer.Typer(help="Look after what the service remembers.", no_args_is_help=True)


class What(StrEnum):
    """What of a store is written out."""

    REVIEWS = "reviews"
    CASES = "cases"


@store.command("check")
def check(place: StoreUrl = USUAL, as_json: options.Json = False) -> None:
    """Say whether it is sound, and of which version."""
    from tagdesk.store import Store  # noqa: PLC0415 - the other commands do without it

    found = Store.inspect(place)
    words = {
        "current": f"{found.version}, as this tagdesk expects",
        "older": f"{found.version}; whatever opens it next brings it to {found.expected}",
        "newer": f"{found.version}, of a newer tagdesk; this one knows up to {found.expected}",
    }
    if as_json:
        screen.print_json(found.to_dict())
    else:
        facts = {"version": words[found.state], "integrity": "sound" if not found.problems else "damaged"}
        screen.out().print(screen.mapping_lines(facts), markup=False)
    if found.problems:
        raise Refused(
            f"The store is damaged: {found.problems[0]} {len(found.problems)} in all. Restore a backup.",
            code="damaged",
        )
    if not found.is_sound:
        raise Refused("The store is of a newer tagdesk. Use the version that wrote it, or a later one.", code="newer")


@store.command("backup")
def backup(
    file: Annotated[Path, typer.Argument(help="The copy, which is a store itself.", metavar="FILE")],
    place: StoreUrl = USUAL,
    force: options.Force = False,
    as_json: options.Json = False,
) -> None:
    """Copy it into one file while services go on."""
    with _open(place) as opened:
        opened.backup(file, force=force)
    size = file.stat().st_size
    if as_json:
        screen.print_json({"file": str(file), "bytes": size})
    else:
        typer.echo(f"{screen.visible(str(file))}: {size:,} bytes.")


@store.command("export")
def export(
    out: Annotated[Path, typer.Argument(help="The file; reviews in the format of its name.", metavar="OUT")],
    what: Annotated[
        What,
        typer.Option(help="reviews: tickets with the labels that people gave, to learn from; cases: all, as JSONL."),
    ] = What.REVIEWS,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only theirs; else everybody's.")] = None,
    place: StoreUrl = USUAL,
    force: options.Force = False,
    as_json: options.Json = False,
) -> None:
    """Write reviews as training data, or cases as JSONL."""
    from tagdesk.dataset import write_tickets  # noqa: PLC0415 - the other commands do without it
    from tagdesk.store import Selection  # noqa: PLC0415 - the same

    which = Selection(tenant)
    with _open(place) as opened:
        if what is What.CASES:
            written = opened.write_export(out, which, force=force)
        else:
            tickets = list(opened.reviews.training_tickets(which))
            write_tickets(out, tickets, force=force)
            written = len(tickets)
    if as_json:
        screen.print_json({"file": str(out), "what": what.value, "written": written})
    else:
        noun = "tickets" if what is What.REVIEWS else "lines"
        typer.echo(f"{screen.visible(str(out))}: {written:,} {noun}.")


@store.command("retain")
def retain(
    days: Annotated[int, typer.Option("--days", help="What is older is forgotten.", min=0, max=36_500)],
    place: StoreUrl = USUAL,
    who: Who = "command line",
    yes: Yes = False,
    as_json: options.Json = False,
) -> None:
    """Forget what was written some days ago.

    Texts, tickets, customers and remarks go, of all tenants; labels, scores and reviews stay for the figures.
    """
    with _open(place) as opened:
        _ask(f"Forget the texts of all cases that are older than {days:,} days", yes=yes)
        found = opened.retain(days, who=who, now=datetime.now(UTC))
    _print(found, "forgotten", as_json=as_json)


@store.command("erase")
def erase(
    customer: Annotated[str | None, typer.Option("--customer", help="All cases of a customer.")] = None,
    ticket: Annotated[str | None, typer.Option("--ticket", help="All cases of a ticket of the help desk.")] = None,
    case: Annotated[str | None, typer.Option("--case", help="One case.")] = None,
    tenant: Tenant = "default",
    place: StoreUrl = USUAL,
    who: Who = "command line",
    yes: Yes = False,
    as_json: options.Json = False,
) -> None:
    """Delete the cases of a customer or ticket, or one case.

    All that derives from it goes too: reviews, and answers that were kept.
    """
    from tagdesk.store import Selection  # noqa: PLC0415 - the other commands do without it

    if sum(value is not None for value in (customer, ticket, case)) != 1:
        raise UsageError("Name exactly one of --customer, --ticket and --case.", code="bad_erasure")
    which = Selection(tenant, unit=customer, ticket=ticket, case=case)
    with _open(place) as opened:
        number = sum(day.cases for day in opened.counts(which))
        cases = "1 case" if number == 1 else f"{number:,} cases"
        _ask(f"Delete {cases} of tenant {tenant} for good", yes=yes)
        found = opened.erase(which, who=who, now=datetime.now(UTC))
    _print(found, "deleted", as_json=as_json)


COMMANDS = {"store": store}


def _open(place: str) -> Store:
    from tagdesk.store import Store  # noqa: PLC0415 - the other commands do without it

    return Store.open(place, make=False)


def _ask(question: str, *, yes: bool) -> None:
    """Go on where somebody says so; raises UsageError where nobody can be asked."""
    if yes:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(f"{question}? Say so with --yes.", code="not_confirmed")
    typer.confirm(f"{screen.visible(question)}?", abort=True, err=True)


def _print(found: Erasure | None, verb: str, *, as_json: bool) -> None:
    if as_json:
        screen.print_json(None if found is None else found.to_dict())
    elif found is None:
        typer.echo("Nothing was that old.")
    else:
        typer.echo(f"{found.cases:,} cases, {found.reviews:,} reviews and {found.answers:,} answers {verb}.")
