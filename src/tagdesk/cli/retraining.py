"""The command that learns from what people corrected: retrain."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from tagdesk.cli import options, reading, screen
from tagdesk.cli.comparing import figures_table
from tagdesk.cli.service import USUAL, StoreUrl, Who
from tagdesk.cli.training import choose_recipe
from tagdesk.dataset import Columns, File
from tagdesk.errors import Refused, UsageError
from tagdesk.model import STARTER, Model
from tagdesk.retrain import MARGIN, Lessons, Retrained, lessons_of
from tagdesk.retrain import retrain as retrain_model


def retrain(
    base: options.TicketFile,
    store: StoreUrl = USUAL,
    golden: Annotated[
        Path | None,
        typer.Option(
            "--golden", help="Labelled tickets that decide; else a fifth of FILE, which then teaches nothing."
        ),
    ] = None,
    recipe: Annotated[
        str, typer.Option("--recipe", "-r", help="probe, linear, transformer, bert-base or a .toml.")
    ] = "probe",
    settings: Annotated[
        list[str] | None, typer.Option("--set", "-s", help="A setting of the recipe, as in folds=8; repeatable.")
    ] = None,
    margin: Annotated[
        float,
        typer.Option("--margin", help="What the candidate may lose of macro F1 and exact match: 0.01 is a point."),
    ] = MARGIN,
    trust: Annotated[
        list[str] | None,
        typer.Option("--trust", help="A reviewer whose corrections are never held back; repeatable.", metavar="NAME"),
    ] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only their reviews; else everybody's.")] = None,
    promote: Annotated[bool, typer.Option("--promote", help="Let the candidate answer if it may.")] = False,
    who: Who = "command line",
    root: options.Models = Path("models"),
    seed: options.RecipeSeed = None,
    text_column: options.TextColumn = None,
    labels_column: options.LabelsColumn = None,
    unit_column: options.UnitColumn = None,
    encoding: options.Encoding = None,
    delimiter: options.Delimiter = None,
    file_format: options.Format = None,
    as_json: options.Json = False,
) -> None:
    """Learn from what people corrected; say if it may answer.

    A candidate is trained on FILE and on the reviews, and held against the model that answers now. A sudden mass of
    equal corrections by one person does not teach until somebody else confirms it.
    """
    from tagdesk.desk import registry  # noqa: PLC0415 - the help of all commands does without it
    from tagdesk.store import Decided, Selection, Store  # noqa: PLC0415 - the same

    if not 0 < margin < 1:
        raise UsageError(f"--margin {margin:g}: expected a share between 0 and 1, as in 0.01.", code="bad_margin")
    reading.refuse_folder(root)
    chosen = choose_recipe(recipe, settings or [], seed)
    decided = Decided(who, datetime.now(UTC), "retrained")  # what is wrong with the name is told before the training
    columns = Columns(text=text_column, labels=labels_column, unit=unit_column, time="")
    files = [File(path, columns, encoding, delimiter, file_format) for path in (base, golden) if path is not None]
    parts = [reading.read(file) for file in files]
    with Store.open(store, make=False) as opened, screen.progress() as progress:
        current = opened.promotions.current()
        live = Model.load(STARTER if current is None else registry.named(current.model), models=root)
        taught = lessons_of(opened.reviews.reviewed(Selection(tenant)))
        _note_strangers(trust or [], taught)
        found = retrain_model(
            parts[0].tickets,
            taught,
            live,
            chosen,
            golden=parts[1].tickets if golden else None,
            margin=margin,
            trusted=frozenset(trust or ()),
            progress=progress,
        )
        candidate = found.trained.model.save(root)
        is_promoted = promote and found.is_fit and candidate.id != live.id
        if is_promoted:
            why, figures = f"retrained: {found.verdicts[0].sentence}", [one.to_dict() for one in found.verdicts]
            decided = replace(decided, time=datetime.now(UTC), why=why, verdict=figures)
            registry.promote(opened, root, candidate.id, decided, expected=current.number if current else 0)
    if as_json:
        screen.print_json(_answer(candidate, live, taught, found, is_promoted=is_promoted))
    else:
        _print(candidate, live, taught, found, is_promoted=is_promoted)
    if promote and not found.is_fit:
        raise Refused(f"{candidate.id} was not promoted: {'; '.join(found.against)}.", code="worse")
    reading.end(*parts)


COMMANDS = {"retrain": retrain}


def _note_strangers(trusted: list[str], taught: Lessons) -> None:
    known = {name for lesson in taught.lessons for name in lesson.reviewers}
    for name in dict.fromkeys(trusted):
        if name not in known:
            screen.note(f"warning: --trust {name!r}: no review that counts is theirs.")


def _answer(candidate: Model, live: Model, taught: Lessons, found: Retrained, *, is_promoted: bool) -> dict[str, Any]:
    return {
        "candidate": candidate.id,
        "current": live.id,
        "learned_from": found.learned,
        "taught": found.taught,
        "reviewed": len(taught.lessons),
        "waiting": len(found.vetted.waiting),
        "contradictory": taught.contradictory,
        "without_text": taught.without_text,
        "held_back": [{"case": taught.lessons[place].case, "why": why} for place, why in found.vetted.waiting.items()],
        "masses": [mass.sentence for mass in found.vetted.masses],
        "golden": found.golden,
        "verdicts": [one.to_dict() for one in found.verdicts],
        "worse_labels": [one.label for one in found.labels],
        "against": list(found.against),
        "is_fit": found.is_fit,
        "is_promoted": is_promoted,
    }


def _print(candidate: Model, live: Model, taught: Lessons, found: Retrained, *, is_promoted: bool) -> None:
    console = screen.out()
    console.print(
        f"Learned from {found.learned:,} tickets, among them {found.taught:,} of {len(taught.lessons):,} reviewed "
        "ones.",
        markup=False,
    )
    for mass in found.vetted.masses:
        console.print(Text(screen.visible(f"Held back until somebody else confirms it: {mass.sentence}.")))
    for reason, count in Counter(found.vetted.waiting.values()).most_common():
        console.print(Text(screen.visible(f"  {count:,} waiting: {reason}")))
    left_out = {
        "near golden tickets": len(found.vetted.kept) - found.taught,
        "on which reviewers contradict each other": taught.contradictory,
        "whose text is no longer kept": taught.without_text,
    }
    if any(left_out.values()):
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in left_out.items() if count)
        console.print(f"Teach nothing: {reasons}.", markup=False)
    console.print(f"On {found.golden:,} golden tickets, {candidate.id} against {live.id}:", markup=False)
    console.print(figures_table([one.difference for one in found.verdicts]))
    for one in found.verdicts:
        console.print(Text(screen.visible(one.sentence)))
    if not found.is_fit:
        console.print(Text(screen.visible(f"It must not answer: {'; '.join(found.against)}.")))
    elif candidate.id == live.id:
        console.print("It is the model that answers already.", markup=False)
    elif is_promoted:
        console.print("It answers from now on; services follow in seconds.", markup=False)
    else:
        console.print(f"It may answer: tagdesk models promote {candidate.id} --why ...", markup=False)
