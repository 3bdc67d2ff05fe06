from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

import tiny
from tagdesk.encoders import onnx as module
from tagdesk.encoders.onnx import TextGraph, _providers, batches
from tagdesk.errors import ArtefactError, UsageError


@pytest.fixture
def text_graph(encoder: Path) -> TextGraph:
    return TextGraph(encoder, 64)


def by_hand(text: str) -> np.ndarray:
    """The embedding of words that are all in the vocabulary."""
    model, words = tiny.graph(), tiny.vocabulary()
    [table] = [tensor for tensor in model.graph.initializer if tensor.name == "embedding_table"]
    mean = numpy_helper.to_array(table)[[words[word] for word in ("[CLS]", *text.split(), "[SEP]")]].mean(axis=0)
    return mean / np.linalg.norm(mean)


def test_embeddings_are_those_computed_by_hand_in_the_order_of_the_texts(text_graph: TextGraph) -> None:
    texts = ["parcel late for my card", "charged", "charged twice"]
    reading = text_graph.read(texts, ["embedding"])
    assert np.allclose(reading.outputs[0], [by_hand(text) for text in texts], atol=1e-6)
    assert reading.outputs[0].dtype == np.float32


def test_outputs_come_in_the_order_asked_for(text_graph: TextGraph) -> None:
    a, b = text_graph.read(["charged"], ["embedding", "middle"]).outputs
    c, d = text_graph.read(["charged"], ["middle", "embedding"]).outputs
    assert np.array_equal(a, d)
    assert np.array_equal(b, c)
    assert not np.allclose(a, b)


