"""Asks the service, one request at a time."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

IDLE = 10.0  # seconds after which a connection is not used any more; the service closes it after 15
LOST = 0  # the status of an answer that did not come


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; the status is `LOST` where nothing did."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body's value."""
        return json.loads(self.body)

    @property
    def says_when(self) -> bool:
        """Whether it says when to come back."""
        return self.headers.get("retry-after", "").isdigit()


class Client:
    """A connection that is kept open, and opened again after a loss; for one thread."""

    def __init__(self, url: str, *, key: str = "", timeout: float = 30.0) -> None:
        address = urlsplit(url)
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._wire = http.client.HTTPConnection(address.hostname or "", address.port, timeout=timeout)
        self._used = 0.0

    def ask(self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Send a request, JSON of `body` with it unless it is None or bytes already, and give the answer."""
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        kind = {} if content is None else {"Content-Type": "application/json"}
        if time.monotonic() - self._used > IDLE:
            self._wire.close()
        try:
            if self._wire.sock is None:
                self._wire.connect()
                self._wire.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._wire.request(method, path, content, {**self._headers, **kind, **(headers or {})})
            response = self._wire.getresponse()
            self._used = time.monotonic()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        except (OSError, http.client.HTTPException):
            self._wire.close()
            return Answer(LOST, {}, b"")

    def get(self, path: str) -> Answer:
        """Fetch a path."""
        return self.ask("GET", path)

    def post(self, path: str, body: object, headers: Mapping[str, str] | None = None) -> Answer:
        """Send JSON, or bytes as they are."""
        return self.ask("POST", path, body, headers)

    def close(self) -> None:
        """End the connection."""
        self._wire.close()


class Wire:
    """A connection that does what HTTP asks for and no more, so that what it takes is the service's time."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._head = (
            f"HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\nContent-Length: ".encode()
        )
        self._socket = socket.create_connection((address.hostname or "", address.port or 80), timeout=30.0)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def post(self, path: str, body: object) -> tuple[int, bytes]:
        """Send JSON; the status and the body of the answer, which must say how long it is."""
        content = json.dumps(body).encode()
        self._socket.sendall(b"POST %b %b%d\r\n\r\n%b" % (path.encode(), self._head, len(content), content))
        received = b""
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += self._more()
        head, body_so_far = received[:end].lower(), received[end + 4 :]
        length = int(head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
        while len(body_so_far) < length:
            body_so_far += self._more()
        return int(head.split(b" ", 2)[1]), body_so_far

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def _more(self) -> bytes:
        if not (received := self._socket.recv(65536)):
            raise ConnectionError("The service closed the connection before the end of an answer.")
        return received
