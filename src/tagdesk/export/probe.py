"""Draws a probe's head into the graph of its encoder, so that one graph leads from tokens to logits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tagdesk.scorers.lexicon import ALONE
from tagdesk.scorers.probe import VIEWS, ProbeHead, ProbeScorer

INPUTS = ["input_ids", "attention_mask"]
HEAD = "head/"  # names that begin with it are left alone when a graph is quantised


def probe_to_onnx(scorer: ProbeScorer, out: Path) -> None:
    """Write a graph with `logits` (tickets, labels) beside the encoder's views."""
    from onnx import TensorProto, helper, load, save  # noqa: PLC0415 - slow to import, only in the [train] extra
    from onnx.utils import Extractor  # noqa: PLC0415 - the same

    # The encoder may be a whole model, such as the starter, with a head and `logits` of its own: they stay behind.
    views = [view for view in VIEWS if view in scorer.graph.widths]
    model = Extractor(load(scorer.graph.folder / "model.onnx")).extract_model(INPUTS, views)
    graph = _Nodes(model.graph)
    head = scorer.head
    kernel = graph.sum(
        [_gaussian(graph, view, marks, head) for view, marks in zip(VIEWS, head.landmarks, strict=False)]
    )
    parts = [graph.add("MatMul", [kernel, graph.constant("kernel_weights", head.kernel_weights)])]
    if len(head.terms):
        parts.append(_words(graph, head))
    graph.add("Add", [graph.sum(parts), graph.constant("bias", head.bias)], output="logits")
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["tickets", len(head.bias)])]
    outputs += list(model.graph.output)
    del model.graph.output[:]
    model.graph.output.extend(outputs)
    save(model, out)


class _Nodes:
    """Adds nodes to a graph under names of its own."""

    def __init__(self, graph: Any) -> None:
        self._graph = graph
        self._count = 0

    def constant(self, name: str, value: Any) -> str:
        from onnx import numpy_helper  # noqa: PLC0415 - slow to import

        self._graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), HEAD + name))
        return HEAD + name

    def add(self, kind: str, inputs: list[str], *, output: str | None = None, **attributes: Any) -> str:
        from onnx import helper  # noqa: PLC0415 - slow to import

        self._count += 1
        name = f"{HEAD}{kind}_{self._count}"
        self._graph.node.append(helper.make_node(kind, inputs, [output or name], name=name, **attributes))
        return output or name

    def sum(self, values: list[str]) -> str:
        return values[0] if len(values) == 1 else self.add("Sum", values)


def _gaussian(graph: _Nodes, view: str, landmarks: Any, head: ProbeHead) -> str:
    """exp(2 gamma (view @ landmarks.T - 1)) for rows of length 1, (tickets, landmarks)."""
    cosine = graph.add("MatMul", [view, graph.constant(f"landmarks/{view}", landmarks.T)])
    twice = graph.constant(f"gamma/{view}", np.array(2 * head.gamma, dtype=np.float32))
    return graph.add("Exp", [graph.add("Sub", [graph.add("Mul", [cosine, twice]), twice])])


def _words(graph: _Nodes, head: ProbeHead) -> str:
    """TF-IDF of the word pieces times their weights, (tickets, labels); see `Lexicon`."""
    single = head.terms[:, 1] == ALONE
    alone, pairs = np.flatnonzero(single), np.flatnonzero(~single)
    pool = np.concatenate([head.terms[alone, 0], head.terms[pairs].ravel()])
    counts = graph.add(
        "TfIdfVectorizer",
        ["input_ids"],
        mode="TF",
        min_gram_length=1,
        max_gram_length=2,
        max_skip_count=0,
        ngram_counts=[0, len(alone)],
        ngram_indexes=np.concatenate([alone, pairs]).tolist(),
        pool_int64s=pool.tolist(),
    )
    one = graph.constant("one", np.array(1, dtype=np.float32))
    least = graph.constant("least", np.array(1e-12, dtype=np.float32))
    present = graph.add("Min", [counts, one])
    damped = graph.add("Add", [graph.add("Log", [graph.add("Max", [counts, one])]), one])
    weights = graph.add("Mul", [graph.add("Mul", [damped, present]), graph.constant("idf", head.idf)])
    length = graph.add("ReduceL2", [weights], axes=[1], keepdims=1)
    scaled = graph.add("Div", [weights, graph.add("Max", [length, least])])
    return graph.add("MatMul", [scaled, graph.constant("term_weights", head.term_weights)])
