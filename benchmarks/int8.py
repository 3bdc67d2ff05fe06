"""Compares ways to make a model's graph small by what they cost in decisions and in time.

A probe is trained on the project's own tickets, drawn as a graph, and made small in every way; label sets are compared
on customers' messages that no one trained on.

python benchmarks/int8.py --data FOLDER_WITH_MESSAGES
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import cross_val_predict

from own import PILOT
from tables import publish
from tagdesk.arrays import BoolArray, Probs, Targets, Thresholds
from tagdesk.calibrate import split_none
from tagdesk.dataset import read_tickets
from tagdesk.encoders.graph import quantise
from tagdesk.encoders.onnx import TextGraph
from tagdesk.export.probe import probe_to_onnx
from tagdesk.model import Model
from tagdesk.policy.objective import parse_objective
from tagdesk.policy.thresholds import best
from tagdesk.prediction import Decision
from tagdesk.scorers import named_recipes
from tagdesk.scorers.base import sigmoid
from tagdesk.scorers.probe import ProbeScorer
from tagdesk.ticket import Ticket
from tagdesk.train import examples_from, support_taxonomy, train

PARTS = ("int8", "scale", "shape")  # what `quantise` makes of a matrix
Method = Callable[[Path, Path], None]


@dataclass(frozen=True)
class Row:
    """What one method does; milliseconds are CPU time on one thread, so that what else runs matters little."""

    name: str
    megabytes: float
    cosine: float
    largest_change: float
    equal_sets: float
    equal_linear: float
    f1_macro: float
    open_ms: float
    one_ms: float
    bulk_per_second: float


@dataclass(frozen=True)
class LinearHead:
    """A logistic regression per label on the embedding; its scores lie closer to the thresholds than a probe's."""

    weights: NDArray[np.float64]
    bias: NDArray[np.float64]
    thresholds: Thresholds

    @classmethod
    def fit(cls, model: Model) -> Self:
        """Learn from the pilot tickets, with the thresholds that give the best F1 out of fold."""
        assert isinstance(model.scorer, ProbeScorer)  # noqa: S101 - the recipe says so
        examples = examples_from(read_tickets(PILOT).tickets, model.taxonomy)
        (embeddings,) = model.scorer.graph.read(examples.texts, ["embedding"]).outputs
        heads = [LogisticRegression(C=10, max_iter=1000) for _ in model.taxonomy.names]
        folds = [
            cross_val_predict(head, embeddings, column, method="predict_proba")[:, 1]
            for head, column in zip(heads, examples.targets.T, strict=True)
        ]
        for head, column in zip(heads, examples.targets.T, strict=True):
            head.fit(embeddings, column)
        scores = np.stack(folds, axis=1).astype(np.float32)
        return cls(
            np.concatenate([head.coef_ for head in heads]).T,
            np.concatenate([head.intercept_ for head in heads]),
            best(examples.targets, scores, parse_objective("f1_macro")),
        )

    def __call__(self, embeddings: NDArray[np.float32]) -> BoolArray:
        """The labels given, (tickets, labels)."""
        given: BoolArray = 1 / (1 + np.exp(-embeddings @ self.weights - self.bias)) >= self.thresholds
        return given


@dataclass(frozen=True)
class _Reading:
    embeddings: NDArray[np.float32]
    probs: Probs
    given: BoolArray
    times: tuple[float, float, float]


