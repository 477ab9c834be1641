"""Sets up the log: events with fields, as JSON lines or for a terminal, on standard error.

Everything that the process logs goes through one writer with a thread of its own: structlog's events, the lines of calls,
and the warnings of libraries that use `logging`.
"""

from __future__ import annotations

import atexit
import logging
import sys
from collections.abc import Callable
from typing import Any, Literal

import msgspec
import structlog

from gateway.telemetry.line_writer import LineWriter
from gateway.telemetry.printable import printable_fields, printable_json

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_encode = msgspec.json.Encoder(enc_hook=repr).encode


def configure_logs(
    *,
    format: Literal["auto", "json", "console"],  # noqa: A002 - the setting's name
    level: str,
    writer: LineWriter | None = None,
) -> None:
    """Configure structlog and `logging` for the whole process. `auto` is console on a terminal and JSON elsewhere."""
    output = writer or LineWriter(sys.stderr.fileno())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    ]
    if is_console(format):
        # Plain: rich's tracebacks would show local variables, and with them prompts and keys.
        plain = structlog.dev.plain_traceback
        ending: list[Any] = [
            printable_fields,
            structlog.dev.ConsoleRenderer(timestamp_key="at", colors=sys.stderr.isatty(), exception_formatter=plain),
        ]
    else:
        ending = [structlog.processors.format_exc_info, _render_json]
    structlog.configure(
        processors=[*shared, *ending],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=LineLoggerFactory(output),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_LibraryHandler()], level=logging.WARNING, force=True)
    atexit.register(output.flush)


def is_console(format: Literal["auto", "json", "console"]) -> bool:  # noqa: A002 - the setting's name
    """Whether the log is for people on a terminal."""
    return format == "console" or (format == "auto" and sys.stderr.isatty())


def log_writer() -> LineWriter | None:
    """Give the writer below the log; None where the log was not configured (in tests, and by commands)."""
    factory = structlog.get_config()["logger_factory"]
    return factory.writer if isinstance(factory, LineLoggerFactory) else None


class LineLoggerFactory:
    """Makes structlog's bottom loggers, all on one writer."""

    def __init__(self, writer: LineWriter) -> None:
        self.writer = writer
        self._logger = LineLogger(writer.write)

    def __call__(self, *args: object) -> LineLogger:
        """Give the logger; structlog passes what get_logger was given."""
        return self._logger


class LineLogger:
    """What stands below structlog's processors: takes a rendered event and puts it in line."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write

    def msg(self, message: str) -> None:
        """Write one event."""
        self._write(message.encode(errors="backslashreplace") + b"\n")

    log = debug = info = warn = warning = error = critical = fatal = exception = msg


class _LibraryHandler(logging.Handler):
    """Turns a library's warning into an event of ours, so that the log has one form."""

    def emit(self, record: logging.LogRecord) -> None:
        level = "error" if record.levelno >= logging.ERROR else "warning"
        fields: dict[str, Any] = {"logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            fields["exc_info"] = record.exc_info
        getattr(structlog.get_logger(), level)("library.warned", **fields)


def _render_json(logger: object, method: str, event: dict[str, Any]) -> str:
    del logger, method
    return printable_json(_encode(event)).decode()
