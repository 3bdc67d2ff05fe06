"""How the tickets that wait, and how far reviewers agree, look on a terminal and as JSON."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
from rich.text import Text

from tagdesk.cli import screen
from tagdesk.cli.service import USUAL
from tagdesk.dataset.verdicts import ACCEPT, NO_LABEL
from tagdesk.labelling import Waiting
from tagdesk.labelling.accord import Accord

LONGEST = 160  # characters of a ticket that a list shows
FEW = 30  # cases from which agreement is more than a hint


def is_json(path: Path) -> bool:
    """Whether a file is one of Label Studio's, by its name."""
    return path.suffix.lower() == ".json"


def as_dict(one: Waiting) -> dict[str, Any]:
    """A case that waits as JSON holds it."""
    said = one.case.prediction
    return {
        "case": one.case.id,
        "tenant": one.case.tenant,
        "ticket": one.case.ticket,
        "time": one.case.time.isoformat(),
        "text": said.text,
        "suggested_labels": list(one.suggested),
        "scores": {name: round(score, 6) for name, score in said.scores.items()},
        "reason": one.reason,
        "like_it": one.likes,
        "is_audit": one.is_audit,
        "probability": one.probability,
        "found": {name: sorted(labels) for name, labels in one.found.items()},
    }


def print_batch(batch: Sequence[Waiting], store: str, *, is_disputed: bool) -> None:
    """The tickets with the reasons, and what was suggested, or what reviewers found."""
    if not batch:
        typer.echo("Reviewers contradict each other nowhere." if is_disputed else "Nothing waits to be labelled.")
        return
    columns = ["ticket", "reviewers found" if is_disputed else "suggestion", "why", "case"]
    rows = []
    for one in batch:
        found = "\n".join(f"{name}: {_joined(labels)}" for name, labels in one.found.items())
        named = "\n".join(f"{name} {screen.percent(one.case.prediction.scores[name])}" for name in one.suggested)
        text = screen.safe(one.case.prediction.text, LONGEST).plain
        rows.append((text, found if is_disputed else named or "no label", one.reason, one.case.id))
    table = screen.plain_table(columns, rows)
    table.show_lines = True  # or nobody sees where a ticket ends
    screen.out().print(table)
    typer.echo(f"Label them: tagdesk review{' --contradictory' if is_disputed else ''}{_place(store)}")


def _joined(labels: frozenset[str]) -> str:
    return ", ".join(sorted(labels)) or "none"


def tell_how(batch: Sequence[Waiting], out: Path, config: Path | None, store: str) -> None:
    """What to do with a file that was written, and how what people found in it comes back."""
    console = screen.out()
    console.print(Text(screen.visible(f"{out}: {len(batch):,} tickets.")))
    if is_json(out):
        named = config or Path("labels.xml")
        verb = "is in" if config else "is what --label-studio-config writes, say into"
        console.print(Text(screen.visible(f"The labelling configuration of the project {verb} {named}.")))
        told = "Export from Label Studio as JSON, then: tagdesk review --import EXPORT.json"
    else:
        console.print(f"Fill in new_labels: labels joined by |, {NO_LABEL}, or {ACCEPT}; empty: not labelled.")
        told = f"Then: tagdesk review --import {shlex.quote(str(out))} --reviewer NAME"
    console.print(Text(screen.visible(f"{told}{_place(store)}")))


def print_accord(found: Accord, *, as_json: bool) -> None:
    """How far reviewers agree, and what waits to be settled."""
    if as_json:
        screen.print_json(found.to_dict())
        return
    console = screen.out()
    console.print(f"{found.twice:,} cases were reviewed by several people; {found.unsettled:,} wait to be settled.")
    if not found.pairs:
        console.print("No two people have looked at the same case: tagdesk review --again .2", markup=False)
        return
    rows = [(f"{pair.first}, {pair.second}", pair.cases, screen.percent(pair.same), pair.alpha) for pair in found.pairs]
    console.print(screen.plain_table(["reviewers", "cases", "same labels", "alpha"], rows))
    for pair, labels in zip(found.pairs, found.labels, strict=True):
        cells = [(one.label, one.both, one.first, one.second, one.alpha) for one in labels]
        columns = [
            "label",
            "both",
            f"only {screen.visible(pair.first)}",
            f"only {screen.visible(pair.second)}",
            "alpha",
        ]
        if cells:
            console.print(screen.plain_table(columns, cells))
    if any(pair.cases < FEW for pair in found.pairs):
        console.print(f"Alpha: 1 is full agreement, 0 chance. From fewer than {FEW} cases it is no more than a hint.")
    else:
        console.print("Alpha: 1 is full agreement, 0 chance.")
    if found.unsettled:
        console.print("Settle contradictions: tagdesk review --contradictory")


def _place(store: str) -> str:
    """The option that names the store, where it must be named; a URL may hold a password and is left out."""
    if store == USUAL:
        return ""
    return " --store ..." if "://" in store else screen.visible(f" --store {shlex.quote(store)}")
