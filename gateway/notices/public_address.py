"""Where a name may lead: addresses that are public. What is checked is what is connected to, so that no second look-up can differ."""

from __future__ import annotations

import ipaddress
import socket

import anyio

_INSIDE = ipaddress.ip_network("64:ff9b::/96")


async def public_address(host: str, port: int) -> str:
    """Give an address of `host`; raise OSError where any of its addresses is not public: that of a private network, this machine, …"""
    found = await anyio.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    addresses = [str(sockaddr[0]) for *_, sockaddr in found]
    if not addresses or not all(map(is_public, addresses)):
        msg = f"{host} does not lead to public addresses alone"
        raise OSError(msg)
    return addresses[0]


def is_public(text: str) -> bool:
    """Whether everybody may be sent to an address; one of IPv4 inside one of IPv6 counts as itself."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        inside = address.ipv4_mapped or address.sixtofour
        if inside is None and address in _INSIDE:
            inside = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if inside is not None:
            address = inside
        elif address.teredo is not None or address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved
