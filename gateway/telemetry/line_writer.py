"""Writes lines to a file descriptor from a thread of its own. Who writes never waits: what does not fit is counted and lost.

A log goes to a pipe whose reader may stop at any time; a blocked write on the event loop would stop every answer with it.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections import deque

MAX_WAITING_BYTES = 4 * 1024 * 1024
MAX_WRITE_BYTES = 64 * 1024
CLOSE_SECONDS = 2.0


class LineWriter:
    """A bounded queue of lines, and the thread that empties it into `descriptor`.

    `dropped` counts lines that found more than `max_bytes` waiting, or nobody to read them. The thread is a daemon: a reader
    that never comes back does not keep the process alive.
    """

    def __init__(self, descriptor: int, *, max_bytes: int = MAX_WAITING_BYTES) -> None:
        self._descriptor = descriptor
        self._max_bytes = max_bytes
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._busy = False
        self._thread: threading.Thread | None = None
        self.dropped = 0

    def write(self, data: bytes) -> None:
        """Take one or more whole lines. Never blocks, never raises; safe from any thread."""
        with self._changed:
            if self._bytes + len(data) > self._max_bytes:
                self.dropped += data.count(b"\n")
                return
            self._lines.append(data)
            self._bytes += len(data)
            if self._thread is None:
                # Started by the first line: who only configures the log needs no thread.
                self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def flush(self, seconds: float = CLOSE_SECONDS) -> bool:
        """Wait until everything is written, at most `seconds`. Says whether it was. Not for the event loop."""
        end = time.monotonic() + seconds
        with self._changed:
            while self._lines or self._busy:
                left = end - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
        return True

    def _run(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                while not self._lines:
                    self._changed.wait()
                batch = self._next_batch()
                self._busy = True
            written = self._write_all(batch)
            with self._changed:
                self._bytes -= len(batch)
                if not written:
                    self.dropped += batch.count(b"\n")

    def _next_batch(self) -> bytes:
        parts = [self._lines.popleft()]
        size = len(parts[0])
        while self._lines and size + len(self._lines[0]) <= MAX_WRITE_BYTES:
            parts.append(self._lines.popleft())
            size += len(parts[-1])
        return b"".join(parts)

    def _write_all(self, data: bytes) -> bool:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._descriptor, view) :]
            except BlockingIOError:
                # Somebody who shares the pipe made it non-blocking.
                select.select([], [self._descriptor], [])
            except OSError:
                # Nobody reads any more, or the disk is full; there is no second place to say so but the metric.
                return False
        return True