def main() -> None:
    """Measure every method and write benchmarks/results/int8.json and int8.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder with messages/*.csv")
    parser.add_argument("--texts", type=int, default=2000)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)  # the runtime's quantiser advises at length
    texts, targets = messages(arguments.data / "messages", arguments.texts)
    recipe = named_recipes()["probe"].changed({"encoder": "all-MiniLM-L6-v2"})
    model = train(read_tickets(PILOT).tickets, recipe, taxonomy=support_taxonomy()).model
    heads = ("MB", "lowest cosine", "largest change", "same labels", "linear", "F1", "open ms", "one ms", "per s")
    lines = [" | ".join((f"{len(texts)} messages", *heads)), "|".join(["---"] * (1 + len(heads)))]
    rows = []
    for row in measured(model, texts, targets):
        rows.append(asdict(row))
        size = f"{row.megabytes:.1f} | {row.cosine:.4f} | {row.largest_change:.3f}"
        equal = f"{row.equal_sets:.2%} | {row.equal_linear:.2%}"
        speed = f"{row.open_ms:.0f} | {row.one_ms:.1f} | {row.bulk_per_second:.0f}"
        lines.append(f"{row.name} | {size} | {equal} | {row.f1_macro:+.4f} | {speed}")
        print(lines[-1], flush=True)
    publish("int8", rows, [f"| {line} |" for line in lines])


def messages(folder: Path, n: int) -> tuple[Sequence[str], Targets]:
    """As many messages from each file, drawn at random, with their labels."""
    files = sorted(folder.glob("*.csv"))
    drawn: list[Ticket] = []
    for file in files:
        tickets = read_tickets(file).tickets
        rows = np.random.default_rng(0).permutation(len(tickets))[: -(-n // len(files))]
        drawn += [tickets[row] for row in rows]
    examples = examples_from(drawn, support_taxonomy())
    return examples.texts, examples.targets


def measured(model: Model, texts: Sequence[str], targets: Targets) -> Iterator[Row]:
    """One row for each method; F1 is against the labels of the files, as a difference from float32."""
    assert isinstance(model.scorer, ProbeScorer)  # noqa: S101 - the recipe says so
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model.scorer.save(folder)
        probe_to_onnx(model.scorer, folder / "source.onnx")
        reference: _Reading | None = None
        linear = LinearHead.fit(model)
        for method, make in METHODS.items():
            make(folder / "source.onnx", folder / "model.onnx")
            found = _read(folder, model, texts)
            reference = reference or found
            yield Row(
                method,
                (folder / "model.onnx").stat().st_size / 1e6,
                float((found.embeddings * reference.embeddings).sum(axis=1).min()),
                float(np.abs(found.probs - reference.probs).max()),
                float((found.given == reference.given).all(axis=1).mean()),
                float((linear(found.embeddings) == linear(reference.embeddings)).all(axis=1).mean()),
                f1_score(targets, found.given, average="macro") - f1_score(targets, reference.given, average="macro"),
                *found.times,
            )


def _read(folder: Path, model: Model, texts: Sequence[str]) -> _Reading:
    opened = []
    for _ in range(3):
        started = time.process_time()
        graph = TextGraph(folder, 256, threads=1)
        opened.append(time.process_time() - started)
    started = time.process_time()
    (logits, embeddings) = graph.read(texts, ["logits", "embedding"]).outputs
    bulk = len(texts) / (time.process_time() - started)
    started = time.process_time()
    for text in texts[::20]:
        graph.read([text], ["logits"])
    one = (time.process_time() - started) / len(texts[::20])
    probs, none = split_none(model.calibration.apply(sigmoid(logits)), len(model.taxonomy))
    given = model.policy.decide(probs, none) >= Decision.SUGGEST
    return _Reading(embeddings, probs, given, (1000 * min(opened), 1000 * one, bulk))


# The methods. All but float32 keep words and head as `quantise` does, so that they differ in the matrices alone.


def as_it_is(source: Path, out: Path) -> None:
    """Change nothing."""
    out.write_bytes(source.read_bytes())


def unfolded(group: int | None) -> Method:
    """Matrices in int8 with a scale per column and group of rows, unfolded to float32 when the graph is opened."""

    def make(source: Path, out: Path) -> None:
        model, matrices = _words_only(source)
        nodes = []
        for name, matrix in matrices.items():
            int8, scale = _in_groups(matrix, group or len(matrix))
            parts = {"int8": int8, "scale": scale, "shape": np.array(matrix.shape)}
            model.graph.initializer.extend(numpy_helper.from_array(v, f"{name}.{k}") for k, v in parts.items())
            nodes += [
                helper.make_node("Cast", [f"{name}.int8"], [f"{name}.float"], to=onnx.TensorProto.FLOAT),
                helper.make_node("Mul", [f"{name}.float", f"{name}.scale"], [f"{name}.groups"]),
                helper.make_node("Reshape", [f"{name}.groups", f"{name}.shape"], [name]),
            ]
        _save(model, [*nodes, *model.graph.node], out)

    return make


def halves(source: Path, out: Path) -> None:
    """Matrices in float16, unfolded to float32 when the graph is opened."""
    model, matrices = _words_only(source)
    nodes = []
    for name, matrix in matrices.items():
        model.graph.initializer.append(numpy_helper.from_array(matrix.astype(np.float16), f"{name}.half"))
        nodes.append(helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT))
    _save(model, [*nodes, *model.graph.node], out)


def blocks(group: int, accuracy: int) -> Method:
    """The runtime's MatMulNBits at 8 bits; accuracy 0 multiplies in float32, 4 in int8."""

    def make(source: Path, out: Path) -> None:
        model, matrices = _words_only(source)
        for node in model.graph.node:
            if node.op_type != "MatMul" or node.input[1] not in matrices:
                continue
            name = node.input[1]
            rows, columns = matrices[name].shape
            int8, scale = _in_groups(matrices[name], group)
            packed = (int8.astype(np.int16) + 128).astype(np.uint8).transpose(2, 0, 1)
            model.graph.initializer.extend(
                [
                    numpy_helper.from_array(np.ascontiguousarray(packed), f"{name}.int8"),
                    numpy_helper.from_array(scale[:, 0].T.reshape(-1).copy(), f"{name}.scale"),
                ]
            )
            sizes = {"K": rows, "N": columns, "bits": 8, "block_size": group, "accuracy_level": accuracy}
            inputs = [node.input[0], f"{name}.int8", f"{name}.scale"]
            node.CopyFrom(helper.make_node("MatMulNBits", inputs, node.output, domain="com.microsoft", **sizes))
        model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
        _save(model, list(model.graph.node), out)

    return make


