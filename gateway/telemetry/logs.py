"""Sets up the log: events with fields, as JSON lines or for a terminal, on standard error."""

from __future__ import annotations

import logging
import sys
from typing import Any, Literal

import msgspec
import structlog

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_encode = msgspec.json.Encoder(enc_hook=repr).encode


def configure_logs(*, format: Literal["auto", "json", "console"], level: str) -> None:  # noqa: A002 - the setting's name
    """Configure structlog for the whole process. `auto` is console on a terminal and JSON elsewhere."""
    console = is_console(format)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    ]
    if console:
        ending: list[Any] = [structlog.dev.ConsoleRenderer(timestamp_key="at", colors=sys.stderr.isatty())]
    else:
        ending = [structlog.processors.format_exc_info, _render_json]
    structlog.configure(
        processors=[*shared, *ending],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def is_console(format: Literal["auto", "json", "console"]) -> bool:  # noqa: A002 - the setting's name
    """Whether the log is for people on a terminal."""
    return format == "console" or (format == "auto" and sys.stderr.isatty())


def _render_json(logger: object, method: str, event: dict[str, Any]) -> str:
    del logger, method
    return _encode(event).decode()
