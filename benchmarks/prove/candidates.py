"""Model folders that must be refused, by the rows of the catalogue of bad inputs; and one that is bad for a word."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import tiny
from tagdesk.calibrate import Calibration
from tagdesk.model import Model
from tagdesk.taxonomy import Taxonomy

Alter = Callable[[Path], object]
ENDLESS = 2**62  # rounds of a loop
HUGE = 10**13  # numbers of a tensor: 40 TB
SICK_WORD = "courier"  # no golden text holds it


class Folders:
    """Makes bad folders below `models`, from good ones in a folder of its own.

    Args:
        models: where the service looks for models.
        scratch: for the good ones; it does not exist yet.
    """

    def __init__(self, models: Path, scratch: Path) -> None:
        self._models = models
        encoder = tiny.write_encoder(scratch / "encoder")
        self._good = {"starter": _saved(Model.load("starter"), scratch)}
        for kind in ("onnx", "probe"):
            self._good[kind] = _saved(tiny.model(kind, encoder, scratch / f"{kind}-graph"), scratch)

    def names(self, *, slow: bool) -> list[str]:
        """What there is; slow ones take a minute to be refused."""
        return [name for name in CANDIDATES if slow or name != "m5endless"]

    def made(self, name: str) -> str:
        """Make the folder of that name; give the name by which it is promoted."""
        kind, alter = CANDIDATES[name]
        alter(Path(shutil.copytree(self._good[kind], self._models / name)))
        return name

    def good(self, name: str, kind: str = "onnx") -> str:
        """A folder with nothing wrong."""
        shutil.copytree(self._good[kind], self._models / name)
        return name

    def sick(self) -> str:
        """The id of a model that opens and answers, but gives no number for one word."""
        scratch = Path(shutil.copytree(self._good["onnx"], self._models / ".sick"))
        graph = onnx.load(scratch / "model.onnx")
        _fill(graph, "embedding_table", np.nan, tiny.vocabulary()[SICK_WORD])
        onnx.save(graph, scratch / "model.onnx")
        tiny.reseal(scratch, golden={})
        id_: str = json.loads((scratch / "manifest.json").read_text(encoding="utf-8"))["id"]
        scratch.rename(self._models / id_)
        return id_

    def remove(self, name: str) -> None:
        """Take a folder away."""
        shutil.rmtree(self._models / name)


def _saved(model: Model, root: Path) -> Path:
    return root / model.save(root).id


def _cut(share: float) -> Alter:
    def alter(folder: Path) -> None:
        path = folder / "model.onnx"
        os.truncate(path, int(path.stat().st_size * share))

    return alter


def _flip(folder: Path) -> None:
    path = folder / "model.onnx"
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


def _json(name: str, change: Callable[[Any], object], **more: Any) -> Alter:
    def alter(folder: Path) -> None:
        path = folder / name
        document = json.loads(path.read_text(encoding="utf-8"))
        change(document)
        path.write_text(json.dumps(document), encoding="utf-8")
        if name != "manifest.json":
            tiny.reseal(folder, **more)

    return alter


def _bytes(name: str, content: bytes) -> Alter:
    def alter(folder: Path) -> None:
        (folder / name).write_bytes(content)
        tiny.reseal(folder)

    return alter


def _graph(change: Callable[[onnx.ModelProto], object]) -> Alter:
    def alter(folder: Path) -> None:
        graph = onnx.load(folder / "model.onnx")
        change(graph)
        (folder / "model.onnx").write_bytes(graph.SerializeToString())
        tiny.reseal(folder)

    return alter


def _arrays(change: Callable[[dict[str, Any]], object]) -> Alter:
    def alter(folder: Path) -> None:
        with np.load(folder / "head.npz") as archive:
            arrays = dict(archive)
        change(arrays)
        np.savez(folder / "head.npz", **arrays)
        tiny.reseal(folder)

    return alter


def _link(folder: Path) -> None:
    path = folder / "model.onnx"
    elsewhere = folder.parent / f".{folder.name}.onnx"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def _external(graph: onnx.ModelProto) -> None:
    tensor = TensorProto(name="embedding_table", data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    tensor.dims.extend([len(tiny.vocabulary()), tiny.WIDTH])
    tensor.external_data.add(key="location", value="../../etc/passwd")
    _initializer(graph, "embedding_table").CopyFrom(tensor)


def _endless(graph: onnx.ModelProto) -> None:
    """A loop that adds nothing, without end, before the answer."""
    scalar = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["on"], ["still"]), helper.make_node("Identity", ["held"], ["next"])],
        "body",
        [
            scalar("round", TensorProto.INT64, []),
            scalar("on", TensorProto.BOOL, []),
            scalar("held", TensorProto.FLOAT, None),
        ],
        [scalar("still", TensorProto.BOOL, []), scalar("next", TensorProto.FLOAT, None)],
    )
    _before_the_answer(graph, [helper.make_node("Loop", ["rounds", "yes", "logits_then"], ["logits"], body=body)])
    graph.graph.initializer.append(numpy_helper.from_array(np.array(ENDLESS), "rounds"))
    graph.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))


def _huge(graph: onnx.ModelProto) -> None:
    """Room for 40 TB before the answer."""
    _before_the_answer(
        graph,
        [
            helper.make_node("ConstantOfShape", ["much"], ["zeros"]),
            helper.make_node("ReduceSum", ["zeros"], ["zero"], keepdims=0),
            helper.make_node("Add", ["logits_then", "zero"], ["logits"]),
        ],
    )
    graph.graph.initializer.append(numpy_helper.from_array(np.array([HUGE]), "much"))


def _before_the_answer(graph: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> None:
    [last] = [node for node in graph.graph.node if "logits" in node.output]
    last.output[list(last.output).index("logits")] = "logits_then"
    graph.graph.node.extend(nodes)


def _fill(graph: onnx.ModelProto, name: str, value: float, row: int | None = None) -> None:
    tensor = _initializer(graph, name)
    values = numpy_helper.to_array(tensor).copy()
    values[slice(None) if row is None else row] = value
    tensor.CopyFrom(numpy_helper.from_array(values, name))


def _initializer(graph: onnx.ModelProto, name: str) -> onnx.TensorProto:
    return next(tensor for tensor in graph.graph.initializer if tensor.name == name)


def _one_more_label(folder: Path) -> None:
    names = [*tiny.LABELS, "One More"]
    (folder / "taxonomy.toml").write_text(Taxonomy.of(names).to_toml(), encoding="utf-8")
    calibration = Calibration.identity(len(names)).to_dict(names)
    (folder / "calibration.json").write_text(json.dumps(calibration), encoding="utf-8")
    policy = json.loads((folder / "policy.json").read_text(encoding="utf-8"))
    for kind in ("suggest", "automate"):
        policy[kind]["One More"] = 0.99
    (folder / "policy.json").write_text(json.dumps(policy), encoding="utf-8")
    tiny.reseal(folder, taxonomy=Taxonomy.of(names).fingerprint)


def _threshold(value: Any) -> Alter:
    return _json("policy.json", lambda policy: policy["suggest"].update({tiny.LABELS[0]: value}))


def _split_by(pattern: str) -> Alter:
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return _json("tokenizer.json", lambda tokenizer: tokenizer.update(pre_tokenizer=split))


def _shorten(graph: onnx.ModelProto) -> None:
    """A row less than the vocabulary has words."""
    for name in ("embedding_table", "middle_table"):
        tensor = _initializer(graph, name)
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor)[:-1].copy(), name))


_SAME_LABEL_TWICE = b"[[label]]\nname = 'A'\n[[label]]\nname = 'A'\n"
CANDIDATES: dict[str, tuple[str, Alter]] = {
    "m1cut0": ("starter", _cut(0)),
    "m1cut1": ("starter", _cut(0.01)),
    "m1cut50": ("starter", _cut(0.5)),
    "m1cut99": ("starter", _cut(0.99)),
    "m1flip": ("starter", _flip),
    "m2nomanifest": ("onnx", lambda folder: (folder / "manifest.json").unlink()),
    "m2extra": ("onnx", lambda folder: (folder / "notes.txt").write_text("mine")),
    "m2missing": ("onnx", lambda folder: (folder / "calibration.json").unlink()),
    "m2hash": ("onnx", _json("manifest.json", lambda one: one["files"].update({"policy.json": "0" * 64}))),
    "m2outside": ("onnx", _json("manifest.json", lambda one: one["files"].update({"../x": "0" * 64}))),
    "m3pickle": ("starter", _bytes("weights.pkl", b"cos\nsystem\n(S'false'\ntR.")),
    "m3torch": ("starter", _bytes("pytorch_model.bin", b"PK\x03\x04")),
    "m4external": ("onnx", _graph(_external)),
    "m4link": ("starter", _link),
    "m5endless": ("onnx", _graph(_endless)),
    "m5huge": ("onnx", _graph(_huge)),
    "m6header": ("probe", _bytes("head.npz", b"PK\x03\x04")),
    "m6shape": ("probe", _arrays(lambda arrays: arrays.update(bias=arrays["bias"][:-1]))),
    "m6type": ("probe", _arrays(lambda arrays: arrays.update(terms=arrays["terms"].astype(np.float32)))),
    "m7labels": ("onnx", _one_more_label),
    "m7twice": ("onnx", _bytes("taxonomy.toml", _SAME_LABEL_TWICE)),
    "m7none": ("onnx", _threshold(None)),
    "m7nan": ("onnx", _threshold(float("nan"))),
    "m7range": ("onnx", _threshold(1.1)),
    "m8rows": ("onnx", _graph(_shorten)),
    "m8token": ("onnx", _json("tokenizer.json", lambda one: one["model"]["vocab"].update(charged=10**7))),
    "m9nan": ("onnx", _graph(lambda graph: _fill(graph, "embedding_table", np.nan))),
    "m9inf": ("probe", _arrays(lambda arrays: arrays["bias"].fill(np.inf))),
    "m10none": ("onnx", _bytes("tokenizer.json", b"{}")),
    "m10large": ("onnx", _bytes("tokenizer.json", b"{" + b" " * 50_000_001 + b"}")),
    "m10bomb": ("onnx", _split_by("(" * 3000 + "a" + ")" * 3000)),
    "m16operators": ("onnx", _graph(lambda graph: setattr(graph.opset_import[0], "version", 999))),
}
