"""Which cores a process may run on, where the system lets one say so."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def running_on(cores: set[int]) -> Iterator[None]:
    """Keep to these cores, as do threads and processes that begin meanwhile, and libraries that count cores.

    Where the set is empty everything stays as it is.
    """
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def share(number: int, workers: int) -> set[int]:
    """The cores of one of several workers: each gets as many, and at least one; empty where the system tells of none.

    >>> share(0, 10_000) == share(1, 10_000) or len(available()) > 1
    True
    """
    cores = available()
    each = max(1, len(cores) // workers)
    first = number * each % max(1, len(cores))
    return set(cores[first : first + each])


def available() -> list[int]:
    """The cores that this process may use; empty where the system does not tell."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
