"""A connection whose requests' heads must be small, must come soon, and ask for this protocol alone."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST_HEAD = 64_000  # bytes of a request's head

_CLOSE = b"connection: close\r\ncontent-length: 0\r\n\r\n"
_FULL = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n" + _CLOSE
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\n" + _CLOSE


class _Refused(Exception):  # noqa: N818 - the parser makes a 400 of it
    """A head that is not read on."""


class Connection(HttpToolsProtocol):
    """As uvicorn's own, which waits for ever for a head of any size, and loses the body of one that offers h2c."""

    _await_head: asyncio.TimerHandle | None = None
    _is_in_head = False
    _read = 0  # bytes of the head that is coming
    _why = ""  # a head is refused

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._most, self.limit_concurrency = self.limit_concurrency, None  # uvicorn's refusal lacks Retry-After

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refuse one too many; else wait for its first head."""
        super().connection_made(transport)
        if self._most is not None and len(self.connections) > self._most:
            self._end(_FULL)
        else:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless the head gets too large."""
        if self.transport.is_closing():
            return
        self._read += len(data) if self._is_in_head else 0
        if self._read > LARGEST_HEAD:
            self._end(_TOO_LARGE)
            return
        super().data_received(data)

    def on_message_begin(self) -> None:
        """A head begins."""
        self._is_in_head, self._read = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._is_in_head, self._read = False, 0
        if self.parser.should_upgrade():  # httptools takes what follows for the other protocol, and gives it to nobody
            self._why = "Only HTTP/1.1 is spoken here. Send no Upgrade header."
        elif sum(len(one) + len(other) for one, other in self.headers) > LARGEST_HEAD:
            self._why = "The head of the request is too large."
        if self._why:
            raise _Refused
        self._stop()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Wait for the next head."""
        super().on_response_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            self._wait()

    def send_400_response(self, msg: str) -> None:
        """Refuse a request that cannot be read."""
        super().send_400_response(self._why or msg)

    def _wait(self) -> None:
        self._stop()
        self._await_head = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def _stop(self) -> None:
        if self._await_head is not None:
            self._await_head.cancel()

    def _end(self, answer: bytes) -> None:
        self.transport.write(answer)
        self.transport.close()
