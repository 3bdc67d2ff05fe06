"""Places where a test can let the process die, as a power cut would."""

from __future__ import annotations

import os
import signal

VARIABLE = "TAGDESK_FAILPOINT"


def reach(name: str) -> None:
    """Kill this process at once where the environment variable TAGDESK_FAILPOINT holds the name; else do nothing."""
    if os.environ.get(VARIABLE) == name:
        os.kill(os.getpid(), signal.SIGKILL)
