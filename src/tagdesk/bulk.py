"""A file of tickets in, a file with labels, scores and decisions out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from tagdesk.dataset import Accepted, File, RejectsWriter, TicketReader, open_writer, rejects_path
from tagdesk.model import Model
from tagdesk.policy import Policy
from tagdesk.prediction import Decision, Prediction
from tagdesk.scorers.base import Progress, silent

AT_ONCE = 512  # rows in memory
LABELS, DECISION, FLAGS, MODEL = "predicted_labels", "decision", "flags", "model"
SCORE = "score: "


@dataclass(frozen=True, slots=True)
class Summary:
    """What became of each row: `read == accepted + rejected + skipped`. `rejects` names the file that says why."""

    read: int
    accepted: int
    rejected: int
    skipped: int
    without_label: int
    flagged: int
    out: str
    rejects: str | None

    def to_dict(self) -> dict[str, Any]:
        """The summary as JSON holds it."""
        return asdict(self)


def classify(
    model: Model,
    source: File,
    out: Path,
    *,
    policy: Policy | None = None,
    force: bool = False,
    progress: Progress = silent,
) -> Summary:
    """Label every row of a file; memory stays the same however long it is.

    The result holds the columns of the source, then `predicted_labels`, `decision` (the strongest of any label),
    `flags`, `model` and one `score: <label>` for each label. It appears whole, or not at all. Rows that hold no ticket
    are in `<out>.rejects.jsonl`.
    """
    without_label = flagged = 0
    added = [LABELS, DECISION, FLAGS, MODEL, *(SCORE + name for name in model.taxonomy.names)]
    types = {LABELS: list, DECISION: str, FLAGS: list, MODEL: str} | dict.fromkeys(added[4:], float)
    with source.open() as rows:
        kept = [field for field in rows.fields if field not in added]
        with (
            RejectsWriter(out, force=force, inputs=[source.path]) as rejects,
            open_writer(out, [*kept, *added], force=force, inputs=[source.path], types=types) as writer,
        ):
            for batch in _batches(rows, rejects):
                predictions = model.predict([row.ticket.text for row in batch], policy=policy)
                for row, prediction in zip(batch, predictions, strict=True):
                    writer.write({field: row.raw.get(field) for field in kept} | _cells(prediction))
                    without_label += not prediction.labels
                    flagged += bool(prediction.flags)
                progress("rows", round(rows.share * 1000), 1000)
        return Summary(
            read=rows.read,
            accepted=rows.accepted,
            rejected=rows.rejected,
            skipped=rows.skipped,
            without_label=without_label,
            flagged=flagged,
            out=str(out),
            rejects=str(rejects_path(out)) if rows.rejected else None,
        )


def _batches(rows: TicketReader, rejects: RejectsWriter) -> Iterator[Sequence[Accepted]]:
    """The accepted rows, some at a time; the others go to the rejects."""

    def accepted() -> Iterator[Accepted]:
        for row in rows:
            if isinstance(row, Accepted):
                yield row
            else:
                rejects.write(row)

    stream = accepted()
    while batch := list(islice(stream, AT_ONCE)):
        yield batch


def _cells(prediction: Prediction) -> dict[str, object]:
    strongest = max(prediction.decisions.values(), default=Decision.NONE)
    cells: dict[str, object] = {
        LABELS: list(prediction.labels),
        DECISION: strongest.word,
        FLAGS: list(prediction.flags),
        MODEL: prediction.model,
    }
    return cells | {SCORE + name: round(score, 6) for name, score in prediction.scores.items()}
