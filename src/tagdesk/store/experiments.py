"""What experiments there are; each change of one is a new version of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select

from tagdesk.store.database import Database
from tagdesk.store.errors import Conflict
from tagdesk.store.limits import check_count, check_id
from tagdesk.store.tables import experiments


@dataclass(frozen=True, slots=True)
class ExperimentVersion:
    """An experiment as somebody wrote it down; `definition` as JSON holds it."""

    name: str
    version: int
    definition: Mapping[str, Any]
    who: str
    time: datetime

    def to_dict(self) -> dict[str, Any]:
        """The version as JSON holds it."""
        return {
            "name": self.name,
            "version": self.version,
            "definition": dict(self.definition),
            "who": self.who,
            "time": self.time.isoformat(),
        }


class Experiments:
    """The experiments of a store; what stands there once is never changed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, version: ExperimentVersion) -> None:
        """Write the next version down: 1 for a new experiment, else one more than the last.

        Raises:
            Conflict: where that version is there already, or is not the next.
        """
        check_id("experiment's name", version.name)
        check_id("name of who writes", version.who)
        check_count("version", version.version)
        row = {
            "name": version.name,
            "version": version.version,
            "definition": dict(version.definition),
            "who": version.who,
            "time": version.time,
        }
        with self._database.write() as connection:
            last = select(func.coalesce(func.max(experiments.c.version), 0)).where(experiments.c.name == version.name)
            insert = self._database.insert_new(experiments).values(row).returning(experiments.c.number)
            is_next = connection.execute(last).scalar_one() == version.version - 1
            if not is_next or connection.execute(insert).first() is None:
                raise Conflict("The experiment has another last version. Look at that one, and decide again.")

    def get(self, name: str) -> ExperimentVersion | None:
        """The last version of an experiment; None where there is none of that name."""
        versions = self.history(name)
        return versions[-1] if versions else None

    def history(self, name: str) -> list[ExperimentVersion]:
        """All versions of an experiment, oldest first."""
        check_id("experiment's name", name)
        query = select(experiments).where(experiments.c.name == name).order_by(experiments.c.version)
        with self._database.read() as connection:
            return [_from_row(row) for row in connection.execute(query)]

    def newest(self) -> list[ExperimentVersion]:
        """The last version of each experiment, by their names."""
        return list({version.name: version for version in self.all()}.values())

    def all(self) -> list[ExperimentVersion]:
        """All versions of all experiments, by their names."""
        query = select(experiments).order_by(experiments.c.name, experiments.c.version)
        with self._database.read() as connection:
            return [_from_row(row) for row in connection.execute(query)]


def _from_row(row: Row[Any]) -> ExperimentVersion:
    return ExperimentVersion(row.name, row.version, row.definition, row.who, row.time)
