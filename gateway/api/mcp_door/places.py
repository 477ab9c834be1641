"""Whether a request was meant for this server, and whether the web page that it comes from may make it. Pure.

A browser can be made to believe that a name of somebody else's is an address of this machine (DNS rebinding). What it cannot be made to do
is to leave that name out of `Host`, or the page's own origin out of `Origin`.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from gateway.api.identity.places import bare, is_of_this_machine
from gateway.config.mcp_door_settings import McpDoorSettings, is_loopback


class Places:
    """The names and origins of one generation of the configuration."""

    def __init__(self, door: McpDoorSettings) -> None:
        asked = door.authorization
        resource = None if asked is None else urlsplit(asked.resource)
        own = () if resource is None else (resource.netloc,)
        self._hosts = frozenset(host.lower() for host in (*door.public_hosts, *own))
        origin = () if resource is None else (f"{resource.scheme}://{resource.netloc}".lower(),)
        self._origins = frozenset((*(one.lower() for one in door.allowed_origins), *origin))

    def is_host(self, values: Iterable[bytes]) -> bool:
        """Whether a request with these `Host` headers is for this server: there is one, and it is a name of ours."""
        host = _only(values)
        return host is not None and (host in self._hosts or _named(host) in self._hosts or is_loopback(bare(host)))

    def is_origin(self, values: Iterable[bytes], hosts: Iterable[bytes]) -> bool:
        """Whether a request with these `Origin` headers may be made: there is none, or one that is let in.

        Pages of this machine may ask this machine, by a name that is its own: no page of elsewhere has such an origin.
        """
        given = tuple(values)
        if not given:
            return True
        origin, host = _only(given), _only(hosts)
        if origin is None or host is None:
            return False
        if origin in self._origins:
            return True
        return is_of_this_machine(host.encode("latin-1"), origin.encode("latin-1"))


def _only(values: Iterable[bytes]) -> str | None:
    """Give the one value there is, in small letters; None for none, and for several: which of them counts, others see differently."""
    found = tuple(values)
    return found[0].decode("latin-1").strip().lower() if len(found) == 1 and found[0] else None


def _named(host: str) -> str:
    """Give a host as the settings name it without a port: an IPv6 address has its brackets."""
    return f"[{bare(host)}]" if host.startswith("[") else bare(host)
