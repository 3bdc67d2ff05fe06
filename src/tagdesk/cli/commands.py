"""The commands of `tagdesk`, gathered from the modules that hold them."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated

import typer

# command -> the module of this package that holds it, and examples for its help
_HOMES: dict[str, tuple[str, tuple[str, ...]]] = {
    "predict": (
        "serving",
        (
            'tagdesk predict "I was charged twice, please refund one"',
            "tagdesk predict --json < messages.txt",
            'tagdesk predict --model models/0123456789ab "Where is my parcel?"',
        ),
    ),
    "classify": (
        "serving",
        (
            "tagdesk classify tickets.csv labelled.csv",
            "tagdesk classify export.csv labelled.jsonl --text-column message --encoding cp1252",
            "tagdesk classify tickets/ labelled/ --workers 8",
            "tagdesk classify tickets.csv",
        ),
    ),
    "train": (
        "training",
        (
            "tagdesk train tickets.csv --out models",
            "tagdesk train train.csv --out models --test test.csv --set folds=8",
            "tagdesk train tickets.jsonl --out models --recipe bert-base --set epochs=5",
        ),
    ),
    "evaluate": (
        "serving",
        ("tagdesk evaluate starter tickets.csv", "tagdesk evaluate models/0123456789ab test.csv --out report"),
    ),
    "compare": (
        "comparing",
        (
            "tagdesk compare starter models/0123456789ab test.csv",
            "tagdesk compare starter models/0123456789ab test.csv --figure f1_macro --margin 0.01 --out comparison",
        ),
    ),
    "queue": (
        "labelling",
        ("tagdesk queue", "tagdesk queue -n 100 --out to-label.csv", "tagdesk queue --contradictory"),
    ),
    "review": (
        "labelling",
        ("tagdesk review --reviewer ada", "tagdesk review --import to-label.csv --reviewer ada"),
    ),
    "drift": (
        "drifting",
        ("tagdesk drift march.csv april.csv", "tagdesk drift march.csv april.csv --out drift --fail"),
    ),
    "tune": (
        "tuning",
        ("tagdesk tune tickets.csv --minutes 15", "tagdesk tune tickets.csv --recipes linear,probe --trials 60 --yes"),
    ),
    "retrain": (
        "retraining",
        (
            "tagdesk retrain tickets.csv --store tagdesk.db",
            "tagdesk retrain tickets.csv --golden golden.csv --promote --who ada",
        ),
    ),
    "check": ("data", ("tagdesk check tickets.csv", "tagdesk check train.csv test.csv --taxonomy taxonomy.toml")),
    "audit": (
        "auditing",
        ("tagdesk audit tickets.csv", "tagdesk audit tickets.csv --apply tickets.audit.csv --out corrected.csv"),
    ),
    "split": (
        "data",
        (
            "tagdesk split tickets.csv --out parts",
            "tagdesk split tickets.csv --out parts --part train=.7 --part validation=.1 --part test=.2",
            "tagdesk split tickets.csv --out parts --by unit --unit-column customer",
        ),
    ),
    "generate": (
        "generating",
        (
            "tagdesk generate made-up.csv -n 1000 --seed 7",
            "tagdesk generate made-up.jsonl --phrases phrases.toml --taxonomy taxonomy.toml",
            (
                "tagdesk generate made-up.csv -n 200 --provider openai-compatible "
                "--base-url http://localhost:11434/v1 --model llama3.1 --budget-tokens 100000"
            ),
        ),
    ),
    "export": (
        "models",
        (
            "tagdesk export models/0123456789ab --out models",
            "tagdesk export models/0123456789ab --precision fp32 --check tickets.csv",
        ),
    ),
    "distil": (
        "models",
        (
            "tagdesk distil starter tickets.csv --out models",
            "tagdesk distil models/0123456789ab tickets.jsonl --spliced 50000",
        ),
    ),
    "card": ("models", ("tagdesk card starter", "tagdesk card models/0123456789ab > CARD.md")),
    "rollback": ("registry", ('tagdesk rollback --who ada --why "worse on invoices"',)),
    "serve": (
        "service",
        (
            "tagdesk serve",
            "tagdesk serve --host 0.0.0.0 --port 8000 --store postgresql://tagdesk:secret@db/tagdesk",
        ),
    ),
    "experiment": (
        "experimenting",
        (
            "tagdesk experiment create warmer --variant current=starter --variant warmer=0123456789ab",
            'tagdesk experiment start warmer --why "half of the customers for a month"',
            "tagdesk experiment status warmer --out report",
        ),
    ),
    "models": (
        "registry",
        (
            "tagdesk models",
            "tagdesk models --models elsewhere --json",
            'tagdesk models promote 0123456789ab --who ada --why "better on our tickets"',
        ),
    ),
    "keys": (
        "service",
        (
            "tagdesk keys create helpdesk --scope predict --scope review",
            "tagdesk keys list",
            "tagdesk keys revoke helpdesk",
        ),
    ),
    "store": (
        "store",
        (
            "tagdesk store check",
            "tagdesk store backup tagdesk-monday.db",
            "tagdesk store export corrected.jsonl",
            "tagdesk store erase --customer c-1234 --who ada",
            "tagdesk store retain --days 90 --yes",
        ),
    ),
}


def app_for(arguments: list[str]) -> typer.Typer:
    """The command line; where a known command is asked for it holds that one alone, so that no other is imported."""
    app = typer.Typer(
        name="tagdesk",
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        callback=root,
        invoke_without_command=True,
    )
    asked = next((word for word in arguments if not word.startswith("-")), None)
    for name in [asked] if asked in _HOMES else _HOMES:
        home, examples = _HOMES[name]
        command = import_module(f"tagdesk.cli.{home}").COMMANDS[name]
        # \b keeps the lines of a paragraph apart.
        epilog = "\n".join(("\b", "Examples:", *(f"  {line}" for line in examples)))
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name, epilog=epilog)
        else:
            app.command(name=name, epilog=epilog)(command)
    return app


def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Reads support tickets and gives each the categories that it deserves.

    Any command takes --debug, which prints where an error came from.
    """
    if version:
        from importlib.metadata import version as installed  # noqa: PLC0415 - only here

        typer.echo(f"tagdesk {installed('tagdesk')}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())
