"""Whether a call has gone out: what decides, when no answer comes, if nothing was done or if nobody knows.

The client's library does not say how far a request came. So the transports, which are ours, note the idempotency key of each call whose
bytes begin to leave, and take it back where the server refused it before it began.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

KEY: Final = "switchgear/idempotency-key"
"""Where a call carries its idempotency key: a name in `_meta` of `tools/call`."""

RUN: Final = "switchgear/run"
"""Where it carries the id of the run that asks."""

TOO_LARGE: Final = -32_099
"""The JSON-RPC code of the error that stands for an answer beyond the limit: it came, and was not read."""

NO_ANSWER: Final = -32_098
"""The code of the error that stands for an answer that did not come: the message says why."""

UNREADABLE: Final = -32_097
"""The code of the error that stands for an answer that came and is none that can be read."""

UNAUTHORIZED: Final = -32_096
"""The code of the error that stands for a request that was not let in, because nobody has authorized it: the message says so."""


class Deliveries:
    """The keys of the calls that are out."""

    def __init__(self) -> None:
        self._out: set[str] = set()
        self._large: set[str] = set()

    def goes_out(self, params: Mapping[str, Any] | None) -> str:
        """Note that a message with these parameters begins to leave. Gives the key that it carries, empty where it has none."""
        meta = (params or {}).get("_meta")
        key = meta.get(KEY) if isinstance(meta, Mapping) else None
        if not isinstance(key, str):
            return ""
        self._out.add(key)
        return key

    def refused(self, key: str) -> None:
        """The server did not begin with it, or was not reached at all."""
        self._out.discard(key)

    def is_out(self, key: str) -> bool:
        """Whether the call with this key has left, and was not refused."""
        return key in self._out

    def too_large(self, key: str) -> None:
        """Its answer came, and is beyond the limit."""
        self._large.add(key)

    def was_too_large(self, key: str) -> bool:
        """Whether its answer was beyond the limit."""
        return key in self._large

    def forget(self, key: str) -> None:
        """The call is over."""
        self._out.discard(key)
        self._large.discard(key)
