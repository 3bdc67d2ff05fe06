"""The command line: translates flags, prints answers, decides nothing."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

__all__ = ["main"]

INTERRUPTED = 130


def main() -> None:
    """Run `tagdesk`; ends the process with 0, or with the exit code of what went wrong and one line on stderr."""
    signal.signal(signal.SIGTERM, _interrupt)  # so that drafts are removed, as for Ctrl-C
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """The exit code of a command line; everything a user can mend ends in one line on stderr."""
    import click  # noqa: PLC0415 - so that an interrupt during start-up is caught here too

    from tagdesk.errors import TagdeskError  # noqa: PLC0415 - the same

    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    try:
        from tagdesk.cli.commands import app  # noqa: PLC0415 - the same

        result = app(arguments, standalone_mode=False)
        code = result if isinstance(result, int) else 0
        sys.stdout.flush()
    except TagdeskError as error:
        return _end(str(error), error.exit_code, debug=debug)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return _end("Interrupted; nothing was written half.", INTERRUPTED, debug=False)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads on: no complaint at exit
        return 0
    except OSError as error:
        return _end(f"{error.filename or 'The system'}: {error.strerror or error}.", 1, debug=debug)
    except MemoryError:
        return _end("There is not enough memory for this. Use smaller files or `tagdesk classify`.", 1, debug=debug)
    except Exception as error:  # noqa: BLE001 - the last line of defence: one line instead of a traceback
        what = f"{type(error).__name__}: {error}".splitlines()[0][:300]
        return _end(f"Internal error, {what}. Run again with --debug and report what it prints.", 1, debug=debug)
    return code


def _end(message: str, code: int, *, debug: bool) -> int:
    if debug:
        import traceback  # noqa: PLC0415 - only here

        traceback.print_exc()
    line = " ".join(message.split())
    sys.stderr.write(f"error: {line.encode(errors='backslashreplace').decode()}\n")
    return code


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
