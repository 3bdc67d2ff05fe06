"""Writes tags and an internal note to the tickets of a help desk."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from tagdesk.connectors.access import Access, Call, HelpDeskError, Overtaken, Seen, ticket_number
from tagdesk.connectors.base import Connector
from tagdesk.errors import MissingExtra, UsageError

if TYPE_CHECKING:
    from tagdesk.connectors.sending import Line

_PLANS: Final = 3  # how often a write is planned anew where others change the ticket meanwhile
_LONGEST_NOTE: Final = 20_000  # characters; less than each help desk takes


@dataclass(frozen=True)
class Patience:
    """How long a help desk is waited for.

    Attributes:
        timeout: seconds that one try may take, and that the help desk may stay silent in it.
        tries: how often a call is made while the help desk is busy or away.
        longest: seconds, the longest wait between two tries, also where the help desk asks for more.
        wait: what passes the seconds between two tries.
        chance: a number from 0 to 1 that parts callers who failed together.
        clock: seconds since 1970, to read a Retry-After that is a date.
    """

    timeout: float = 10.0
    tries: int = 4
    longest: float = 60.0
    wait: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random
    clock: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        if self.timeout <= 0 or self.tries < 1 or self.longest < 0:
            raise UsageError(
                "Patience with a help desk: expected a timeout above 0, at least one try and no negative wait.",
                code="bad_patience",
            )


@dataclass(frozen=True)
class HelpDesk:
    """A help desk whose tickets tagdesk may change.

    Every call that is not answered is made again, so that a note may come twice where the answer to the first was lost;
    tags never do.
    """

    connector: Connector
    access: Access
    patience: Patience = field(default_factory=Patience)

    def tags(self, ticket: str) -> tuple[str, ...]:
        """The tags that a ticket bears now."""
        number = ticket_number(ticket)
        with self._line() as line:
            return self._look(line, number).tags

    def plan(self, ticket: str, tags: Sequence[str], note: str = "") -> list[Call]:
        """The calls that `write` would make now; a dry run, which reads the ticket and changes nothing."""
        number = ticket_number(ticket)
        with self._line() as line:
            return self._plan(line, number, tags, note)

    def write(self, ticket: str, tags: Sequence[str], note: str = "") -> list[Call]:
        """Add tags and an internal note to a ticket; gives the calls that this took.

        A ticket that bears all the tags already is left alone, note and all: what was written before is not written
        again. Raises HelpDeskError where the help desk refuses, stays away or does not take a tag, and UsageError for a
        ticket that is no number and a tag that is too long there.
        """
        number = ticket_number(ticket)
        with self._line() as line:
            for _ in range(_PLANS - 1):
                with suppress(Overtaken):
                    return self._made(line, self._plan(line, number, tags, note))
            return self._made(line, self._plan(line, number, tags, note))

    def _plan(self, line: Line, ticket: str, tags: Sequence[str], note: str) -> list[Call]:
        too_long = [tag for tag in tags if len(tag) > self.connector.longest_tag]
        if too_long:
            raise UsageError(
                f"Tag {too_long[0][:80]!r}: {self.connector.name} takes at most {self.connector.longest_tag} "
                "characters. Name a shorter one.",
                code="bad_tag",
            )
        seen = self._look(line, ticket)
        there = {tag.casefold() for tag in seen.tags}
        new = [tag for tag in dict.fromkeys(tags) if tag.casefold() not in there]
        if tags and not new:
            return []
        return self.connector.changes(self.access, ticket, new, note[:_LONGEST_NOTE], seen)

    def _look(self, line: Line, ticket: str) -> Seen:
        return self._seen(line.answer(self.connector.look(self.access, ticket)))

    def _made(self, line: Line, calls: list[Call]) -> list[Call]:
        for call in calls:
            self._require_added(call, line.answer(call))
        return calls

    def _require_added(self, call: Call, answer: Any) -> None:
        if call.adds:
            taken = {tag.casefold() for tag in self._seen(answer).tags}
            lost = [tag for tag in call.adds if tag.casefold() not in taken]
            if lost:
                raise HelpDeskError(
                    f"{self.access.host} did not take the tag {lost[0][:80]!r}. Create it there.",
                    code="tags_not_taken",
                )

    def _seen(self, answer: Any) -> Seen:
        seen = self.connector.seen(answer)
        if seen is None:
            raise HelpDeskError(
                f"{self.access.host} answered without tags. Check the help desk's address.", code="bad_answer"
            )
        return seen

    def _line(self) -> Line:
        try:
            sending = import_module("tagdesk.connectors.sending")
        except ImportError as error:
            if (error.name or "").startswith("tagdesk"):
                raise
            raise MissingExtra("Writing to a help desk", "serve") from error
        return sending.Line(self.access, self.connector.headers(self.access), self.patience)  # type: ignore[no-any-return] # imported late
