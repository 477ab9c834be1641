"""One virtual key as the data path needs it: whose it is, how long it works, and from where it may be used.

Pure. Which keys there are is the key ring's to know, and what the caller may do the pipeline's.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from math import inf
from typing import Final
from urllib.parse import urlsplit

import msgspec
import structlog

from gateway.core.caller import Caller
from gateway.stores.directory import VirtualKey

log = structlog.get_logger()

BOOTSTRAP_MARK: Final = "bootstrap"
"""The metadata name that marks the key made at the first start."""

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address


class HeldKey(msgspec.Struct, frozen=True, kw_only=True):
    """One key on the ring. `works_until` is seconds since 1970; `revoked` says that it was taken back then.

    `networks` and `origins` are where it may be used from; None is anywhere, and empty nowhere.
    """

    digest: bytes
    caller: Caller
    works_until: float
    revoked: bool
    networks: tuple[Network, ...] | None = None
    origins: frozenset[str] | None = None
    bootstrap: bool = False

    def admits(self, address: Address | None, origin: str | None) -> bool:
        """Whether the key may be used by a client at `address` (None is unknown) with this Origin header."""
        if not self.reaches(address):
            return False
        return self.origins is None or (origin is not None and origin.lower() in self.origins)

    def reaches(self, address: Address | None) -> bool:
        """Whether the key may be used by a client at `address`, whatever its origin."""
        return self.networks is None or any(address in network for network in self.networks if address)

    def __repr__(self) -> str:
        # Not the digest: a repr ends up in logs.
        return f"HeldKey(id={self.caller.id!r})"


def hold(key: VirtualKey) -> HeldKey:
    """Give a key as the ring holds it. What it says of networks or origins and cannot be read admits nobody."""
    ends = (key.revoked_at, key.expires_at, key.overlap_ends_at)
    until = min((end for end in ends if end is not None), default=inf)
    return HeldKey(
        digest=key.digest,
        caller=_caller(key),
        works_until=until,
        revoked=key.revoked_at is not None and key.revoked_at <= until,
        networks=_networks(key),
        origins=_origins(key),
        bootstrap=key.metadata.get(BOOTSTRAP_MARK) == "true",
    )


def parse_network(text: str) -> Network:
    """Read an address or a network (CIDR), IPv4 or IPv6. Raises ValueError, naming it."""
    try:
        return ip_network(text.strip(), strict=False)
    except ValueError:
        msg = f"{text[:80]!r} is neither an IP address nor a network such as 10.0.0.0/8 or 2001:db8::/32"
        raise ValueError(msg) from None


def parse_origin(text: str) -> str:
    """Read a web origin (RFC 6454), `https://app.example` with a port where it is not the usual one. Raises ValueError."""
    parts = urlsplit(text.strip().lower())
    plain = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
    if not plain or parts.path not in ("", "/") or parts.query or parts.fragment:
        msg = f"{text[:80]!r} is no origin such as https://app.example or http://localhost:3000"
        raise ValueError(msg)
    usual = {"http": ":80", "https": ":443"}[parts.scheme]
    return f"{parts.scheme}://{parts.netloc.removesuffix(usual)}"


def _networks(key: VirtualKey) -> tuple[Network, ...] | None:
    if not key.ips:
        return None
    try:
        return tuple(parse_network(text) for text in key.ips)
    except ValueError:
        log.warning("key.unreadable", key=key.id, field="ips")
        return ()


def _origins(key: VirtualKey) -> frozenset[str] | None:
    if not key.origins:
        return None
    try:
        return frozenset(parse_origin(text) for text in key.origins)
    except ValueError:
        log.warning("key.unreadable", key=key.id, field="origins")
        return frozenset()


def _caller(key: VirtualKey) -> Caller:
    return Caller(
        id=key.id,
        kind="service" if key.service_account else "key",
        tenant=key.tenant,
        team=key.team,
        user=key.user or key.service_account,
        tags=key.tags,
        models=key.models,
        tools=key.tools,
        role=key.role,
    )
