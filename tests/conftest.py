from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import tiny
from tagdesk.model import Model
from tagdesk.scorers import Recipe
from tagdesk.ticket import Ticket

if TYPE_CHECKING:
    from tagdesk.scorers.transformer import TransformerScorer


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny encoder graph and its tokenizer; `Recipe(kind="probe", encoder=str(encoder))`."""
    return tiny.write_encoder(tmp_path_factory.mktemp("encoder") / "tiny")


@pytest.fixture(scope="session")
def tickets() -> list[Ticket]:
    """60 labelled tickets of 3 labels."""
    return tiny.tickets()


@pytest.fixture(scope="session")
def models(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Model]:
    """A saved model of each kind that needs no torch; their folders are not to be changed."""
    scratch = tmp_path_factory.mktemp("models")
    return {
        kind: tiny.model(kind, encoder, scratch / f"{kind}-graph").save(scratch) for kind in ("linear", "probe", "onnx")
    }


@pytest.fixture(scope="session")
def saved(models: dict[str, Model], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds the folders of `models`."""
    root = tmp_path_factory.mktemp("saved")
    for model in models.values():
        model.save(root)
    return root


@pytest.fixture
def copy_of(models: dict[str, Model], saved: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A function that gives a fresh copy of a saved model's folder, to be altered."""

    def copy(kind: str) -> Path:
        target = tmp_path / f"copy-of-{kind}"
        shutil.rmtree(target, ignore_errors=True)
        return Path(shutil.copytree(saved / models[kind].id, target))

    return copy


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """How to fine-tune a tiny encoder; for tests that skip where torch is missing."""
    import tiny_encoders  # noqa: PLC0415 - needs torch

    return tiny_encoders.tiny_recipe(tmp_path_factory.mktemp("encoders") / "bert")


@pytest.fixture(scope="session")
def scorer(recipe: Recipe) -> TransformerScorer:
    """What `recipe` makes of its examples when it has learned them by heart; not to be changed."""
    import tiny_encoders  # noqa: PLC0415 - needs torch

    return tiny_encoders.learned(recipe)
