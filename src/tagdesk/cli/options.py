"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

ModelName: TypeAlias = Annotated[
    str, typer.Option("--model", "-m", envvar="TAGDESK_MODEL", help="A model folder, an id, or 'starter'.")
]
ModelArgument: TypeAlias = Annotated[str, typer.Argument(help="A model folder, an id, or 'starter'.", metavar="MODEL")]
Models: TypeAlias = Annotated[
    Path, typer.Option("--models", envvar="TAGDESK_MODELS", help="The folder in which models are kept.")
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Tier: TypeAlias = Annotated[
    str | None,
    typer.Option("--tier", help="fast, balanced or exact, where the model has them; else its own choice."),
]
Threshold: TypeAlias = Annotated[
    float | None,
    typer.Option("--threshold", "-t", help="One threshold for all labels, 0 to 1, in place of the model's policy."),
]
Force: TypeAlias = Annotated[bool, typer.Option("--force", "-f", help="Overwrite what is there.")]
Seed: TypeAlias = Annotated[int, typer.Option("--seed", help="The same seed gives the same result.", min=0)]
TicketFile: TypeAlias = Annotated[Path, typer.Argument(help="Tickets: CSV, TSV, JSONL or Parquet.", metavar="FILE")]
TextColumn: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--text-column", help="The column of the text, or Title+Message for two; else text, or subject and body."
    ),
]
LabelsColumn: TypeAlias = Annotated[
    str | None, typer.Option("--labels-column", help="The column that holds the labels; else labels, or categories.")
]
UnitColumn: TypeAlias = Annotated[
    str | None, typer.Option("--unit-column", help="The column that names the customer; else unit.")
]
TimeColumn: TypeAlias = Annotated[
    str | None, typer.Option("--time-column", help="The column that holds the time; else time.")
]
IdColumn: TypeAlias = Annotated[str | None, typer.Option("--id-column", help="The column that holds the id; else id.")]
Taxonomy: TypeAlias = Annotated[
    Path | None, typer.Option("--taxonomy", help="A taxonomy.toml; else the labels found in the file.")
]
RecipeSeed: TypeAlias = Annotated[int | None, typer.Option("--seed", help="Overrides the recipe's seed.", min=0)]
Encoding: TypeAlias = Annotated[
    str | None, typer.Option("--encoding", help="How the file is encoded, such as cp1252; else UTF-8 or by its mark.")
]
Delimiter: TypeAlias = Annotated[
    str | None, typer.Option("--delimiter", help="What parts the columns; else by the file's name.")
]
Format: TypeAlias = Annotated[
    str | None, typer.Option("--format", help="csv, tsv, jsonl or parquet; else by the file's name.")
]
