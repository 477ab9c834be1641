"""Who is calling, once the edge has established it. What the caller may do is the pipeline's question."""

from __future__ import annotations

import msgspec


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """The authenticated origin of a call; `id` is stable and safe to log, never the key itself."""

    id: str
    kind: str = "key"


ANONYMOUS = Caller(id="anonymous", kind="anonymous")
