"""The port of shadows: comparisons of two models' answers to the same call. Content is there because an operator asked for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from gateway.core.items import Json


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two answers. `target` is "provider/model", empty where none was reached.

    Times are seconds; tokens and `cost_nano` (nano-dollars) are None where they are not known. `error` and `finish_reason` are
    empty where there is none. `content` is what was said, redacted as data protection asks; None where nothing was said, or
    where it may not be kept (`withheld`). `cut` says that it was longer than may be kept.
    """

    target: str = ""
    error: str = ""
    finish_reason: str = ""
    duration: float = 0.0
    first_token: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_nano: int | None = None
    content: dict[str, Json] | None = None
    cut: bool = False
    withheld: bool = False


class Shadow(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison. `id` is the copy's call id, `call` the original's; `at` is seconds since 1970.

    `same` says whether both said the same, `similarity` is the cosine of embeddings; None where that cannot be said.
    """

    id: str
    call: str
    at: float
    expires_at: float
    tenant: str
    user: str
    model: str
    shadow_model: str
    dialect: str
    operation: str
    stream: bool
    original: Side
    shadow: Side
    same: bool | None = None
    similarity: float | None = None


class ShadowQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which comparisons. A `tenant` of None is any, a `model` of None too; `since` and `until` are seconds since 1970.

    `after` is the id of the last one of the page before.
    """

    tenant: str | None
    now: float
    model: str | None = None
    since: float | None = None
    until: float | None = None
    after: str = ""
    limit: int = 100


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """One side of a summary. `errors` counts failed calls; the others are over the calls that both sides answered.

    `duration` and `first_token` are mean seconds; `cost_nano` is the sum over pairs of which both costs are known.
    """

    errors: int
    duration: float | None
    first_token: float | None
    output_tokens: float | None
    cost_nano: int


class ShadowSummary(msgspec.Struct, frozen=True, kw_only=True):
    """All comparisons of one pair of models. `same` of `compared` said the same; `similarity` is the mean cosine."""

    model: str
    shadow_model: str
    calls: int
    answered: int
    compared: int
    same: int
    similarity: float | None
    priced: int
    original: Sums
    shadow: Sums


class ShadowStore(Protocol):
    """Keeps comparisons. Everything raises StoreUnavailable when it cannot be asked."""

    async def add(self, shadows: Sequence[Shadow]) -> None:
        """Keep new ones, all or none; those whose id is there already are left as they are."""
        ...

    async def find(self, tenant: str | None, shadow: str, *, now: float) -> Shadow | None:
        """Give one, or None when the tenant has none of that id; a tenant of None is any."""
        ...

    async def list(self, query: ShadowQuery) -> Sequence[Shadow]:
        """Give a page without content, the newest first. An `after` that is not there gives nothing."""
        ...

    async def summarize(self, query: ShadowQuery) -> Sequence[ShadowSummary]:
        """Give the figures of each pair of models, by name; `after` and `limit` count for nothing."""
        ...

    async def spent(self, model: str, since: float) -> int:
        """Give what the copies of a model's calls have cost since then, in nano-dollars, as far as it is known."""
        ...

    async def remove_expired(self, now: float) -> int:
        """Forget some of those whose time is over, and say how many."""
        ...

    async def remove_beyond(self, model: str, rows: int) -> int:
        """Forget the oldest of a model, so that so many are left, and say how many."""
        ...

    async def remove(self, *, tenant: str | None, user: str | None, before: float | None) -> int:
        """Forget those of a tenant, a user, or from before a time, and say how many. One condition at least is needed."""
        ...
