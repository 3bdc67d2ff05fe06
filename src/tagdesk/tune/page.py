"""The report on a search as one HTML page that asks nothing of the network."""

from __future__ import annotations

import html
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Final

import optuna.visualization
import plotly.io
from optuna.study import Study
from optuna.trial import TrialState
from plotly.offline import get_plotlyjs

from tagdesk.tune.sections import Section

# Even a script on the page cannot reach the network.
_POLICY: Final = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:; "
    "font-src data:"
)
_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { border-bottom: 1px solid #ddd; padding: .3rem .7rem; text-align: left; vertical-align: top; }
.plot { overflow-x: auto; }
"""
_PLOTS: Final[dict[str, tuple[str, Callable[..., Any]]]] = {
    "History": ("Each dot is a trial; the line is the best so far.", optuna.visualization.plot_optimization_history),
    "What mattered": (
        "How much each setting has to do with being among the best trials.",
        optuna.visualization.plot_param_importances,
    ),
    "Setting by setting": ("Each dot is a trial that was done to the end.", optuna.visualization.plot_slice),
    "Settings together": (
        "Each line is a trial that was done to the end.",
        optuna.visualization.plot_parallel_coordinate,
    ),
}
_FEWEST: Final = 2  # trials that were done to the end; fewer make no picture


def page(title: str, parts: Sequence[Section], study: Study, objective: str) -> str:
    """The report as HTML; plotly stands in it once, nothing is loaded from elsewhere."""
    script, plots = "", ["<p>There are no pictures of fewer than two trials that were done to the end.</p>"]
    if len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))) >= _FEWEST:
        script = f"<script>{get_plotlyjs()}</script>"
        plots = [_plot(number, study, objective) for number in range(len(_PLOTS))]
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            f"<title>{html.escape(title)}</title><style>{_STYLE}</style>{script}</head><body>",
            f"<h1>{html.escape(title)}</h1>",
            *map(_section, parts),
            *plots,
            "</body></html>",
            "",
        ]
    )


def _section(part: Section) -> str:
    paragraphs = "".join(f"<p>{html.escape(text)}</p>" for text in part.text)
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in part.head)
    rows = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in part.rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>" if part.rows else ""
    return f"<h2>{html.escape(part.title)}</h2>{paragraphs}{table}"


def _plot(number: int, study: Study, objective: str) -> str:
    title, (text, draw) = list(_PLOTS.items())[number]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of importances of settings that few trials have
        figure = draw(study, target_name=objective)
    picture = plotly.io.to_html(
        figure,
        full_html=False,
        include_plotlyjs=False,
        config={"displaylogo": False},
        default_height="480px",
        div_id=f"plot-{number}",
    )
    return f'<h2>{title}</h2><p>{text}</p><div class="plot">{picture}</div>'
