"""What stands between a request and its transport: how a response is closed, and how long reading was paused."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from uvicorn.protocols.http.flow_control import FlowControl


class _Closer(Protocol):
    @property
    def ended(self) -> bool: ...

    def close_after_response(self) -> None: ...


class ResponseTransport:
    """Writes go straight to the transport; `close` goes to the connection, which knows if a body is still arriving."""

    __slots__ = ("_connection", "_transport", "write")

    def __init__(self, transport: asyncio.Transport, connection: _Closer) -> None:
        self._transport = transport
        self._connection = connection
        self.write = transport.write

    def close(self) -> None:
        """End the connection after what has been written."""
        self._connection.close_after_response()

    def is_closing(self) -> bool:
        """Whether writing is over."""
        return self._connection.ended or self._transport.is_closing()

    def resume_reading(self) -> None:
        """As the transport's."""
        self._transport.resume_reading()


class TimedFlow(FlowControl):
    """uvicorn's flow control, which also knows how long the application kept the client from sending."""

    def __init__(self, transport: asyncio.Transport, now: Callable[[], float]) -> None:
        super().__init__(transport)
        self._now = now
        self._paused_at = 0.0
        self._paused = 0.0

    def pause_reading(self) -> None:
        """Stop reading; harmless when stopped."""
        if not self.read_paused:
            self._paused_at = self._now()
            super().pause_reading()

    def resume_reading(self) -> None:
        """Read on; harmless when reading."""
        if self.read_paused:
            self._paused += self._now() - self._paused_at
            super().resume_reading()

    def take_paused(self) -> float:
        """Seconds of pause since this was last asked, a pause that still lasts included."""
        paused, self._paused = self._paused, 0.0
        if self.read_paused:
            now = self._now()
            paused += now - self._paused_at
            self._paused_at = now
        return paused
