"""A connection to Redis for one kind of question, read by ourselves: an exchange costs 20 µs of CPU, where the driver's costs 180.

The driver still connects it, with TLS, user, password and database. It knows MGET and its answers, and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final, cast

from redis.asyncio import ConnectionPool

MOST_LINE: Final = 4096
"""Bytes of a line that announces something; an error is one too."""


class Answers:
    """Puts together what comes in pieces: arrays of texts that may be absent (RESP2)."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._items: list[bytes | None] = []
        self._left = -1
        self._need = -1

    def feed(self, data: bytes) -> list[bytes | None] | None:
        """Take a piece; give the answer once it is whole. Raises ValueError for what is none, an error of Redis's among it."""
        self._buffer += data
        while self._left != 0 and (self._take_text() if self._need >= 0 else self._take_line()):
            pass
        if self._left != 0:
            return None
        found, self._items, self._left = self._items, [], -1
        return found

    def _take_text(self) -> bool:
        if len(self._buffer) < self._need + 2:
            return False
        self._items.append(bytes(memoryview(self._buffer)[: self._need]))
        del self._buffer[: self._need + 2]
        self._need = -1
        self._left -= 1
        return True

    def _take_line(self) -> bool:
        end = self._buffer.find(b"\r\n", 0, MOST_LINE)
        if end < 0:
            if len(self._buffer) >= MOST_LINE:
                msg = "a line without an end"
                raise ValueError(msg)
            return False
        kind, number = self._buffer[:1], bytes(self._buffer[1:end])
        del self._buffer[: end + 2]
        if kind == b"*" and self._left < 0:
            self._left = int(number)
        elif kind == b"$" and self._left > 0:
            self._need = int(number)
            if self._need < 0:
                self._items.append(None)
                self._left -= 1
        else:
            msg = "Redis answered something else than was asked for"
            raise ValueError(msg)
        return True


class RedisLine(asyncio.Protocol):
    """One connection, for one question at a time. One that failed is not to be used again."""

    def __init__(self) -> None:
        self._answers = Answers()
        self._waiting: asyncio.Future[list[bytes | None]] | None = None
        self._transport: asyncio.Transport | None = None
        self._writer: asyncio.StreamWriter | None = None

    @property
    def closed(self) -> bool:
        """Whether nothing can be asked any more."""
        return self._transport is None or self._transport.is_closing()

    async def mget(self, names: Sequence[bytes]) -> list[bytes | None]:
        """Give what is kept under these names. Raises OSError and ValueError. Who does not wait for the answer closes the line."""
        if self._transport is None:
            msg = "the connection is closed"
            raise ConnectionError(msg)
        parts = [b"*%d\r\n$4\r\nMGET\r\n" % (len(names) + 1)]
        parts += [b"$%d\r\n%b\r\n" % (len(name), name) for name in names]
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(b"".join(parts))
        found = await self._waiting
        if len(found) != len(names):
            msg = "Redis answered another question"
            raise ValueError(msg)
        return found

    def take(self, writer: asyncio.StreamWriter) -> None:
        """Read what comes from here from now on."""
        # A writer that nobody holds closes its transport.
        self._writer = writer
        self._transport = cast("asyncio.Transport", writer.transport)
        self._transport.set_protocol(self)

    def close(self) -> None:
        """Close it at once."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        try:
            found = self._answers.feed(data)
        except ValueError as error:
            self._end(error)
            self.close()
            return
        if found is not None and self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(found)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits."""
        self._transport = None
        self._end(ConnectionError("the connection was lost") if exc is None else exc)

    def _end(self, error: Exception) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)


async def open_line(pool: ConnectionPool) -> RedisLine:
    """Connect as the pool's connections do, and take it over from the driver. Raises RedisError and OSError."""
    # Any: the driver does not say that it has them. Its version is locked, and every test with a Redis goes this way.
    connection: Any = cast("Any", pool).make_connection()
    await connection.connect()
    line = RedisLine()
    line.take(connection._writer)  # noqa: SLF001 - no other way to it
    connection._reader = connection._writer = None  # noqa: SLF001 - it is not the driver's any more
    return line
