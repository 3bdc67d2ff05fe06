"""Runs an ONNX graph over texts: tokens in batches of like length, results in the order of the texts."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagdesk.arrays import BoolArray, FloatArray
from tagdesk.encoders.tokens import TextTokenizer
from tagdesk.errors import ArtefactError, UsageError

BATCH_TOKENS = 1024  # tokens of one batch, padding included: larger ones gain no speed on a CPU, and hold more padding
BATCH_TOKENS_CUDA = 16_384  # the same on a GPU, which small batches leave idle
TOKENIZE_AT_ONCE = 1024  # texts; keeps memory flat on long inputs
DEVICE = "TAGDESK_DEVICE"  # the variable: auto (a GPU where the runtime can use one), cpu or cuda
_CUDA = "CUDAExecutionProvider"
WIDEST = 65_536  # numbers of one output; more is a damaged graph


@dataclass(frozen=True, slots=True)
class Reading:
    """What a graph gave for some texts.

    Attributes:
        outputs: (tickets, width) for each output that was asked for, in that order.
        truncated: (tickets,), True where a text had more tokens than the graph was given.
        unknown: (tickets,), share of a text's tokens that the vocabulary does not know.
        ids: the tokens of each text that the graph was given, special ones at both ends.
    """

    outputs: tuple[NDArray[np.float32], ...]
    truncated: BoolArray
    unknown: FloatArray
    ids: list[list[int]]


class TextGraph:
    """An ONNX graph with inputs `input_ids` and `attention_mask`, and the tokenizer that feeds it.

    Args:
        folder: holds the graph and `tokenizer.json`, both verified by the caller.
        max_tokens: longer texts are cut there, their last special token kept.
        threads: how many the graph may use; None: as many as the process has cores.
        file: the graph's name.

    Attributes:
        widths: the outputs (tickets, width) of fixed width, by name.

    Raises:
        ArtefactError: where either file is damaged, the graph keeps weights elsewhere, or does not know the last token.
    """

    def __init__(self, folder: Path, max_tokens: int, *, threads: int | None = None, file: str = "model.onnx") -> None:
        self.folder = folder
        self.path = folder / file
        self.max_tokens = max_tokens
        self._tokenizer = TextTokenizer.open(folder / "tokenizer.json", max_tokens)
        self._session = _session(self.path, threads)
        self._budget = BATCH_TOKENS_CUDA if _CUDA in self._session.get_providers() else BATCH_TOKENS
        self.widths: dict[str, int] = {
            output.name: output.shape[1]
            for output in self._session.get_outputs()
            if len(output.shape) == 2 and isinstance(output.shape[1], int) and 0 < output.shape[1] <= WIDEST
        }
        if not self.widths:
            raise ArtefactError(
                f"{self.path} has no output (tickets, width) of fixed width. Export the model again.",
                code="bad_graph",
            )
        self.try_out(1)

    def try_out(self, tokens: int) -> None:
        """Run the graph over the vocabulary's last token, so many times; raises ArtefactError where that fails."""
        self._run([[self._tokenizer.highest_id] * tokens], list(self.widths))

    def read(self, texts: Sequence[str], outputs: Sequence[str]) -> Reading:
        """Run the graph over cleaned texts and give the named outputs in the order of the texts.

        Raises ArtefactError where the graph has no such output, fails, or gives numbers that are not finite.
        """
        results = [np.zeros((len(texts), self._width(name)), dtype=np.float32) for name in outputs]
        truncated = np.zeros(len(texts), dtype=np.bool_)
        unknown = np.zeros(len(texts), dtype=np.float64)
        ids: list[list[int]] = []
        for start in range(0, len(texts), TOKENIZE_AT_ONCE):
            part = slice(start, start + TOKENIZE_AT_ONCE)
            tokens = self._tokenizer.split(texts[part])
            truncated[part], unknown[part] = tokens.truncated, tokens.unknown
            ids += tokens.ids
            for result, value in zip(results, self.read_ids(tokens.ids, outputs), strict=True):
                result[part] = value
        return Reading(tuple(results), truncated, unknown, ids)

    def read_ids(self, ids: Sequence[list[int]], outputs: Sequence[str]) -> list[NDArray[np.float32]]:
        """The named outputs for texts that were split into tokens before, in their order; raises as `read`."""
        results = [np.zeros((len(ids), self._width(name)), dtype=np.float32) for name in outputs]
        for rows in batches([len(row) for row in ids], self._budget):
            values = self._run([ids[row] for row in rows], outputs)
            for result, value in zip(results, values, strict=True):
                result[rows] = value
        if not all(np.isfinite(result).all() for result in results):
            raise ArtefactError(
                f"{self.path} gives numbers that are not finite. Its weights are damaged: "
                "export or train the model again.",
                code="model_unhealthy",
            )
        return results

    def passages(self, text: str) -> list[str]:
        """A cleaned text in parts that the graph can be given whole."""
        return self._tokenizer.passages(text)

    def _width(self, output: str) -> int:
        if output not in self.widths:
            raise ArtefactError(
                f"{self.path} has no output {output!r} of fixed width; it has {sorted(self.widths)}. "
                "Export the model again.",
                code="bad_graph",
            )
        return self.widths[output]

    def _run(self, ids: list[list[int]], outputs: Sequence[str]) -> list[NDArray[np.float32]]:
        longest = max(len(row) for row in ids)
        input_ids = np.full((len(ids), longest), self._tokenizer.pad_id, dtype=np.int64)
        mask = np.zeros((len(ids), longest), dtype=np.int64)
        for index, row in enumerate(ids):
            input_ids[index, : len(row)] = row
            mask[index, : len(row)] = 1
        try:
            values = self._session.run(list(outputs), {"input_ids": input_ids, "attention_mask": mask})
        except Exception as error:  # the runtime raises its own kinds, which share no public base
            raise ArtefactError(
                f"{self.path} cannot be run: {_first_line(error)} Export or train the model again.",
                code="bad_graph",
            ) from error
        arrays = [np.asarray(value) for value in values]
        for name, array in zip(outputs, arrays, strict=True):
            if array.dtype.kind != "f" or array.shape != (len(ids), self.widths[name]):
                raise ArtefactError(
                    f"{self.path} gives {name!r} as {array.dtype} {array.shape}; expected numbers "
                    f"{(len(ids), self.widths[name])}. Export the model again.",
                    code="bad_graph",
                )
        return [array.astype(np.float32, copy=False) for array in arrays]