def dynamic(weights: QuantType, *, reduced: bool) -> Method:
    """The runtime's dynamic quantisation: int8 weights per column, int8 activations per text batch."""

    def make(source: Path, out: Path) -> None:
        model, matrices = _words_only(source)
        model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in matrices.items())
        _save(model, list(model.graph.node), out)
        chosen = [n.name for n in model.graph.node if n.op_type == "MatMul" and n.input[1] in matrices]
        quantize_dynamic(
            out, out, nodes_to_quantize=chosen, per_channel=True, reduce_range=reduced, weight_type=weights
        )

    return make


def _words_only(source: Path) -> tuple[onnx.ModelProto, dict[str, NDArray[np.float32]]]:
    """The graph with words and head as `quantise` keeps them and without its other matrices, which come apart."""
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        quantise(source, Path(file.name))
        model = onnx.load(file.name)
    whole = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(source).graph.initializer}
    names = {output for node in model.graph.node for output in node.output if output in whole}
    parts = {f"{name}.{part}" for name in names for part in PARTS}
    names = {name for name in names if f"{name}.int8" in {tensor.name for tensor in model.graph.initializer}}
    made = names | {f"{name}.{part}" for name in names for part in ("float", "groups")}
    nodes = [node for node in model.graph.node if node.output[0] not in made]
    kept = [tensor for tensor in model.graph.initializer if tensor.name not in parts]
    used = {name for node in nodes if node.op_type == "MatMul" for name in node.input}
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(
        [*kept, *(numpy_helper.from_array(whole[name], name) for name in sorted(names - used))]
    )
    return model, {name: whole[name] for name in sorted(names & used)}


def _in_groups(matrix: NDArray[np.float32], group: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Numbers (groups, group, columns) and scales (groups, 1, columns)."""
    rows, columns = matrix.shape
    groups = matrix.reshape(rows // group, group, columns)
    scale = (np.abs(groups).max(axis=1, keepdims=True) / 127).astype(np.float32)
    return np.rint(groups / scale).astype(np.int8), scale


def _save(model: onnx.ModelProto, nodes: list[onnx.NodeProto], out: Path) -> None:
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copies)
    onnx.save(model, out)


METHODS: dict[str, Method] = {
    "float32": as_it_is,
    "float16, unfolded when opened": halves,
    "int8, a scale per column, unfolded when opened": unfolded(None),
    "**int8, a scale per 32 numbers, unfolded when opened** (chosen)": quantise,
    "MatMulNBits, per 32, multiplied in float32": blocks(32, 0),
    "MatMulNBits, per 128, multiplied in float32": blocks(128, 0),
    "MatMulNBits, per 32, multiplied in int8": blocks(32, 4),
    "MatMulNBits, per 128, multiplied in int8": blocks(128, 4),
    "dynamic int8, signed": dynamic(QuantType.QInt8, reduced=False),
    "dynamic int8, signed, 7 bits": dynamic(QuantType.QInt8, reduced=True),
    "dynamic int8, unsigned": dynamic(QuantType.QUInt8, reduced=False),
}

if __name__ == "__main__":
    main()
