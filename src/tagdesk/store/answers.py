"""What was answered to requests that carry a key, so that one sent twice is done once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, select, update

from tagdesk.store.database import Database
from tagdesk.store.errors import Conflict
from tagdesk.store.limits import check_id
from tagdesk.store.tables import answers

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Request:
    """A request as its sender names it: `key` is the sender's own, `digest` stands for all that was asked."""

    caller: str
    key: str
    digest: str

    def __post_init__(self) -> None:
        check_id("caller", self.caller)
        check_id("idempotency key", self.key)
        check_id("digest", self.digest)


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered to a request, as JSON holds it, and when."""

    request: Request
    response: Mapping[str, Any]
    time: datetime


class Answers:
    """Requests with a key, and what was answered to them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, request: Request, *, now: datetime, patience: timedelta = MINUTE) -> dict[str, Any] | None:
        """What was answered before; None where nothing was, and the request is now the caller's to do.

        Who claims and then neither keeps an answer nor releases the request loses it to the next after `patience`.

        Raises:
            Conflict: where the key stands for another request (`key_reused`), or somebody is still doing this one.
        """
        with self._database.write() as connection:
            row = {"caller": request.caller, "key": request.key, "digest": request.digest, "time": now}
            insert = self._database.insert_new(answers).values(row).returning(answers.c.number)
            if connection.execute(insert).first() is not None:
                return None
            found = connection.execute(select(answers).where(_is(request)).with_for_update()).one_or_none()
            if found is not None and found.digest != request.digest:
                raise Conflict(
                    "The idempotency key stands for another request. Use a new key for each request.", code="key_reused"
                )
            if found is not None and found.response is not None:
                return dict(found.response)
            if found is None or abs(now - found.time) < patience:  # a clock may have been set back
                raise Conflict("A request with this idempotency key is being answered. Try again in a moment.")
            connection.execute(update(answers).where(_is(request)).values(time=now))
            return None

    def keep(self, answer: Answer) -> None:
        """Remember an answer; raises Conflict where the request is answered already."""
        with self._database.write() as connection:
            write_answer(self._database, connection, answer)

    def release(self, request: Request) -> None:
        """Let somebody else do a request that was claimed and came to nothing."""
        with self._database.write() as connection:
            connection.execute(delete(answers).where(_is(request), answers.c.response.is_(None)))


def write_answer(database: Database, connection: Connection, answer: Answer) -> int:
    """Write an answer within a transaction and give its number; raises Conflict where another was quicker."""
    request = answer.request
    row = {"caller": request.caller, "key": request.key, "digest": request.digest, "time": answer.time}
    connection.execute(database.insert_new(answers).values(row))
    kept = (
        update(answers)
        .where(_is(request), answers.c.digest == request.digest, answers.c.response.is_(None))
        .values(response=dict(answer.response), time=answer.time)
        .returning(answers.c.number)
    )
    number = connection.execute(kept).scalar_one_or_none()
    if number is None:
        raise Conflict("A request with this idempotency key has been answered. Ask for that answer.")
    return int(number)


def _is(request: Request) -> Any:
    return (answers.c.caller == request.caller) & (answers.c.key == request.key)
