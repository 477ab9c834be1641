"""A verbatim stream on its way: cut after whole events, stripped of what only we asked for, its ends kept for the record."""

from __future__ import annotations

from collections.abc import Callable

from gateway.core.errors import UpstreamBroken
from gateway.dialects.sse import MAX_EVENT_BYTES

_HEAD_BYTES = 2048  # of a stream's beginning and end, kept for its usage
_TAIL_BYTES = 4096


class Seen:
    """What is kept of a verbatim stream for the record: its first and last bytes, and how many events there were."""

    __slots__ = ("_last", "_size", "events", "head")

    def __init__(self) -> None:
        self.head = b""
        self._last: list[bytes] = []
        self._size = 0
        self.events = 0

    def note(self, data: bytes) -> None:
        """Keep what the record may need of a piece."""
        if len(self.head) < _HEAD_BYTES:
            self.head += data
        self._last.append(data)
        self._size += len(data)
        if self._size > 3 * _TAIL_BYTES // 2:
            self._last = [self.tail]
            self._size = _TAIL_BYTES

    @property
    def tail(self) -> bytes:
        """The last few KiB."""
        return b"".join(self._last)[-_TAIL_BYTES:]


class Cutter:
    """Cuts a verbatim stream after its whole events, and takes out of it what only we asked for."""

    __slots__ = ("_held", "_seen", "_strip")

    def __init__(self, seen: Seen, strip: Callable[[bytes], bytes] | None) -> None:
        self._seen = seen
        self._strip = strip
        self._held = b""

    def cut(self, data: bytes) -> bytes:
        """Take a piece, give the whole events that are there now. Raises UpstreamBroken for an event without end."""
        self._seen.note(data)
        if self._held or not data.endswith(b"\n\n"):
            data, self._held = _at_boundary(self._held, data)
        self._seen.events += data.count(b"\n\n") or data.count(b"\r\n\r\n")
        return data if self._strip is None else self._strip(data)

    def rest(self) -> bytes:
        """Give what is left at the end: an event without its blank line."""
        held, self._held = self._held, b""
        return held if self._strip is None or not held else self._strip(held)


def _at_boundary(held: bytes, data: bytes) -> tuple[bytes, bytes]:
    """Split after the last complete event. `held` has none. Raises UpstreamBroken for an event without end."""
    near = held[-3:]
    window = near + data
    cut = max(window.rfind(b"\n\n") + 2, window.rfind(b"\r\n\r\n") + 4)
    whole = held + data
    if cut < 5:
        if len(whole) > MAX_EVENT_BYTES:
            raise UpstreamBroken(f"The upstream sent a server-sent event of more than {MAX_EVENT_BYTES >> 20} MiB.")
        return b"", whole
    cut += len(held) - len(near)
    return whole[:cut], whole[cut:]
