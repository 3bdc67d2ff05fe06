"""The commands of `tagdesk`, gathered; each module holds those of one job."""

from __future__ import annotations

from typing import Annotated

import typer

from tagdesk.cli import data, models, serving, training

app = typer.Typer(
    name="tagdesk",
    help="Reads support tickets and gives each the categories that it deserves.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    """Reads support tickets and gives each the categories that it deserves.

    Any command takes --debug, which prints where an error came from.
    """
    if version:
        from importlib.metadata import version as installed  # noqa: PLC0415 - only here

        typer.echo(f"tagdesk {installed('tagdesk')}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


for module in (serving, training, data, models):
    for command in module.COMMANDS:
        app.command()(command)
app.command(name="export")(models.export_model)
app.command(name="split")(data.split_file)
