"""Fine-tuning in several processes, as on several GPUs."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("accelerate")

import tiny
from tagdesk.model import Model
from tiny_encoders import change_json, tiny_encoder

SETTINGS = {
    "epochs": "3",
    "dropout": "0",
    "learning_rate": "0.005",
    "batch_size": "9",
    "folds": "0",
    "validation_share": "0.3",
    "max_tokens": "32",
}


def trained(file: Path, encoder: Path, out: Path, launcher: list[str]) -> tuple[Model, str]:
    """The model that `tagdesk train` makes, and all that it prints."""
    settings = [part for name, value in SETTINGS.items() for part in ("--set", f"{name}={value}")]
    command = [sys.executable, *launcher, "-m", "tagdesk", "train", str(file), "--out", str(out), "--json"]
    done = subprocess.run(
        [*command, "--recipe", "transformer", "--set", f"encoder={encoder}", "--set", "device=cpu", *settings],
        env=os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        check=False,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    (folder,) = (path for path in out.iterdir() if not path.name.endswith(".report"))
    return Model.load(folder), done.stdout


def test_two_processes_learn_what_one_learns_and_one_of_them_tells(tmp_path: Path) -> None:
    encoder = tiny_encoder(tmp_path / "encoder")
    change_json(encoder / "config.json", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    file = tmp_path / "tickets.jsonl"
    tickets = tiny.tickets(120)
    rows = [{"text": ticket.text, "labels": sorted(ticket.labels or ())} for ticket in tickets]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    launcher = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_addr", "127.0.0.1"]
    two, said = trained(file, encoder, tmp_path / "two", [*launcher, "--master_port", str(port)])
    one, _ = trained(file, encoder, tmp_path / "one", [])
    assert json.loads(said)  # one answer, not two
    texts = [ticket.text for ticket in tickets[:20]]
    np.testing.assert_allclose(two.scorer.score(texts).probs, one.scorer.score(texts).probs, atol=2e-3)
