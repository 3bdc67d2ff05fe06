"""What a report on a search says, as headings, sentences and tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from tagdesk.tune.found import Found, Row

_FIGURES: Final = {
    "exact_match": "exact match",
    "f1_micro": "F1 micro",
    "f1_macro": "F1 macro",
    "ece": "calibration error, 0 is best",
}
_STATES: Final = {
    "complete": "done to the end",
    "pruned": "stopped early: worse than most after some folds",
    "too slow": "too slow for the limit",
    "failed": "failed",
    "stopped": "stopped, and done again",
    "running": "of another process, not ended yet",
}
_MOST_ROWS: Final = 25  # best trials that a report shows; trials.csv has all
_DASH: Final = "-"


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, what is said under it, and a table, which may be empty."""

    title: str
    text: Sequence[str]
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()


def sections(found: Found) -> list[Section]:
    """The report on a search, from the most to the least important."""
    return [_result(found), _figures(found), _recipes(found), _trials(found), *_failures(found), _labels(found)]


def _result(found: Found) -> Section:
    searched, kept = found.tickets
    chosen = "the best of the search" if found.chosen is found.best else "the default one"
    how = (
        f"The search saw {searched:,} tickets in folds. {kept:,} more were kept from it; they judge the best and the "
        "default recipe, once, each trained on all that the search saw."
    )
    limit = "" if found.latency_ms is None else f", with at most {found.latency_ms:g} ms for a ticket of 20 words"
    return Section(
        "Result",
        [
            found.sentence,
            f"recipe.toml holds {chosen}; best.toml holds the best of the search in any case.",
            f"Searched for: {found.objective}{limit}. {how}",
            f"Study {found.study[0]} in {found.study[1]}.",
            *found.warnings,
        ],
    )


def _figures(found: Found) -> Section:
    judged = [found.default, found.best]
    rows = [
        [f"{found.objective}, inner folds", *(_number(one.row.value if one else None) for one in judged)],
        [f"{found.objective}, tickets kept", *(_number(one.outer if one else None) for one in judged)],
    ]
    for name, words in _FIGURES.items():
        values = [getattr(one.report, name) if one and one.report else None for one in judged]
        rows.append([f"{words}, tickets kept", *map(_number, values)])
    rows.append(["ms for a ticket", *(_number(one.row.latency_ms if one else None, 1) for one in judged)])
    return Section(
        "Default and best",
        ["On inner folds the best looks better than it is, as the highest of many; on the tickets kept it does not."],
        ("figure", "default", "best"),
        rows,
    )


def _recipes(found: Found) -> Section:
    settings = [one.recipe.to_dict() if one else {} for one in (found.default, found.best)]
    names = list(dict.fromkeys(name for each in settings for name in each))
    rows = []
    for name in names:
        values = [each.get(name) for each in settings]
        rows.append([name, *map(_setting, values), "" if values[0] == values[1] else "differs"])
    return Section("Recipes", [], ("setting", "default", "best", ""), rows)


def _trials(found: Found) -> Section:
    states = Counter(row.state for row in found.rows)
    counted = "; ".join(f"{states[state]:,} {words}" for state, words in _STATES.items() if states[state])
    done = [row for row in found.rows if row.value is not None]
    best = sorted(done, key=lambda row: (-(row.value or 0.0), row.number))
    shown = f"The {_MOST_ROWS} best follow; trials.csv holds all. " if len(best) > _MOST_ROWS else ""
    return Section(
        "Trials",
        [f"{len(found.rows):,} trials: {counted}. {shown}".strip()],
        ("trial", found.objective, "seconds", "ms", "recipe and settings"),
        [_trial(row) for row in best[:_MOST_ROWS]],
    )


def _failures(found: Found) -> list[Section]:
    failed = [row for row in found.rows if row.state == "failed"]
    if not failed:
        return []
    by_reason: dict[str, list[Row]] = {}
    for row in failed:
        by_reason.setdefault(row.reason, []).append(row)
    rows = [
        [str(len(rows)), reason, _parameters(rows[0])]
        for reason, rows in sorted(by_reason.items(), key=lambda item: -len(item[1]))
    ]
    return [Section("What failed", [], ("trials", "why", "the first one"), rows)]


def _labels(found: Found) -> Section:
    rows = [[name, f"{count:,}"] for name, count in sorted(found.counts.items(), key=lambda item: (-item[1], item[0]))]
    return Section("Labels", ["Tickets of each label, those kept included."], ("label", "tickets"), rows)


def _trial(row: Row) -> list[str]:
    start = " (as it comes)" if row.start else ""
    return [
        str(row.number),
        _number(row.value),
        _number(row.seconds, 1),
        _number(row.latency_ms, 1),
        _parameters(row) + start,
    ]


def _parameters(row: Row) -> str:
    return ", ".join(f"{name} = {_setting(value)}" for name, value in row.parameters.items())


def _setting(value: Any) -> str:
    if value is None:
        return _DASH
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _number(value: float | None, decimals: int = 3) -> str:
    return _DASH if value is None else f"{value:.{decimals}f}"
