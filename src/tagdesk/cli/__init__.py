"""The command line: translates flags, prints answers, decides nothing."""

from __future__ import annotations

import io
import os
import signal
import sys
import traceback
import warnings
from contextlib import suppress
from pathlib import Path
from types import FrameType

__all__ = ["main", "run"]

INTERRUPTED = 130


def main() -> None:
    """Run `tagdesk`; ends the process with 0, or with the exit code of what went wrong and one line on stderr."""
    for name in ("SIGTERM", "SIGHUP"):  # so that drafts are removed, as for Ctrl-C
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _interrupt)
    _prepare_streams()
    warnings.showwarning = _note
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """The exit code of a command line; everything a user can mend ends in one line on stderr.

    >>> run(["predict", ""])
    3
    """
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    debug = "--debug" in options
    if debug:
        arguments = [word for word in options if word != "--debug"] + arguments[len(options) :]
    try:
        from tagdesk.cli.commands import app_for  # noqa: PLC0415 - so that an interrupt during start-up is caught here too

        result = app_for(arguments)(arguments, prog_name="tagdesk", standalone_mode=False)
        if result == INTERRUPTED:  # typer's answer to Ctrl-C
            raise KeyboardInterrupt  # noqa: TRY301 - it ends like one during start-up
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):  # the latter is what typer makes of the former
        _leave(sys.__stdout__)  # nobody reads on: no complaint
        return 0
    except BaseException as error:  # noqa: BLE001 - the last line of defence: one line instead of a traceback
        return _end(error, debug=debug)
    return result if isinstance(result, int) else 0


def _note(message: Warning | str, *_where: object, **_more: object) -> None:
    """A warning as a line for the person at the terminal, without the place in the code that it comes from."""
    from tagdesk.cli.screen import note  # noqa: PLC0415 - the same

    note(f"warning: {message}")


def _end(error: BaseException, *, debug: bool) -> int:
    """Say in one line what happened, and give the exit code."""
    message, code = _verdict(error)
    from tagdesk.cli.screen import visible  # noqa: PLC0415 - the same

    line = visible(" ".join(message.split())).encode(errors="backslashreplace").decode()
    with suppress(OSError, ValueError):  # nobody reads stderr either
        if debug:
            traceback.print_exception(error)
        sys.stderr.write(f"error: {line}\n")
    try:
        sys.stdout.flush()
    except OSError:
        _leave(sys.stdout)
    return code


def _verdict(error: BaseException) -> tuple[str, int]:
    """What to say of an error, and the exit code."""
    import typer  # noqa: PLC0415 - only where something went wrong

    from tagdesk.errors import TagdeskError  # noqa: PLC0415 - the same

    if isinstance(error, TagdeskError):
        return str(error), error.exit_code
    if isinstance(error, typer.TyperException):
        context = getattr(error, "ctx", None)
        hint = f" See `{context.command_path} --help`." if context else ""
        message = error.format_message()
        return f"{message}{'' if message.endswith(('.', '?')) else '.'}{hint}", error.exit_code
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return "Interrupted; no file was written half.", INTERRUPTED
    if isinstance(error, OSError):
        return f"{error.filename or 'The system'}: {error.strerror or error}.", 1
    if isinstance(error, MemoryError):
        return "There is not enough memory for this. Use a smaller file, or a machine with more.", 1
    # What the error says stays out: it could quote a customer.
    where = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(where.filename).name}, line {where.lineno}"
    return f"Internal error ({type(error).__name__} in {place}). Run again with --debug and report what it prints.", 1


def _prepare_streams() -> None:
    """Read UTF-8 whatever the locale is; fail neither for a character that a terminal lacks nor for a closed stream."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8-sig", errors="strict")
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - open to the end
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _leave(stream: io.TextIOBase | object) -> None:
    """Let what is still to be written vanish, so that nothing complains when the process ends."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # type: ignore[union-attr] # suppressed above


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
