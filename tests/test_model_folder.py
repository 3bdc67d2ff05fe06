"""Altered, foreign and half-written model folders; `test_m*` carries the number of a row of bad inputs."""

from __future__ import annotations

import json
import os
import random
import shutil
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import tiny
from tagdesk.calibrate import Calibration
from tagdesk.errors import ArtefactError, TagdeskError
from tagdesk.model import Model, folder, read_manifest
from tagdesk.scorers import linear
from tagdesk.taxonomy import Taxonomy

KINDS = ("linear", "probe", "onnx")
TEXT = "my card was charged twice"
CopyOf = Callable[[str], Path]


def refusal(model_folder: Path) -> ArtefactError:
    """The error with which a folder is refused; the test fails where it is not."""
    with pytest.raises(ArtefactError) as refused:
        Model.load(model_folder)
    assert refused.value.exit_code == 4
    return refused.value


def change_json(path: Path, change: Callable[[Any], None]) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")
    if path.name != "manifest.json":
        tiny.reseal(path.parent)


def change_arrays(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    with np.load(path) as archive:
        arrays = dict(archive)
    change(arrays)
    np.savez(path, **arrays)
    tiny.reseal(path.parent)


@pytest.mark.parametrize("kind", KINDS)
def test_a_copied_folder_predicts_bit_for_bit_what_was_saved(kind: str, copy_of: CopyOf, models: Any) -> None:
    texts = tiny.examples(seed=3).texts
    assert np.array_equal(Model.load(copy_of(kind)).judge(texts).probs, models[kind].judge(texts).probs)


@pytest.mark.parametrize("kind", KINDS)
def test_m1_a_truncated_file_is_refused(kind: str, copy_of: CopyOf) -> None:
    for name in sorted(path.name for path in copy_of(kind).iterdir()):
        for share in (0, 0.01, 0.5, 0.99):
            path = copy_of(kind) / name
            content = path.read_bytes()
            path.write_bytes(content[: int(len(content) * share)])
            assert str(path.parent) in str(refusal(path.parent))


@pytest.mark.parametrize("kind", KINDS)
def test_m1_a_flipped_bit_is_refused(kind: str, copy_of: CopyOf) -> None:
    rng = random.Random(0)  # noqa: S311 - the same bits each time
    for name in sorted(path.name for path in copy_of(kind).iterdir() if path.name != "manifest.json"):
        path = copy_of(kind) / name
        content = bytearray(path.read_bytes())
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(content)
        assert refusal(path.parent).code == "wrong_hash"


def test_m1_a_flipped_bit_in_the_manifest_is_refused_or_changes_nothing_that_decides(
    copy_of: CopyOf, models: Any
) -> None:
    path = copy_of("probe") / "manifest.json"
    whole, expected = path.read_bytes(), models["probe"].judge([TEXT]).probs
    refused = 0
    for place in range(0, len(whole), 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << place % 8)]) + whole[place + 1 :])
        try:
            read = folder.read_folder(path.parent)
        except ArtefactError:
            refused += 1
        else:
            assert read.manifest.id == models["probe"].id
            assert dict(read.manifest.files) == dict(models["probe"].manifest.files)
    assert refused > len(whole) / 6
    path.write_bytes(whole)
    assert np.array_equal(Model.load(path.parent).judge([TEXT]).probs, expected)


def test_m2_a_missing_manifest_is_no_model(copy_of: CopyOf) -> None:
    path = copy_of("probe")
    (path / "manifest.json").unlink()
    assert refusal(path).code == "no_model"


@pytest.mark.parametrize(
    ("alter", "code"),
    [
        (lambda path: (path / "head.npz").unlink(), "missing_file"),
        (lambda path: (path / "notes.txt").write_text("mine"), "extra_file"),
        (lambda path: (path / "more").mkdir(), "unsafe_file"),
        (lambda path: os.mkfifo(path / "pipe"), "unsafe_file"),
        (lambda path: (path / "policy.json").unlink() or os.mkfifo(path / "policy.json"), "unsafe_file"),
    ],
    ids=["missing", "extra", "folder", "pipe", "pipe instead of a file"],
)
def test_m2_a_folder_holds_exactly_the_files_of_its_manifest(
    alter: Callable[[Path], object], code: str, copy_of: CopyOf
) -> None:
    path = copy_of("probe")
    alter(path)
    assert refusal(path).code == code


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/b", "a\\b", "", ".", "..", "manifest.json", "x/", "\0"])
def test_m2_a_manifest_names_plain_files_only(name: str, copy_of: CopyOf) -> None:
    path = copy_of("probe")
    change_json(path / "manifest.json", lambda manifest: manifest["files"].update({name: "0" * 64}))
    assert refusal(path).code in {"bad_manifest", "missing_file"}


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "0" * 12},
        {"id": "../../etc"},
        {"id": 7},
        {"kind": "onnx"},
        {"kind": "pickle"},
        {"kind": ["probe"]},
        {"format": 2},
        {"format": True},
        {"text_rules": 999},
        {"taxonomy": "0" * 12},
        {"files": []},
        {"files": {"head.npz": None}},
        {"libraries": []},
        {"origin": "somewhere"},
    ],
    ids=str,
)
def test_m2_a_manifest_with_another_value_is_refused(changes: dict[str, Any], copy_of: CopyOf) -> None:
    path = copy_of("probe")
    change_json(path / "manifest.json", lambda manifest: manifest.update(changes))
    refusal(path)


def test_m2_a_kind_that_nobody_knows_is_refused_by_name_and_length(copy_of: CopyOf) -> None:
    path = copy_of("probe")
    tiny.reseal(path, kind="x" * 10_000)
    assert "'xxx" in str(refusal(path))
    assert len(str(refusal(path))) < 1000


@pytest.mark.parametrize("suffix", [".pkl", ".PT", ".bin", ".joblib", ".npy", ".py", ".so", ".ckpt"])
def test_m3_a_file_that_can_hold_code_is_refused_unopened(suffix: str, copy_of: CopyOf) -> None:
    path = copy_of("linear")
    (path / f"weights{suffix}").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    tiny.reseal(path)
    error = refusal(path)
    assert error.code == "unsafe_file"
    assert "safetensors" in str(error)


