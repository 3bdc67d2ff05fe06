"""How answers look on a terminal."""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tagdesk.launched import is_first
from tagdesk.prediction import Decision, Prediction
from tagdesk.scorers.base import Progress as Reporter
from tagdesk.scorers.base import silent
from tagdesk.text import clean

if TYPE_CHECKING:
    from tagdesk.evaluate import Report as Worth

PATIENCE = 2.0  # seconds before a progress bar appears
REMEMBERED = 300.0  # seconds over which the rate is taken; parts of a file may each take ten
LONGEST = 160  # characters of a ticket that a table shows
MAYBE = 0.05  # scores below it are not worth a place in a table
_ACTING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def out() -> Console:
    """The console on stdout; wide where nobody looks, so that pipes are not wrapped."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 120, soft_wrap=False)


def note(message: str) -> None:
    """A line for the person at the terminal; programs that read stdout never see it."""
    if is_first():
        Console(stderr=True, highlight=False, soft_wrap=True).print(Text(visible(message)))


def print_json(value: Any) -> None:
    """One JSON value on stdout; in ASCII where stdout knows no more."""
    knows_all = str(getattr(sys.stdout, "encoding", "utf-8")).lower().startswith("utf")
    sys.stdout.write(json.dumps(value, ensure_ascii=not knows_all, allow_nan=False, indent=2) + "\n")


def percent(share: float) -> str:
    """A probability as a person reads it; certain only where it is.

    >>> percent(0.996), percent(0.5), percent(1.0)
    ('>99%', '50%', '100%')
    """
    if 0.99 < share < 1:
        return ">99%"
    return "<1%" if 0 < share < 0.01 else f"{share:.0%}"


def safe(text: str, most: int = LONGEST) -> Text:
    """A customer's text without anything that could act on a terminal, shortened."""
    line = clean(text).text
    return Text(line if len(line) <= most else f"{line[: most - 1]}…")


def predictions_table(predictions: Sequence[Prediction]) -> Table:
    """Tickets with their labels, most probable first, and what nearly made it."""
    table = Table(show_lines=True, expand=False)
    table.add_column("ticket", ratio=3, overflow="fold")
    table.add_column("labels", ratio=2, no_wrap=False)
    for prediction in predictions:
        table.add_row(safe(prediction.text), labels_cell(prediction))
    return table


def labels_cell(prediction: Prediction) -> Text:
    """The labels with their probabilities; where there are none, the best guess in brackets."""
    cell = Text()
    for label in prediction.labels:
        style = "bold green" if prediction.decisions[label] == Decision.AUTOMATE else "green"
        cell.append(f"{visible(label)} {percent(prediction.scores[label])}\n", style=style)
    if not prediction.labels:
        best = prediction.best
        guess = f" ({visible(best)} {percent(prediction.scores[best])})" if prediction.scores[best] >= MAYBE else ""
        refused = "out_of_scope" in prediction.flags and prediction.out_of_scope is not None
        verdict = f"out of scope {percent(prediction.out_of_scope or 0)}" if refused else "no label"
        cell.append(f"{verdict}{guess}\n", style="dim")
    if flags := [flag for flag in prediction.flags if flag != "out_of_scope"]:
        cell.append(", ".join(flags) + "\n", style="yellow")
    cell.rstrip()
    return cell


def figures_table(rows: Sequence[tuple[str, float | None, tuple[float, float] | None]]) -> Table:
    """Figures with their intervals."""
    table = Table()
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_column("95 % interval", justify="right")
    for name, value, interval in rows:
        spread = f"{interval[0]:.3f} - {interval[1]:.3f}" if interval else ""
        table.add_row(name, "-" if value is None else f"{value:.3f}", spread)
    return table


def print_report(report: Worth) -> None:
    """What a model is worth, in words and figures, overall and per label."""
    from tagdesk.report import overall_rows, summary  # noqa: PLC0415 - predict does without it

    console = out()
    console.print(Text(visible(re.sub(r"\\(\W|_)", r"\1", summary(report)))))  # words for Markdown, which escapes
    if not report.n_labelled:
        return
    console.print(figures_table(overall_rows(report)))
    columns = ["label", "precision", "recall", "F1", "AP", "ECE", "tickets"]
    rows = [
        (name, f.precision, f.recall, f.f1, f.average_precision, f.ece, f.support)
        for name, f in report.per_label.items()
    ]
    console.print(plain_table(columns, rows))


def plain_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    """A table of plain values; numbers stand to the right."""
    table = Table()
    for index, column in enumerate(columns):
        numbers = bool(rows) and all(isinstance(row[index], int | float | None) for row in rows)
        table.add_column(column, justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_shown(value)) for value in row))
    return table


def mapping_lines(values: Mapping[str, Any]) -> str:
    """Names and values, one to a line."""
    width = max((len(name) for name in values), default=0)
    return "\n".join(f"{name:<{width}}  {_shown(value)}" for name, value in values.items())


@contextmanager
def progress() -> Iterator[Reporter]:
    """Reports of progress as a bar on stderr, once the work has taken two seconds; none where nobody looks.

    It shows what is done, how much of it in a second, and the time left; the first report is what was done before.
    """
    console = Console(stderr=True)
    if not (console.is_terminal and is_first()):
        yield silent
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    count = TextColumn("{task.completed:,.0f} of {task.total:,.0f}{task.fields[rate]}")
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), count, TimeRemainingColumn()
    bar = Progress(*columns, console=console, transient=True, speed_estimate_period=REMEMBERED)
    tasks: dict[str, Any] = {}

    def report(what: str, done: int, total: int) -> None:
        if what not in tasks:
            tasks[what] = bar.add_task(what, total=total, completed=done, rate="")
        task = bar.tasks[tasks[what]]
        task.total = total  # told to `update`, a new estimate would make it forget how fast the work goes
        bar.update(tasks[what], completed=done, rate=f", {task.speed:,.0f}/s" if task.speed else "")

    start = threading.Timer(PATIENCE, bar.start)
    start.start()
    try:
        yield report
    finally:
        start.cancel()
        start.join()
        if bar.live.is_started:
            bar.stop()


def visible(text: str) -> str:
    r"""A text with whatever could act on a terminal written out; line ends stay.

    >>> visible("a\x1b[2Jb")
    'a\\x1b[2Jb'
    """
    return _ACTING.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, int | float):
        return f"{value:.3f}" if isinstance(value, float) else f"{value:,}"
    return visible(str(value))
