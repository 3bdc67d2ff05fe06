"""Describes a finished model folder in words: what it is for, what it knows, what it is worth, where it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tagdesk.model import Model, find_model
from tagdesk.report import report_folder
from tagdesk.report.markdown import plain

FIGURES = {
    "exact_match": "Exact match",
    "f1_micro": "F1 micro",
    "f1_macro": "F1 macro",
    "hit_at_1": "Hit at 1",
    "no_label_rate": "No label given",
    "false_alarm_rate": "False alarms",
    "ece": "Calibration error (ECE)",
}


def card(name: str | Path, *, models: Path | None = None) -> dict[str, Any]:
    """What a model folder and the report beside it say, as one JSON-ready value.

    Keys: id, kind, path, recipe, data, export, libraries, policy, labels (name, description, suggest and automate
    thresholds, figures), figures, source of the figures; what is not known is None.
    """
    folder = find_model(name, models=models)
    model = Model.load(folder)
    origin = model.manifest.origin if model.manifest else {}
    report = _report(folder)
    per_label = (report or {}).get("per_label", {})
    return {
        "id": model.id,
        "kind": model.scorer.kind,
        "path": str(folder),
        "megabytes": round(sum(path.stat().st_size for path in folder.iterdir()) / 1e6, 1),
        "recipe": origin.get("recipe"),
        "data": {"tickets": origin.get("tickets"), "fingerprint": origin.get("data")},
        "export": origin.get("export"),
        "libraries": dict(model.manifest.libraries) if model.manifest else {},
        "policy": {
            "id": model.policy.id,
            "objective": model.policy.objective,
            "fitted_on": model.policy.fitted_on,
            "out_of_scope": _finite(model.policy.out_of_scope) if model.knows_scope else None,
        },
        "labels": [
            {
                "name": label.name,
                "description": label.description,
                "suggest": _finite(suggest),
                "automate": _finite(automate),
                "figures": per_label.get(label.name),
            }
            for label, suggest, automate in zip(
                model.taxonomy.labels, model.policy.suggest, model.policy.automate, strict=True
            )
        ],
        "figures": {key: report.get(key) for key in FIGURES} if report else None,
        "measured": (report or {}).get("about"),
    }


def markdown(facts: dict[str, Any]) -> str:
    """A model card in Markdown from what `card` gathered."""
    recipe = facts["recipe"] or {}
    lines = [
        f"# Model {facts['id']}",
        "",
        (
            f"Reads the text of a customer-support ticket and gives each of {len(facts['labels'])} categories a "
            "calibrated probability; several may apply at once, or none."
        ),
        "",
        f"- Kind: {facts['kind']}, {facts['megabytes']} MB, in `{facts['path']}`",
        f"- Recipe: {plain(_listed(recipe)) or 'not known'}",
        (
            f"- Trained on: {facts['data']['tickets'] or 'an unknown number of'} tickets "
            f"(fingerprint {facts['data']['fingerprint'] or 'not known'})"
        ),
        (
            f"- Thresholds: policy {facts['policy']['id']}, fitted to {facts['policy']['objective'] or 'nothing'} on "
            f"{facts['policy']['fitted_on']} tickets"
        ),
    ]
    if facts["policy"]["out_of_scope"] is not None:
        lines.append(
            f"- Called out of scope, without any label: from a probability of {facts['policy']['out_of_scope']}"
        )
    if facts["export"]:
        difference = facts["export"]["difference"]
        lines.append(
            f"- Exported in {facts['export']['precision']}: the same labels as the original on "
            f"{difference['equal_sets']:.1%} of {difference['texts']:,} texts"
        )
    lines += ["", "## What it is worth", "", *_worth(facts)]
    lines += ["", "## Categories", "", *_categories(facts)]
    lines += ["", "## Where it ends", "", *_LIMITS]
    return "\n".join(lines) + "\n"


_LIMITS = [
    "- It knows the categories above and the kinds of tickets it was trained on. Measure it on your own tickets before",
    "  you rely on it: `tagdesk evaluate MODEL FILE`.",
    "- A category without an automation threshold was not proven precise enough to be given without a person's look.",
    "- It is not made to judge people, and its scores say nothing of urgency or of who is right.",
]


def _worth(facts: dict[str, Any]) -> list[str]:
    if not facts["figures"]:
        return ["No report lies beside the model."]
    measured = plain(_listed(facts["measured"] or {}))
    rows = [f"| {title} | {_number(facts['figures'][key])} |" for key, title in FIGURES.items()]
    return [f"Measured ({measured}).", "", "| figure | value |", "|---|---|", *rows]


def _categories(facts: dict[str, Any]) -> list[str]:
    rows = ["| category | suggest from | automate from | precision | recall | F1 |", "|---|---|---|---|---|---|"]
    for label in facts["labels"]:
        figures = label["figures"] or {}
        values = [figures.get(key) for key in ("precision", "recall", "f1")]
        cells = [plain(label["name"]), _number(label["suggest"]), _number(label["automate"])]
        rows.append("| " + " | ".join([*cells, *map(_number, values)]) + " |")
    described = [
        f"- **{plain(label['name'])}**: {plain(label['description'])}"
        for label in facts["labels"]
        if label["description"]
    ]
    return [*rows, "", *described] if described else rows


def _report(folder: Path) -> dict[str, Any] | None:
    """The report beside the folder; a card does without one that is missing or damaged."""
    try:
        report = json.loads((report_folder(folder) / "report.json").read_text(encoding="utf-8"))
        figures = [report[key] for key in FIGURES]
        figures += [label[key] for label in report["per_label"].values() for key in ("precision", "recall", "f1")]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    is_whole = all(figure is None or isinstance(figure, int | float) for figure in figures)
    return report if is_whole and isinstance(report.get("about"), dict) else None


def _listed(values: dict[str, Any]) -> str:
    return ", ".join(f"{key}: {value}" for key, value in values.items())


def _finite(threshold: float) -> float | None:
    return round(float(threshold), 4) if np.isfinite(threshold) else None


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
