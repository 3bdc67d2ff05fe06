"""Which model answers with which policy, and who decided so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, select

from tagdesk.store.database import Database
from tagdesk.store.errors import Conflict, NotFound
from tagdesk.store.failpoints import reach
from tagdesk.store.limits import check_id, check_note
from tagdesk.store.tables import promotions


class Kind(StrEnum):
    """Whether something new came, or something old came back."""

    PROMOTE = "promote"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class Promotion:
    """A decision on what answers from `time` on; the last one holds.

    `previous` is the number of the one that it replaced, 0 for the first. `verdict` is the comparison that spoke for
    it, as JSON holds it.
    """

    number: int
    previous: int
    model: str
    policy: str
    kind: Kind
    who: str
    time: datetime
    why: str
    verdict: Any = None

    def to_dict(self) -> dict[str, Any]:
        """The promotion as JSON holds it."""
        return {
            "number": self.number,
            "previous": self.previous,
            "model": self.model,
            "policy": self.policy,
            "kind": self.kind.value,
            "who": self.who,
            "time": self.time.isoformat(),
            "why": self.why,
            "verdict": self.verdict,
        }


@dataclass(frozen=True, slots=True)
class Decided:
    """Who decides, when, why, and on what figures."""

    who: str
    time: datetime
    why: str
    verdict: Any = None

    def __post_init__(self) -> None:
        check_id("name of who decides", self.who)
        check_note("reason", self.why)


class Promotions:
    """The promotions of a store; each follows one other, so that of two at once one wins."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def current(self) -> Promotion | None:
        """The one that holds; None before the first."""
        with self._database.read() as connection:
            return _current(connection)

    def history(self) -> list[Promotion]:
        """All of them, oldest first."""
        with self._database.read() as connection:
            return _history(connection)

    def before_current(self) -> Promotion | None:
        """The one that a rollback would bring back; None where there is none."""
        with self._database.read() as connection:
            return _fallback(_history(connection))

    def promote(self, model: str, policy: str, decided: Decided, *, expected: int | None = None) -> Promotion:
        """Let a model answer with a policy; where they do already, that promotion is given and nothing written.

        Args:
            model: the model's id.
            policy: the policy's id.
            decided: by whom, when and why.
            expected: the number of the promotion that the decision was taken on, 0 for none; any where None.

        Raises:
            Conflict: where another promotion holds than `expected`, or somebody was quicker.
        """
        check_id("model or policy", model, policy)
        with self._database.write() as connection:
            current = _current(connection)
            promotion = self._promote(connection, current, (model, policy), decided, expected)
            reach("promote_before_commit")
        reach("promote_after_commit")
        return promotion

    def rollback(self, decided: Decided, *, expected: int | None = None) -> Promotion:
        """Bring back what answered before the current promotion; a second rollback goes one further.

        The same call with the same `expected` again gives the rollback that is done already.

        Raises:
            NotFound: where nothing came before.
            Conflict: as `promote`.
        """
        with self._database.write() as connection:
            promotion = self._rollback(connection, decided, expected)
            reach("rollback_before_commit")
        reach("rollback_after_commit")
        return promotion

    def _promote(
        self,
        connection: Connection,
        current: Promotion | None,
        what: tuple[str, str],
        decided: Decided,
        expected: int | None,
    ) -> Promotion:
        if current is not None and (current.model, current.policy) == what:
            return current
        _compare(current, expected)
        promotion = self._insert(connection, current, what, Kind.PROMOTE, decided)
        if promotion is not None:
            return promotion
        quicker = _current(connection)
        if quicker is not None and (quicker.model, quicker.policy) == what:
            return quicker
        raise _somebody_was_quicker()

    def _rollback(self, connection: Connection, decided: Decided, expected: int | None) -> Promotion:
        history = _history(connection)
        current = history[-1] if history else None
        if current is not None and current.kind is Kind.ROLLBACK and current.previous == expected:
            return current
        _compare(current, expected)
        target = _fallback(history)
        if target is None:
            raise NotFound("There is no earlier promotion to go back to. Promote a model instead.")
        promotion = self._insert(connection, current, (target.model, target.policy), Kind.ROLLBACK, decided)
        if promotion is None:
            raise _somebody_was_quicker()
        return promotion

    def _insert(
        self, connection: Connection, current: Promotion | None, what: tuple[str, str], kind: Kind, decided: Decided
    ) -> Promotion | None:
        """The promotion that follows `current`; None where another does already."""
        row = {
            "previous": current.number if current else 0,
            "model": what[0],
            "policy": what[1],
            "kind": kind.value,
            "who": decided.who,
            "time": decided.time,
            "why": decided.why,
            "verdict": decided.verdict,
        }
        insert = self._database.insert_new(promotions).values(row).returning(promotions)
        inserted = connection.execute(insert).one_or_none()
        return None if inserted is None else _from_row(inserted)


def _compare(current: Promotion | None, expected: int | None) -> None:
    if expected is not None and expected != (current.number if current else 0):
        raise _somebody_was_quicker()


def _somebody_was_quicker() -> Conflict:
    return Conflict("Another promotion came first. Look at what answers now, and decide again.")


def _current(connection: Connection) -> Promotion | None:
    row = connection.execute(select(promotions).order_by(promotions.c.number.desc()).limit(1)).one_or_none()
    return None if row is None else _from_row(row)


def _history(connection: Connection) -> list[Promotion]:
    return [_from_row(row) for row in connection.execute(select(promotions).order_by(promotions.c.number))]


def _fallback(history: list[Promotion]) -> Promotion | None:
    """What came before the last that still holds, when each rollback takes one promotion back."""
    holding: list[Promotion] = []
    for promotion in history:
        if promotion.kind is Kind.ROLLBACK:
            holding.pop()
        else:
            holding.append(promotion)
    return holding[-2] if len(holding) > 1 else None


def _from_row(row: Row[Any]) -> Promotion:
    values = row._asdict()
    return Promotion(**values | {"kind": Kind(values["kind"])})
