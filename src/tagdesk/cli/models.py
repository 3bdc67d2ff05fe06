"""Commands about models that exist: describe, export, distil."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tagdesk.cli import options, reading, screen
from tagdesk.dataset import Columns, File
from tagdesk.errors import InputError, UsageError
from tagdesk.model import Model

LARGEST_CHECK = 5000  # texts on which an export is compared; more tell nothing new


def card(
    model: options.ModelArgument,
    as_json: options.Json = False,
    root: options.Models = Path("models"),
) -> None:
    """Print what a model is for and what it is worth."""
    from tagdesk.card import card as gather  # noqa: PLC0415 - the other commands do without it
    from tagdesk.card import markdown  # noqa: PLC0415 - the same

    facts = gather(model, models=root)
    if as_json:
        screen.print_json(facts)
    else:
        typer.echo(screen.visible(markdown(facts)), nl=False)


def export_model(
    model: options.ModelArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder that gets the exported model.")] = Path("models"),
    precision: Annotated[str, typer.Option("--precision", help="int8: small; fp32: exact.")] = "int8",
    file: Annotated[
        Path | None, typer.Option("--check", help="Tickets on which the export must decide like the original.")
    ] = None,
    text_column: options.TextColumn = None,
    as_json: options.Json = False,
    root: options.Models = Path("models"),
) -> None:
    """Turn a model into a graph that serves without torch.

    The graph is refused where it decides differently.
    """
    from tagdesk.export import TOLERANCES, exported  # noqa: PLC0415 - the other commands do without it

    if precision not in TOLERANCES:
        raise UsageError(f"--precision {precision}: expected {' or '.join(TOLERANCES)}.", code="bad_setting")
    reading.refuse_folder(out)
    texts = _texts(file, text_column) if file else []
    with exported(Model.load(model, models=root), precision, texts) as (graph, difference):
        saved = graph.save(out)
    if as_json:
        screen.print_json(
            {"model": saved.id, "path": str(out / saved.id), "precision": precision} | difference.to_dict()
        )
        return
    facts = {
        "model": saved.id,
        "saved in": out / saved.id,
        "size": f"{difference.megabytes} MB",
        "same labels": f"{difference.equal_sets:.2%} of {difference.texts} texts",
        "scores change by": f"{difference.mean_change:.5f} on average, {difference.largest_change:.4f} at most",
    }
    screen.out().print(screen.mapping_lines(facts), markup=False)


def distil_model(
    model: options.ModelArgument,
    file: Annotated[Path, typer.Argument(help="Tickets like those to come, thousands; labels are not needed.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder that gets the new model.")] = Path("models"),
    text_column: options.TextColumn = None,
    spliced: Annotated[
        int, typer.Option("--spliced", help="Texts to make of pieces of others, to learn from too.", min=0)
    ] = 20_000,
    epochs: Annotated[int, typer.Option("--epochs", help="How often each text is read.", min=1)] = 5,
    seed: options.Seed = 0,
    as_json: options.Json = False,
    root: options.Models = Path("models"),
) -> None:
    """Put a small graph beside a model's own, for speed.

    The model has to be a graph: see `tagdesk export`.
    """
    from tagdesk.distil import Choices, distilled  # noqa: PLC0415 - the other commands do without it

    reading.refuse_folder(out)
    texts = [ticket.text for ticket in reading.read(File(file, _text_alone(text_column))).tickets]
    choices = Choices(spliced=spliced, seed=seed, shape={"epochs": epochs})
    with (
        screen.progress() as progress,
        distilled(Model.load(model, models=root), texts, choices, progress=progress) as (
            made,
            found,
        ),
    ):
        saved = made.save(out)
    if as_json:
        screen.print_json({"model": saved.id, "path": str(out / saved.id)} | found.to_dict())
        return
    facts = {"model": saved.id, "saved in": out / saved.id, "size": f"{found.megabytes} MB"}
    facts |= {
        f"tier {name}": f"labels as in tier exact on {tier.equal_sets:.1%} of {found.texts} texts, of which the large "
        f"graph reads {tier.read_by_large:.0%}"
        for name, tier in found.tiers.items()
    }
    screen.out().print(screen.mapping_lines(facts), markup=False)


COMMANDS = {"card": card, "export": export_model, "distil": distil_model}


def _text_alone(column: str | None) -> Columns:
    return Columns(text=column, labels="", id="", unit="", time="")


def _texts(file: Path, text_column: str | None) -> list[str]:
    """The texts to compare on; raises InputError where there are none."""
    texts = [ticket.text for ticket in reading.read(File(file, _text_alone(text_column))).tickets][:LARGEST_CHECK]
    if not texts:
        raise InputError(
            f"{file} holds no ticket to compare on. Name another file, or leave out --check.", code="empty"
        )
    return texts
