"""A report in words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from tagdesk.evaluate import Interval, Pair, Report

Row: TypeAlias = tuple[str, float | None, Interval | None]  # what it is called, the figure, its interval

_OVERALL = {
    "exact_match": "Exact match",
    "hamming_loss": "Hamming loss",
    "f1_micro": "F1 micro",
    "f1_macro": "F1 macro",
    "f1_weighted": "F1 weighted",
    "precision_micro": "Precision micro",
    "precision_macro": "Precision macro",
    "precision_weighted": "Precision weighted",
    "recall_micro": "Recall micro",
    "recall_macro": "Recall macro",
    "recall_weighted": "Recall weighted",
    "average_precision_macro": "Average precision macro",
    "hit_at_1": "Hit at 1",
    "no_label_rate": "No label given",
    "false_alarm_rate": "False alarms",
    "refused_rate": "Called out of scope",
    "ece": "Calibration error (ECE)",
    "brier": "Brier score",
}
PICTURES = {
    "labels.png": "F1, precision and recall of each label",
    "precision_recall.png": "Precision-recall curves",
    "reliability.png": "Reliability diagram",
    "cooccurrence.png": "Labels that the same tickets have",
}
_NAMING = ("figure", "label", "also", "missed", "given instead")
_MOST_PAIRS = 10
_MOST_NAMES = 5
_FEW = 30  # tickets of a label, below which its figures are mostly chance
_DASH = "-"
_MEANINGS = """\
Exact match: tickets that get exactly their true labels. Hamming loss: yes-or-no answers that are wrong. Precision:
given labels that are true. Recall: true labels that are given. F1: their harmonic mean; micro over all labels of all
tickets, macro as the mean of the categories (one without tickets counts as 0), weighted by their tickets. Hit at 1:
tickets whose highest score is a true label. False alarms: tickets that should get no label and got one. Called out of
scope: tickets that should get a label and were called no matter for any. Calibration error and Brier score: how far
scores are from the truth; 0 is best. A dash stands where these tickets do not define the figure."""


def overall_rows(report: Report) -> list[Row]:
    """The overall figures in the order in which every face prints them: name, figure, interval."""
    return [(title, getattr(report, key), report.intervals.get(key)) for key, title in _OVERALL.items()]


def markdown(report: Report, title: str, about: Mapping[str, str], pictures: Sequence[str]) -> str:
    """The whole report as Markdown, with links to pictures that lie beside it."""
    parts = [
        f"# {plain(title)}",
        "\n".join(f"- {plain(key)}: {plain(value)}" for key, value in about.items()),
        summary(report),
        "## Overall",
        _table(
            ("figure", "value", f"{report.confidence:.0%} interval"),
            [(name, _number(figure), _range(interval)) for name, figure, interval in overall_rows(report)],
        ),
        _MEANINGS,
        "## Labels",
        _labels(report),
        _links(pictures, "labels.png", "precision_recall.png", "reliability.png"),
    ]
    if report.n_labelled:
        parts += [
            "## Missed, and given instead",
            _pairs(report.confused(), ("missed", "given instead"), "No ticket lost one label and got another instead."),
            "## Labels that occur together",
            _pairs(report.together(), ("label", "also"), "No ticket has two labels."),
            _links(pictures, "cooccurrence.png"),
        ]
    return "\n\n".join(part for part in parts if part) + "\n"


def summary(report: Report) -> str:
    """What the model is worth, in one paragraph of plain words."""
    silent = _sentence("{} of the tickets get no label.", report.no_label_rate)
    if not report.n_labelled:
        return f"No ticket is labelled, so nothing can be said of how right the model is. {silent}".strip()
    unlabelled = report.n - report.n_labelled
    sentences = [
        f"Measured on {_counted(report.n_labelled, 'labelled ticket')} and {_counted(len(report.names), 'label')}"
        + (f"; {_counted(unlabelled, 'more ticket')} without known labels cannot be scored." if unlabelled else "."),
        _sentence("The model gives exactly the true labels to {} of the tickets", report.exact_match)
        + _between(report, "exact_match"),
        _sentence("Of the labels that it gives, {} are true.", report.precision_micro),
        _sentence("Of the true labels, it finds {}.", report.recall_micro),
        _sentence("Where a ticket has a label, the highest score is a true one in {} of the cases.", report.hit_at_1),
        silent,
        _sentence("Of the tickets that should get none, {} get one.", report.false_alarm_rate),
        _extremes(report),
        "" if report.ece is None else f"Scores are off by {100 * report.ece:.0f} percentage points on average.",
        _thin_ice(report),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _extremes(report: Report) -> str:
    """Which labels are recognised best and worst."""
    known = [(label.f1, name) for name, label in report.per_label.items() if label.f1 is not None and label.support]
    if len(known) < 2:
        return ""
    (most, best), (least, worst) = max(known), min(known)
    return f"{plain(best)} is recognised best (F1 {most:.2f}), {plain(worst)} worst (F1 {least:.2f})."


def _thin_ice(report: Report) -> str:
    """The labels of which too few tickets were seen."""
    rare = [plain(name) for name, label in report.per_label.items() if label.support < _FEW]
    if not rare:
        return ""
    if len(rare) > _MOST_NAMES:
        rare = [*rare[:_MOST_NAMES], f"{len(rare) - _MOST_NAMES} more labels"]
    return f"Fewer than {_FEW} tickets have {_listed(rare)}: read those figures with care."


def _labels(report: Report) -> str:
    head = (
        "label",
        "tickets",
        "given",
        "precision",
        "recall",
        "F1",
        "interval of F1",
        "average precision",
        "ECE",
        "Brier",
    )
    figures = ("average_precision", "ece", "brier")
    return _table(
        head,
        [
            (
                plain(name),
                f"{label.support:,}",
                f"{label.predicted:,}",
                _number(label.precision),
                _number(label.recall),
                _number(label.f1),
                _range(label.f1_interval),
                *(_number(getattr(label, figure)) for figure in figures),
            )
            for name, label in report.per_label.items()
        ],
    )


def _links(pictures: Sequence[str], *wanted: str) -> str:
    return "\n\n".join(f"![{PICTURES[name]}]({name})" for name in wanted if name in pictures)


def _pairs(pairs: Sequence[Pair], head: tuple[str, str], nothing: str) -> str:
    if not pairs:
        return nothing
    rows = [(plain(pair.first), plain(pair.second), f"{pair.tickets:,}") for pair in pairs[:_MOST_PAIRS]]
    more = f"\n\n{len(pairs) - _MOST_PAIRS:,} more pairs occur." if len(pairs) > _MOST_PAIRS else ""
    return _table((*head, "tickets"), rows) + more


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose columns are numbers but for those that name a label."""
    rule = ["---" if title in _NAMING else "--:" for title in head]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))


def _between(report: Report, figure: str) -> str:
    interval = report.intervals.get(figure)
    if interval is None:
        return "."
    return f" ({report.confidence:.0%} interval {_percent(interval[0])} to {_percent(interval[1])})."


def _sentence(words: str, share: float | None) -> str:
    return "" if share is None else words.format(_percent(share))


def _percent(share: float) -> str:
    """A share as people say it; .996 is not yet all."""
    near_an_end = 0 < share < 0.01 or 0.99 < share < 1
    return f"{share:.1%}" if near_an_end else f"{share:.0%}"


def _number(figure: float | None) -> str:
    return _DASH if figure is None else f"{figure:.3f}"


def _range(interval: tuple[float, float] | None) -> str:
    return _DASH if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def plain(text: str) -> str:
    """The text as Markdown shows it unchanged, on one line."""
    return re.sub(r"([\\`*_{}\[\]<>#|~$&!])", r"\\\1", " ".join(text.split()))
