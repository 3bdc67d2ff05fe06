"""The errors that a caller can mend; each knows the exit code that it ends a command with."""

from __future__ import annotations

from typing import ClassVar


class TagdeskError(Exception):
    """Something a caller can mend: the message says what, what was expected, and the remedy.

    `code` is a short stable word for programs (`empty_text`, `not_csv`); `exit_code` is what a command ends with.

    >>> raise InputError("tickets.csv: no column 'text'.", code="missing_column")
    Traceback (most recent call last):
    ...
    tagdesk.errors.InputError: tickets.csv: no column 'text'.
    """

    exit_code: ClassVar[int] = 1
    code: str

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code or type(self).__name__


class UsageError(TagdeskError):
    """The request itself makes no sense: an unknown recipe, a threshold of 2."""

    exit_code: ClassVar[int] = 2


class InputError(TagdeskError):
    """A text or a file that cannot be read as what it should be."""

    exit_code: ClassVar[int] = 3


class ArtefactError(TagdeskError):
    """A model folder that is incomplete, altered, or asks for something unsafe."""

    exit_code: ClassVar[int] = 4


class MissingExtra(TagdeskError):  # noqa: N818 - it names what is missing
    """A part of tagdesk that was not installed.

    >>> str(MissingExtra("The transformer recipe", "train"))
    "The transformer recipe needs an extra that is not installed. Install it with: pip install 'tagdesk[train]'"
    """

    exit_code: ClassVar[int] = 2

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} needs an extra that is not installed. Install it with: pip install 'tagdesk[{extra}]'",
            code="missing_extra",
        )


class Refused(TagdeskError):  # noqa: N818 - the word for what happened
    """Work that was done and did not meet its own bar, such as an export that decides differently."""

    exit_code: ClassVar[int] = 4
