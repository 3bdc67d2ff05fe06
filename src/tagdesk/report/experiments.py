"""The page on an experiment for whoever decides: what was compared, on whom, since when, and what came of it."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from html import escape
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tagdesk.compare import Difference
from tagdesk.compare.verdict import POINTS
from tagdesk.report import write_files
from tagdesk.report.canvas import BLUE, INK, canvas, png, tidy, written
from tagdesk.report.markdown import plain
from tagdesk.results import Standing
from tagdesk.store import ExperimentVersion

PICTURE = "experiment.png"
STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse}td,th{padding:.3rem .8rem;border-bottom:1px solid #ddd;text-align:left}"
    "img{max-width:100%}.verdict{font-size:1.25rem;font-weight:600}"
)


def write_experiment(folder: Path, found: Standing, history: Sequence[ExperimentVersion]) -> list[Path]:
    """Write `experiment.html`, `.md`, `.json` and the picture, as `write_report` writes its files."""
    picture = png(over_time(found.looks, found.day.planned))
    return write_files(
        folder,
        {
            "experiment.html": _html(found, history, picture).encode("utf-8", "backslashreplace"),
            "experiment.md": _markdown(found, history).encode("utf-8", "backslashreplace"),
            "experiment.json": (json.dumps(found.to_dict(), indent=2, allow_nan=False) + "\n").encode(),
            PICTURE: picture,
        },
    )


def over_time(looks: Sequence[Difference], days: int) -> Figure:
    """The difference at the end of each day of so many, with an interval that holds at all looks together."""
    named = looks[-1].figure if looks else None
    caption = "Challenger minus current, with intervals that hold at every look."
    figure = canvas(9, 4, "The effect from day to day", caption)
    figure.set_layout_engine("constrained", h_pad=0.15, w_pad=0.15)
    axes = figure.add_subplot()
    tidy(axes)
    axes.axhline(0, color=INK, linewidth=0.8)
    for day, one in enumerate(looks, start=1):
        if one.interval is None or one.value is None:
            continue
        scale = 100 if one.figure.unit == POINTS else 1
        axes.plot((day, day), [scale * end for end in one.interval], color=BLUE, linewidth=2, alpha=0.45)
        axes.plot([day], [scale * one.value], "o", color=BLUE, markersize=5)
    axes.set_xlim(0.4, days + 0.6)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("day", **written(9))
    if named is not None:
        axes.set_ylabel(f"{named.words}, {named.unit}" if named.unit else named.words, **written(9))
    return figure


def _about(found: Standing) -> list[tuple[str, str]]:
    design = found.design
    since = "" if design.since is None else design.since.isoformat(timespec="minutes")
    models = [
        f"{name}: {arm.model}{' with a policy of its own' if arm.policy is not None else ''}, "
        f"{design.experiment.shares[name]:.0%} of those who take part"
        for name, arm in design.arms.items()
    ]
    unit = f"by {design.experiment.unit.value}"
    held = f"{unit}; {design.experiment.holdout:.0%} held out" if design.experiment.holdout else unit
    return [
        ("what was compared", "; ".join(models)),
        ("on whom", held),
        ("since", since),
        ("day", f"{found.day.today} of {found.day.planned}"),
        ("what decides", design.figure.replace("_", " ")),
        ("the split", found.ratio.sentence),
        ("answers", ", ".join(f"{name} {count:,}" for name, count in found.cases.items())),
        ("with an outcome", ", ".join(f"{name} {count:,}" for name, count in found.outcomes.items())),
    ]


def _rails(found: Standing) -> list[str]:
    return [verdict.sentence for verdict in (*found.decision.guardrails, *found.decision.secondary)]


def _steps(history: Sequence[ExperimentVersion]) -> list[tuple[str, str, str, str]]:
    steps = []
    for version in history:
        definition = version.definition
        state, why = str(definition.get("state", "")), str(definition.get("why", ""))
        steps.append((version.time.isoformat(timespec="minutes"), state, version.who, why))
    return steps


def _markdown(found: Standing, history: Sequence[ExperimentVersion]) -> str:
    lines = [f"# Experiment {plain(found.design.name)}", "", f"**{plain(found.decision.reason)}**", ""]
    lines += [f"To do: {found.decision.action.value}.", ""]
    lines += [f"- {plain(name)}: {plain(value)}" for name, value in _about(found)]
    lines += ["", f"![effect from day to day]({PICTURE})", "", "## Guardrails and labels", ""]
    lines += [f"- {plain(sentence)}" for sentence in _rails(found)] or ["- none"]
    lines += ["", "## Who did what", "", "| when | state | by | why |", "|---|---|---|---|"]
    lines += [f"| {' | '.join(plain(cell) for cell in step)} |" for step in _steps(history)]
    return "\n".join([*lines, ""])


def _html(found: Standing, history: Sequence[ExperimentVersion], picture: bytes) -> str:
    about = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in _about(found))
    rails = "".join(f"<li>{escape(sentence)}</li>" for sentence in _rails(found)) or "<li>none</li>"
    steps = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in step)}</tr>" for step in _steps(history))
    image = base64.b64encode(picture).decode()
    name = escape(found.design.name)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Experiment {name}</title><style>{STYLE}</style><h1>Experiment {name}</h1>"
        f'<p class="verdict">{escape(found.decision.reason)}</p><p>To do: {escape(found.decision.action.value)}.</p>'
        f'<table>{about}</table><p><img alt="The effect from day to day" src="data:image/png;base64,{image}"></p>'
        f"<h2>Guardrails and labels</h2><ul>{rails}</ul><h2>Who did what</h2>"
        f"<table><tr><th>when</th><th>state</th><th>by</th><th>why</th></tr>{steps}</table></html>\n"
    )
