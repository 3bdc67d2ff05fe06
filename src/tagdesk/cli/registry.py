"""Commands about which model answers: list, promote, roll back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tagdesk.cli import options, screen
from tagdesk.cli.service import USUAL, StoreUrl, Who
from tagdesk.errors import UsageError
from tagdesk.model import STARTER, Manifest, find_model, list_models, read_manifest

if TYPE_CHECKING:
    from tagdesk.store import Promotion

MaybeStore = Annotated[
    str | None,
    typer.Option("--store", envvar="TAGDESK_STORE", help="What was decided; without it tagdesk.db, if that is here."),
]
Why = Annotated[str, typer.Option("--why", help="The reason; it is on record.")]

models = typer.Typer(help="Which models there are, and which answers.", invoke_without_command=True)


@models.callback()
def list_all(
    context: typer.Context,
    root: options.Models = Path("models"),
    store: MaybeStore = None,
    as_json: options.Json = False,
) -> None:
    """List the models, the shipped one first, then the newest; with a store also who promoted which, when and why."""
    if context.invoked_subcommand is not None:
        return
    place = store if store is not None else USUAL if Path(USUAL).exists() else None
    rows = _here(root) if place is None else _known(root, place)
    if as_json:
        screen.print_json(rows)
        return
    columns = ["id", "name or folder", "kind", "tickets", "encoder"]
    cells = [_cells(row) for row in rows]
    if place is not None:
        columns += ["answers", "promoted"]
        cells = [(*cell, "now" if row["is_live"] else "", _last(row)) for cell, row in zip(cells, rows, strict=True)]
    screen.out().print(screen.plain_table(columns, cells))


@models.command("promote")
def promote(
    model: Annotated[str, typer.Argument(help="An id that `tagdesk models` lists, or 'starter'.", metavar="ID")],
    why: Why,
    who: Who = "command line",
    store: StoreUrl = USUAL,
    root: options.Models = Path("models"),
    as_json: options.Json = False,
) -> None:
    """Let a model answer from now on.

    It is tried first, in a process of its own; services that run follow within seconds.
    """
    from tagdesk.desk import registry  # noqa: PLC0415 - listing does without it
    from tagdesk.store import Decided, Store  # noqa: PLC0415 - the same

    with Store.open(store, make=False) as opened:
        promotion = registry.promote(opened, root, model, Decided(who, datetime.now(UTC), _given(why)))
    _print(promotion, as_json=as_json)


def rollback(
    why: Why,
    who: Who = "command line",
    store: StoreUrl = USUAL,
    root: options.Models = Path("models"),
    as_json: options.Json = False,
) -> None:
    """Let the model answer that did before.

    It is tried first, in a process of its own; services that run follow within seconds.
    """
    from tagdesk.desk import registry  # noqa: PLC0415 - as above
    from tagdesk.store import Decided, Store  # noqa: PLC0415 - the same

    with Store.open(store, make=False) as opened:
        promotion = registry.roll_back(opened, root, Decided(who, datetime.now(UTC), _given(why)))
    _print(promotion, as_json=as_json)


COMMANDS = {"models": models, "rollback": rollback}


def _here(root: Path) -> list[dict[str, Any]]:
    """The models of the folder, as JSON holds them."""
    found = [read_manifest(find_model(STARTER)), *list_models(root)]
    return [_described(manifest, root, number == 0) for number, manifest in enumerate(found)]


def _known(root: Path, store: str) -> list[dict[str, Any]]:
    """The models of the folder and those that are gone, with what was decided about them."""
    from tagdesk.desk import registry  # noqa: PLC0415 - listing does without it
    from tagdesk.store import Store  # noqa: PLC0415 - the same

    with Store.open(store, make=False) as opened:
        registry.note(opened, registry.here(root), now=datetime.now(UTC))
        entries = registry.entries(opened, root)
    rows = []
    for number, entry in enumerate(entries):
        row: dict[str, Any] = {"name": None, "id": entry.id}
        if entry.manifest is not None:
            row = _described(entry.manifest, root, number == 0)
        elif entry.found is not None:
            row |= {name: entry.found.to_dict()[name] for name in ("kind", "taxonomy", "origin")}
        seen = entry.found.seen.isoformat(timespec="seconds") if entry.found else None
        row |= {"seen": seen, "is_live": entry.is_live, "promotions": [one.to_dict() for one in entry.promotions]}
        rows.append(row)
    return rows


def _described(manifest: Manifest, root: Path, is_starter: bool) -> dict[str, Any]:
    return {"name": STARTER if is_starter else str(root / manifest.id)} | manifest.to_dict()


def _cells(row: Mapping[str, Any]) -> tuple[Any, ...]:
    origin = row.get("origin", {})
    recipe = origin.get("recipe")
    encoder = str(recipe.get("encoder", "-")) if isinstance(recipe, dict) else "-"
    return row["id"], row["name"] or "gone", row.get("kind"), origin.get("tickets"), encoder


def _last(row: Mapping[str, Any]) -> str:
    """The last decision for a model, in words."""
    if not row["promotions"]:
        return ""
    last = row["promotions"][-1]
    return f"{last['time'][:10]} by {last['who']}: {last['why']}"


def _given(why: str) -> str:
    """The reason; raises UsageError where it says nothing."""
    if not why.strip():
        raise UsageError("--why is empty. Say in a few words why; whoever looks back will ask.", code="no_reason")
    return why


def _print(promotion: Promotion, *, as_json: bool) -> None:
    if as_json:
        screen.print_json(promotion.to_dict())
    else:
        typer.echo(f"{promotion.model} answers from now on (decision {promotion.number}); services follow in seconds.")
