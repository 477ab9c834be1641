"""The log line of a call: one structured event, `call.finished`, made from its record. No prompt, no answer, no secret."""

from __future__ import annotations

import datetime as dt
import functools
import sys
from collections.abc import Callable, Sequence

import msgspec
import structlog

from gateway.config.settings import LoggingSettings
from gateway.core.record import Record
from gateway.telemetry.line_writer import LineWriter
from gateway.telemetry.logs import is_console, log_writer
from gateway.telemetry.printable import printable_json

_encode = msgspec.json.Encoder().encode


def open_call_log(settings: LoggingSettings) -> Callable[[Sequence[Record]], None]:
    """Give what takes the records of a batch and writes a line for each, in the form and from the level that the log has."""
    if is_console(settings.format):
        return ConsoleCallLog().take
    writer = log_writer() or LineWriter(sys.stderr.fileno())
    return JsonCallLog(writer.write, least=settings.level).take


class ConsoleCallLog:
    """Writes lines for people, as structlog renders events."""

    def __init__(self) -> None:
        self._log = structlog.get_logger()

    def take(self, records: Sequence[Record]) -> None:
        """Write one line for each record; what is empty is left out."""
        for record in records:
            fields = {
                name: value
                for name, value in msgspec.to_builtins(record).items()
                if value not in (None, "", (), [], {})
            }
            write = self._log.warning if record.error else self._log.info
            write("call.finished", **fields)


class JsonCallLog:
    """Writes the lines of a batch in one go: a structlog event costs 60 µs, a line here 3. `write` must not block.

    A call that failed is a warning, any other is info; `least` is the lowest level that is written.
    """

    def __init__(self, write: Callable[[bytes], None], *, least: str = "info") -> None:
        self._write = write
        self._successes = least in ("debug", "info")
        self._failures = least != "error"

    def take(self, records: Sequence[Record]) -> None:
        """Write one line for each record."""
        wanted = [record for record in records if (self._failures if record.error else self._successes)]
        if wanted:
            self._write(b"".join(map(_line, wanted)))


def _line(record: Record) -> bytes:
    second, micros = divmod(round((record.started_at + record.duration) * 1_000_000), 1_000_000)
    level = b'Z","level":"warning"' if record.error else b'Z","level":"info"'
    fields = printable_json(_encode(record))[1:]
    return b"".join(
        (b'{"at":"', _moment(second), b".%06d" % micros, level, b',"event":"call.finished",', fields, b"\n")
    )


@functools.lru_cache(maxsize=8)
def _moment(second: int) -> bytes:
    """Give a second since 1970 as ISO 8601 writes it. Most calls of a batch ended in the same one."""
    return dt.datetime.fromtimestamp(second, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()
