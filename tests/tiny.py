"""A tiny real encoder with labelled tickets for it: models that train in milliseconds, without torch."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from tagdesk.calibrate import Calibration
from tagdesk.model import Model
from tagdesk.model.folder import content_id
from tagdesk.policy import Policy
from tagdesk.scorers import Examples, Recipe, Scorer, fit_scorer
from tagdesk.scorers.onnx import OnnxScorer, write_settings
from tagdesk.taxonomy import Taxonomy
from tagdesk.ticket import Ticket

LABELS = ("Account Access", "Billing Issue", "Shipping Concern")
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
WIDTH = 12

_TOPIC_WORDS = {
    "Account Access": ("login", "password", "locked", "account", "code", "reset", "signin", "email"),
    "Billing Issue": ("charged", "twice", "invoice", "refund", "payment", "card", "bill", "fee"),
    "Shipping Concern": ("parcel", "late", "courier", "delivery", "tracking", "lost", "shipped", "box"),
}
_FILLING = ("i", "my", "was", "the", "is", "not", "please", "help", "today", "again", "you", "it", "for", "and", "ok")
_LETTERS = tuple("abcdefghijklmnopqrstuvwxyz0123456789.,!?-")


def vocabulary() -> dict[str, int]:
    """Special tokens first, then words, letters and letters that continue a word."""
    words = [*SPECIAL, *(word for topic in _TOPIC_WORDS.values() for word in topic), *_FILLING]
    pieces = [*words, *_LETTERS, *(f"##{letter}" for letter in _LETTERS)]
    return {piece: index for index, piece in enumerate(dict.fromkeys(pieces))}


def tokenizer() -> Tokenizer:
    """A WordPiece tokenizer of BERT's build."""
    built = Tokenizer(models.WordPiece(vocabulary(), unk_token="[UNK]", max_input_chars_per_word=20))  # noqa: S106
    built.normalizer = normalizers.BertNormalizer(lowercase=True)
    built.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    built.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", SPECIAL.index("[CLS]")), ("[SEP]", SPECIAL.index("[SEP]"))]
    )
    built.add_special_tokens(list(SPECIAL))
    return built


def graph(
    *,
    seed: int = 0,
    rows: int | None = None,
    width: int = WIDTH,
    labels: int = 0,
    positions: int = 0,
    middle: bool = True,
    normalise: bool = True,
) -> onnx.ModelProto:
    """A graph that averages looked-up vectors: outputs `embedding`, `middle` (tickets, width), maybe `logits`.

    Args:
        seed: of the weights.
        rows: of the table; by default as many as the vocabulary has.
        width: of both outputs.
        labels: how many `logits` there are; 0: no such output.
        positions: the longest text that the graph can read; 0: any.
        middle: whether there is an output of that name.
        normalise: whether embeddings have length 1.
    """
    rng = np.random.default_rng(seed)
    weights: dict[str, NDArray[Any]] = {"axis_1": np.array([1]), "axis_2": np.array([2])}
    nodes = [
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "axis_2"], ["mask_3d"]),
        helper.make_node("ReduceSum", ["mask", "axis_1"], ["tokens"], keepdims=1),
    ]
    outputs = []
    for name in ("embedding", *(["middle"] if middle else [])):
        weights[f"{name}_table"] = rng.normal(size=(rows or len(vocabulary()), width)).astype(np.float32)
        vectors = f"{name}_vectors"
        nodes.append(helper.make_node("Gather", [f"{name}_table", "input_ids"], [vectors]))
        if positions:
            weights[f"{name}_positions"] = rng.normal(size=(positions, width)).astype(np.float32) * np.float32(0.01)
            nodes += _placed(name, vectors)
            vectors = f"{name}_placed"
        nodes += [
            helper.make_node("Mul", [vectors, "mask_3d"], [f"{name}_masked"]),
            helper.make_node("ReduceSum", [f"{name}_masked", "axis_1"], [f"{name}_sum"], keepdims=0),
            helper.make_node("Div", [f"{name}_sum", "tokens"], [f"{name}_mean" if normalise else name]),
        ]
        if normalise:
            nodes.append(helper.make_node("LpNormalization", [f"{name}_mean"], [name], axis=1, p=2))
        outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["tickets", width]))
    if labels:
        weights["head"] = 3 * rng.normal(size=(width, labels)).astype(np.float32)
        nodes.append(helper.make_node("MatMul", ["embedding", "head"], ["logits"]))
        outputs.insert(0, helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["tickets", labels]))
    return assembled(nodes, outputs, weights)


