"""The stdio transport for the MCP client: one JSON-RPC message a line, over the pipes of a child. It starts and ends no process.

A line is read up to a limit. A longer one is thrown away as it comes, and who waits for it is told that it was too long.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client._transport import TransportStreams
from mcp.shared.message import SessionMessage
from mcp_types import ErrorData, JSONRPCError, jsonrpc_message_adapter

from gateway.tools.connection import Signals
from gateway.tools.delivery import TOO_LARGE, UNREADABLE, Deliveries
from gateway.tools.mcp_messages import EDGE, answered, id_at_edges, mended
from gateway.tools.stdio_child import Child


class Lines:
    """Cuts what comes into lines of at most `limit` bytes. A longer line becomes `Long`, once it has ended."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._dropped = 0
        self._head = b""

    def feed(self, data: bytes) -> Iterator[bytes | Long]:
        """Take some bytes, and give the lines that they end."""
        while True:
            end = data.find(b"\n")
            self._take(data if end < 0 else data[:end])
            if end < 0:
                return
            yield self._ended()
            data = data[end + 1 :]

    def _take(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) > self._limit:
            self._head = self._head or bytes(self._buffer[:EDGE])
            self._dropped += len(self._buffer) - EDGE
            del self._buffer[:-EDGE]

    def _ended(self) -> bytes | Long:
        line = bytes(self._buffer)
        self._buffer.clear()
        if not self._head:
            return line
        found = Long(head=self._head, tail=line, size=self._dropped + len(line))
        self._head, self._dropped = b"", 0
        return found


class Long:
    """A line that was too long: its edges, and how many bytes it had."""

    def __init__(self, *, head: bytes, tail: bytes, size: int) -> None:
        self.size = size
        self.id = id_at_edges(head, tail)


@asynccontextmanager
async def stdio_streams(
    child: Child, *, limit: int, deliveries: Deliveries, signals: Signals
) -> AsyncGenerator[TransportStreams]:
    """Give the client's two streams over a child's pipes. `limit` is the most bytes of a message."""
    to_client, from_server = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    to_server, from_client = anyio.create_memory_object_stream[SessionMessage](0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_read, child, to_client, limit, signals)
        tasks.start_soon(_write, child, from_client, deliveries)
        try:
            yield from_server, to_server
        finally:
            for stream in (to_client, from_server, to_server, from_client):
                stream.close()
            tasks.cancel_scope.cancel()


async def _read(
    child: Child, to_client: MemoryObjectSendStream[SessionMessage | Exception], limit: int, signals: Signals
) -> None:
    assert child.process.stdout  # noqa: S101 its starter made a pipe of it
    lines = Lines(limit)
    with to_client:
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            while True:
                for line in lines.feed(await child.process.stdout.receive()):
                    message = _parse(line, limit)
                    if message is not None:
                        await to_client.send(message)
        # Its output has ended: the program is gone, or of no use. How it went is known in a moment, and told before calls fail.
        with anyio.move_on_after(1):
            await child.ended.wait()
        signals.breaks(child.reason or "its program closed its output")


def _parse(line: bytes | Long, limit: int) -> SessionMessage | None:
    if isinstance(line, Long):
        if line.id is None:
            return None
        error = ErrorData(code=TOO_LARGE, message=f"The answer has {line.size:,} bytes; {limit:,} are read.")
        return SessionMessage(JSONRPCError(jsonrpc="2.0", id=line.id, error=error))
    message = _read_message(line) or _read_message(mended(line))
    if message is not None:
        return message
    number = answered(line)
    if number is None:
        return None  # something that the program printed: no message, and no reason to end the conversation
    # Whoever waits for it is told now, not when its time is up.
    error = ErrorData(code=UNREADABLE, message="it is no message of the protocol")
    return SessionMessage(JSONRPCError(jsonrpc="2.0", id=number, error=error))


def _read_message(line: bytes) -> SessionMessage | None:
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError:
        return None


async def _write(child: Child, from_client: MemoryObjectReceiveStream[SessionMessage], deliveries: Deliveries) -> None:
    assert child.process.stdin  # noqa: S101 its starter made a pipe of it
    with from_client, suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
        async for message in from_client:
            sent = message.message.model_dump_json(by_alias=True, exclude_unset=True).encode()
            deliveries.goes_out(getattr(message.message, "params", None))
            await child.process.stdin.send(sent + b"\n")
