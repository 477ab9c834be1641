"""The log line of a call: one structured event, `call.finished`, made from its record. No prompt, no answer, no secret."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Sequence
from typing import TextIO

import msgspec
import structlog

from gateway.core.record import Record

_encode = msgspec.json.Encoder().encode


class CallLog:
    """Writes the lines of a batch in one go: as JSON directly (a structlog event costs 60 µs, this 3), or via structlog."""

    def __init__(self, *, console: bool, stream: TextIO | None = None) -> None:
        self._console = console
        self._stream = stream or sys.stderr
        self._log = structlog.get_logger()

    def take(self, records: Sequence[Record]) -> None:
        """Write one line for each record."""
        if self._console:
            for record in records:
                fields = {
                    name: value for name, value in msgspec.to_builtins(record).items() if value not in (None, [], {})
                }
                write = self._log.warning if record.error else self._log.info
                write("call.finished", **fields)
            return
        lines = []
        for record in records:
            at = dt.datetime.fromtimestamp(record.started_at + record.duration, dt.UTC).isoformat()
            level = b"warning" if record.error else b"info"
            rest = _encode(record)[1:]
            lines.append(b'{"at":"%b","level":"%b","event":"call.finished",%b\n' % (at.encode(), level, rest))
        self._stream.write(b"".join(lines).decode())
        self._stream.flush()
