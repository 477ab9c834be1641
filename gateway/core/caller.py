"""Who is calling, once the edge has established it. What the caller may do is the pipeline's question."""

from __future__ import annotations

import msgspec

DEFAULT_TENANT = "default"


class Caller(msgspec.Struct, frozen=True, kw_only=True, cache_hash=True):
    """The authenticated origin of a call; `id` is stable and safe to log, never the key itself.

    `kind` is anonymous, static (a key of the configuration), key (a virtual key), service (a service account's key), jwt, or trigger
    (nobody asked: a trigger of the configuration began it).
    `tenant`, `team` and `user` are ids; empty where there is none. `groups` are those that a token claims. `tags` are
    (name, value) pairs for limits and the ledger. `models` and `tools` are patterns of what may be asked for (`*` ends a
    prefix); none is everything. `role` is the administrative role, empty for a caller that has none. `scopes` are those of a token.
    """

    id: str
    kind: str = "static"
    tenant: str = DEFAULT_TENANT
    team: str = ""
    user: str = ""
    groups: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    models: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    role: str = ""
    scopes: tuple[str, ...] = ()


ANONYMOUS = Caller(id="anonymous", kind="anonymous")
