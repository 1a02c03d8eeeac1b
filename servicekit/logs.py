"""Logs: one JSON object a line, with the request and the user they belong to.

Never a token, a password or a cell of a table: log ids, counts and names of things.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from servicekit import trace_context

_SECRET_FIELDS = frozenset(
    {"password", "token", "access_token", "refresh_token", "authorization", "secret", "client_secret"}
)
_LONGEST_REQUEST_ID = 200
_STANDARD_FIELDS = frozenset(
    {"timestamp", "level", "module", "service", "request_id", "trace_id", "user_id", "message", "exception"}
)


def request_id() -> str | None:
    """The request that is being served, to be kept with work that goes on after its answer; None for none."""
    bound = structlog.contextvars.get_contextvars().get("request_id")
    return str(bound)[:_LONGEST_REQUEST_ID] if bound else None


def configure(service: str, level: str = "INFO", file: logging.Handler | None = None) -> None:
    """Sends every log of this process, structlog's and the standard library's, as JSON to standard output.

    `file` gets the same lines, where it is given.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _arranged(service),
            structlog.processors.JSONRenderer(),
        ],
    )
    handlers = [logging.StreamHandler(sys.stdout), *([file] if file else [])]
    for handler in handlers:
        handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = handlers
    root.setLevel(level)
    # These say at INFO what our own events say better.
    for noisy in ("alembic", "sqlalchemy.engine", "pgqueuer", "httpx", "urllib3"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLevelName(level)))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        cache_logger_on_first_use=True,
    )


def _arranged(service: str) -> structlog.typing.Processor:
    """Puts the fields into the platform's common shape: fixed ones first, the rest as metadata, no secret."""

    def arrange(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        name = event.pop("event", "")
        if event.get("security"):  # whoever watches for these asks for them by name
            event["event"] = name
        event["message"] = name
        event["module"] = event.pop("logger", "")
        event.setdefault("request_id", None)
        event.setdefault("trace_id", trace_context.trace_id())
        event.setdefault("user_id", None)
        event["service"] = service
        metadata = {
            name: "[removed]" if name.lower() in _SECRET_FIELDS else value
            for name, value in event.items()
            if name not in _STANDARD_FIELDS
        }
        ordered = ("timestamp", "level", "module", "service", "request_id", "trace_id", "user_id", "message")
        arranged = {name: event.get(name) for name in ordered}
        arranged["metadata"] = metadata
        if "exception" in event:
            arranged["exception"] = event["exception"]
        return arranged

    return arrange
