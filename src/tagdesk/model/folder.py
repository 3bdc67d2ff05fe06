"""A model folder: checksummed, content-addressed, checked before it is used."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from tagdesk.calibrate import Calibration
from tagdesk.errors import ArtefactError, InputError
from tagdesk.policy import Policy
from tagdesk.taxonomy import Taxonomy
from tagdesk.text import RULES

FORMAT = 1
MANIFEST = "manifest.json"
POLICY = "policy.json"
MAX_TEXT_BYTES = 10_000_000  # of a JSON or TOML file; 1,000 labels take a tenth of it
# Formats that can carry code, or objects that run it when they are read.
_UNSAFE = {".pkl", ".pickle", ".pt", ".pth", ".bin", ".joblib", ".npy", ".ckpt", ".h5", ".keras", ".py", ".so", ".dll"}
_OWN = ("taxonomy.toml", "calibration.json", POLICY)
_SHORT = re.compile("[0-9a-f]{12}")  # an id or a fingerprint
_LONG = re.compile("[0-9a-f]{64}")  # a sha256


@dataclass(frozen=True)
class Manifest:
    """What a model folder says of itself.

    `files` maps each file to its sha256. `origin` holds the recipe, the data's fingerprint and what else is known of
    how the model came to be; it explains and decides nothing. `golden` maps some texts to the probabilities that the
    model gave them where it was saved, so that a machine that computes otherwise is noticed.
    """

    id: str
    kind: str
    taxonomy: str
    files: Mapping[str, str]
    libraries: Mapping[str, str] = field(default_factory=dict)
    origin: Mapping[str, Any] = field(default_factory=dict)
    text_rules: int = RULES
    format: int = FORMAT
    golden: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The manifest as `manifest.json` holds it."""
        return {
            "format": self.format,
            "id": self.id,
            "kind": self.kind,
            "text_rules": self.text_rules,
            "taxonomy": self.taxonomy,
            "files": dict(sorted(self.files.items())),
            "libraries": dict(self.libraries),
            "origin": dict(self.origin),
            **({"golden": {text: list(probs) for text, probs in self.golden.items()}} if self.golden else {}),
        }


@dataclass(frozen=True, slots=True)
class Parts:
    """A verified folder's contents, all but the scorer."""

    manifest: Manifest
    taxonomy: Taxonomy
    calibration: Calibration
    policy: Policy


def read_manifest(folder: Path) -> Manifest:
    """Parse and check `manifest.json`; raises ArtefactError."""
    path = folder / MANIFEST
    document = _read_json(path)
    expected = {
        "format": int,
        "id": str,
        "kind": str,
        "text_rules": int,
        "taxonomy": str,
        "files": dict,
        "libraries": dict,
        "origin": dict,
        "golden": dict,
    }
    if not isinstance(document, dict):
        raise ArtefactError(f"{path} is no JSON object. {_REMEDY}", code="bad_manifest")
    document = {"libraries": {}, "origin": {}, "golden": {}, **document}
    wrong = [key for key, kind in expected.items() if type(document.get(key)) is not kind]
    if "golden" not in wrong and not all(_are_probabilities(probs) for probs in document["golden"].values()):
        wrong.append("golden")
    wrong += [key for key in ("id", "taxonomy") if key not in wrong and not _SHORT.fullmatch(document[key])]
    if wrong:
        raise ArtefactError(f"{path}: {', '.join(wrong)} missing or of the wrong type. {_REMEDY}", code="bad_manifest")
    if document["format"] != FORMAT or document["text_rules"] > RULES:
        raise ArtefactError(
            f"{path}: format {document['format']} with text rules {document['text_rules']}; this version reads format "
            f"{FORMAT} with text rules up to {RULES}. Update tagdesk.",
            code="newer_format",
        )
    for name, digest in document["files"].items():
        plain = PurePosixPath(name).name == name and name not in {"", ".", "..", MANIFEST} and "\\" not in name
        if not plain or not isinstance(digest, str) or not _LONG.fullmatch(digest):
            raise ArtefactError(
                f"{path}: {name[:80]!r} is no plain file name with a sha256. {_REMEDY}", code="bad_manifest"
            )
    return Manifest(
        id=document["id"],
        kind=document["kind"],
        taxonomy=document["taxonomy"],
        files=document["files"],
        libraries=document["libraries"],
        origin=document["origin"],
        text_rules=document["text_rules"],
        format=document["format"],
        golden=document["golden"],
    )


