"""What a store can answer instead of a result; no message repeats what the caller gave."""

from __future__ import annotations

from typing import ClassVar

from tagdesk.errors import TagdeskError, UsageError


class StoreUnavailable(TagdeskError):  # noqa: N818 - the word for what it is
    """The store cannot answer at the moment, and has kept nothing of what was asked; the same call later may succeed.

    `reason` is a short stable word for programs: lost, disk_full, read_only or damaged; `retry_after` is in seconds.
    """

    retry_after: ClassVar[float] = 5.0

    def __init__(self, message: str, *, reason: str = "lost", code: str = "store_unavailable") -> None:
        super().__init__(message, code=code)
        self.reason = reason


class StoreBusy(StoreUnavailable):
    """Somebody else holds the store for longer than this caller waits."""

    retry_after: ClassVar[float] = 1.0

    def __init__(self, message: str = "The store is busy. Try again in a moment.") -> None:
        super().__init__(message, reason="busy", code="store_busy")


class Conflict(TagdeskError):  # noqa: N818 - the word for what it is
    """What is there contradicts what was asked: somebody was quicker, or an id or a key stands for something else."""

    def __init__(self, message: str, *, code: str = "conflict") -> None:
        super().__init__(message, code=code)


class NotFound(TagdeskError):  # noqa: N818 - the word for what it is
    """Nothing of that name is there for this caller."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="not_found")


def no_store(place: str) -> UsageError:
    """What to raise where a store is expected and there is none."""
    return UsageError(
        f"{place}: there is no store. `tagdesk serve` makes one when it starts; name another one with --store.",
        code="no_store",
    )