def batches(lengths: Sequence[int], budget: int) -> Iterator[NDArray[np.int64]]:
    """Rows grouped by like length, so that rows x longest stays within the budget (a single row may exceed it).

    >>> [rows.tolist() for rows in batches([5, 2, 5, 2], budget=8)]
    [[1, 3], [0], [2]]
    """
    order = np.argsort(np.asarray(lengths, dtype=np.int64), kind="stable")
    start = 0
    for end in range(1, len(order) + 1):
        next_length = lengths[order[end]] if end < len(order) else None
        if next_length is None or (end - start + 1) * next_length > budget:
            yield order[start:end]
            start = end


def _session(path: Path, threads: int | None) -> Any:
    import onnxruntime as ort  # noqa: PLC0415 - costs time at start-up

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or _cores()
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # an idle service burns no core
    options.add_session_config_entry("session.load_model_format", "ONNX")  # never the runtime's own format
    options.enable_cpu_mem_arena = False  # it keeps what the longest texts took, and is no faster
    options.log_severity_level = 4
    _refuse_weights_elsewhere(path)
    try:
        session = ort.InferenceSession(str(path), options, providers=_providers(ort.get_available_providers()))
    except Exception as error:  # the runtime raises its own kinds, which share no public base
        raise ArtefactError(
            f"{path} is not a graph that can be run: {_first_line(error)} Export or train the model again.",
            code="bad_graph",
        ) from error
    return_freed_memory()
    names = {value.name for value in session.get_inputs()}
    if names != {"input_ids", "attention_mask"}:
        raise ArtefactError(
            f"{path} takes {sorted(names)}; expected input_ids and attention_mask. Export the model again.",
            code="bad_graph",
        )
    return session


def _providers(available: Sequence[str]) -> list[str]:
    """What shall run a graph, the first that can; raises UsageError for a GPU that the runtime cannot use.

    >>> _providers(["CPUExecutionProvider"])
    ['CPUExecutionProvider']
    """
    wanted = os.environ.get(DEVICE, "") or "auto"
    if wanted not in ("auto", "cpu", "cuda"):
        raise UsageError(f"{DEVICE} = {wanted[:40]!r}; expected auto, cpu or cuda.", code="bad_device")
    if wanted == "cuda" and _CUDA not in available:
        raise UsageError(
            f"{DEVICE} = cuda, but this onnxruntime knows no GPU. Install onnxruntime-gpu in its place, or set auto.",
            code="no_gpu",
        )
    return [_CUDA, "CPUExecutionProvider"] if wanted != "cpu" and _CUDA in available else ["CPUExecutionProvider"]


def _refuse_weights_elsewhere(path: Path) -> None:
    """Raise ArtefactError for a graph that does not hold all its weights itself.

    The runtime would read others from wherever they say. A tensor with weights elsewhere says so under the key
    `location`, which stands in the file letter by letter.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as graph:
            is_elsewhere = graph.find(b"location") >= 0
    except (OSError, ValueError) as error:
        raise ArtefactError(f"{path} cannot be read: {_first_line(error)}", code="bad_graph") from error
    if is_elsewhere:
        raise ArtefactError(
            f"{path} keeps weights in other files, or has a node named `location`. "
            "Export the model again with all weights inside.",
            code="external_data",
        )


def return_freed_memory() -> None:
    """Hand back to the system what was freed: to open a graph takes three times the memory that it needs to run."""
    with suppress(AttributeError, OSError, TypeError):  # the GNU C library alone keeps it, and has such a function
        ctypes.CDLL(None).malloc_trim(0)


def _cores() -> int:
    """How many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{(text[0] if text else type(error).__name__)[:300]}."
