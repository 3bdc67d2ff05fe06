"""The models that were found, so that a promotion stays explained after its model's folder is gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select

from tagdesk.store.database import Database
from tagdesk.store.limits import check_id
from tagdesk.store.tables import models


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A model as its folder described it when it was first seen; `origin` as JSON holds it."""

    id: str
    kind: str
    taxonomy: str
    seen: datetime
    origin: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The model as JSON holds it."""
        return {
            "id": self.id,
            "kind": self.kind,
            "taxonomy": self.taxonomy,
            "seen": self.seen.isoformat(),
            "origin": dict(self.origin),
        }


class FoundModels:
    """The models that a store knows of."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, found: Sequence[FoundModel]) -> None:
        """Keep those that are new; one that is known stays as it was first seen."""
        for model in found:
            check_id("model, kind or taxonomy", model.id, model.kind, model.taxonomy)
        new = {model.id: _to_row(model) for model in found}
        for known in self.of([model.id for model in found]):
            if known is not None:
                new.pop(known.id, None)
        if new:  # else nobody who writes must wait
            with self._database.write() as connection:
                connection.execute(self._database.insert_new(models), list(new.values()))

    def of(self, ids: Sequence[str]) -> list[FoundModel | None]:
        """The models of these ids, in their order; None for one that was never found."""
        found = {model.id: model for model in self.all()}
        return [found.get(id_) for id_ in ids]

    def all(self) -> list[FoundModel]:
        """All of them, in the order in which they were first seen."""
        with self._database.read() as connection:
            return [_from_row(row) for row in connection.execute(select(models).order_by(models.c.seen, models.c.id))]


def _to_row(model: FoundModel) -> dict[str, Any]:
    return {
        "id": model.id,
        "kind": model.kind,
        "taxonomy": model.taxonomy,
        "seen": model.seen,
        "origin": dict(model.origin),
    }


def _from_row(row: Row[Any]) -> FoundModel:
    return FoundModel(row.id, row.kind, row.taxonomy, row.seen, row.origin)
