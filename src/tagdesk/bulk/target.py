"""Where a result goes: a file, or a folder of Parquet files, one for each part."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tagdesk.bulk.done import Counts, Done
from tagdesk.dataset import RejectsWriter, Sheet, rejects_path
from tagdesk.dataset.draft import draft, refuse_target, sync_folder
from tagdesk.dataset.folder import is_folder
from tagdesk.dataset.kinds import output_kind
from tagdesk.errors import UsageError

_OURS = re.compile(r"part-[0-9]+\.parquet")  # what a folder may hold that is overwritten


@dataclass(frozen=True, slots=True)
class Target:
    """The place of a result, as it was named."""

    path: Path
    format: str
    is_folder: bool

    @classmethod
    def of(cls, out: str | os.PathLike[str]) -> Self:
        """A folder where there is one or the name ends in a slash, else a file in the format of its name.

        >>> Target.of("labelled/")
        Target(path=PosixPath('labelled'), format='parquet', is_folder=True)
        """
        path = Path(out)
        if os.fspath(out).endswith(os.sep) or is_folder(path):
            return cls(path, "parquet", True)
        return cls(path, output_kind(path).format, False)

    def refuse(self, source: Path, *, force: bool) -> Path:
        """The real place; raises UsageError where the result or its rejects must not be written."""
        refuse_target(rejects_path(self.path), force=force, inputs=[source])
        place = (
            Path(os.path.realpath(self.path))
            if self.is_folder
            else refuse_target(self.path, force=force, inputs=[source])
        )
        if is_folder(source) and self.format == "parquet" and _lies_in(place, source):
            raise UsageError(f"{self.path}: is also what is read. Name another place for the result.", code="same_file")
        if self.is_folder:
            self._refuse_folder(place, force=force)
        return place

    def write(self, sheet: Sheet, parts: Iterable[Done], source: Path, scratch: Path, *, force: bool) -> Counts:
        """Join the finished parts into the result, which appears whole or not at all, and give their counts.

        A folder is built at `scratch`, which lies on the same device and is nobody else's.
        """
        counts: list[Counts] = []
        with RejectsWriter(self.path, force=force, inputs=[source]) as rejects:

            def pieces() -> Iterator[bytes]:
                for part in parts:
                    counts.append(part.counts)
                    rejects.add(part.rejects)
                    yield part.rows

            if self.is_folder:
                _fill(scratch / "new", pieces())
                place = self.refuse(source, force=force)  # somebody may have written it in the meantime
                _swap(scratch / "new", place, scratch / "old")
            else:
                with draft(self.path, force=force, inputs=[source]) as handle:
                    sheet.join(pieces(), handle)
        return Counts.total(counts)

    def _refuse_folder(self, place: Path, *, force: bool) -> None:
        if not place.exists():
            return
        if not place.is_dir():
            raise UsageError(f"{self.path}: is a file. Leave out the slash, or name a folder.", code="unwritable")
        found = sorted(entry.name for entry in place.iterdir())
        strange = [name for name in found if not _OURS.fullmatch(name)]
        if strange:
            raise UsageError(
                f"{self.path}: is a folder that holds more than a result ({strange[0]}). "
                "Name a file, or a folder of its own.",
                code="unwritable",
            )
        if found and not force:
            raise UsageError(
                f"{self.path}: is there already. Name another folder, or overwrite it with --force.", code="exists"
            )


def _lies_in(place: Path, folder: Path) -> bool:
    """Whether a place is a folder, or would be read as one of its files."""
    real = Path(os.path.realpath(folder))
    return real in {place, place.parent}


def _fill(folder: Path, pieces: Iterable[bytes]) -> None:
    """Write each piece into a file of its own."""
    shutil.rmtree(folder, ignore_errors=True)  # what a killed process left
    folder.mkdir()
    for number, piece in enumerate(pieces):
        with draft(folder / f"part-{number:05}.parquet") as handle:
            handle.write(piece)


def _swap(new: Path, place: Path, old: Path) -> None:
    """Put a folder in its place, and what was there out of the way."""
    if place.exists():
        shutil.rmtree(old, ignore_errors=True)
        place.rename(old)
    new.rename(place)
    sync_folder(place.parent)
