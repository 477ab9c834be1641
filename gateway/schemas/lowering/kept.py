"""What lowering gave, kept: the same schema comes with call after call. Bounded by number and by the bytes of the schemas."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Any

import msgspec

from gateway.core.errors import UnsupportedSchema
from gateway.schemas.judge import digest_of
from gateway.schemas.lowering.lowered import Lower, Lowered


class Kept:
    """One provider's `lower` with a memory, of refusals too; the least recently used are forgotten first."""

    def __init__(self, lower: Lower, *, most: int = 256, most_bytes: int = 4 * 1024 * 1024) -> None:
        self._lower = lower
        self._most = most
        self._most_bytes = most_bytes
        self._kept: OrderedDict[bytes, tuple[int, Lowered | str]] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def __len__(self) -> int:
        """Tell how many are kept."""
        return len(self._kept)

    def __call__(self, schema: dict[str, Any]) -> Lowered:
        """Lower `schema`. Raises UnsupportedSchema where the provider's strict mode cannot say it."""
        # In the order of its members, which models follow.
        text = msgspec.json.encode(schema)
        key = digest_of(text)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return _given(self._kept[key][1])
        made: Lowered | str
        try:
            made = self._lower(schema)
        except UnsupportedSchema as error:
            made = error.message
        self._keep(key, len(text), made)
        return _given(made)

    def _keep(self, key: bytes, size: int, made: Lowered | str) -> None:
        with self._lock:
            if key not in self._kept:
                self._kept[key] = (size, made)
                self._bytes += size
            while len(self._kept) > self._most or (self._bytes > self._most_bytes and len(self._kept) > 1):
                self._bytes -= self._kept.popitem(last=False)[1][0]


def _given(made: Lowered | str) -> Lowered:
    if isinstance(made, str):
        raise UnsupportedSchema(made)
    return made
