"""Addresses as people and programs on this machine write them."""

from __future__ import annotations

_EVERY_INTERFACE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - translated, not bound


def url_of(host: str, port: int) -> str:
    """Give the URL of an address that is listened on."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def local_url_of(host: str, port: int) -> str:
    """Give the URL under which this machine reaches it: one that stands for every interface cannot be connected to."""
    return url_of(_EVERY_INTERFACE.get(host, host), port)