def _external(location: str) -> TensorProto:
    tensor = TensorProto(name="embedding_table", data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    tensor.dims.extend([len(tiny.vocabulary()), tiny.WIDTH])
    tensor.external_data.add(key="location", value=location)
    return tensor


def _in_initializer(model: onnx.ModelProto, tensor: TensorProto) -> None:
    [old] = [old for old in model.graph.initializer if old.name == tensor.name]
    old.CopyFrom(tensor)


def _in_constant(model: onnx.ModelProto, tensor: TensorProto) -> None:
    [old] = [old for old in model.graph.initializer if old.name == tensor.name]
    model.graph.initializer.remove(old)
    model.graph.node.insert(0, helper.make_node("Constant", [], [tensor.name], value=tensor))


def _in_subgraph(model: onnx.ModelProto, tensor: TensorProto) -> None:
    output = helper.make_tensor_value_info("out", TensorProto.FLOAT, list(tensor.dims))
    inner = onnx.GraphProto(name="inner", output=[output])
    inner.node.append(helper.make_node("Constant", [], ["out"], value=tensor))
    [old] = [old for old in model.graph.initializer if old.name == tensor.name]
    model.graph.initializer.remove(old)
    yes = helper.make_node("Constant", [], ["yes"], value=helper.make_tensor("", TensorProto.BOOL, [], [True]))
    choice = helper.make_node("If", ["yes"], [tensor.name], then_branch=inner, else_branch=inner)
    model.graph.node.insert(0, choice)
    model.graph.node.insert(0, yes)


@pytest.mark.parametrize("location", ["data.raw", "../data.raw", "/etc/passwd", "link.raw", "*/_ORT_MEM_ADDR_/*"])
@pytest.mark.parametrize("place", [_in_initializer, _in_constant, _in_subgraph])
def test_m4_a_graph_with_weights_in_other_files_is_refused(
    place: Callable[[onnx.ModelProto, TensorProto], None],
    location: str,
    copy_of: CopyOf,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    for data in (tmp_path / "data.raw", inside / "data.raw"):
        np.ones((len(tiny.vocabulary()), tiny.WIDTH), dtype=np.float32).tofile(data)
    (inside / "link.raw").symlink_to(tmp_path / "data.raw")
    monkeypatch.chdir(inside)
    path = copy_of("probe")
    graph = onnx.load(path / "model.onnx")
    place(graph, _external(location))
    (path / "model.onnx").write_bytes(graph.SerializeToString())
    tiny.reseal(path)
    assert refusal(path).code == "external_data"


def test_m4_a_linked_file_is_refused(copy_of: CopyOf, tmp_path: Path) -> None:
    for name in ("model.onnx", "manifest.json"):
        path = copy_of("probe")
        (path / name).rename(tmp_path / name)
        (path / name).symlink_to(tmp_path / name)
        assert refusal(path).code == "unsafe_file"


def test_m4_a_hard_link_is_as_good_as_its_checksum(copy_of: CopyOf, tmp_path: Path) -> None:
    path = copy_of("probe")  # installers link files so; what counts is the content
    (tmp_path / "elsewhere").hardlink_to(path / "model.onnx")
    assert Model.load(path).predict([TEXT])
    (tmp_path / "elsewhere").write_bytes(b"something else")
    assert refusal(path).code == "wrong_hash"


def _npy(header: str, data: bytes = b"\0" * 64) -> bytes:
    text = header.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


@pytest.mark.parametrize(
    "content",
    [
        _npy("{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999999,)}"),
        _npy("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999999,)}"),
        _npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}"),
        _npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", b"cos\nsystem\n(S'false'\ntR."),
        _npy("{'descr': '<U4', 'fortran_order': False, 'shape': (4,)}"),
        _npy("{'descr': '<c8', 'fortran_order': False, 'shape': (8,)}"),
        _npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (8,)}"),
        _npy("{'descr': 'nonsense', 'fortran_order': False, 'shape': (8,)}"),
        _npy("{" * 100),
        _npy("__import__('os').system('false')"),
        b"\x93NUMPY\x01\x00\xff\xff",
        b"\x93NUMPY\x09\x09",
        b"no array",
        b"",
    ],
)
@pytest.mark.parametrize("kind", ["linear", "probe"])
def test_m6_arrays_with_a_hostile_header_are_refused(kind: str, content: bytes, copy_of: CopyOf) -> None:
    path = copy_of(kind)
    [archive] = path.glob("*.npz")
    with zipfile.ZipFile(archive) as old:
        members = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as new:
        for name, member in (members | {"bias.npy": content}).items():
            new.writestr(name, member)
    tiny.reseal(path)
    assert refusal(path).code == "bad_arrays"


@pytest.mark.parametrize("kind", ["linear", "probe"])
def test_m6_an_archive_that_is_none_is_refused(kind: str, copy_of: CopyOf, monkeypatch: pytest.MonkeyPatch) -> None:
    [archive] = copy_of(kind).glob("*.npz")
    np.save(archive.with_suffix(".tmp"), np.zeros(3))
    plain = archive.with_suffix(".tmp.npy").read_bytes()
    archive.with_suffix(".tmp.npy").unlink()
    for content in (b"", b"PK\x03\x04", b"\x80\x04\x95pickle", plain, archive.read_bytes()[:-30]):
        archive.write_bytes(content)
        tiny.reseal(archive.parent)
        assert refusal(archive.parent).code == "bad_arrays"
    path = copy_of(kind)
    monkeypatch.setattr(linear, "MAX_ARRAY_BYTES", 1000)
    assert "unpacked" in str(refusal(path))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("bias", lambda a: a[:-1]),
        ("bias", lambda a: a[:, None]),
        ("bias", lambda a: a[0]),
        ("kernel_weights", lambda a: a.T),
        ("landmarks", lambda a: a[0]),
        ("landmarks", lambda a: a[0, 0]),
        ("landmarks", lambda a: a[:, :, :-1]),
        ("gamma", lambda a: np.array([a])),
        ("terms", lambda a: a.astype(np.float32)),
        ("terms", lambda a: a[:, :1]),
        ("idf", lambda a: a.astype(bool)),
        ("term_weights", lambda a: a[:0]),
    ],
)
def test_m6_arrays_of_a_probe_fit_each_other_and_its_encoder(
    name: str, change: Callable[[Any], Any], copy_of: CopyOf
) -> None:
    path = copy_of("probe")
    change_arrays(path / "head.npz", lambda arrays: arrays.update({name: change(arrays[name])}))
    assert refusal(path).code == "bad_arrays"


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("bias", lambda a: a[:-1]),
        ("bias", lambda a: a[0]),
        ("weights", lambda a: a[:, 0]),
        ("weights", lambda a: a[:-1]),
        ("idf_0", lambda a: a[:-1]),
        ("idf_0", lambda a: np.stack([a, a])),
        ("ngrams_0", lambda a: a[:1]),
        ("ngrams_0", lambda a: a[::-1] * np.array([1, 0])),
        ("ngrams_1", lambda a: a * 1_000_000),
        ("terms_0", lambda a: a[:4]),
        ("terms_0", lambda a: np.full_like(a, 0xFF)),
        ("terms_1", lambda a: np.full_like(a, ord("a"))),
    ],
)
def test_m6_arrays_of_a_linear_scorer_fit_each_other(name: str, change: Callable[[Any], Any], copy_of: CopyOf) -> None:
    path = copy_of("linear")
    change_arrays(path / "linear.npz", lambda arrays: arrays.update({name: change(arrays[name])}))
    assert refusal(path).code == "bad_arrays"


