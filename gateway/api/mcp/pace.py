"""How much one caller asks of /mcp: calls under way in this replica, and calls in a minute, which all replicas count together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.api.mcp.counts import McpCounts
from gateway.config.mcp_settings import McpLimitSettings
from gateway.core.caller import Caller
from gateway.core.errors import LimitExceeded
from gateway.core.ids import NewId
from gateway.stores.counter_windows import Rolling
from gateway.stores.counters import Bucket, CounterStore


class Pace:
    """Counts."""

    def __init__(self, counters: CounterStore, new_id: NewId, counts: McpCounts) -> None:
        self.counts = counts
        self._counters = counters
        self._new_id = new_id
        self._under_way: Counter[str] = Counter()

    @contextmanager
    def one(self, caller: Caller, limits: McpLimitSettings) -> Iterator[None]:
        """Hold a place for a call. Raises LimitExceeded where the caller has no more."""
        who = f"{caller.tenant}/{caller.id}"
        if self._under_way[who] >= limits.at_once:
            msg = f"{limits.at_once} calls are under way already: wait until one of them has ended."
            raise LimitExceeded(msg, limit="mcp.at_once", window="now", retry_after=1.0)
        self._under_way[who] += 1
        self.counts.under_way += 1
        try:
            yield
        finally:
            self.counts.under_way -= 1
            self._under_way[who] -= 1
            if not self._under_way[who]:
                del self._under_way[who]

    async def take(self, caller: Caller, tool: str, limits: McpLimitSettings) -> None:
        """Count a call of a tool. Raises LimitExceeded where there were enough in the last minute, and Unavailable."""
        who = f"{caller.tenant}/{caller.id}"
        wanted = [
            (f"mcp/{who}", "mcp", limits.per_minute),
            (f"mcp/{who}/{tool}", f"mcp {tool}", limits.tools.get(tool)),
        ]
        buckets = [
            Bucket(key=key, table=table, limit=most, window=Rolling(seconds=60.0), watched=False)
            for key, table, most in wanted
            if most is not None
        ]
        if not buckets:
            return
        reservation = self._new_id("mcp_")
        outcome = await self._counters.reserve(reservation, buckets, [1] * len(buckets))
        if outcome.refused is None:
            self._counters.settle(reservation, [None] * len(buckets))
            return
        most = buckets[outcome.refused].limit
        of = "" if buckets[outcome.refused].table == "mcp" else f" of {tool}"
        msg = f"{most} calls{of} in a minute are what one caller may make. This one was not made."
        raise LimitExceeded(msg, limit="mcp.per_minute", window="minute", retry_after=outcome.retry_after)
