from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import tiny
from tagdesk.card import card, markdown
from tagdesk.errors import ArtefactError
from tagdesk.model import Model


def test_a_card_says_what_model_and_report_hold() -> None:
    facts = card("starter")
    assert facts["kind"] == "onnx"
    assert len(facts["labels"]) == 7
    assert 0 < facts["figures"]["f1_macro"] < 1
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    text = markdown(facts)
    assert text.startswith(f"# Model {facts['id']}\n")
    assert f"| F1 macro | {facts['figures']['f1_macro']:.3f} |" in text
    assert all(label["name"] in text for label in facts["labels"])
    assert "unsaved" not in text
    assert "| Account Access | 0." in text


@pytest.mark.parametrize("damage", [None, "{", "[]", '{"per_label": 3}', '{"per_label": {"Billing Issue": 1}}'])
def test_a_report_that_is_missing_or_damaged_is_done_without(
    damage: str | None, copy_of: Callable[[str], Path]
) -> None:
    folder = copy_of("linear")
    report = folder.with_name(f"{folder.name}.report")
    if damage is not None:
        report.mkdir()
        (report / "report.json").write_text(damage)
    text = markdown(card(folder))
    assert "| Billing Issue | 0.500 | 0.950 | - | - | - |" in text
    assert "No report lies beside the model." in text


def test_a_label_that_is_never_automated_has_a_dash(copy_of: Callable[[str], Path]) -> None:
    facts = card(copy_of("linear"))
    assert facts["labels"][2] == {
        "name": "Shipping Concern", "description": "", "suggest": 0.3, "automate": None, "figures": None
    }  # fmt: skip


def test_names_and_descriptions_cannot_break_the_tables(models: dict[str, Model], tmp_path: Path) -> None:
    model = models["linear"]
    labels = [replace(label, description="two\nlines | <b>bold</b>") for label in model.taxonomy.labels]
    saved = replace(model, taxonomy=replace(model.taxonomy, labels=tuple(labels))).save(tmp_path)
    text = markdown(card(saved.id, models=tmp_path))
    assert "\nlines" not in text
    assert text.count("- **") == len(tiny.LABELS)


def test_a_name_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError):
        card("nothing", models=tmp_path)
