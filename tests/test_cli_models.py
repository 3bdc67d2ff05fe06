"""`tagdesk models`, `card` and `export`, and model folders that must not hurt."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import tiny
from command import nothing_new_in, refusal, tagdesk
from tagdesk.dataset import write_tickets
from tagdesk.model import Model
from tagdesk.report import report_folder

CopyOf = Callable[[str], Path]
TEXT = "card charged twice"


def refused_by_all(folder: Path) -> list[str]:
    """What every command that opens a model says of a folder that must not be opened."""
    tickets = folder.parent / "tickets.csv"
    tickets.write_text("text,labels\ncard charged,\n")
    out = folder.parent / "out"
    with nothing_new_in(folder.parent):
        return [
            refusal(4, *arguments)
            for arguments in (
                ("predict", TEXT, "--model", folder),
                ("predict", TEXT, "--model", folder, "--json"),
                ("classify", tickets, f"{out}.csv", "--model", folder),
                ("evaluate", folder, tickets),
                ("card", folder),
                ("export", folder, "--out", out),
            )
        ]


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
def test_m1_a_truncated_model_is_refused(share: float, copy_of: CopyOf) -> None:
    folder = copy_of("onnx")
    path = folder / "model.onnx"
    os.truncate(path, int(path.stat().st_size * share))
    assert all("model.onnx" in line for line in refused_by_all(folder))


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "policy.json", "calibration.json", "taxonomy.toml"])
def test_m1_a_flipped_bit_is_refused(name: str, copy_of: CopyOf) -> None:
    folder = copy_of("onnx")
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    assert all(name in line for line in refused_by_all(folder))


def test_m2_manifests_that_do_not_fit_are_refused(copy_of: CopyOf) -> None:
    folder = copy_of("onnx")
    (folder / "extra.txt").write_text("hello")
    assert all("extra.txt" in line for line in refused_by_all(folder))
    folder = copy_of("onnx")
    (folder / "manifest.json").unlink()
    assert all("manifest.json" in line for line in refused_by_all(folder))
    folder = copy_of("onnx")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["../secret"] = "0" * 64
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert all("manifest.json" in line for line in refused_by_all(folder))
    for content in ("", "{", "[]", "[" * 100_000, '{"id": 1e999}'):
        (folder / "manifest.json").write_text(content)
        refused_by_all(folder)


@pytest.mark.parametrize("name", ["weights.pkl", "model.pt", "pytorch_model.bin", "head.joblib", "weights.npy"])
def test_m3_files_that_can_hold_code_are_refused(name: str, copy_of: CopyOf) -> None:
    folder = copy_of("linear")
    (folder / name).write_bytes(b"\x80\x04cos\nsystem\n(S'touch hacked'\ntR.")
    tiny.reseal(folder)
    assert all(name in line for line in refused_by_all(folder))
    assert not Path("hacked").exists()


def test_m4_links_out_of_the_folder_are_refused(copy_of: CopyOf, tmp_path: Path) -> None:
    folder = copy_of("onnx")
    outside = tmp_path / "outside.onnx"
    (folder / "model.onnx").rename(outside)
    (folder / "model.onnx").symlink_to(outside)
    refused_by_all(folder)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("taxonomy.toml", '[[label]]\nname = "Only one"\n'),
        ("taxonomy.toml", '[[label]]\nname = "A"\n' * 3),
        ("policy.json", "{}"),
        ("policy.json", json.dumps({"suggest": dict.fromkeys(tiny.LABELS, 2)})),
        ("policy.json", '{"objective": "", "fitted_on": 0, "suggest": {"A": NaN}, "automate": {}}'),
        ("calibration.json", "{}"),
    ],
)  # fmt: skip
def test_m7_labels_and_thresholds_that_do_not_fit_are_refused(name: str, content: str, copy_of: CopyOf) -> None:
    folder = copy_of("onnx")
    (folder / name).write_text(content)
    tiny.reseal(folder)
    refused_by_all(folder)


@pytest.mark.parametrize("cells", [10**13, 2**62, -1])
def test_m5_a_graph_that_asks_for_all_memory_is_refused(cells: int, copy_of: CopyOf) -> None:
    folder = copy_of("onnx")
    graph = onnx.load(folder / "model.onnx")
    greedy = [
        onnx.helper.make_node("ConstantOfShape", ["cells"], ["zeros"]),
        onnx.helper.make_node("ReduceSum", ["zeros"], ["nothing"], keepdims=0),
        onnx.helper.make_node("Add", ["scored", "nothing"], ["logits"]),
    ]
    for node in graph.graph.node:
        node.output[:] = ["scored" if name == "logits" else name for name in node.output]
    graph.graph.node.extend(greedy)
    graph.graph.initializer.append(numpy_helper.from_array(np.array([cells]), "cells"))
    onnx.save(graph, folder / "model.onnx")
    tiny.reseal(folder)
    assert all("model.onnx" in line for line in refused_by_all(folder))


def test_m8_and_m9_a_model_that_gives_no_numbers_is_refused(copy_of: CopyOf) -> None:
    folder = copy_of("onnx")
    graph = onnx.load(folder / "model.onnx")
    for tensor in graph.graph.initializer:
        if tensor.name == "head":
            damaged = np.full_like(numpy_helper.to_array(tensor), np.nan)
            tensor.CopyFrom(numpy_helper.from_array(damaged, "head"))
    onnx.save(graph, folder / "model.onnx")
    tiny.reseal(folder)
    refused_by_all(folder)


@pytest.mark.parametrize("name", ["", "nothing", "../..", "x" * 5000, "\x1b[2J", "/dev/null", "a\nb"])
def test_a_name_that_is_no_model_is_refused_in_one_line(name: str) -> None:
    refusal(4, "predict", TEXT, "--model", name)
    refusal(4, "card", name)
    refusal(4, "export", name)


def test_models_are_listed_the_shipped_one_first(saved: Path, models: dict[str, Model], tmp_path: Path) -> None:
    found = tagdesk("models", "--models", saved, "--json").json
    assert found[0]["name"] == "starter"
    assert {each["id"] for each in found[1:]} == {model.id for model in models.values()}
    answer = tagdesk("models", "--models", saved)
    assert all(model.id in answer.out for model in models.values())
    assert max(map(len, answer.out.splitlines())) <= 120
    assert len(tagdesk("models", "--models", tmp_path / "none", "--json").json) == 1


def test_a_damaged_model_does_not_hide_the_others(copy_of: CopyOf, models: dict[str, Model]) -> None:
    broken, fine = copy_of("onnx"), copy_of("linear")
    (broken / "manifest.json").write_text("{")
    found = tagdesk("models", "--models", fine.parent, "--json").json
    assert [each["id"] for each in found[1:]] == [models["linear"].id]


def test_a_card_is_markdown_for_people_and_json_for_programs() -> None:
    answer = tagdesk("card", "starter")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("# Model ")
    assert "## Where it ends" in answer.out
    facts = tagdesk("card", "starter", "--json").json
    assert {"id", "kind", "recipe", "labels", "figures", "policy"} <= set(facts)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_an_export_decides_like_the_original(
    precision: str, saved: Path, models: dict[str, Model], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tagdesk.export import TOLERANCES, Tolerance  # noqa: PLC0415 - only here

    monkeypatch.setitem(TOLERANCES, "int8", Tolerance(0.9, 0.5))  # twelve numbers wide is too narrow for eight bits
    tickets = tmp_path / "tickets.csv"
    tickets.write_text("text\n" + "".join(f"{ticket.text}\n" for ticket in tiny.tickets(40, seed=6)))
    name = models["probe"].id
    out = tmp_path / "out"
    answer = tagdesk(
        *("export", name, "--models", saved, "--out", out, "--precision", precision, "--check", tickets, "--json")
    )
    assert answer.code == 0
    found = answer.json
    assert (found["precision"], found["texts"]) == (precision, 40)
    assert found["equal_sets"] >= TOLERANCES[precision].equal_sets  # type: ignore[index] # one of the two
    before, after = (
        tagdesk("predict", TEXT, "--json", "--model", place).json[0] for place in (saved / name, found["path"])
    )
    assert after["model"] == found["model"]
    if precision == "fp32":
        assert after["scores"] == pytest.approx(before["scores"], abs=1e-3)
    assert json.loads((out / found["model"] / "manifest.json").read_text())["origin"]["export"]["from"] == name
    assert "same labels" in tagdesk("export", name, "--models", saved, "--out", out, "--precision", precision).out


def test_what_the_default_recipe_makes_on_the_shipped_encoder_is_exported(tmp_path: Path) -> None:
    write_tickets(tmp_path / "in.csv", tiny.tickets(30, seed=4))
    trained = tagdesk("train", tmp_path / "in.csv", "--out", tmp_path / "m", "--set", "folds=2", "--json").json
    answer = tagdesk("export", trained["path"], "--out", tmp_path / "out", "--check", tmp_path / "in.csv", "--json")
    assert answer.code == 0
    assert answer.json["equal_sets"] == 1
    assert answer.json["megabytes"] < 40


def test_an_export_that_decides_otherwise_is_refused_with_by_how_much(
    saved: Path, models: dict[str, Model], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ruin(source: Path, target: Path) -> None:
        graph = onnx.load(source)
        for tensor in graph.graph.initializer:
            if tensor.name.endswith("table"):
                rounded = np.round(numpy_helper.to_array(tensor) / 3) * 3
                tensor.CopyFrom(numpy_helper.from_array(rounded.astype(np.float32), tensor.name))
        onnx.save(graph, target)

    monkeypatch.setattr("tagdesk.encoders.graph.quantise", ruin)
    with nothing_new_in(tmp_path):
        line = refusal(4, "export", models["probe"].id, "--models", saved, "--out", tmp_path / "out")
    assert "int8" in line
    assert "%" in line


def test_an_export_that_makes_no_sense_is_refused(saved: Path, models: dict[str, Model], tmp_path: Path) -> None:
    probe, linear = (saved / models[kind].id for kind in ("probe", "linear"))
    taken = tmp_path / "taken"
    taken.write_text("a file")
    assert "linear" in refusal(2, "export", linear, "--out", tmp_path / "out")
    assert "int8" in refusal(2, "export", probe, "--out", tmp_path / "out", "--precision", "int4")
    assert "written" in refusal(2, "export", probe, "--out", taken)
    refusal(3, "export", probe, "--out", tmp_path / "out", "--check", tmp_path / "nope.csv")
    (tmp_path / "none.csv").write_text("text\n")
    assert "no ticket" in refusal(3, "export", probe, "--out", tmp_path / "out", "--check", tmp_path / "none.csv")
    assert not (tmp_path / "out").exists()


def test_the_report_of_a_model_gives_its_card_figures(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    rows = [{"text": ticket.text, "labels": sorted(ticket.labels or ())} for ticket in tiny.tickets()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    trained = tagdesk("train", path, "--out", tmp_path, "--recipe", "linear", "--json").json
    facts = tagdesk("card", tmp_path / trained["model"], "--json").json
    assert facts["figures"]["f1_macro"] == trained["f1_macro"]
    assert (report_folder(tmp_path / trained["model"]) / "report.md").is_file()


def test_m16_a_machine_that_computes_otherwise_is_told_in_one_line(copy_of: CopyOf) -> None:
    folder = copy_of("onnx")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["golden"] = {text: [1 - value for value in probs] for text, probs in manifest["golden"].items()}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    command = [sys.executable, "-m", "tagdesk", "predict", TEXT, "--model", str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stderr.startswith("warning: Model ")
    assert len(done.stderr.splitlines()) == 1
