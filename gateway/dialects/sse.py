"""Server-sent events: cutting a byte stream into events, and writing them. WHATWG HTML, section 9.2."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.core.errors import UpstreamBroken

MAX_EVENT_BYTES = 16 * 1024 * 1024


class SseParser:
    """Cuts a stream into events, however it is split. Lines may end in LF, CRLF or CR; comments and ids are passed over."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0

    def feed(self, data: bytes) -> Iterator[tuple[str, bytes]]:
        """Take more bytes, give the (name, data) of each event that is now complete.

        Raises UpstreamBroken when an event grows over 16 MiB.
        """
        self._buffer += data
        if b"\r" in self._buffer:
            # A CR at the very end may be half of a CRLF: it stays until the next byte is known.
            held = b"\r" if self._buffer.endswith(b"\r") else b""
            whole = bytes(self._buffer[: -1 if held else None])
            self._buffer = bytearray(whole.replace(b"\r\n", b"\n").replace(b"\r", b"\n") + held)
            self._scanned = 0
        while (end := self._buffer.find(b"\n\n", max(0, self._scanned - 1))) >= 0:
            block = bytes(self._buffer[:end])
            del self._buffer[: end + 2]
            self._scanned = 0
            if (event := _parse(block)) is not None:
                yield event
        self._scanned = len(self._buffer)
        if self._scanned > MAX_EVENT_BYTES:
            msg = "The upstream sent a server-sent event of more than 16 MiB."
            raise UpstreamBroken(msg)

    def finish(self) -> Iterator[tuple[str, bytes]]:
        """The stream ended: give the last event if only its blank line is missing (several upstreams leave it out)."""
        block = bytes(self._buffer).replace(b"\r\n", b"\n").replace(b"\r", b"\n").rstrip(b"\n")
        self._buffer.clear()
        if (event := _parse(block)) is not None:
            yield event


def _parse(block: bytes) -> tuple[str, bytes] | None:
    name = ""
    data: list[bytes] = []
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode("utf-8", "replace")
    return (name, b"\n".join(data)) if data else None


def event(data: bytes, name: str = "") -> bytes:
    """Write one event; `data` must be a single line (JSON is)."""
    if name:
        return b"event: %b\ndata: %b\n\n" % (name.encode(), data)
    return b"data: %b\n\n" % data


KEEP_ALIVE = b": keep-alive\n\n"
"""A comment: clients pass over it, and connections do not look idle."""
