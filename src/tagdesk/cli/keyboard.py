"""Reads single keys from a terminal, and leaves the terminal as it was."""

from __future__ import annotations

import codecs
import os
import re
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import Any, Self, TextIO

from tagdesk.errors import UsageError
from tagdesk.labelling.session import BACKSPACE, DOWN, END, ENTER, ESCAPE, PAGE_DOWN, PAGE_UP, TAB, UP

try:
    import termios
except ImportError as missing:  # a system without terminals of this kind
    raise UsageError("Single keys can only be read on Linux and macOS.", code="no_terminal") from missing

REDRAW = "redraw"  # the window has another size, or somebody came back to it
SOON = 0.05  # seconds within which the rest of what one key sends follows
LATE = 1.0  # seconds after which the end of what was pasted comes no more

_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O[ -~]|[^\[O\x1b])", re.DOTALL)
_BEGUN = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|O)?\Z")
_PASTE, _PASTE_ENDS = "\x1b[200~", "\x1b[201~"
_NAMES = {
    "\r": ENTER,
    "\n": ENTER,
    "\x7f": BACKSPACE,
    "\b": BACKSPACE,
    "\t": TAB,
    "\x04": END,
    "\x0c": REDRAW,
    "\x1b[A": UP,
    "\x1bOA": UP,
    "\x1b[B": DOWN,
    "\x1bOB": DOWN,
    "\x1b[5~": PAGE_UP,
    "\x1b[6~": PAGE_DOWN,
    "\x1bOM": ENTER,
}


class Keyboard:
    """The keys of a terminal, one at a time and unechoed, as long as the block lasts.

    The terminal is as it was before once the block has ended, however it ends, and while the process is stopped by
    Ctrl-Z. Ctrl-C stays what it is. What one key sends counts as one key, and what is pasted as none. What was typed
    before the block began is forgotten.

    Args:
        source: the terminal's file descriptor.
        screen: where `begin` and `end` are written to.
        begin, end: what turns the screen to its use, and back.
    """

    def __init__(self, source: int, screen: TextIO, *, begin: str = "", end: str = "") -> None:
        self._source = source
        self._screen = screen
        self._begin, self._end = begin, end
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""
        self._is_stale = False
        self._before: list[Any] = []
        self._handlers: dict[int, Any] = {}
        self._wake: tuple[int, int] = (-1, -1)
        self._wake_before = -1

    def __enter__(self) -> Self:
        self._before = termios.tcgetattr(self._source)
        self._wake = os.pipe()
        for end in self._wake:
            os.set_blocking(end, False)
        self._wake_before = signal.set_wakeup_fd(self._wake[1], warn_on_full_buffer=False)
        for number, handler in ((signal.SIGTSTP, self._stop), (signal.SIGWINCH, self._resize)):
            self._handlers[number] = signal.signal(number, handler)
        self._turn_on(termios.TCSAFLUSH)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with _undisturbed():
            self._turn_off()
            for number, handler in self._handlers.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(self._wake_before)
            for end in self._wake:
                os.close(end)

    def read(self) -> str:
        """The next key: a character, or the name of one; waits for it."""
        while True:
            if self._is_stale:
                self._is_stale = False
                return REDRAW
            key = self._taken()
            if key:
                return key
            if key is None and not self._more(None):
                return END

    def forget(self) -> None:
        """Forget what was typed meanwhile."""
        self._text = ""
        self._decoder.reset()
        with suppress(termios.error):
            termios.tcflush(self._source, termios.TCIFLUSH)

    def _taken(self) -> str | None:
        """The next key of what has come; empty for one that means nothing, None where more must come first."""
        if not self._text:
            return None
        if self._text[0] != "\x1b":
            sign, self._text = self._text[0], self._text[1:]
            return _NAMES.get(sign, sign if sign.isprintable() else "")
        return self._sequence()

    def _sequence(self) -> str:
        """The key that begins with Escape: that one alone, or one that sends several characters."""
        while _BEGUN.match(self._text):
            if not self._more(SOON):
                is_alone, self._text = self._text == "\x1b", ""
                return ESCAPE if is_alone else ""
        found = _SEQUENCE.match(self._text)
        if found is None:  # Escape twice, or a sequence that is none
            self._text = self._text[1:]
            return ESCAPE
        if found[0] == _PASTE:
            return self._skipped_paste()
        self._text = self._text[found.end() :]
        return _NAMES.get(found[0], "")

    def _skipped_paste(self) -> str:
        while _PASTE_ENDS not in self._text:
            self._text = _PASTE + self._text[-len(_PASTE_ENDS) :]  # the rest is of no use
            if not self._more(LATE):
                self._text = ""
                return ""
        self._text = self._text.partition(_PASTE_ENDS)[2]
        return ""

    def _more(self, seconds: float | None) -> bool:
        """Wait until more has come; whether there will ever be more, or, with a limit, whether there is."""
        ready, _, _ = select.select([self._source, self._wake[0]], [], [], seconds)
        if self._wake[0] in ready:
            with suppress(BlockingIOError):
                os.read(self._wake[0], 4096)
            if self._source not in ready:
                return seconds is None
        if self._source not in ready:
            return False
        try:
            came = os.read(self._source, 4096)
        except OSError:  # the terminal is gone
            came = b""
        self._text += self._decoder.decode(came)
        return bool(came)

    def _turn_on(self, when: int) -> None:
        changed = [*self._before[:6], list(self._before[6])]
        changed[3] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN)
        changed[6][termios.VMIN], changed[6][termios.VTIME] = 1, 0
        off = os.fpathconf(self._source, "PC_VDISABLE")
        changed[6][termios.VQUIT] = bytes([off])  # it would end the process without a word
        termios.tcsetattr(self._source, when, changed)
        self._write(self._begin)

    def _turn_off(self) -> None:
        self._write(self._end)
        with suppress(termios.error):  # the terminal is gone
            termios.tcsetattr(self._source, termios.TCSADRAIN, self._before)

    def _write(self, text: str) -> None:
        with suppress(OSError, ValueError):  # the terminal is gone
            self._screen.write(text)
            self._screen.flush()

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        """Ctrl-Z: give the terminal back, stop, and take it again when somebody comes back."""
        self._turn_off()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._stop)
        with suppress(termios.error):
            self._before = termios.tcgetattr(self._source)
        self._turn_on(termios.TCSADRAIN)
        self._is_stale = True

    def _resize(self, _signal: int, _frame: FrameType | None) -> None:
        self._is_stale = True


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let signals wait, so that a second Ctrl-C cannot leave the terminal half restored."""
    wait = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, wait)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
