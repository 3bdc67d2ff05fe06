"""Writes a model folder, whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import importlib.metadata
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tagdesk.calibrate import Calibration
from tagdesk.errors import ArtefactError, TagdeskError, UsageError
from tagdesk.model.folder import MANIFEST, POLICY, Manifest, content_id, read_folder, sha256
from tagdesk.policy import Policy
from tagdesk.taxonomy import Taxonomy
from tagdesk.text import RULES

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_LIBRARIES = ("tagdesk", "numpy", "onnxruntime", "tokenizers", "scikit-learn", "torch", "transformers")


def write_folder(  # noqa: PLR0913 - the parts of a model, each once
    root: Path,
    *,
    kind: str,
    taxonomy: Taxonomy,
    calibration: Calibration,
    policy: Policy,
    write_scorer: Callable[[Path], None],
    origin: Mapping[str, Any],
    golden: Mapping[str, Sequence[float]],
) -> Manifest:
    """Write a model below `root` and give its manifest; the folder `root/<id>` appears whole or not at all.

    Where the same model stands there already it stays, and its manifest is given. Raises UsageError where `root` cannot
    be written, or holds the model with another policy.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _draft(root) as draft:
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
                golden=golden,
            )
            _write_json(draft / MANIFEST, manifest.to_dict())
            return _put(draft, root / manifest.id, manifest)
    except OSError as error:
        raise _unwritable(root, error) from error


@contextmanager
def _draft(root: Path) -> Iterator[Path]:
    """A hidden folder to write in, gone afterwards; first those go that killed processes left half-written.

    Whoever writes shares a lock on `root`. Who gets it alone knows that nobody writes, so every draft is a leftover.
    """
    lock = os.open(root, os.O_RDONLY)
    draft = root / f".writing-{secrets.token_hex(8)}"
    try:
        with suppress(OSError):  # somebody else is writing; or the file system has no locks, and nothing is swept
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for left in root.glob(".writing-*"):
                shutil.rmtree(left, ignore_errors=True)
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_SH)
        draft.mkdir()
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        os.close(lock)


def _put(draft: Path, target: Path, manifest: Manifest) -> Manifest:
    """Rename the draft into place; the same content written before, or by somebody else just now, is as good."""
    for path in (*draft.iterdir(), draft):
        _sync(path)
    try:
        draft.rename(target)
    except OSError:
        if not (target / MANIFEST).is_file():
            raise
        return _same(target, manifest)
    _sync(target.parent)
    return manifest


def _same(target: Path, manifest: Manifest) -> Manifest:
    """The manifest of the model that stands at `target`, whose content is that of `manifest`."""
    try:
        found = read_folder(target).manifest
    except ArtefactError as error:
        raise ArtefactError(f"{error} To save the model here, remove {target} first.", code=error.code) from error
    if found.files[POLICY] != manifest.files[POLICY]:
        raise UsageError(
            f"{target} holds the same weights with another {POLICY}, and a saved model is never changed. "
            "Save below another folder, or remove that one first.",
            code="other_policy",
        )
    return found


def _unwritable(root: Path, error: OSError) -> TagdeskError:
    if error.errno in _FULL:
        return TagdeskError(
            f"{root}: no room left on the device. Nothing was kept; make room or name another folder.", code="disk_full"
        )
    return UsageError(
        f"{root}: the model cannot be written here: {error.strerror or error}. Name a folder that can be written.",
        code="unwritable",
    )


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
