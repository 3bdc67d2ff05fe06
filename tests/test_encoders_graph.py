"""Graphs that were rewritten, run by the real runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

pytest.importorskip("onnx")

import onnx
from onnx import TensorProto, helper, numpy_helper

from tagdesk.encoders.graph import GROUP, HEAD, quantise

WORDS, WIDTH = 200, 64
CHANCE = np.random.default_rng(0)
TABLE = CHANCE.normal(size=(WORDS, WIDTH)).astype(np.float32)
MATRIX = CHANCE.normal(size=(WIDTH, WIDTH)).astype(np.float32)
IDS = np.array([[3, 4, 5], [6, 0, 0]], dtype=np.int64)


def drawn(path: Path, *, table: np.ndarray = TABLE, extra: list[onnx.NodeProto] | None = None) -> Path:
    """embedding = mean over tokens of table[input_ids] @ matrix."""
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["tickets", "tokens"])
        for name in ("input_ids", "attention_mask")
    ]
    outputs = [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["tickets", WIDTH])]
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["words"], name="look_up"),
        helper.make_node("MatMul", ["words", "matrix"], ["states"], name="multiply"),
        helper.make_node("ReduceMean", ["states"], ["embedding"], axes=[1], keepdims=0),
        *(extra or []),
    ]
    arrays = [numpy_helper.from_array(table, "table"), numpy_helper.from_array(MATRIX, "matrix")]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, arrays)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def run(path: Path, ids: np.ndarray = IDS) -> dict[str, np.ndarray]:
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"input_ids": ids, "attention_mask": np.ones_like(ids)}), strict=True))


def arrays_of(path: Path) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}


def test_a_small_graph_computes_nearly_the_same(tmp_path: Path) -> None:
    plain = run(drawn(tmp_path / "plain.onnx"))["embedding"]
    quantise(tmp_path / "plain.onnx", tmp_path / "small.onnx")
    onnx.checker.check_model(onnx.load(tmp_path / "small.onnx"))
    small = run(tmp_path / "small.onnx")["embedding"]
    assert 0 < np.abs(small - plain).max() < 0.2
    assert (tmp_path / "small.onnx").stat().st_size < 0.5 * (tmp_path / "plain.onnx").stat().st_size


def test_words_and_matrices_take_a_byte_each(tmp_path: Path) -> None:
    quantise(drawn(tmp_path / "graph.onnx"), tmp_path / "graph.onnx")
    arrays = arrays_of(tmp_path / "graph.onnx")
    assert arrays["table.int8"].dtype == np.int8
    assert arrays["table.int8"].shape == (WORDS, WIDTH // GROUP, GROUP)
    assert arrays["matrix.int8"].shape == (WIDTH // GROUP, GROUP, WIDTH)
    matrix = (arrays["matrix.int8"] * arrays["matrix.scale"]).reshape(WIDTH, WIDTH)
    assert (np.abs(matrix - MATRIX) <= np.repeat(arrays["matrix.scale"], GROUP, axis=1).reshape(WIDTH, WIDTH) / 2).all()
    restored = (arrays["table.int8"] * arrays["table.scale"]).reshape(WORDS, WIDTH)
    assert (np.abs(restored - TABLE) <= np.repeat(arrays["table.scale"], GROUP, axis=2).reshape(WORDS, WIDTH) / 2).all()


def test_a_word_of_zeros_stays_zero(tmp_path: Path) -> None:
    table = TABLE.copy()
    table[0] = 0
    quantise(drawn(tmp_path / "graph.onnx", table=table), tmp_path / "graph.onnx")
    assert not run(tmp_path / "graph.onnx", np.zeros((1, 2), dtype=np.int64))["embedding"].any()


def test_a_table_that_something_else_reads_too_stays_whole(tmp_path: Path) -> None:
    tied = helper.make_node("Transpose", ["table"], ["unused"], name="tied")
    quantise(drawn(tmp_path / "graph.onnx", extra=[tied]), tmp_path / "graph.onnx")
    assert "table.half" in arrays_of(tmp_path / "graph.onnx")
    run(tmp_path / "graph.onnx")


def test_heads_keep_half_precision(tmp_path: Path) -> None:
    weights = CHANCE.normal(size=(WIDTH, 2 * WIDTH)).astype(np.float32)
    model = onnx.load(drawn(tmp_path / "graph.onnx"))
    model.graph.initializer.append(numpy_helper.from_array(weights, f"{HEAD}/weights"))
    onnx.save(model, tmp_path / "graph.onnx")
    quantise(tmp_path / "graph.onnx", tmp_path / "graph.onnx")
    kept = arrays_of(tmp_path / "graph.onnx")[f"{HEAD}/weights.half"]
    np.testing.assert_array_equal(kept, weights.astype(np.float16))


def test_numbers_too_large_for_half_precision_stay_as_they_are(tmp_path: Path) -> None:
    table = TABLE.copy()
    table[5, 5] = 1e5
    quantise(drawn(tmp_path / "graph.onnx", table=table), tmp_path / "graph.onnx")
    np.testing.assert_array_equal(arrays_of(tmp_path / "graph.onnx")["table"], table)


def test_to_make_a_graph_small_twice_changes_nothing_more(tmp_path: Path) -> None:
    quantise(drawn(tmp_path / "graph.onnx"), tmp_path / "once.onnx")
    quantise(tmp_path / "once.onnx", tmp_path / "twice.onnx")
    assert (tmp_path / "once.onnx").read_bytes() == (tmp_path / "twice.onnx").read_bytes()
