"""The model on disk: checksummed, content-addressed, written whole or not at all."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
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
MAX_JSON_BYTES = 10_000_000
# Formats that can carry code, or objects that run it when they are read.
_UNSAFE = {".pkl", ".pickle", ".pt", ".pth", ".bin", ".joblib", ".npy", ".ckpt", ".h5", ".keras", ".py", ".so", ".dll"}
_LIBRARIES = ("tagdesk", "numpy", "onnxruntime", "tokenizers", "scikit-learn", "torch", "transformers")
_OWN = ("taxonomy.toml", "calibration.json", POLICY)


@dataclass(frozen=True)
class Manifest:
    """What a model folder says of itself.

    `files` maps each file to its sha256. `origin` holds the recipe, the data's fingerprint and what else is known of how
    the model came to be; it explains and decides nothing.
    """

    id: str
    kind: str
    taxonomy: str
    files: Mapping[str, str]
    libraries: Mapping[str, str] = field(default_factory=dict)
    origin: Mapping[str, Any] = field(default_factory=dict)
    text_rules: int = RULES
    format: int = FORMAT

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
        }


@dataclass(frozen=True, slots=True)
class Parts:
    """A verified folder's contents, all but the scorer."""

    manifest: Manifest
    taxonomy: Taxonomy
    calibration: Calibration
    policy: Policy


def write_folder(  # noqa: PLR0913 - the parts of a model, each once
    root: Path,
    *,
    kind: str,
    taxonomy: Taxonomy,
    calibration: Calibration,
    policy: Policy,
    write_scorer: Callable[[Path], None],
    origin: Mapping[str, Any],
) -> Manifest:
    """Write a model below `root` and give its manifest; the folder `root/<id>` appears whole or not at all."""
    root.mkdir(parents=True, exist_ok=True)
    _sweep(root)
    draft = Path(tempfile.mkdtemp(prefix=f".writing-{os.getpid()}-", dir=root))
    try:
        write_scorer(draft)
        (draft / "taxonomy.toml").write_text(taxonomy.to_toml(), encoding="utf-8")
        _write_json(draft / "calibration.json", calibration.to_dict(taxonomy.names))
        _write_json(draft / POLICY, policy.to_dict())
        files = {path.name: sha256(path) for path in sorted(draft.iterdir())}
        manifest = Manifest(
            id=content_id(kind, RULES, files),
            kind=kind,
            taxonomy=taxonomy.fingerprint,
            files=files,
            libraries=_versions(),
            origin=origin,
        )
        _write_json(draft / MANIFEST, manifest.to_dict())
        for path in draft.iterdir():
            _sync(path)
        _sync(draft)
        draft.chmod(0o755)  # mkdtemp makes it private; a model is as readable as its folder's umask allows elsewhere
        _put(draft, root / manifest.id)
        _sync(root)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """Parse and check `manifest.json`; raises ArtefactError."""
    path = folder / MANIFEST
    document = _read_json(path)
    expected = {"format": int, "id": str, "kind": str, "text_rules": int, "taxonomy": str, "files": dict}
    wrong = [
        key for key, kind in expected.items() if not isinstance(document, dict) or type(document.get(key)) is not kind
    ]
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
        if not plain or not isinstance(digest, str):
            raise ArtefactError(
                f"{path}: {name[:80]!r} is no plain file name with a sha256. {_REMEDY}", code="bad_manifest"
            )
    return Manifest(
        id=document["id"],
        kind=document["kind"],
        taxonomy=document["taxonomy"],
        files=document["files"],
        libraries=document.get("libraries") or {},
        origin=document.get("origin") or {},
        text_rules=document["text_rules"],
        format=document["format"],
    )


def read_folder(folder: Path) -> Parts:
    """Check the manifest, then every file's checksum, and only then read the parts; raises ArtefactError."""
    manifest = read_manifest(folder)
    _check_files(folder, manifest)
    names = _OWN
    missing = [name for name in names if name not in manifest.files]
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
    return Parts(manifest, taxonomy, calibration, policy)


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
    present = {path.name: path for path in folder.iterdir() if path.name != MANIFEST}
    for name, path in sorted(present.items()):
        if path.suffix.lower() in _UNSAFE:
            raise ArtefactError(
                f"{path} can hold code and is never opened. Save the weights as safetensors, ONNX or plain .npz.",
                code="unsafe_file",
            )
        if path.is_symlink() or not path.is_file():
            raise ArtefactError(f"{path} is no plain file, so it cannot be trusted. {_REMEDY}", code="unsafe_file")
        if name not in manifest.files:
            raise ArtefactError(
                f"{path} is not in the manifest. Remove it; if the model needs it, {_REMEDY[0].lower()}{_REMEDY[1:]}",
                code="extra_file",
            )
    for name, expected in manifest.files.items():
        if name not in present:
            raise ArtefactError(f"{folder / name} is missing. {_REMEDY}", code="missing_file")
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
        return Taxonomy.from_toml((folder / "taxonomy.toml").read_text(encoding="utf-8"))
    except (InputError, UnicodeDecodeError) as error:
        raise ArtefactError(f"{folder}: {error} {_REMEDY}", code="bad_taxonomy") from error


def _put(draft: Path, target: Path) -> None:
    """Rename the draft into place; the same content written before, or by somebody else just now, is as good."""
    try:
        draft.rename(target)
    except OSError:
        if not (target / MANIFEST).is_file():
            raise
        read_folder(target)


def _sweep(root: Path) -> None:
    """Remove what a killed process left half-written."""
    for left in root.glob(".writing-*-*"):
        process = left.name.split("-")[1]
        if process.isdigit() and int(process) != os.getpid() and not _is_running(int(process)):
            shutil.rmtree(left, ignore_errors=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _versions() -> dict[str, str]:
    versions = {}
    for name in _LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _write_json(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _read_json(path: Path) -> Any:
    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is no number")

    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise ArtefactError(f"{path} has more than {MAX_JSON_BYTES:,} bytes. {_REMEDY}", code="bad_json")
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    except OSError as error:
        raise ArtefactError(f"{path} cannot be read: {error.strerror}. {_REMEDY}", code="missing_file") from error
    except (ValueError, RecursionError) as error:
        raise ArtefactError(f"{path} is not valid JSON: {error}. {_REMEDY}", code="bad_json") from error
