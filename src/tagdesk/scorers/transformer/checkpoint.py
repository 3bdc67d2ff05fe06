"""The state of an unfinished training run, on disk as one file of plain tensors."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from tagdesk.errors import ArtefactError, UsageError
from tagdesk.scorers.transformer.network import Network

FILE = "unfinished.safetensors"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a run has come.

    Attributes:
        step: steps done.
        best_loss: the lowest validation loss so far; None before the first epoch's end, or without validation.
        stale: epochs since then.
        best: the weights that had it.
    """

    step: int = 0
    best_loss: float | None = None
    stale: int = 0
    best: Mapping[str, Tensor] | None = None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where the state is kept, and the fingerprint of the run that it belongs to.

    Chance needs no state: every step draws from a seed of its own.
    """

    folder: Path
    fingerprint: str

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / FILE

    def write(self, standing: Standing, network: Network, optimiser: torch.optim.Optimizer) -> None:
        """Put the state in the place of the last one; a kill leaves the one or the other."""
        tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
        tensors |= {f"best.{name}": tensor for name, tensor in (standing.best or {}).items()}
        for index, moments in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{name}": tensor for name, tensor in moments.items()}
        facts = {
            "format": FORMAT,
            "fingerprint": self.fingerprint,
            "step": standing.step,
            "best_loss": standing.best_loss,
            "stale": standing.stale,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        unfinished = self.path.with_suffix(f".{os.getpid()}.tmp")
        try:
            save_file(
                {name: tensor.cpu() for name, tensor in tensors.items()}, unfinished, {"tagdesk": json.dumps(facts)}
            )
            with unfinished.open("rb") as file:
                os.fsync(file.fileno())
            unfinished.replace(self.path)
        finally:
            unfinished.unlink(missing_ok=True)

    def restore(self, network: Network, optimiser: torch.optim.Optimizer) -> Standing:
        """Bring network and optimiser to the state on disk, where there is one; raises UsageError for another run's."""
        if not self.path.is_file():
            return Standing()
        try:
            with safe_open(self.path, framework="pt") as file:
                facts = json.loads((file.metadata() or {})["tagdesk"])
                self._refuse_foreign(facts)
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            network.load_state_dict(_part(tensors, "network."))
            optimiser.load_state_dict({**optimiser.state_dict(), "state": _moments(tensors)})
            standing = Standing(
                int(facts["step"]), facts["best_loss"], int(facts["stale"]), _part(tensors, "best.") or None
            )
        except (SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise ArtefactError(
                f"{self.path} is damaged ({type(error).__name__}). Delete it; training then begins anew.",
                code="bad_checkpoint",
            ) from error
        return standing

    def remove(self) -> None:
        """Delete the state, and the folder where nothing else is in it."""
        self.path.unlink(missing_ok=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _refuse_foreign(self, facts: Mapping[str, Any]) -> None:
        if facts["format"] != FORMAT or facts["fingerprint"] != self.fingerprint:
            raise UsageError(
                f"{self.path} holds an unfinished run with other tickets, another recipe or another encoder. "
                "Continue that run with what it was begun with, name another folder, or delete the file.",
                code="foreign_checkpoint",
            )


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _moments(tensors: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    """The optimiser's running means by the index of their parameter."""
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _part(tensors, "optimiser.").items():
        index, _, key = name.partition(".")
        moments.setdefault(int(index), {})[key] = tensor
    return moments
