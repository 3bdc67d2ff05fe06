"""The command line: translates flags, prints answers, decides nothing."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from types import FrameType

__all__ = ["main"]

INTERRUPTED = 130


def main() -> None:
    """Run `tagdesk`; ends the process with 0, or with the exit code of what went wrong and one line on stderr."""
    signal.signal(signal.SIGTERM, _interrupt)  # so that drafts are removed, as for Ctrl-C
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """The exit code of a command line; everything a user can mend ends in one line on stderr."""
    debug = "--debug" in arguments
    try:
        from tagdesk.cli.commands import app  # noqa: PLC0415 - so that an interrupt during start-up is caught here too

        result = app([argument for argument in arguments if argument != "--debug"], prog_name="tagdesk", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads on: no complaint at exit
        return 0
    except BaseException as error:  # noqa: BLE001 - the last line of defence: one line instead of a traceback
        return _end(error, debug=debug)
    return result if isinstance(result, int) else 0


def _end(error: BaseException, *, debug: bool) -> int:
    """Say in one line what happened, and give the exit code."""
    import typer  # noqa: PLC0415 - the same

    from tagdesk.errors import TagdeskError  # noqa: PLC0415 - the same

    if debug:
        traceback.print_exception(error)
    if isinstance(error, typer.Exit):
        return error.exit_code
    if isinstance(error, typer.TyperException):
        error.show()
        return error.exit_code
    if isinstance(error, TagdeskError):
        message, code = str(error), error.exit_code
    elif isinstance(error, KeyboardInterrupt | typer.Abort):
        message, code = "Interrupted; no file was written half.", INTERRUPTED
    elif isinstance(error, OSError):
        message, code = f"{error.filename or 'The system'}: {error.strerror or error}.", 1
    elif isinstance(error, MemoryError):
        message, code = "There is not enough memory for this. Use a smaller file, or a machine with more.", 1
    else:
        what = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        message, code = f"Internal error, {what} Run again with --debug and report what it prints.", 1
    line = " ".join(message.split()).encode(errors="backslashreplace").decode()
    sys.stderr.write(f"error: {line}\n")
    return code


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