def read_folder(folder: Path) -> Parts:
    """Check the manifest, then every file's checksum, and only then read the parts; raises ArtefactError."""
    manifest = read_manifest(folder)
    try:
        _check_files(folder, manifest)
    except OSError as error:
        raise ArtefactError(f"{folder} cannot be read: {error}. {_REMEDY}", code="unreadable") from error
    missing = [name for name in _OWN if name not in manifest.files]
    if missing:
        raise ArtefactError(f"{folder}: {', '.join(missing)} not in the manifest. {_REMEDY}", code="incomplete")
    taxonomy = _taxonomy(folder)
    if taxonomy.fingerprint != manifest.taxonomy:
        raise ArtefactError(
            f"{folder / 'taxonomy.toml'} has fingerprint {taxonomy.fingerprint}; the manifest expects "
            f"{manifest.taxonomy}. {_REMEDY}",
            code="label_mismatch",
        )
    calibration = Calibration.from_dict(_read_json(folder / "calibration.json"), taxonomy.names)
    policy = Policy.from_dict(_read_json(folder / POLICY), taxonomy.names)
    if math.isfinite(policy.out_of_scope) and len(calibration.slopes) == len(taxonomy):
        raise ArtefactError(
            f"{folder / POLICY} has a cut for tickets out of scope, which this model has not learned to see. {_REMEDY}",
            code="bad_policy",
        )
    return Parts(manifest, taxonomy, calibration, policy)


def _are_probabilities(values: Any) -> bool:
    return isinstance(values, list) and all(
        isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1 for value in values
    )


def content_id(kind: str, text_rules: int, files: Mapping[str, str]) -> str:
    """12 hex digits over the scorer kind, the text rules and every file but the policy."""
    content = [kind, text_rules, sorted((name, digest) for name, digest in files.items() if name != POLICY)]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]


def sha256(path: Path) -> str:
    """The sha256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_REMEDY = "The folder is damaged or was altered: copy it again from where it was trained, or train it again."


def _check_files(folder: Path, manifest: Manifest) -> None:
    """Exactly the files of the manifest, plain ones, unchanged, and an id that fits them."""
    present = {path.name: path for path in folder.iterdir()}
    for name, path in sorted(present.items()):
        if path.suffix.lower() in _UNSAFE:
            raise ArtefactError(
                f"{path} can hold code and is never opened. Save the weights as safetensors, ONNX or plain .npz.",
                code="unsafe_file",
            )
        if path.is_symlink() or not path.is_file():
            raise ArtefactError(f"{path} is no plain file, so it cannot be trusted. {_REMEDY}", code="unsafe_file")
        if name not in manifest.files and name != MANIFEST:
            raise ArtefactError(
                f"{path} is not in the manifest. Remove it; if the model needs it, {_REMEDY[0].lower()}{_REMEDY[1:]}",
                code="extra_file",
            )
    for name, expected in manifest.files.items():
        if name not in present:
            raise ArtefactError(f"{folder}: {name[:80]!r} is missing. {_REMEDY}", code="missing_file")
        found = sha256(present[name])
        if found != expected:
            raise ArtefactError(
                f"{folder / name} has sha256 {found[:12]}...; the manifest expects {expected[:12]}... {_REMEDY}",
                code="wrong_hash",
            )
    found = content_id(manifest.kind, manifest.text_rules, manifest.files)
    if found != manifest.id:
        raise ArtefactError(
            f"{folder / MANIFEST} says id {manifest.id}, but its content has id {found}. {_REMEDY}", code="wrong_id"
        )


def _taxonomy(folder: Path) -> Taxonomy:
    try:
        return Taxonomy.from_toml(_read_text(folder / "taxonomy.toml"))
    except (InputError, UnicodeDecodeError) as error:
        raise ArtefactError(f"{folder}: {error} {_REMEDY}", code="bad_taxonomy") from error


def _read_json(path: Path) -> Any:
    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is no number")

    try:
        document = json.loads(_read_text(path), parse_constant=refuse)
        json.dumps(document, ensure_ascii=False, allow_nan=False).encode()  # refuses half a character and 1e999
    except (ValueError, RecursionError) as error:
        raise ArtefactError(f"{path} is not valid JSON: {error}. {_REMEDY}", code="bad_json") from error
    return document


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_TEXT_BYTES:
            raise ArtefactError(f"{path} has more than {MAX_TEXT_BYTES:,} bytes. {_REMEDY}", code="too_large")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ArtefactError(f"{path} cannot be read: {error.strerror}. {_REMEDY}", code="missing_file") from error
