"""Writes one response: ASGI's `send`, in place of uvicorn's, which costs more and writes head and body apart.

The head waits for the first piece of body, as the specification allows, and leaves with it in one write. uvicorn's cycle stays
the place of all state: it is read by the connection.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from gateway.server.asgi import Message

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode("ascii") for status in HTTPStatus}
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch  # RFC 9110: a token
_IN_VALUES = bytes([0x09, *range(0x20, 0x7F), *range(0x80, 0x100)])
_MOST_NAMES = 512
_WITHOUT_BODY = (204, 304)
_LINE = b": ".join
_WAITED_FOR = "message_event"


_NAMES_SEEN: set[bytes] = set()
"""Header names that were found sound: a few dozen, again and again. Bounded."""


def _check_name(name: bytes) -> None:
    if _NAME(name) is None:
        raise RuntimeError("a response header's name is not a token")
    if len(_NAMES_SEEN) < _MOST_NAMES:
        _NAMES_SEEN.add(name)


class Answer:
    """The `send` of one request. It awaits only while the client is slow to take what was written."""

    __slots__ = ("_cycle", "_head", "_left", "pieces")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._head = b""
        self._left = 0  # bytes that content-length still promises
        self.pieces = 0  # written by `write`

    async def send(self, message: Message) -> None:
        """Take one ASGI message. Raises RuntimeError for what an application must not do."""
        cycle = self._cycle
        if cycle.flow.write_paused and not cycle.disconnected:
            await cycle.flow.drain()
        if cycle.disconnected:
            return
        if message["type"] == "http.response.body":
            self._body(cycle, message.get("body", b""), more=message.get("more_body", False))
        elif message["type"] == "http.response.start" and not cycle.response_started:
            self._start(cycle, message["status"], message.get("headers", ()))
        else:
            raise RuntimeError(f"unexpected ASGI message {message['type']!r}")

    def whole(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bool:
        """Write a whole response at once, beside `send`. False when it was not written: the client is slow, or gone."""
        cycle = self._cycle
        if cycle.flow.write_paused or cycle.disconnected or cycle.response_started:
            return False
        self._start(cycle, status, headers)
        if cycle.chunked_encoding or self._left != len(body) or cycle.scope["method"] == "HEAD":
            self._body(cycle, body, more=False)
            return True
        self._left = 0
        cycle.transport.write(self._head + body)
        self._head = b""
        self._end(cycle)
        return True

    def write(self, body: bytes) -> bool:
        """Write a piece of a chunked body at once, beside `send`. False when it was not written: the client is slow, or gone."""
        cycle = self._cycle
        if (
            cycle.flow.write_paused
            or cycle.disconnected
            or cycle.response_complete
            or self._head
            or not cycle.chunked_encoding
        ):
            return False
        self.pieces += 1
        cycle.transport.write(b"%x\r\n%b\r\n" % (len(body), body))
        return True

    def _start(self, cycle: RequestResponseCycle, status: int, headers: Any) -> None:
        lines = b"\r\n".join([*map(_LINE, headers), b""])
        # All that HTTP allows in a value taken away, nothing may be left but the ends of the lines.
        if lines.translate(None, _IN_VALUES) != b"\r\n" * len(headers):
            raise RuntimeError("a response header has characters that HTTP does not allow")
        cycle.response_started = True
        cycle.waiting_for_100_continue = False
        cycle.chunked_encoding = False
        named = dict(headers)
        if not named.keys() <= _NAMES_SEEN:
            for name in named:
                _check_name(name)
        length = named.get(b"content-length")
        if length is not None:
            self._left = int(length)
        if b"connection" in named and any(
            b"close" in value.lower() for name, value in headers if name == b"connection"
        ):
            cycle.keep_alive = False
        if not cycle.keep_alive and b"connection: close" not in lines:
            lines += b"connection: close\r\n"
        if length is None and status not in _WITHOUT_BODY and cycle.scope["method"] != "HEAD":
            cycle.chunked_encoding = True
            lines += b"transfer-encoding: chunked\r\n"
        self._head = b"%b%b\r\n" % (_STATUS_LINES[status], lines)

    def _body(self, cycle: RequestResponseCycle, body: bytes, *, more: bool) -> None:
        if cycle.response_complete or not cycle.response_started:
            raise RuntimeError("a piece of body before the start of the response, or after its end")
        if cycle.chunked_encoding:
            data = b"%b%x\r\n%b\r\n" % (self._head, len(body), body) if body else self._head
            if not more:
                data += b"0\r\n\r\n"
        elif cycle.scope["method"] == "HEAD":
            data, self._left = self._head, 0
        else:
            self._left -= len(body)
            if self._left < 0:
                raise RuntimeError("the response's body is longer than its content-length")
            data = self._head + body if self._head else body
        self._head = b""
        if data:
            cycle.transport.write(data)
        if not more:
            self._end(cycle)

    def _end(self, cycle: RequestResponseCycle) -> None:
        if self._left:
            raise RuntimeError("the response's body is shorter than its content-length")
        cycle.response_complete = True
        if _WAITED_FOR in cycle.__dict__:  # else there is nobody to wake
            cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()
