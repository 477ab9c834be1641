"""Where a client is: the address of the connection, or what a trusted proxy says of it. It resolves no names."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address

from gateway.stores.held_key import Address, parse_network

Peer = tuple[str, int] | None
"""ASGI's `client`: host and port of the connection's other end; None over a local socket."""

_MOST_HOPS = 32


class Clients:
    """Tells clients' addresses. `trusted` are the proxies (addresses, networks) whose X-Forwarded-For is believed."""

    def __init__(self, trusted: Iterable[str]) -> None:
        self._trusted = tuple(parse_network(text) for text in trusted)

    def address(self, peer: Peer, forwarded: bytes | None) -> Address | None:
        """Give the client's address, None where it is not known.

        X-Forwarded-For is read from its end for as long as the one who wrote an entry is trusted: what a client itself puts
        in front is never reached. An entry that cannot be read makes the address unknown.
        """
        found = read_address(peer[0]) if peer is not None else None
        if forwarded is None or not self._trusted:
            return found
        for entry in reversed(forwarded[-64 * _MOST_HOPS :].split(b",")[-_MOST_HOPS:]):
            if found is None or not self._trusts(found):
                return found
            found = read_address(_without_port(entry.decode("latin-1").strip()))
        return found

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


@functools.lru_cache(maxsize=4096)
def read_address(text: str) -> Address | None:
    """Read an IP address; None for other text. An IPv4 address that came as an IPv6 one (::ffff:…) is taken as IPv4."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def source_of(address: Address | None) -> str:
    """Give what stands for everybody who can easily use this address: itself, or the /64 network of an IPv6 address."""
    if address is None or isinstance(address, IPv4Address):
        return str(address)
    return f"{IPv6Address(int(address) >> 64 << 64)}/64"


def _without_port(entry: str) -> str:
    """Drop the port that some proxies write: 192.0.2.1:443, [2001:db8::1]:443."""
    if entry.startswith("["):
        return entry[1:].partition("]")[0]
    return entry.partition(":")[0] if entry.count(":") == 1 else entry