def assembled(
    nodes: list[onnx.NodeProto], outputs: list[onnx.ValueInfoProto], weights: Mapping[str, NDArray[Any]]
) -> onnx.ModelProto:
    """A checked graph over `input_ids` and `attention_mask`, both (tickets, tokens)."""
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["tickets", "tokens"])
        for name in ("input_ids", "attention_mask")
    ]
    tensors = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    built = helper.make_graph(nodes, "tiny", inputs, outputs, tensors)
    model = helper.make_model(built, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def _placed(name: str, vectors: str) -> list[onnx.NodeProto]:
    """Add a row of a table of positions to each token; a text that is longer than the table makes it fail."""
    scalar = helper.make_tensor
    return [
        helper.make_node("Shape", ["input_ids"], [f"{name}_end"], start=1, end=2),
        helper.make_node("Constant", [], [f"{name}_0"], value=scalar("", TensorProto.INT64, [], [0])),
        helper.make_node("Constant", [], [f"{name}_1"], value=scalar("", TensorProto.INT64, [], [1])),
        helper.make_node("Squeeze", [f"{name}_end"], [f"{name}_stop"]),
        helper.make_node("Range", [f"{name}_0", f"{name}_stop", f"{name}_1"], [f"{name}_places"]),
        helper.make_node("Gather", [f"{name}_positions", f"{name}_places"], [f"{name}_shift"]),
        helper.make_node("Add", [vectors, f"{name}_shift"], [f"{name}_placed"]),
    ]


def write_encoder(folder: Path, **choices: Any) -> Path:
    """Write `model.onnx` and `tokenizer.json` into a new folder and give the folder; `choices` as `graph` has them."""
    folder.mkdir(parents=True)
    onnx.save(graph(**choices), folder / "model.onnx")
    tokenizer().save(str(folder / "tokenizer.json"))
    return folder


def tickets(count: int = 60, *, seed: int = 0) -> list[Ticket]:
    """Tickets that each name the topics of their labels: one label mostly, at times two, at times none."""
    rng = random.Random(seed)  # noqa: S311 - a fixture
    made = []
    for index in range(count):
        labels = frozenset(rng.sample(LABELS, k=rng.choices((0, 1, 2), weights=(1, 8, 2))[0]))
        words = [word for label in sorted(labels) for word in rng.sample(_TOPIC_WORDS[label], k=3)]
        words += rng.sample(_FILLING, k=4)
        rng.shuffle(words)
        made.append(Ticket(f"t{index}", " ".join(words), labels, unit=f"customer-{index % 20}"))
    return made


def examples(count: int = 60, *, seed: int = 0) -> Examples:
    """The same as texts with targets (tickets, labels)."""
    made = tickets(count, seed=seed)
    return Examples([ticket.text for ticket in made], Taxonomy.of(LABELS).encode([t.labels or () for t in made]))


def recipe(kind: str, encoder: Path) -> Recipe:
    """The default recipe of a kind, on the tiny encoder."""
    return Recipe(kind=kind, encoder=str(encoder)) if kind == "probe" else Recipe(kind=kind, max_features=500)


def onnx_scorer(folder: Path, **choices: Any) -> OnnxScorer:
    """A scorer over a new tiny graph with `logits`."""
    write_encoder(folder, **({"labels": len(LABELS)} | choices))
    write_settings(folder, max_tokens=64)
    return OnnxScorer.open(folder)


def model_of(scorer: Scorer) -> Model:
    """A model over the tiny labels whose calibration and policy are no defaults."""
    calibration = Calibration(np.array([1.1, 0.9, 1.0]), np.array([0.1, 0.0, -0.2]))
    policy = Policy(LABELS, np.array([0.4, 0.5, 0.3]), np.array([0.9, 0.95, np.inf]), "f1_macro", 60)
    return Model(Taxonomy.of(LABELS), scorer, calibration, policy)


def model(kind: str, encoder: Path, scratch: Path) -> Model:
    """A fitted model of a kind, not yet saved; `scratch` is a folder that does not exist yet."""
    if kind == "onnx":
        return model_of(onnx_scorer(scratch))
    return model_of(fit_scorer(examples(), recipe(kind, encoder)))


def reseal(folder: Path, **changes: Any) -> None:
    """Make an altered model folder consistent again, as somebody who attacks can: hashes and id fit what is there."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8")) | changes
    files = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.iterdir())
        if file != path and file.is_file()
    }
    manifest |= {"files": files, "id": content_id(manifest["kind"], manifest["text_rules"], files)}
    path.write_text(json.dumps(manifest), encoding="utf-8")