@pytest.mark.parametrize("kind", KINDS)
def test_m7_labels_that_the_weights_do_not_give_are_refused(kind: str, copy_of: CopyOf) -> None:
    path = copy_of(kind)
    names = [*tiny.LABELS, "One More"]
    (path / "taxonomy.toml").write_text(Taxonomy.of(names).to_toml(), encoding="utf-8")
    calibration = Calibration.identity(4).to_dict(names)
    (path / "calibration.json").write_text(json.dumps(calibration), encoding="utf-8")
    for thresholds in ("suggest", "automate"):
        change_json(path / "policy.json", lambda policy, key=thresholds: policy[key].update({"One More": 0.99}))
    tiny.reseal(path, taxonomy=Taxonomy.of(names).fingerprint)
    assert refusal(path).code == "label_mismatch"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[[label]]\nname = 'A'\n[[label]]\nname = 'A'\n",
        "[[label]]\nname = 1\n",
        "label = " + "[" * 5000,
        "rules = 1" + "0" * 5000,
        "# " + "x" * 11_000_000,
    ],
    ids=["empty", "repeated", "number", "deep", "long number", "large"],
)
def test_m7_a_broken_taxonomy_is_refused(text: str, copy_of: CopyOf) -> None:
    path = copy_of("linear")
    (path / "taxonomy.toml").write_text(text, encoding="utf-8")
    tiny.reseal(path)
    assert refusal(path).code in {"bad_taxonomy", "too_large"}
    (path / "taxonomy.toml").write_bytes(b"\xff\xfe")
    tiny.reseal(path)
    assert refusal(path).code == "bad_taxonomy"


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), -0.1, 1.1, "0.5", True, [0.5], 10**400])
@pytest.mark.parametrize(("file", "keys"), [("policy.json", ("suggest",)), ("calibration.json", ("labels",))])
def test_m7_a_threshold_or_a_slope_that_is_none_is_refused(
    file: str, keys: tuple[str], value: Any, copy_of: CopyOf
) -> None:
    path = copy_of("linear")
    if file == "policy.json" and value is None:
        change_json(path / file, lambda document: document["suggest"].pop(tiny.LABELS[0]))
    elif file == "policy.json":
        change_json(path / file, lambda document: document["suggest"].update({tiny.LABELS[0]: value}))
    else:
        odd = -1 if value in (-0.1, 1.1) else value
        change_json(path / file, lambda document: document[keys[0]][tiny.LABELS[0]].update({"slope": odd}))
    assert refusal(path).code in {"bad_policy", "bad_calibration", "bad_json"}


