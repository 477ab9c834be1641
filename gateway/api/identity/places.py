"""Whether whoever asks without a key is a program of this machine, or its user's browser showing a page of this machine. Pure.

A page of elsewhere can have the browser ask this machine, too. What it cannot do is to leave its origin out of a request with consequences
(`Origin`), or, where its own name was made an address of this machine (DNS rebinding), that name out of `Host`.
"""

from __future__ import annotations

import functools

from gateway.config.mcp_door_settings import is_loopback


@functools.lru_cache(maxsize=1024)
def is_of_this_machine(host: bytes | None, origin: bytes | None) -> bool:
    """Whether these headers name nothing but this machine. Programs send no `Origin`, and old ones no `Host`."""
    return (host is None or is_loopback(bare(_text(host)))) and (origin is None or _is_own_page(_text(origin)))


def bare(host: str) -> str:
    """Give a host name or address without port and brackets."""
    if host.startswith("["):
        return host.partition("]")[0].strip("[]")
    return host.partition(":")[0] if host.count(":") == 1 else host


def _is_own_page(origin: str) -> bool:
    scheme, _, place = origin.partition("://")
    return scheme in ("http", "https") and is_loopback(bare(place))


def _text(value: bytes) -> str:
    return value.decode("latin-1").strip().lower()
