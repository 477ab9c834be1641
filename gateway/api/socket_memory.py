"""What one WebSocket remembers of its own: the last response of each lane that is kept nowhere else, so that the next turn can go on from it.

It ends with the connection. Lanes are what OpenAI calls a `stream_id`.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway.core.items import Json

_encode = msgspec.json.Encoder().encode


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """A response: all the items that its model was given, and those that it answered with. `size` is what they take as JSON."""

    id: str
    items: tuple[Json, ...]
    size: int


class Memory:
    """Holds at most `most` bytes: whatever is older goes, and can then be gone on from no more."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._by_lane: dict[str, Remembered] = {}

    def find(self, response: str) -> Remembered | None:
        """Give a response, whichever lane it was on: a lane may go on from another's."""
        return next((each for each in self._by_lane.values() if each.id == response), None)

    def keep(self, lane: str, response: str, items: Sequence[Json]) -> None:
        """Keep the last response of a lane in place of the one before."""
        self._by_lane.pop(lane, None)
        self._by_lane[lane] = Remembered(id=response, items=tuple(items), size=len(_encode(items)))
        while sum(each.size for each in self._by_lane.values()) > self._most:
            del self._by_lane[next(iter(self._by_lane))]

    def forget(self, response: str) -> None:
        """Forget a response, wherever it is."""
        self._by_lane = {lane: each for lane, each in self._by_lane.items() if each.id != response}


def items_of(given: Json) -> list[Json]:
    """Give a request's `input` as items; none for what is no input, which the dialect refuses."""
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": given}]
    return list(given) if isinstance(given, list) else []