@pytest.mark.parametrize("kind", ["probe", "onnx"])
def test_m8_a_vocabulary_beyond_the_encoders_table_is_refused(kind: str, copy_of: CopyOf) -> None:
    path = copy_of(kind)
    small = tiny.graph(rows=len(tiny.vocabulary()) - 1, labels=3 if kind == "onnx" else 0)
    onnx.save(small, path / "model.onnx")
    tiny.reseal(path)
    assert refusal(path).code == "bad_graph"


@pytest.mark.parametrize("kind", ["probe", "onnx"])
def test_m8_a_single_token_beyond_the_table_is_an_error_and_no_crash(kind: str, copy_of: CopyOf) -> None:
    path = copy_of(kind)
    change_json(path / "tokenizer.json", lambda document: document["model"]["vocab"].update({"charged": 10_000_000}))
    with pytest.raises(ArtefactError, match="cannot be run"):
        Model.load(path).predict([TEXT])


def test_m9_weights_that_are_not_finite_are_refused(copy_of: CopyOf) -> None:
    for kind, file, name in (("probe", "head.npz", "bias"), ("linear", "linear.npz", "weights")):
        for value in (np.nan, np.inf):
            path = copy_of(kind)

            def damage(arrays: dict[str, Any], name: str = name, value: float = value) -> None:
                arrays[name].flat[0] = value

            change_arrays(path / file, damage)
            assert refusal(path).code in {"bad_arrays", "model_unhealthy"}


@pytest.mark.parametrize("kind", ["probe", "onnx"])
def test_m9_a_graph_that_gives_nan_for_some_word_never_gives_a_prediction(kind: str, copy_of: CopyOf) -> None:
    path = copy_of(kind)
    graph = onnx.load(path / "model.onnx")
    [table] = [tensor for tensor in graph.graph.initializer if tensor.name == "embedding_table"]
    values = onnx.numpy_helper.to_array(table).copy()
    values[tiny.vocabulary()["charged"]] = np.nan
    table.CopyFrom(onnx.numpy_helper.from_array(values, table.name))
    onnx.save(graph, path / "model.onnx")
    tiny.reseal(path)
    model = Model.load(path)
    assert model.predict(["parcel late"])
    with pytest.raises(ArtefactError) as refused:
        model.predict(["parcel late", TEXT])
    assert refused.value.code == "model_unhealthy"


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
def test_m9_finite_weights_that_overflow_never_give_a_prediction(copy_of: CopyOf) -> None:
    path = copy_of("probe")

    def damage(arrays: dict[str, Any]) -> None:
        arrays["kernel_weights"][:] = 3e38

    change_arrays(path / "head.npz", damage)
    assert refusal(path).code == "model_unhealthy"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'"tokenizer"',
        b"\xff\xfe",
        b"\x80\x04\x95pickle",
        b"[" * 100_000,
        b'{"version": "1.0", "model": {"type": "WordPiece"}}',
        b'{"version": "9.0", "model": {"type": "Unheard"}}',
        b"{" + b" " * 50_000_001 + b"}",
    ],
    ids=["empty", "object", "list", "null", "text", "utf-16", "pickle", "deep", "no vocabulary", "unknown", "large"],
)
@pytest.mark.parametrize("kind", ["probe", "onnx"])
def test_m10_a_tokenizer_that_is_none_is_refused(kind: str, content: bytes, copy_of: CopyOf) -> None:
    path = copy_of(kind)
    (path / "tokenizer.json").write_bytes(content)
    tiny.reseal(path)
    assert refusal(path).code == "bad_tokenizer"


@pytest.mark.filterwarnings("ignore:Model .* gives other probabilities:RuntimeWarning")
@pytest.mark.parametrize("pattern", ["(a+)+$", "(" * 3000 + "a" + ")" * 3000, "["])
def test_m10_a_regular_expression_that_explodes_is_an_error_and_no_hang(
    pattern: str, copy_of: CopyOf, capfd: pytest.CaptureFixture[str]
) -> None:
    path = copy_of("probe")
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    change_json(path / "tokenizer.json", lambda document: document.update(pre_tokenizer=split))
    with pytest.raises(ArtefactError) as refused:
        Model.load(path).predict(["a" * 28 + "!"])
    assert refused.value.code == "bad_tokenizer"
    capfd.readouterr()  # the tokenizers library reports its own failure


