"""A file of tickets in, a file with labels, scores and decisions out; what a kill interrupts goes on later."""

from __future__ import annotations

import os
import secrets
from collections.abc import Generator
from contextlib import closing
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from tagdesk.bulk.done import Counts, Done
from tagdesk.bulk.job import Job, plan
from tagdesk.bulk.label import AT_ONCE, label
from tagdesk.bulk.local import Here, Processes
from tagdesk.bulk.parts import PART_SIZE
from tagdesk.bulk.target import Target
from tagdesk.bulk.work import Note, Work, open_work
from tagdesk.dataset import File, rejects_path
from tagdesk.errors import UsageError
from tagdesk.model import Model
from tagdesk.policy import Policy
from tagdesk.scorers.base import Progress, silent

__all__ = ["AT_ONCE", "ENGINES", "Engine", "Note", "Summary", "classify", "open_engine"]

ENGINES = ("local", "ray")


@dataclass(frozen=True, slots=True)
class Summary:
    """What became of each row: `read == accepted + rejected + skipped`.

    `rejects` names the file that says why; `left_out` names columns that came too late to have a place in the result.
    """

    read: int
    accepted: int
    rejected: int
    skipped: int
    without_label: int
    flagged: int
    out: str
    rejects: str | None
    left_out: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The summary as JSON holds it."""
        return asdict(self)


class Engine(Protocol):
    """Who labels the parts; whoever it is, the result is the same."""

    def run(self, job: Job, source: File, start: int, progress: Progress) -> Generator[Done, None, None]:
        """The finished parts from number `start` on, in the order of the source; `progress` may be told within one."""
        ...


def open_engine(name: str, model: Model, place: str | Path, *, workers: int = 1, address: str | None = None) -> Engine:
    """The engine of this name; several workers each load the model anew from its place, a folder or `starter`.

    Raises UsageError for an unknown name, or an address where no cluster is asked for; MissingExtra without Ray.
    """
    if name not in ENGINES:
        raise UsageError(f"Engine {name!r} is unknown; expected one of {', '.join(ENGINES)}.", code="unknown_engine")
    if name == "ray":
        from tagdesk.bulk.ray import Cluster  # noqa: PLC0415 - needs the [ray] extra

        return Cluster(place, workers, address)
    if address is not None:
        raise UsageError("An address of a cluster is given, and not used. Add --engine ray.", code="unused_address")
    return Here(model) if workers == 1 else Processes(place, workers)


def quiet(_message: str) -> None:
    """A note that nobody reads."""


def classify(  # noqa: PLR0913 - what is labelled, where to, by whom, and who watches
    model: Model,
    source: File,
    out: str | os.PathLike[str],
    *,
    policy: Policy | None = None,
    scores: bool = True,
    force: bool = False,
    engine: Engine | None = None,
    progress: Progress = silent,
    note: Note = quiet,
) -> Summary:
    """Label every row of a file; memory stays the same however long it is.

    The result holds the columns of the source, then `predicted_labels`, `decision` (the strongest of any label),
    `flags`, `model`, one `score: <label>` for each label, and `out_of_scope`, the probability that no label applies,
    where the model has learned it; those of an earlier result are replaced. It appears whole, or not at all. Rows that
    hold no ticket are in `<out>.rejects.jsonl`.

    A run that is killed leaves its finished parts (4,096 rows each) in a hidden folder beside the result. The same call
    goes on from there, with whatever engine, and the result is the same to the byte as without the kill.

    Args:
        model: what labels.
        source: a file, or a folder of Parquet files.
        out: a file; or a folder, which is there or whose name ends in a slash, for one Parquet file per part.
        policy: replaces the model's own.
        scores: whether the result has the columns of probabilities.
        force: overwrite what is there.
        engine: who labels the parts of a source that has more than one; this process unless told otherwise.
        progress: told how many rows are done, and of about how many.
        note: told in words that work goes on, begins anew, or is kept.

    Raises:
        UsageError: where a column of the source has one of these names and is not from an earlier result, the result
            must not be written, or somebody else is writing it (`busy`).
        InputError: where the source cannot be read, or changes meanwhile.
    """
    target = Target.of(out)
    before = source.fingerprints()
    job, ahead = plan(model, source, target.format, policy, scores=scores)
    place = target.refuse(source.path, force=force)
    if len(ahead) == 1 and not target.is_folder:
        done = label(model, job, ahead[0], progress)
        source.verify_unchanged(before)
        counts = target.write(job.sheet, [done], source.path, place, force=force)
    else:
        with open_work(place, _key(model, job, source, target), note) as work:
            _finish(work, engine or Here(model), job, source, progress, note)
            source.verify_unchanged(before)
            counts = target.write(job.sheet, work.parts(), source.path, work.folder, force=force)
    return _summary(counts, target)


def _finish(work: Work, engine: Engine, job: Job, source: File, progress: Progress, note: Note) -> None:
    """Do what is left of the work."""
    if work:
        last = work.read(len(work) - 1)
        note(f"Going on after {last.end:,} rows that an earlier run finished.")
        progress("rows", last.end, round(last.end / last.share))
    with closing(engine.run(job, source, len(work), progress)) as finished:
        for done in finished:
            work.add(done)
            progress("rows", done.end, round(done.end / done.share))


def _key(model: Model, job: Job, source: File, target: Target) -> dict[str, Any]:
    """What finished parts depend on, by the words in which a person is told that it is another one."""
    columns = asdict(source.columns) if source.columns else None
    return {
        "source": source.fingerprints(),
        "way of reading it": [columns, source.encoding, source.delimiter, source.format],
        "model": model.id if model.manifest else secrets.token_hex(),  # nothing tells unsaved ones apart
        "tier": job.tier,
        "policy": job.policy.id,
        "format": [target.format, target.is_folder],
        "choice of columns": list(job.sheet.fields),
        "version of tagdesk": [version("tagdesk"), job.part_rows, PART_SIZE, AT_ONCE],
    }


def _summary(counts: Counts, target: Target) -> Summary:
    return Summary(
        read=counts.accepted + counts.rejected + counts.skipped,
        accepted=counts.accepted,
        rejected=counts.rejected,
        skipped=counts.skipped,
        without_label=counts.without_label,
        flagged=counts.flagged,
        out=str(target.path),
        rejects=str(rejects_path(target.path)) if counts.rejected else None,
        left_out=counts.left_out,
    )
