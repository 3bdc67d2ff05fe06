"""Rewrites a finished ONNX graph."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tagdesk.errors import ArtefactError

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from onnx import NodeProto, TensorProto

HEAD = "head"  # names of what turns embeddings into logits begin with it; `quantise` keeps them in float16
SMALLEST = 4096  # numbers; to shorten a smaller array gains nothing that is worth an error
GROUP = 32  # neighbouring numbers that share a scale
LARGEST_HALF = float(np.finfo(np.float16).max)


def quantise(source: Path, out: Path) -> None:
    """Write the graph with its table of words and its matrices in int8, and what lies in the head in float16.

    Arithmetic stays in float32: the runtime unfolds the matrices when it opens the graph, and a word when it is read.
    So texts are scored as fast as before, and alike on every CPU. `docs/decisions/0005-int8.md` shows what methods
    that compute in int8 cost in decisions.

    Args:
        source: the graph of an encoder, with or without a head.
        out: the file to write; it may be the source.
    """
    from onnx import load, numpy_helper, save  # noqa: PLC0415 - slow to import

    model = load(source)
    graph = model.graph
    words = _word_tables(graph.node)
    tensors: list[TensorProto] = []
    unfold: list[NodeProto] = []
    split: set[str] = set()
    for tensor in graph.initializer:
        array = numpy_helper.to_array(tensor)
        if not _is_worth_it(array):
            tensors.append(tensor)
        elif tensor.name in words and array.shape[1] % GROUP == 0:
            tensors += _words_in_int8(tensor.name, array)
            split.add(tensor.name)
        elif tensor.name not in words and array.shape[0] % GROUP == 0 and not tensor.name.startswith(HEAD):
            tensors += _matrix_in_int8(tensor.name, array)
            unfold += _unfolding(tensor.name)
        else:
            tensors.append(numpy_helper.from_array(array.astype(np.float16), f"{tensor.name}.half"))
            unfold.append(_cast_to_float(f"{tensor.name}.half", tensor.name))
    nodes = [new for node in graph.node for new in _reading(node, split)]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(tensors)
    graph.node.extend([*unfold, *nodes])
    save(model, out)


def words_of(path: Path) -> NDArray[np.float32]:
    """The widest table of words of a graph, (words, width), also where `quantise` has shortened it.

    Raises ArtefactError where there is none.
    """
    from onnx import load, numpy_helper  # noqa: PLC0415 - slow to import

    graph = load(path).graph
    arrays = {tensor.name: tensor for tensor in graph.initializer}
    tables = []
    for name in sorted(_word_tables(graph.node)):
        plain = name.removesuffix(".int8")
        if name in arrays and plain == name and not name.endswith(".scale"):
            tables.append(numpy_helper.to_array(arrays[name]).astype(np.float32))
        elif plain != name:
            int8, scale = (numpy_helper.to_array(arrays[f"{plain}.{part}"]) for part in ("int8", "scale"))
            tables.append((int8 * scale).astype(np.float32).reshape(len(int8), -1))
    tables = [table for table in tables if table.ndim == 2]
    if not tables:
        raise ArtefactError(f"{path} looks no words up in a table. Export the model again.", code="bad_graph")
    return max(tables, key=lambda table: table.shape[1])


def _word_tables(nodes: Iterable[NodeProto]) -> set[str]:
    """Names of the arrays that are read by nothing but a look-up of token ids."""
    looked_up: set[str] = set()
    otherwise: set[str] = set()
    for node in nodes:
        is_lookup = node.op_type == "Gather" and node.input[1] == "input_ids" and not node.attribute[:]
        looked_up.update(node.input[:1] if is_lookup else [])
        otherwise.update([] if is_lookup else node.input)
    return looked_up - otherwise


def _is_worth_it(array: NDArray[np.generic]) -> bool:
    return (
        array.dtype == np.float32
        and array.ndim == 2
        and array.size >= SMALLEST
        and bool(np.abs(array).max() < LARGEST_HALF)
    )


def _words_in_int8(name: str, table: NDArray[np.float32]) -> list[TensorProto]:
    """The table (words, width) as `.int8` (words, groups, GROUP), `.scale` (words, groups, 1), and its `.shape`."""
    words, width = table.shape
    groups = table.reshape(words, width // GROUP, GROUP)
    return _in_int8(name, groups, axis=2, shape=[0, 0, width])  # 0: as it comes, tickets and tokens


def _matrix_in_int8(name: str, matrix: NDArray[np.float32]) -> list[TensorProto]:
    """The matrix (inputs, outputs) as `.int8` (groups, GROUP, outputs), `.scale` (groups, 1, outputs), its `.shape`."""
    inputs, outputs = matrix.shape
    groups = matrix.reshape(inputs // GROUP, GROUP, outputs)
    return _in_int8(name, groups, axis=1, shape=[inputs, outputs])


def _in_int8(name: str, groups: NDArray[np.float32], *, axis: int, shape: list[int]) -> list[TensorProto]:
    from onnx import numpy_helper  # noqa: PLC0415 - slow to import

    largest = np.abs(groups).max(axis=axis, keepdims=True)
    scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    parts = {
        "int8": np.rint(groups / scale).astype(np.int8),
        "scale": scale,
        "shape": np.array(shape, dtype=np.int64),
    }
    return [numpy_helper.from_array(value, f"{name}.{part}") for part, value in parts.items()]


def _unfolding(name: str) -> list[NodeProto]:
    """What makes a matrix of its parts; the runtime does it once, when it opens the graph."""
    from onnx import helper  # noqa: PLC0415 - slow to import

    return [
        _cast_to_float(f"{name}.int8", f"{name}.float"),
        helper.make_node("Mul", [f"{name}.float", f"{name}.scale"], [f"{name}.groups"], name=f"{name}/unfold"),
        helper.make_node("Reshape", [f"{name}.groups", f"{name}.shape"], [name], name=f"{name}/join"),
    ]


def _reading(node: NodeProto, split: Container[str]) -> list[NodeProto]:
    """The node, or what takes its place where it looks words up in a table that `_in_int8` has split."""
    if not node.input or node.input[0] not in split:
        return [node]
    from onnx import helper  # noqa: PLC0415 - slow to import

    (table, ids), (result,) = node.input, node.output
    int8, scale, groups = (f"{result}.{part}" for part in ("int8", "scale", "groups"))
    return [
        helper.make_node("Gather", [f"{table}.int8", ids], [int8], name=f"{node.name}/int8"),
        helper.make_node("Gather", [f"{table}.scale", ids], [scale], name=f"{node.name}/scale"),
        _cast_to_float(int8, f"{result}.float"),
        helper.make_node("Mul", [f"{result}.float", scale], [groups], name=f"{node.name}/unfold"),
        helper.make_node("Reshape", [groups, f"{table}.shape"], [result], name=f"{node.name}/join"),
    ]


def _cast_to_float(source: str, result: str) -> NodeProto:
    from onnx import TensorProto, helper  # noqa: PLC0415 - slow to import

    return helper.make_node("Cast", [source], [result], name=f"{result}/cast", to=TensorProto.FLOAT)