@pytest.mark.parametrize("value", [7, 8193, 64.0, "64", True, None, [64], 10**30])
def test_a_cut_in_tokens_outside_its_range_is_refused(value: Any, copy_of: CopyOf) -> None:
    path = copy_of("probe")
    change_json(path / "scorer.json", lambda document: document.update(max_tokens=value))
    assert refusal(path).code == "bad_json"


@pytest.mark.parametrize("name", ["scorer.json", "tokenizer.json", "model.onnx", "head.npz", "policy.json"])
def test_a_folder_and_manifest_that_agree_on_lacking_a_file_are_refused(name: str, copy_of: CopyOf) -> None:
    path = copy_of("probe")
    (path / name).unlink()
    tiny.reseal(path)
    refusal(path)


def test_m16_a_graph_of_operators_unknown_here_is_refused(copy_of: CopyOf) -> None:
    for change in (
        lambda graph: setattr(graph.opset_import[0], "version", 999),
        lambda graph: setattr(graph, "ir_version", 999),
        lambda graph: setattr(graph.graph.node[0], "op_type", "Unheard"),
        lambda graph: setattr(graph.graph.node[0], "domain", "nobody.knows"),
    ):
        path = copy_of("onnx")
        graph = onnx.load(path / "model.onnx")
        change(graph)
        (path / "model.onnx").write_bytes(graph.SerializeToString())
        tiny.reseal(path)
        error = refusal(path)
        assert error.code == "bad_graph"
        assert "again" in str(error)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "1" + "0" * 5000, "{" + " " * 10_000_001 + "}", '"\\ud800"', "NaN", "1e999"]
)
def test_json_that_hurts_its_parser_is_refused(text: str, copy_of: CopyOf) -> None:
    for name in ("manifest.json", "policy.json", "calibration.json", "scorer.json"):
        path = copy_of("probe")
        (path / name).write_text(text, encoding="utf-8")
        if name != "manifest.json":
            tiny.reseal(path)
        refusal(path)


def test_a_manifest_read_alone_is_checked_too(copy_of: CopyOf) -> None:
    path = copy_of("onnx")
    assert read_manifest(path).kind == "onnx"
    (path / "manifest.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ArtefactError, match="missing or of the wrong type"):
        read_manifest(path)


def test_the_id_covers_all_but_the_policy() -> None:
    files = dict.fromkeys(("taxonomy.toml", "calibration.json", "policy.json", "model.onnx"), "0" * 64)
    first = folder.content_id("onnx", 1, files)
    assert folder.content_id("onnx", 1, dict(reversed(files.items()))) == first
    assert folder.content_id("onnx", 1, files | {"policy.json": "1" * 64}) == first
    others = [folder.content_id("onnx", 1, files | {name: "1" * 64}) for name in files if name != "policy.json"]
    others += [folder.content_id("probe", 1, files), folder.content_id("onnx", 2, files)]
    assert len({first, *others}) == len(others) + 1


STRANGE = [None, True, -1, 0, 1e308, 10**30, "", "x", "\ud800", [], {}, [[]], {"x": None}, "0" * 64]


def _mutated(document: Any, rng: random.Random) -> Any:
    """The document with one value somewhere replaced, removed or renamed."""
    keys = list(document) if isinstance(document, dict) else list(range(len(document)))
    if not keys:
        return rng.choice(STRANGE)
    key = rng.choice(keys)
    if isinstance(document[key], dict | list) and rng.random() < 0.7:
        document[key] = _mutated(document[key], rng)
    elif rng.random() < 0.2:
        del document[key]
    elif isinstance(document, dict) and rng.random() < 0.2:
        document[f"{key}x"] = document.pop(key)
    else:
        document[key] = rng.choice(STRANGE)
    return document


def _altered(content: bytes, rng: random.Random) -> bytes:
    """A few bytes replaced, removed or repeated."""
    changed = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(changed))
        if rng.random() < 0.6:
            changed[place] = rng.randrange(256)
        elif rng.random() < 0.5:
            del changed[place : place + rng.randint(1, 8)]
        else:
            changed[place:place] = changed[place : place + rng.randint(1, 8)]
    return bytes(changed)


