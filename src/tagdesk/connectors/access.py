"""Where a help desk is reached and with which key, and what is asked of it there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tagdesk.address import check_address, is_here, is_word
from tagdesk.errors import TagdeskError, UsageError

_TICKET = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)


class HelpDeskError(TagdeskError):
    """A help desk that refuses a call, cannot be reached, or answers nonsense.

    `code` is one of help_desk_refused, help_desk_conflict, help_desk_away, bad_answer, tags_not_taken; `status` is the
    HTTP status, None where there was no answer.
    """

    def __init__(self, message: str, *, code: str, status: int | None = None) -> None:
        super().__init__(message, code=code)
        self.status = status


class Overtaken(HelpDeskError):  # noqa: N818 - the word for what happened
    """A guarded call that came too late: others changed the ticket."""


@dataclass(frozen=True)
class Access:
    """The address of a help desk and the key to it; the key never shows.

    Attributes:
        base_url: such as https://acme.zendesk.com; plain HTTP is for this machine only.
        token: the API token or key.
        user: for Zendesk: the e-mail address of the agent whose API token it is; None takes the token as OAuth's.
        account: for Chatwoot: the number of the account.

    >>> Access("http://acme.zendesk.com", "s3cret")
    Traceback (most recent call last):
    ...
    tagdesk.errors.UsageError: Help desk 'http://acme.zendesk.com': plain HTTP is for this machine only. Use https://.
    """

    base_url: str
    token: str = field(repr=False)
    user: str | None = None
    account: str | None = None

    def __post_init__(self) -> None:
        check_address(self.base_url, "Help desk", example="https://acme.zendesk.com", key="the token apart")
        if not is_word(self.token):
            raise UsageError(
                "The help desk's token is empty or holds characters that no token has. Copy it again.", code="bad_token"
            )
        if self.user is not None and (not is_word(self.user) or ":" in self.user):
            raise UsageError("The help desk's user is no e-mail address. Give that of an agent.", code="bad_user")
        if self.account is not None and not _TICKET.fullmatch(self.account):
            raise UsageError("The help desk's account is no number. Take it from the address bar.", code="bad_account")

    @property
    def host(self) -> str:
        """The machine, with its port where the address names one."""
        return urlsplit(self.base_url).netloc

    @property
    def is_here(self) -> bool:
        """Whether the help desk runs on this machine."""
        return is_here(urlsplit(self.base_url).hostname or "")


@dataclass(frozen=True)
class Call:
    """A request to a help desk, before or after it was made.

    Attributes:
        method: GET, POST or PUT.
        path: what follows the base address.
        body: what is sent as JSON, None for nothing.
        adds: the tags that the answer must show.
        is_guarded: whether the help desk refuses it (409) where the ticket changed meanwhile.
    """

    method: str
    path: str
    body: Mapping[str, Any] | None = None
    adds: tuple[str, ...] = ()
    is_guarded: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """A ticket's tags, and the stamp that a safe update names."""

    tags: tuple[str, ...]
    stamp: str | None = None


def ticket_number(ticket: str) -> str:
    """The number of a ticket, fit for a path; raises UsageError for anything else.

    >>> ticket_number("7/../8")
    Traceback (most recent call last):
    ...
    tagdesk.errors.UsageError: A ticket that is no number. Give the number that the help desk calls it by.
    """
    if not is_ticket_number(ticket):
        raise UsageError(
            "A ticket that is no number. Give the number that the help desk calls it by.", code="bad_ticket"
        )
    return ticket


def is_ticket_number(value: str) -> bool:
    """Whether a word is a ticket's number: 1 to 19 digits, the first not 0."""
    return _TICKET.fullmatch(value) is not None