def test_padding_changes_nothing(text_graph: TextGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [*tiny.examples(30).texts, "a", " ".join(["charged"] * 60)]
    together = text_graph.read(texts, ["embedding"]).outputs[0]
    monkeypatch.setattr(module, "BATCH_TOKENS", 1)  # every text alone
    assert np.allclose(text_graph.read(texts, ["embedding"]).outputs[0], together, atol=1e-6)


def test_more_texts_than_are_tokenized_at_once_keep_their_order(
    text_graph: TextGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = tiny.examples(25).texts
    whole = text_graph.read(texts, ["embedding", "middle"])
    monkeypatch.setattr(module, "TOKENIZE_AT_ONCE", 4)
    parts = text_graph.read(texts, ["embedding", "middle"])
    assert np.allclose(parts.outputs, whole.outputs, atol=1e-6)
    assert parts.ids == whole.ids


def test_a_long_text_is_cut_and_keeps_its_end_token(encoder: Path) -> None:
    words = tiny.vocabulary()
    reading = TextGraph(encoder, 8).read(["my card was charged twice", "parcel " * 100], ["embedding"])
    assert reading.truncated.tolist() == [False, True]
    assert reading.ids[1] == [words["[CLS]"], *[words["parcel"]] * 6, words["[SEP]"]]
    assert np.allclose(reading.outputs[0][1], by_hand("parcel " * 6), atol=1e-6)


def test_no_texts_give_empty_arrays(text_graph: TextGraph) -> None:
    reading = text_graph.read([], ["embedding"])
    assert reading.outputs[0].shape == (0, tiny.WIDTH)
    assert (reading.ids, len(reading.truncated), len(reading.unknown)) == ([], 0, 0)


def test_an_output_that_is_not_there_is_told_with_those_that_are(text_graph: TextGraph) -> None:
    with pytest.raises(ArtefactError, match=r"no output 'logits'.*\['embedding', 'middle'\]"):
        text_graph.read(["ok"], ["logits"])
    assert text_graph.widths == {"embedding": tiny.WIDTH, "middle": tiny.WIDTH}


@given(st.lists(st.integers(1, 40), max_size=40), st.integers(1, 200))
def test_every_row_stands_in_one_batch_of_like_length(lengths: list[int], budget: int) -> None:
    found = [rows.tolist() for rows in batches(lengths, budget)]
    assert sorted(row for rows in found for row in rows) == list(range(len(lengths)))
    assert all(len(rows) == 1 or len(rows) * max(lengths[row] for row in rows) <= budget for rows in found)
    longest = [max(lengths[row] for row in rows) for rows in found]
    assert longest == sorted(longest)


def damaged(folder: Path, model: onnx.ModelProto) -> ArtefactError:
    """The error with which the graph is refused, at opening or at reading."""
    tiny.write_encoder(folder)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ArtefactError) as refused:
        TextGraph(folder, 64).read(["charged"], ["embedding"])
    return refused.value


def constant(value: np.ndarray, shape: list[object], kind: int = TensorProto.FLOAT) -> onnx.ModelProto:
    """A graph whose `embedding` is always the same."""
    nodes = [
        helper.make_node("Cast", ["attention_mask"], ["unused"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["input_ids"], ["unused too"], to=TensorProto.FLOAT),
        helper.make_node("Identity", ["value"], ["embedding"]),
    ]
    output = helper.make_tensor_value_info("embedding", kind, shape)
    return tiny.assembled(nodes, [output], {"value": value})


def as_wide_as_long() -> onnx.ModelProto:
    """A graph whose `embedding` has a number for each token."""
    nodes = [
        helper.make_node("Cast", ["attention_mask"], ["embedding"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["input_ids"], ["unused"], to=TensorProto.FLOAT),
    ]
    return tiny.assembled(
        nodes, [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["tickets", "tokens"])], {}
    )


@pytest.mark.parametrize(
    "model",
    [
        constant(np.ones((2, 4), np.float32), ["tickets", 4]),
        constant(np.ones((1, 4), np.int64), ["tickets", 4], TensorProto.INT64),
        constant(np.array([["a"] * 4], object), ["tickets", 4], TensorProto.STRING),
        as_wide_as_long(),
        constant(np.ones((1, 1, 4), np.float32), ["tickets", 1, 4]),
        constant(np.ones(4, np.float32), [4]),
        constant(np.float32(1).reshape(()), []),
        constant(np.ones((1, 0), np.float32), ["tickets", 0]),
    ],
    ids=["rows", "whole numbers", "texts", "free width", "3 axes", "1 axis", "no axis", "nothing"],
)
def test_an_output_of_another_shape_or_type_is_refused(model: onnx.ModelProto, tmp_path: Path) -> None:
    assert damaged(tmp_path / "graph", model).code == "bad_graph"


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    for name, value in (("nan", np.nan), ("inf", np.inf)):
        graph = constant(np.full((1, 4), value, np.float32), ["tickets", 4])
        assert damaged(tmp_path / name, graph).code == "model_unhealthy"


def test_a_graph_of_other_inputs_is_refused_with_their_names(tmp_path: Path) -> None:
    output = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["tickets", 1])
    inputs = [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["tickets", 1])]
    graph = helper.make_graph([helper.make_node("Identity", ["pixels"], ["embedding"])], "g", inputs, [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    assert "takes ['pixels']; expected input_ids and attention_mask" in str(damaged(tmp_path / "graph", model))


@pytest.mark.parametrize("content", [b"", b"ORTM" * 9, b"\x08\x07", b"PK\x03\x04", b"\xff" * 1000, b"\0" * 1000])
def test_a_file_that_is_no_graph_is_refused(content: bytes, tmp_path: Path) -> None:
    folder = tiny.write_encoder(tmp_path / "graph")
    (folder / "model.onnx").write_bytes(content)
    with pytest.raises(ArtefactError) as refused:
        TextGraph(folder, 64)
    assert refused.value.code == "bad_graph"
    (folder / "model.onnx").unlink()
    with pytest.raises(ArtefactError, match="cannot be read"):
        TextGraph(folder, 64)


def test_trying_out_tells_how_many_tokens_a_graph_can_read(tmp_path: Path) -> None:
    graph = TextGraph(tiny.write_encoder(tmp_path / "short", positions=16), 64)
    graph.try_out(16)
    with pytest.raises(ArtefactError, match="cannot be run"):
        graph.try_out(17)
    with pytest.raises(ArtefactError, match="cannot be run"):
        graph.read(["charged " * 16], ["embedding"])


def test_the_number_of_threads_is_free(encoder: Path) -> None:
    texts = tiny.examples(5).texts
    first, second = (TextGraph(encoder, 64, threads=n).read(texts, ["embedding"]).outputs[0] for n in (1, None))
    assert np.allclose(first, second, atol=1e-6)


@pytest.mark.parametrize(
    ("device", "available", "chosen"),
    [
        ("", ["CUDAExecutionProvider", "CPUExecutionProvider"], ["CUDAExecutionProvider", "CPUExecutionProvider"]),
        ("auto", ["CPUExecutionProvider"], ["CPUExecutionProvider"]),
        ("cpu", ["CUDAExecutionProvider", "CPUExecutionProvider"], ["CPUExecutionProvider"]),
        ("cuda", ["CUDAExecutionProvider", "CPUExecutionProvider"], ["CUDAExecutionProvider", "CPUExecutionProvider"]),
    ],
)
def test_a_gpu_is_used_where_there_is_one_and_nobody_says_otherwise(
    device: str, available: list[str], chosen: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAGDESK_DEVICE", device)
    assert _providers(available) == chosen


def test_a_gpu_that_is_not_there_and_a_device_that_is_none_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for device in ("cuda", "tpu"):
        monkeypatch.setenv("TAGDESK_DEVICE", device)
        with pytest.raises(UsageError, match="TAGDESK_DEVICE"):
            _providers(["CPUExecutionProvider"])
