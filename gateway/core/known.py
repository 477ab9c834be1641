"""A body that came before: what it says, and what stages have found out about calls with it. A shortcut, and never more."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

import msgspec

from gateway.core.caller import Caller
from gateway.core.content import Content
from gateway.core.events import Cached
from gateway.core.items import Json
from gateway.core.record import Record

MOST_KEYS: Final = 16
"""Of one body: that many callers of it are remembered."""


class Hit(msgspec.Struct, frozen=True):
    """How the last answer from the cache to such a call was recorded. `stage` is who made the record."""

    stage: object
    caller: Caller
    told: Cached
    record: Record

    def is_from(self, told: Cached) -> bool:
        """Whether an answer comes from the same entry, in the same way."""
        mine = self.told
        return mine.entry == told.entry and mine.status == told.status and mine.why == told.why


class Known(msgspec.Struct, kw_only=True, eq=False):
    """Everything here follows from the body, the dialect and the configuration that it was read under, and is never changed in place.

    `hit` is the last one; `formless` says that it asks for no form of its answer. `keys` are those of the cache, with
    why there is none, each by whom it is for.
    """

    fields: dict[str, Json]
    model: str
    stream: bool
    content: Content | None
    hit: Hit | None = None
    formless: bool = False
    keys: dict[Hashable, tuple[str, str]] = {}

    def note_key(self, whose: Hashable, found: tuple[str, str]) -> None:
        """Know a key from now on."""
        if len(self.keys) >= MOST_KEYS:
            self.keys.clear()
        self.keys[whose] = found
