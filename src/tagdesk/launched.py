"""Where `accelerate launch` or `torchrun` has started several of this process: how many, and which this one is."""

from __future__ import annotations

import os


def are_several() -> bool:
    """Whether this process has company that does the same."""
    return _number("WORLD_SIZE", 1) > 1


def is_first() -> bool:
    """Whether this is the process that talks to people and writes files."""
    return not are_several() or _number("RANK", 0) == 0


def place_here() -> int:
    """Which of this machine's processes it is, and so which of its GPUs is its own."""
    return _number("LOCAL_RANK", 0) if are_several() else 0


def _number(name: str, default: int) -> int:
    value = os.environ.get(name, "")
    return int(value) if value.isdecimal() else default