def _loads_or_is_refused(path: Path) -> bool:
    """Whether the folder is refused; anything but a refusal or healthy predictions fails the test."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # weights of any size overflow
            predictions = Model.load(path).predict([TEXT, "parcel late 77 [CLS]"])
    except TagdeskError as error:
        str(error).encode(errors="backslashreplace")
        return True
    assert all(np.isfinite(list(prediction.scores.values())).all() for prediction in predictions)
    return False


@pytest.mark.parametrize("kind", KINDS)
def test_an_attacker_who_reseals_an_altered_folder_gets_a_refusal_or_a_working_model(
    kind: str, copy_of: CopyOf, capfd: pytest.CaptureFixture[str]
) -> None:
    rng = random.Random(7)  # noqa: S311 - the same cases each time
    path = copy_of(kind)
    names = sorted(file.name for file in path.iterdir() if file.suffix != ".onnx")
    originals = {file.name: file.read_bytes() for file in path.iterdir()}
    refused = 0
    for name in names:
        for round_ in range(24):
            for file, content in originals.items():
                (path / file).write_bytes(content)
            target = path / name
            if target.suffix == ".json" and round_ % 3:
                target.write_text(json.dumps(_mutated(json.loads(originals[name]), rng)), encoding="utf-8")
            else:
                target.write_bytes(_altered(originals[name], rng))
            if name != "manifest.json":
                tiny.reseal(path)
            refused += _loads_or_is_refused(path)
    assert refused > 24 * len(names) / 2
    capfd.readouterr()  # the tokenizers library reports its own failures


ARRAY_CHANGES: list[Callable[[Any], Any]] = [
    lambda a: a.ravel(),
    lambda a: a[None],
    lambda a: a.astype(np.float64) * np.nan,
    lambda a: np.full_like(a, 127),
    lambda a: a.astype(np.int64),
    lambda a: a.astype(np.complex64),
    lambda a: a.astype(str),
    lambda a: a.astype(np.float16),
    lambda a: -a.astype(np.float32),
    lambda a: np.zeros(0, a.dtype),
    lambda a: np.array(1, a.dtype),
    lambda a: a.T,
    lambda a: a.astype(np.float32) * np.float32(1e37),
    lambda a: np.repeat(a.ravel(), 2).reshape(-1),
]


@pytest.mark.filterwarnings("ignore")  # NaN as a whole number, large numbers as float16
@pytest.mark.parametrize("kind", ["linear", "probe"])
def test_arrays_of_any_shape_and_type_get_a_refusal_or_a_working_model(kind: str, copy_of: CopyOf) -> None:
    path = copy_of(kind)
    [archive] = path.glob("*.npz")
    with np.load(archive) as old:
        whole = dict(old)
    for name, array in whole.items():
        for change in ARRAY_CHANGES:
            np.savez(archive, **(whole | {name: change(array)}))
            tiny.reseal(path)
            _loads_or_is_refused(path)
        np.savez(archive, **{other: whole[other] for other in whole if other != name})
        tiny.reseal(path)
        assert _loads_or_is_refused(path)


def test_a_loaded_model_saved_again_is_the_same_model(copy_of: CopyOf, tmp_path: Path) -> None:
    for kind in KINDS:
        model = Model.load(copy_of(kind))
        assert replace(model, manifest=None).save(tmp_path / "again").id == model.id


def test_an_unreadable_folder_is_refused(tmp_path: Path, copy_of: CopyOf) -> None:
    path = copy_of("probe")
    shutil.rmtree(path)
    assert refusal(path).code == "no_model"
    (tmp_path / "file").write_text("{}", encoding="utf-8")
    assert refusal(tmp_path / "file").code == "no_model"
