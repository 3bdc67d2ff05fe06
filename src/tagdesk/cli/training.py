"""Makes a model from a file of labelled tickets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from tagdesk.cli import options, reading, screen
from tagdesk.dataset import Columns, File, ReadResult, RejectsWriter
from tagdesk.dataset.label_health import find_split_labels
from tagdesk.dataset.repeats import Texts, find_leak
from tagdesk.errors import InputError, UsageError
from tagdesk.launched import is_first
from tagdesk.model import Model
from tagdesk.report import report_folder, write_report
from tagdesk.scorers import Recipe, named_recipes
from tagdesk.taxonomy import Taxonomy
from tagdesk.train import FEWEST, Trained
from tagdesk.train import train as train_model


def train(
    file: options.TicketFile,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder that gets the model, as a folder of its id.")],
    recipe: Annotated[
        str, typer.Option("--recipe", "-r", help="probe, linear, transformer, bert-base or a .toml.")
    ] = "probe",
    settings: Annotated[
        list[str] | None, typer.Option("--set", "-s", help="A setting of the recipe, as in folds=8; repeatable.")
    ] = None,
    taxonomy: options.Taxonomy = None,
    validation: Annotated[
        Path | None, typer.Option("--validation", help="Tickets to calibrate on and to stop early by.")
    ] = None,
    test: Annotated[
        Path | None, typer.Option("--test", help="Tickets for the report; nothing is fitted to them.")
    ] = None,
    seed: options.RecipeSeed = None,
    text_column: options.TextColumn = None,
    labels_column: options.LabelsColumn = None,
    unit_column: options.UnitColumn = None,
    encoding: options.Encoding = None,
    delimiter: options.Delimiter = None,
    file_format: options.Format = None,
    as_json: options.Json = False,
) -> None:
    """Train a model on labelled tickets, and measure it.

    Any labels will do: those found in the file, or those of a taxonomy. `accelerate launch --multi_gpu -m tagdesk
    train ...` fine-tunes a transformer on all GPUs of the machine.
    """
    reading.refuse_folder(out)
    chosen = choose_recipe(recipe, settings or [], seed)
    labels = read_taxonomy(taxonomy) if taxonomy else None
    columns = Columns(text=text_column, labels=labels_column, unit=unit_column, time="")
    parts = [
        reading.read(File(path, columns, encoding, delimiter, file_format)) if path else _NONE
        for path in (file, validation, test)
    ]
    _warn_of_leaks(parts[0], {path: part for path, part in zip((validation, test), parts[1:], strict=True) if path})
    for problem in find_split_labels(parts[0].accepted):
        screen.note(f"warning: {problem.message}")
    with screen.progress() as report:
        trained = train_model(
            parts[0].tickets,
            chosen,
            taxonomy=labels,
            validation=parts[1].tickets,
            test=parts[2].tickets,
            checkpoint=out / f".training-{chosen.fingerprint}" if chosen.kind == "transformer" else None,
            progress=report,
        )
    if not is_first():  # of several processes one writes and tells
        return
    model = trained.model.save(out)
    folder = out / model.id
    _write_report(trained, folder, file, test)
    _keep_rejects(folder, parts[0])
    if as_json:
        screen.print_json(_answer(trained, folder))
    else:
        _print(trained, folder)
    reading.end(*parts)


COMMANDS = {"train": train}
_NONE = ReadResult((), (), (), 0)


def choose_recipe(name: str, settings: list[str], seed: int | None) -> Recipe:
    """A recipe by name or file, with the given settings; raises UsageError."""
    known = named_recipes()
    if name in known:
        chosen = known[name]
    elif name.endswith(".toml"):
        chosen = Recipe.from_toml(_text(Path(name)), name)
    else:
        raise UsageError(
            f"There is no recipe {name!r}. Use {', '.join(sorted(known))}, or a .toml file.", code="no_recipe"
        )
    changes = dict(_setting(text) for text in settings)
    if seed is not None:
        changes["seed"] = str(seed)
    return chosen.changed(changes)


def read_taxonomy(path: Path) -> Taxonomy:
    """The taxonomy in a file; raises InputError that names it."""
    try:
        return Taxonomy.from_toml(_text(path))
    except InputError as error:
        raise InputError(f"{path}: {error}", code=error.code) from error


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--set {text!r}: expected name=value, as in --set folds=8.", code="bad_setting")
    return name.strip(), value.strip()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text.", code="bad_encoding") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", code="unreadable") from error


def _write_report(trained: Trained, folder: Path, file: Path, test: Path | None) -> None:
    evidence = trained.evidence
    about = {
        "model": folder.name,
        "trained on": file.name,
        "measured on": f"{trained.report.n} tickets, {test.name if test else evidence.source}",
        "ECE before and after calibration": f"{trained.ece_raw:.3f}, {trained.report.ece or 0:.3f}",
        "Brier before and after calibration": f"{trained.brier_raw:.4f}, {trained.report.brier or 0:.4f}",
    }
    write_report(
        report_folder(folder),
        trained.report,
        evidence.targets,
        evidence.probs,
        title="What the model is worth",
        about=about,
    )


def _warn_of_leaks(train: ReadResult, others: Mapping[Path, ReadResult]) -> None:
    """Say on stderr how many tickets to learn from also stand in the files to measure on."""
    texts = Texts.of(train.accepted) if others else None
    for path, part in others.items():
        leak = find_leak(texts, Texts.of(part.accepted), str(path)) if texts else None
        if leak:
            screen.note(
                f"warning: {leak.exact:,} of the tickets to learn from also stand in {path}, {leak.near:,} nearly. "
                "Figures measured on such tickets are too good."
            )


def _keep_rejects(folder: Path, read: ReadResult) -> None:
    with RejectsWriter(folder, force=True) as rejects:
        for row in read.rejected:
            rejects.write(row)


def _answer(trained: Trained, folder: Path) -> dict[str, object]:
    return {
        "model": folder.name,
        "path": str(folder),
        "report": str(report_folder(folder) / "report.md"),
        "measured_on": trained.evidence.source,
        "knows_out_of_scope": trained.model.knows_scope,
        "ece_before_calibration": trained.ece_raw,
        "brier_before_calibration": trained.brier_raw,
        **trained.report.to_dict(),
    }


def _scope(model: Model) -> str:
    if not model.knows_scope:
        return f"needs {FEWEST} tickets without a label"
    return "learned" if math.isfinite(model.policy.out_of_scope) else "learned; refuses no ticket"


def _print(trained: Trained, folder: Path) -> None:
    screen.print_report(trained.report)
    screen.out().print(
        screen.mapping_lines(
            {
                "model": folder.name,
                "saved in": folder,
                "report": report_folder(folder) / "report.md",
                "measured on": f"{trained.report.n} tickets, {trained.evidence.source}",
                "out of scope": _scope(trained.model),
                "try it": f'tagdesk predict --model {folder} "..."',
            }
        ),
        markup=False,
    )
