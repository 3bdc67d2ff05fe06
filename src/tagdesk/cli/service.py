"""Commands about the service: serve, and its keys."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tagdesk.address import is_here
from tagdesk.cli import options, screen
from tagdesk.errors import UsageError

if TYPE_CHECKING:
    from tagdesk.store import Store

USUAL = "tagdesk.db"
StoreUrl = Annotated[
    str,
    typer.Option("--store", envvar="TAGDESK_STORE", help="A file, or postgresql://user:password@host/database."),
]
Who = Annotated[str, typer.Option("--who", envvar="TAGDESK_WHO", help="Who does this; it is on record.")]
SCOPES = ("predict", "review", "admin")

keys = typer.Typer(help="Who may ask the service for what.", no_args_is_help=True)


def serve(
    host: Annotated[
        str, typer.Option(envvar="TAGDESK_HOST", help="Others than this machine's need keys.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="TAGDESK_PORT", help="0: any that is free.", min=0, max=65535)] = 8000,
    models: Annotated[Path, typer.Option(envvar="TAGDESK_MODELS", help="The folder of models to promote.")] = Path(
        "models"
    ),
    store: StoreUrl = USUAL,
    within: Annotated[
        float, typer.Option(envvar="TAGDESK_WITHIN", help="Seconds after which an answer is worth nothing.", min=0.05)
    ] = 2.0,
    longest_wait: Annotated[
        float, typer.Option(envvar="TAGDESK_LONGEST_WAIT", help="Expected seconds in the line; beyond: 503.", min=0.01)
    ] = 1.0,
    rate: Annotated[
        float, typer.Option(envvar="TAGDESK_RATE", help="Requests a second for each key; 0: no limit.", min=0)
    ] = 0.0,
    keep_text: Annotated[
        bool, typer.Option(envvar="TAGDESK_KEEP_TEXT", help="Keep texts, personal data removed, to learn from them.")
    ] = True,
    jobs: Annotated[
        Path | None,
        typer.Option(envvar="TAGDESK_JOBS", help="The folder of bulk jobs' files; else beside the store's file."),
    ] = None,
    job_bytes: Annotated[
        int, typer.Option(envvar="TAGDESK_JOB_BYTES", help="The most bytes of a file to label.", min=1)
    ] = 1_000_000_000,
    job_days: Annotated[
        float, typer.Option(envvar="TAGDESK_JOB_DAYS", help="Days that a job's result is kept.", min=0)
    ] = 7.0,
    help_desks: Annotated[
        Path | None,
        typer.Option(envvar="TAGDESK_HELP_DESKS", help="A TOML file of help desks that send webhooks."),
    ] = None,
) -> None:
    """Answer over HTTP: predictions, reviews, promotions.

    /openapi.json describes the interface.
    """
    from tagdesk.api import ApiSettings  # noqa: PLC0415 - the other commands do without it
    from tagdesk.api.server import run  # noqa: PLC0415 - the same
    from tagdesk.connectors.sites import read_sites  # noqa: PLC0415 - the same
    from tagdesk.desk import Desk, Settings  # noqa: PLC0415 - the same
    from tagdesk.desk.jobs import JobSettings  # noqa: PLC0415 - the same
    from tagdesk.store import Store  # noqa: PLC0415 - the same

    sites = () if help_desks is None else tuple(read_sites(help_desks, os.environ))
    with Store.open(store) as opened:
        if not is_here(host) and not any(key.is_live for key in opened.keys.all()):
            raise UsageError(
                f"On {host} others can reach the service, and it has no keys. Make one first: tagdesk keys create NAME",
                code="no_keys",
            )
        settings = Settings(models=models, longest_wait=longest_wait, keeps_text=keep_text)
        desk = Desk(opened, settings)
        try:
            with suppress(KeyboardInterrupt):  # the usual end, after all who asked were answered
                bulk = JobSettings(jobs, most_bytes=job_bytes, keep_days=job_days)
                chosen = ApiSettings(within=within, rate=rate, jobs=bulk, help_desks=sites, here_only=True)
                run(desk, chosen, host=host, port=port)
        finally:
            desk.close()


@keys.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="What it is for, such as the help desk's name.")],
    scope: Annotated[
        list[str] | None, typer.Option("--scope", "-s", help=f"{', '.join(SCOPES)}; again for more.")
    ] = None,
    tenant: Annotated[str, typer.Option(help="Whose cases it sees.")] = "default",
    store: StoreUrl = USUAL,
    who: Who = "command line",
) -> None:
    """Make a key and print its secret, this once."""
    from tagdesk.api.access import hash_of, new_secret  # noqa: PLC0415 - the other commands do without it
    from tagdesk.store import Key  # noqa: PLC0415 - the same

    scopes = frozenset(scope or ["predict"])
    if strangers := sorted(scopes - set(SCOPES)):
        raise UsageError(
            f"Unknown scope {strangers[0][:40]!r}; expected some of: {', '.join(SCOPES)}.", code="bad_scope"
        )
    secret = new_secret()
    with _open(store) as opened:
        opened.keys.add(Key(name, tenant, scopes, hash_of(secret), who, datetime.now(UTC)))
    typer.echo(secret)
    typer.echo(
        "Keep it: the store knows only its hash. A service that runs without keys asks for them once restarted.",
        err=True,
    )


@keys.command("list")
def list_keys(store: StoreUrl = USUAL, as_json: options.Json = False) -> None:
    """List the keys, revoked ones too."""
    with _open(store) as opened:
        found = opened.keys.all()
    rows = [
        {
            "name": key.name,
            "tenant": key.tenant,
            "scopes": sorted(key.scopes),
            "created": key.created.isoformat(timespec="seconds"),
            "created_by": key.created_by,
            "revoked": key.revoked.isoformat(timespec="seconds") if key.revoked else None,
        }
        for key in found
    ]
    if as_json:
        screen.print_json(rows)
        return
    cells = [(row["name"], row["tenant"], ", ".join(row["scopes"]), row["created"], row["revoked"]) for row in rows]  # type: ignore[arg-type] # a list of texts
    screen.out().print(screen.plain_table(["name", "tenant", "scopes", "created", "revoked"], cells))


@keys.command("revoke")
def revoke_key(
    name: Annotated[str, typer.Argument(help="As `tagdesk keys list` shows it.")],
    store: StoreUrl = USUAL,
    who: Who = "command line",
) -> None:
    """Let a key allow nothing any more, within seconds."""
    with _open(store) as opened:
        opened.keys.revoke(name, who=who, now=datetime.now(UTC))
    typer.echo(f"{name} is revoked.")


def _open(url: str) -> Store:
    from tagdesk.store import Store  # noqa: PLC0415 - the other commands do without it

    return Store.open(url)


COMMANDS = {"serve": serve, "keys": keys}
