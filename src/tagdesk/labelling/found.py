"""What a file says that people found, before anybody has looked whether it can be believed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Found:
    """The labels that somebody found for a case.

    Attributes:
        where: of the file, as in "line 7".
        case: its id.
        labels: right ones, none where no label applies.
        reviewer: who; None where the file does not say.
        time: when; None where the file does not say.
        text: what the person read; None where the file does not hold it.
        suggested, mark: of the row that was handed out; see `tagdesk.labelling.table.mark`.
    """

    where: str
    case: str
    labels: frozenset[str]
    reviewer: str | None = None
    time: datetime | None = None
    text: str | None = None
    suggested: frozenset[str] = frozenset()
    mark: str | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a row or a task cannot become a review; the detail never quotes the customer's text."""

    where: str
    code: str
    detail: str

    @property
    def sentence(self) -> str:
        """What a person reads.

        >>> Problem("line 7", "unknown_case", "There is no such case.").sentence
        'line 7: There is no such case.'
        """
        return f"{self.where}: {self.detail}"


@dataclass(frozen=True, slots=True)
class Handed:
    """What a whole file says.

    Attributes:
        kind: of the file, `table` or `label_studio`.
        found: in the order in which people found it, as far as the file tells.
        problems: rows and tasks that say nothing that can be read.
        blank: how many nobody has labelled.
    """

    kind: str
    found: tuple[Found, ...]
    problems: tuple[Problem, ...]
    blank: int

    @property
    def digest(self) -> str:
        """The same for files that say the same, however they were saved."""
        said = sorted([one.case, one.reviewer or "", *sorted(one.labels)] for one in self.found)
        return hashlib.sha256(json.dumps([self.kind, said]).encode()).hexdigest()
