"""Runs the service: logs in JSON without any ticket's text, and an end that lets nobody down."""

from __future__ import annotations

import logging
import sys

import structlog
import uvicorn

from tagdesk.api import ApiSettings, create_app
from tagdesk.api.connection import Connection
from tagdesk.desk import Desk
from tagdesk.errors import UsageError

IDLE_SECONDS = 15  # that a connection may lie idle
MOST_CONNECTIONS = 2000
GRACE_SECONDS = 10  # for requests that are being answered when the service ends


def run(desk: Desk, settings: ApiSettings, *, host: str, port: int) -> None:
    """Serve until a signal ends it; requests that are being answered are answered first.

    Raises:
        UsageError: where nobody may listen on that address, such as where another service does.
    """
    log_as_json()
    app = create_app(desk, settings)
    config = uvicorn.Config(
        app,
        http=Connection,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        limit_concurrency=MOST_CONNECTIONS,
        ws="none",
    )
    try:
        uvicorn.Server(config).run()
    except SystemExit:  # it has logged why
        raise UsageError(
            f"The service cannot start on {host}:{port}; the log says why. Where another service listens there, "
            "choose another --port.",
            code="no_start",
        ) from None


def log_as_json(level: int = logging.INFO) -> None:
    """One JSON object a line on stderr, from our loggers and from libraries' alike."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(),
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("alembic").setLevel(logging.WARNING)
