"""The ledger's port: what a row holds, what can be asked of the rows, and who answers. It knows no database.

A row is written once and never changed. `id` is the call's id: a row that comes twice is kept once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from gateway.core.decision import Decision

MOST_GROUPS: Final = 10_000
"""Groups that one usage query gives at most."""

MOST_ROWS: Final = 1000
"""Rows that one page gives at most."""

DIMENSIONS: Final = (
    "tenant", "team", "user", "key", "kind", "model", "provider", "served", "agent", "run", "prompt", "operation", "dialect", "error", "prices",
)  # fmt: skip
"""What usage is grouped and filtered by, besides `tag:NAME`."""

PERIODS: Final = ("hour", "day", "month")
"""What usage is also grouped by: calendar periods of the query's time zone."""

TAG: Final = "tag:"

BESIDE_KINDS: Final = ("hedge", "cascade", "vote", "judge", "continuation", "choice", "repair", "cache")
"""Kinds of rows that are no calls of their own, but what a call used at other targets beside its answer."""


class LedgerRow(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One call, or one of the other things that cost something; nothing of what was said in it.

    `kind` is call, embedding, rerank, moderation, count, tool, cache_hit, shadow or one of `BESIDE_KINDS`; `parent` is the id of the call
    that the row of a tool, a shadow, or of what was used beside, belongs to; those beside have its id with .1, .2 and so on behind it.
    `decision` says which targets were considered, None where there was nothing to decide. `key` is the caller's id, never the key itself. `started_at` is seconds since 1970 (UTC), kept to the
    millisecond; `duration` and `first_token` are seconds. The token buckets are disjoint, and None when nobody counted;
    `estimated` says that they were counted here. `cost_nano` is nano-dollars by the prices whose version is `prices`, None when
    unknown. `cache` is how the answer stood to the cache (empty: it has none), `cache_entry` its entry there; of an answer from the cache
    tokens and cost are zero, and `saved_tokens` and `saved_nano` what they would have been. `route` lists the targets that were tried. `run` is the run that made the call, empty where none did; `prompt` the template that it was made from (id@version). `error` and `finish_reason` are empty where there is none.

    Fields are written in this order to the spool: new ones go to the end, and have a default.
    """

    id: str
    kind: str
    started_at: float
    status: int
    tenant: str = ""
    team: str = ""
    user: str = ""
    key: str = ""
    tags: dict[str, str] = {}
    agent: str = ""
    model: str = ""
    provider: str = ""
    served: str = ""
    route: tuple[str, ...] = ()
    dialect: str = ""
    operation: str = ""
    stream: bool = False
    error: str = ""
    finish_reason: str = ""
    duration: float = 0.0
    first_token: float | None = None
    input: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    output: int | None = None
    reasoning: int | None = None
    estimated: bool = False
    cost_nano: int | None = None
    prices: str = ""
    parent: str = ""
    decision: Decision | None = None
    cache: str = ""
    cache_entry: str = ""
    saved_tokens: int | None = None
    saved_nano: int | None = None
    run: str = ""
    prompt: str = ""


class UsageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What to sum, over which rows, and how to divide it.

    `by` names `DIMENSIONS`, `tag:NAME` and at most one of `PERIODS`, in the order of the answer's columns. `where` gives for
    dimensions and tags the values that count; what it leaves out is not filtered. `since` and
    `until` are seconds since 1970, the first included and the second not. `zone` is an IANA time zone, which says where a day
    begins.
    """

    by: tuple[str, ...] = ()
    where: dict[str, tuple[str, ...]] = {}
    since: float | None = None
    until: float | None = None
    zone: str = "UTC"
    limit: int = 1000


class UsageRow(msgspec.Struct, frozen=True, kw_only=True):
    """The sums of one group. `group` has a value for each name of the query's `by`, in its order.

    A period is written as it begins: 2026-11 for a month, 2026-11-21 for a day, 2026-11-21T14:00+01:00 for an hour. `cost_nano`
    is the exact sum of the known costs. `unpriced` counts rows with tokens whose cost is unknown, `uncounted` answered ones
    whose tokens nobody counted: where both are 0, the cost is all of it. `estimated` counts rows whose tokens were estimated.
    """

    group: tuple[str, ...]
    calls: int
    errors: int
    input: int
    cache_read: int
    cache_write: int
    cache_write_1h: int
    output: int
    reasoning: int
    cost_nano: int
    unpriced: int
    uncounted: int
    estimated: int


class RowQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows to list, newest first. `where`, `since` and `until` are as in `UsageQuery`; `ids` asks for these alone.

    `cursor` is the `next` of the page before.
    """

    where: dict[str, tuple[str, ...]] = {}
    ids: tuple[str, ...] = ()
    since: float | None = None
    until: float | None = None
    limit: int = 100
    cursor: str | None = None


class RowPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some rows, and the cursor of the page after them; None when there are no more."""

    rows: tuple[LedgerRow, ...]
    next: str | None


class LedgerStore(Protocol):
    """Where rows are kept. Every method raises StoreUnavailable when the database is away."""

    async def insert(self, rows: Sequence[LedgerRow]) -> None:
        """Add rows, all or none; those whose id is there already are left as they are.

        Raises InvalidRequest when the database refuses a value for good.
        """
        ...

    async def usage(self, query: UsageQuery) -> list[UsageRow]:
        """Sum rows, sorted by group. Raises InvalidRequest for an unknown name or zone, or for more groups than `limit`."""
        ...

    async def find_rows(self, query: RowQuery) -> RowPage:
        """List rows, newest first. Raises InvalidRequest for a cursor that is none."""
        ...

    async def remove(self, *, tenant: str | None, user: str | None, before: float | None, limit: int) -> int:
        """Delete at most `limit` of the oldest rows of a tenant, a user, or from before a time, and give their number.

        Conditions hold together, and one at least is needed: ValueError otherwise.
        """
        ...


def storable(text: str) -> str:
    """Give text that any database keeps: half a surrogate pair and NUL are replaced."""
    if text.isascii() and "\0" not in text:
        return text
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
