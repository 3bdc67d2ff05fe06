"""Which models there are, which of them answers, and who decided so; running services follow within seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tagdesk.desk.candidate import open_checked
from tagdesk.errors import InputError, Refused
from tagdesk.model import STARTER, Manifest, Model, find_model, list_models, read_manifest
from tagdesk.store import Decided, FoundModel, NotFound, Promotion, Store


@dataclass(frozen=True, slots=True)
class Entry:
    """A model that is here, or was promoted once.

    Attributes:
        id: of the model.
        manifest: what its folder says; None where the folder is gone.
        found: what the store noted when it was first seen; None where it never was.
        promotions: the decisions for it, oldest first.
        is_live: whether it answers.
    """

    id: str
    manifest: Manifest | None
    found: FoundModel | None
    promotions: tuple[Promotion, ...]
    is_live: bool


def here(models: Path) -> list[Manifest]:
    """The models that can be promoted: the starter, then those of the folder, newest first."""
    return [read_manifest(find_model(STARTER)), *list_models(models)]


def note(store: Store, manifests: Sequence[Manifest], *, now: datetime) -> None:
    """Let the store know of models that are new to it."""
    store.models.add([FoundModel(one.id, one.kind, one.taxonomy, now, one.origin) for one in manifests])


def entries(store: Store, models: Path) -> list[Entry]:
    """The models that are here, then those that were promoted once and are gone."""
    manifests = {manifest.id: manifest for manifest in here(models)}
    history = store.promotions.history()
    live = history[-1].model if history else read_manifest(find_model(STARTER)).id
    ids = list(dict.fromkeys([*manifests, *(promotion.model for promotion in reversed(history))]))
    return [
        Entry(id_, manifests.get(id_), found, tuple(one for one in history if one.model == id_), id_ == live)
        for id_, found in zip(ids, store.models.of(ids), strict=True)
    ]


def promote(store: Store, models: Path, name: str, decided: Decided, *, expected: int | None = None) -> Promotion:
    """Try a model, then let it answer from now on.

    Args:
        store: where it is written down.
        models: the folder in which models are kept.
        name: the id of the model, or `starter`.
        decided: who decides, when and why.
        expected: the number of the promotion on which the decision stands; None: that of the moment.

    Raises:
        ArtefactError: where it is not there or not fit.
        Refused: where its folder holds another model than it is named after.
        Conflict: where somebody else promoted meanwhile.
    """
    current = store.promotions.current()
    opened = _tried(name, models)
    before = Model.load(STARTER) if current is None else None
    number = current.number if current else 0
    return record(store, opened, before, decided, expected=number if expected is None else expected)


def roll_back(store: Store, models: Path, decided: Decided) -> Promotion:
    """Try the model that answered before, then let it answer again; a second rollback goes one further back.

    Raises:
        NotFound: where nothing came before.
        ArtefactError: where that model is gone or not fit.
        Refused: where it, or its policy, is not the one that was promoted.
        Conflict: where somebody else promoted meanwhile.
    """
    current, before = store.promotions.current(), store.promotions.before_current()
    if current is None or before is None:
        raise NotFound("Nothing was promoted before, so there is nothing to roll back to.")
    opened = _tried(before.model, models)
    if opened.policy.id != before.policy:
        raise Refused(
            f"Model {opened.id} holds another policy than the one that was promoted. Promote it again.",
            code="policy_changed",
        )
    return store.promotions.rollback(decided, expected=current.number)


def record(store: Store, model: Model, before: Model | None, decided: Decided, *, expected: int | None) -> Promotion:
    """Write down that a model answers from now on; where nothing was promoted yet, first what answered `before`.

    So there is something to go back to. Raises Conflict where another promotion holds than `expected`.
    """
    both = [one.manifest for one in (before, model) if one is not None]
    note(store, [manifest for manifest in both if manifest is not None], now=decided.time)
    is_first = expected in {None, 0} and store.promotions.current() is None
    if is_first and before is not None and before.id != model.id:
        first = Decided(decided.who, decided.time, "answered before the first promotion")
        expected = store.promotions.promote(before.id, before.policy.id, first, expected=0).number
    return store.promotions.promote(model.id, model.policy.id, decided, expected=expected)


def named(model: str) -> str:
    """The name by which a model is found: `starter` for the one that ships, else its id; raises InputError."""
    if model == STARTER or model == read_manifest(find_model(STARTER)).id:
        return STARTER
    if not model.isalnum() or not model.isascii():
        raise InputError("A model is named by its id: letters and digits.", code="no_model")
    return model


def _tried(model: str, models: Path) -> Model:
    name = named(model)
    opened = open_checked(name, models)
    if opened.id != name != STARTER:
        raise Refused(
            f"The folder of model {name} holds another model, {opened.id}. Put the right one back.",
            code="model_changed",
        )
    return opened
