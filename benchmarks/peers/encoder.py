"""Lays an encoder out as every version of sentence-transformers reads it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tagdesk.encoders import EncoderFolder

KINDS = ("Transformer", "Pooling", "Normalize")
FOLDERS = ("", "1_Pooling", "2_Normalize")
TOKENS = 512  # at most in a text, as the publishers of gte-small say


def laid_out(encoder: EncoderFolder, folder: Path) -> Path:
    """The folder, with links to the encoder's weights and vocabulary and with a description of its own."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in FOLDERS:
        (folder / name).mkdir(parents=True, exist_ok=True)
    for file in (file for file in encoder.path.iterdir() if file.is_file()):
        (folder / file.name).symlink_to(file)
    modules = [
        {"idx": place, "name": str(place), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for place, (kind, path) in enumerate(zip(KINDS, FOLDERS, strict=True))
    ]
    width = json.loads((encoder.path / "config.json").read_text(encoding="utf-8"))["hidden_size"]
    pooling = {
        "word_embedding_dimension": width,
        "pooling_mode_mean_tokens": encoder.pooling == "mean",
        "pooling_mode_cls_token": encoder.pooling == "cls",
    }
    described = {
        "modules.json": modules if encoder.normalise else modules[:-1],
        "1_Pooling/config.json": pooling,
        "sentence_bert_config.json": {"max_seq_length": TOKENS, "do_lower_case": False},
    }
    for name, content in described.items():
        (folder / name).unlink(missing_ok=True)
        (folder / name).write_text(json.dumps(content, indent=1), encoding="utf-8")
    return folder
