"""A response on a native connection: its head, the body that has come and is not read yet, and its one waiting reader.

It knows no socket: the connection fills it, and is told when it is left.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from gateway.core.errors import UpstreamBroken, UpstreamError
from gateway.providers.http.protocol import HttpTimeouts


class Carrier(Protocol):
    """What a response needs of the connection that carries it."""

    def expect_body(self) -> asyncio.Future[None]:
        """Start the idle timeout and return the future that the next piece of body, end or error completes."""
        ...

    @property
    def paused(self) -> bool:
        """Whether reading from the network is held back."""
        ...

    def drained(self) -> None:
        """Go on reading from the network if that was paused: the buffer is empty again."""
        ...

    def close(self) -> None:
        """Close the connection at once."""
        ...


class NativeResponse:
    """The contract's response. `carrier` is the connection as long as it belongs to this response, else None."""

    __slots__ = (
        "buffered",
        "carrier",
        "error",
        "finished",
        "headers",
        "idle_at",
        "method",
        "pieces",
        "sink",
        "status",
        "timeouts",
        "total_at",
        "touched",
        "wake",
    )

    def __init__(self, carrier: Carrier, method: bytes, timeouts: HttpTimeouts, total_at: float) -> None:
        self.carrier: Carrier | None = carrier
        self.method = method
        self.timeouts = timeouts
        self.total_at = total_at
        self.status = 0
        self.headers: tuple[tuple[bytes, bytes], ...] = ()
        self.pieces: list[bytes] = []
        self.buffered = 0
        self.sink: Callable[[bytes], bool] | None = None
        self.touched = False
        self.idle_at = 0.0  # the loop's time until which the one who waits for body will wait
        self.finished = False
        self.error: UpstreamError | None = None
        self.wake: asyncio.Future[None] | None = None

    def header(self, name: bytes) -> bytes | None:
        """Return the first value of the header `name` (lower case), or None."""
        for key, value in self.headers:
            if key == name:
                return value
        return None

    async def read(self) -> bytes:
        """Return what has come of the body since the last call, or b"" at its end."""
        while not (pieces := self.pieces):
            if self.finished:
                return b""
            if self.error is not None:
                raise self.error
            if self.carrier is None:
                raise UpstreamBroken("the response was closed before its end")
            try:
                await self.carrier.expect_body()
            except BaseException:
                self.abandon()
                raise
        data = pieces.pop() if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self.buffered = 0
        if self.carrier is not None and self.carrier.paused:
            self.carrier.drained()
        return data

    async def divert(self, sink: Callable[[bytes], bool]) -> None:
        """Hand what comes to `sink` from within the connection's own callback."""
        if self.pieces or self.finished or self.error is not None or self.carrier is None:
            return
        self.sink = sink
        try:
            await self.carrier.expect_body()
        except BaseException:
            self.abandon()
            raise
        finally:
            self.sink = None

    async def read_all(self, limit: int) -> bytes:
        """Return the rest of the body; raise UpstreamBroken, and close, when it is larger than `limit` bytes."""
        pieces: list[bytes] = []
        size = 0
        while piece := await self.read():
            size += len(piece)
            if size > limit:
                self.abandon()
                raise UpstreamBroken(f"the upstream's answer is larger than {limit} bytes")
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def aclose(self) -> None:
        """Close the connection at once unless the body was complete; it never waits."""
        self.abandon()

    def abandon(self) -> None:
        """Close the connection if it is still this response's own, and wake a reader."""
        carrier = self.carrier
        if carrier is None:
            return
        self.carrier = None
        self.error = UpstreamBroken("the response was closed before its end")
        self.pieces.clear()
        carrier.close()
        self.news()

    def news(self) -> None:
        """Wake whoever waits for the head, the body or room to write."""
        wake = self.wake
        if wake is not None:
            self.wake = None
            if not wake.done():
                wake.set_result(None)
