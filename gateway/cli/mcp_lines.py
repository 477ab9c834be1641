"""Messages as lines over two file descriptors, which a program that was started by an assistant has for its conversation.

Neither blocks the event loop, and neither is changed: a pipe or a terminal belongs to others, too.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import anyio

_PIECE: Final = 65_536
_ALWAYS: Final = 512
"""What can be written to a pipe that is ready without waiting: the least that PIPE_BUF may be (POSIX)."""


class Lines:
    """`most` is the most bytes of a line that is read."""

    def __init__(self, source: int, target: int, most: int) -> None:
        self._source = source
        self._target = target
        self._most = most
        self._turn = anyio.Lock()

    async def read(self) -> AsyncIterator[bytes | None]:
        """Yield lines without their ends, None in the place of one that is too long, until the other side closes. Empty ones are left out."""
        waiting = bytearray()
        beyond = False
        while piece := await self._piece():
            *ended, rest = piece.split(b"\n")
            for part in ended:
                waiting += part
                too_long = beyond or len(waiting) > self._most
                line = bytes(waiting).strip()
                waiting.clear()
                beyond = False
                if too_long:
                    yield None
                elif line:
                    yield line
            waiting += rest
            if len(waiting) > self._most:
                waiting.clear()
                beyond = True
        # What has no end was never sent as a whole.

    async def write(self, line: bytes) -> None:
        """Write a line. Raises OSError when nobody reads any more."""
        left = memoryview(line + b"\n")
        async with self._turn:
            # A line that was begun is ended: half of one would spoil the next.
            with anyio.CancelScope(shield=True):
                while left:
                    polled = await self._writable()
                    left = left[os.write(self._target, left[:_ALWAYS] if polled else left) :]

    async def _piece(self) -> bytes:
        with suppress(PermissionError):  # a file has always something to read, or its end
            await anyio.wait_readable(self._source)
        return os.read(self._source, _PIECE)

    async def _writable(self) -> bool:
        try:
            await anyio.wait_writable(self._target)
        except PermissionError:
            return False
        return True


@asynccontextmanager
async def standard_lines(most: int) -> AsyncGenerator[Lines]:
    """Give the lines of standard input and output. Whatever else is printed goes to standard error meanwhile: it would be taken for a message."""
    target = os.dup(1)
    os.dup2(2, 1)
    try:
        yield Lines(0, target, most)
    finally:
        os.dup2(target, 1)
        os.close(target)
