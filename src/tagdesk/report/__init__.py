"""A report on disk: words, figures, pictures beside each other."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from tagdesk.arrays import Probs, Targets
from tagdesk.errors import UsageError
from tagdesk.evaluate import Report
from tagdesk.report.markdown import PICTURES, markdown, overall_rows, summary

__all__ = ["overall_rows", "report_folder", "summary", "write_files", "write_report"]


def report_folder(model: Path) -> Path:
    """Where the report of a model folder stands: beside it, since nothing may be added to the folder itself.

    >>> report_folder(Path("models/0123456789ab")).name
    '0123456789ab.report'
    """
    return model.with_name(f"{model.name}.report")


def write_report(
    folder: Path, report: Report, targets: Targets, probs: Probs, *, title: str, about: Mapping[str, str]
) -> list[Path]:
    """Write `report.md`, `report.json` and the pictures for which there is something to show.

    A file is replaced as a whole or not at all; pictures of an earlier report that have no successor are removed.

    Args:
        folder: made where it does not exist.
        report: what `evaluate` said.
        targets: (labelled tickets, labels), what it was told; tickets that nobody labelled are left out.
        probs: (labelled tickets, labels).
        title: heads the words.
        about: what was measured on what, such as the model's id and the file's name.

    Returns:
        The files that were written, the words first.

    Raises:
        UsageError: if the folder cannot be written.
    """
    from tagdesk.report import canvas, plots  # noqa: PLC0415 - matplotlib is slow to import

    if not targets.shape == probs.shape == (report.n_labelled, len(report.names)):
        raise ValueError(
            f"targets {targets.shape} and probs {probs.shape}: expected ({report.n_labelled}, {len(report.names)}), "
            "the labelled tickets of the report."
        )
    pictures = {name: canvas.png(figure) for name, figure in plots.plots(report, targets, probs).items()}
    data = {"title": title, "about": dict(about), **report.to_dict()}
    contents = {
        "report.md": _encoded(markdown(report, title, about, list(pictures))),
        "report.json": _encoded(json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"),
        **pictures,
    }
    written = write_files(folder, contents)
    for name in set(PICTURES) - set(pictures):
        (folder / name).unlink(missing_ok=True)
    return written


def write_files(folder: Path, contents: Mapping[str, bytes]) -> list[Path]:
    """Write files into a folder, which is made where it does not exist; each is replaced as a whole or not at all.

    Raises UsageError where the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            _replace(folder / name, content)
    except OSError as error:
        raise UsageError(
            f"{folder}: the report cannot be written here: {error.strerror}. Name a folder that can be written.",
            code="unwritable",
        ) from error
    return [folder / name for name in contents]


def _encoded(text: str) -> bytes:
    """UTF-8; half a surrogate pair, which has none, as the escape that JSON knows too."""
    return text.encode("utf-8", errors="backslashreplace")


def _replace(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
