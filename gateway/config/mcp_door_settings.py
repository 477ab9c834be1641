"""Settings of who gets into /mcp: under which names it answers, for which web pages, and by tokens of which issuers.

What a caller may do inside is the policies' question; a token's scopes can only take something away from that.
"""

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Annotated, TypeAlias
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from gateway.config.access_settings import Fault, IssuerName, JwtSettings, is_fetchable
from gateway.config.provider_settings import HttpUrl
from gateway.config.shapes import Expected
from gateway.core.tools import Effect

ScopeName: TypeAlias = Annotated[
    str,
    # RFC 6749, 3.3: no quotation mark, no backslash, no space.
    Meta(pattern=r"^[!#-\[\]-~]{1,128}$"),
    Expected(
        words="the name of a scope: at most 128 printable characters without spaces, quotation marks and backslashes"
    ),
]
HostName: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?$"),
    Expected(words="a host name or address, with a port where only that one is meant, such as gateway.example.com"),
]
Origin: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^[a-z][a-z0-9+.-]*://[^\s/@?#]+$"),
    Expected(words="an origin: scheme and host, without a slash at the end, such as https://ide.example.com"),
]

MCP_PATH = "/mcp"


class McpScopeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One scope: the calls that a token needs it for. Without `effects` it is all calls of those tools."""

    tools: Annotated[
        tuple[Annotated[str, Meta(min_length=1)], ...],
        Meta(
            min_length=1,
            description="Tools, as server/name or agents/name; a * at the end stands for any rest.",
        ),
    ] = ("*",)
    effects: Annotated[
        tuple[Effect, ...], Meta(description="Only tools whose effect is one of these; none is any.")
    ] = ()


class McpAuthorizationSettings(msgspec.Struct, frozen=True, kw_only=True):
    """/mcp as an OAuth 2.1 resource server: tokens that were made for it, by issuers of `access.jwt`."""

    resource: Annotated[
        HttpUrl,
        Meta(
            description="The address of /mcp as clients write it. A token's audience (`aud`) must name it, to the letter."
        ),
    ]
    issuers: Annotated[
        tuple[IssuerName, ...],
        Meta(description="The issuers of access.jwt whose tokens are taken and that clients are sent to; none is all."),
    ] = ()
    required: Annotated[tuple[ScopeName, ...], Meta(description="Scopes that every token must have.")] = ()
    scopes: Annotated[
        dict[ScopeName, McpScopeSettings], Meta(description="Scopes that calls of some tools need beside that.")
    ] = msgspec.field(default_factory=dict)
    name: Annotated[str, Meta(min_length=1, max_length=200, description="What people are shown as its name.")] = (
        "Switchgear"
    )


class McpDoorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Who gets into /mcp."""

    public_hosts: Annotated[
        tuple[HostName, ...],
        Meta(
            description="Names under which /mcp answers, beside this machine's own (localhost, 127.0.0.1, ::1) and that of "
            "authorization.resource. Any other Host gets 421."
        ),
    ] = ()
    allowed_origins: Annotated[
        tuple[Origin, ...],
        Meta(
            description="Origins of web pages that may use /mcp, beside pages of this machine asking this machine. Any other gets 403."
        ),
    ] = ()
    authorization: Annotated[
        McpAuthorizationSettings | None, Meta(description="OAuth for /mcp; null takes keys only.")
    ] = None


def door_faults(door: McpDoorSettings, issuers: Mapping[str, JwtSettings]) -> Iterator[Fault]:
    """Yield what is wrong with the section as a whole: a resource that is no address of /mcp, issuers that are not there."""
    asked = door.authorization
    if asked is None:
        return
    if not is_fetchable(asked.resource):
        yield (
            ("authorization", "resource"),
            "tokens travel by https only, except on this machine (127.0.0.1, ::1, localhost)",
        )
    if not urlsplit(asked.resource).path.endswith(MCP_PATH):
        yield ("authorization", "resource"), f"the address of {MCP_PATH} ends with {MCP_PATH}"
    if not issuers:
        yield ("authorization", "issuers"), "tokens have issuers: configure one in access.jwt"
    for number, name in enumerate(asked.issuers):
        if name not in issuers:
            yield ("authorization", "issuers", number), f"access.jwt has no issuer {name!r}"
    for name in asked.issuers or issuers:
        if name in issuers and not issuers[name].issuer.startswith(("https://", "http://")):
            message = f"the issuer of access.jwt.{name} is no address that a client could go to"
            yield ("authorization", "issuers"), message


def is_loopback(host: str) -> bool:
    """Whether a host name, in small letters and without port and brackets, is this machine's own."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
