"""How an answer stands to the cache, and what a caller may ask of the cache."""

from __future__ import annotations

from typing import Literal

import msgspec

CacheStatus = Literal["exact", "semantic", "stale", "miss", "bypass"]
"""exact: an answer to the same call. semantic: to a call that asks the same in other words. stale: an old one, because there was no new one
yet. miss: none was there, or none that may be served. bypass: the cache was not asked; `why` says the reason."""

HITS = ("exact", "semantic", "stale")
"""The answer comes from the cache."""

CacheMode = Literal["on", "read", "write", "off"]
"""read: an answer may come from the cache, and is not kept. write: it is made anew, and kept. off: neither."""


class CacheWish(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller asks of the cache for one call: by headers, or by the body's `cache` (which no upstream sees).

    `ttl` is in seconds, and so is `max_age`: an older answer is not served. Answers are found in the `namespace` that they were kept in.
    `threshold` is the least similarity of a semantic hit; it can only be stricter than the operator's.
    """

    mode: CacheMode = "on"
    ttl: float | None = None
    max_age: float | None = None
    namespace: str = ""
    threshold: float | None = None
