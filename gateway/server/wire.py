"""The transport that a response writes to: the connection's own, but for how it is closed."""

import asyncio
from typing import Protocol


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
