"""Labels the rows of a part."""

from __future__ import annotations

from tagdesk.bulk.done import Counts, Done
from tagdesk.bulk.job import DECISION, FLAGS, LABELS, MODEL, SCOPE, SCORE, Job, plain
from tagdesk.bulk.parts import Part
from tagdesk.dataset import Accepted, Rejected, reject_lines
from tagdesk.model import Model
from tagdesk.prediction import Decision, Prediction
from tagdesk.scorers.base import Progress, silent

AT_ONCE = 1024  # tickets for the model: enough to sort by length, always the same as they change the last digits


def label(model: Model, job: Job, part: Part, progress: Progress = silent) -> Done:
    """What the model says of each accepted row, beside the rejected ones."""
    accepted = [row for row in part.rows if isinstance(row, Accepted)]
    rows: list[dict[str, object]] = []
    without_label = flagged = 0
    left_out: set[str] = set()
    for start in range(0, len(accepted), AT_ONCE):
        batch = accepted[start : start + AT_ONCE]
        predictions = model.predict([row.ticket.text for row in batch], policy=job.policy)
        for row, prediction in zip(batch, predictions, strict=True):
            cells = {name: cell for name, cell in _cells(row, prediction).items() if name in job.added}
            rows.append(plain(row, job.kept) | cells)
            left_out |= row.raw.keys() - job.known
            without_label += not prediction.labels
            flagged += bool(cells[FLAGS])
        progress("rows", batch[-1].number, round(part.end / part.share))
    rejected = [row for row in part.rows if isinstance(row, Rejected)]
    counts = Counts(len(accepted), len(rejected), part.skipped, without_label, flagged, tuple(sorted(left_out)))
    return Done(counts, part.end, part.share, reject_lines(rejected), job.sheet.render(rows))


def _cells(row: Accepted, prediction: Prediction) -> dict[str, object]:
    """What is added to a row; its flags are those of the original text and those of the model."""
    strongest = max(prediction.decisions.values(), default=Decision.NONE)
    cells: dict[str, object] = {
        LABELS: list(prediction.labels),
        DECISION: strongest.word,
        FLAGS: list(dict.fromkeys((*row.flags, *prediction.flags))),
        MODEL: prediction.model,
    }
    scope = {} if prediction.out_of_scope is None else {SCOPE: round(prediction.out_of_scope, 6)}
    return cells | {SCORE + name: round(score, 6) for name, score in prediction.scores.items()} | scope
