"""Settings of who is let in: virtual keys, tokens of identity providers, and whether anybody is."""

import ipaddress
from collections.abc import Iterator, Sequence
from typing import Annotated, Final, Literal, TypeAlias
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from gateway.config.secret import Secret
from gateway.config.shapes import Expected

Algorithm: TypeAlias = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512"
]
Role: TypeAlias = Literal["owner", "admin", "auditor", "approver", "member"]
IssuerName: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"),
    Expected(words="a name of at most 64 letters, digits, dots, dashes and underscores"),
]
KeysUrl: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^[hH][tT][tT][pP][sS]?://[!-~]+$"),
    Expected(words="an http:// or https:// address"),
]
Claim: TypeAlias = Annotated[str, Meta(min_length=1)]

SECRET_BYTES: Final = {"HS256": 32, "HS384": 48, "HS512": 64}
"""The least bytes of a shared secret (RFC 7518, 3.2)."""


class ClaimSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Which claims say what. A name with dots leads into objects (realm_access.roles), unless a claim has just that name."""

    user: Annotated[Claim, Meta(description="The user's id; every token must have it.")] = "sub"
    tenant: Annotated[
        Claim | None, Meta(description="The tenant's id, one of `tenants`. Null: the issuer's `tenant`.")
    ] = None
    team: Annotated[Claim | None, Meta(description="The team's id.")] = None
    groups: Annotated[Claim | None, Meta(description="Groups: a list, or text with spaces between them.")] = "groups"
    role: Annotated[Claim | None, Meta(description="The administrative role itself, by the names used here.")] = None
    models: Annotated[
        Claim | None, Meta(description="Patterns of the models allowed; a token without this claim is then refused.")
    ] = None
    tools: Annotated[
        Claim | None, Meta(description="Patterns of the tools allowed; a token without this claim is then refused.")
    ] = None
    scopes: Annotated[
        Claim,
        Meta(
            description="Scopes of the token, for /mcp: text with spaces between them, or a list. Some issuers say scp."
        ),
    ] = "scope"
    tags: Annotated[dict[str, Claim], Meta(description="Tags for limits and the ledger, each from a claim.")] = (
        msgspec.field(default_factory=dict)
    )


class JwtSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One issuer of JSON Web Tokens. Its keys come from its JWKS, or it shares a secret with us."""

    issuer: Annotated[str, Meta(min_length=1, description="What the claim `iss` must be, to the letter.")]
    audience: Annotated[
        tuple[str, ...], Meta(min_length=1, description="What the claim `aud` must name at least one of.")
    ]
    algorithms: Annotated[
        tuple[Algorithm, ...],
        Meta(min_length=1, description="The signatures accepted, whatever a token says. HS… only with a `secret`."),
    ] = ("RS256", "ES256")
    jwks_url: Annotated[
        KeysUrl | None,
        Meta(description="Where its keys are. Null looks it up below the issuer (OpenID Connect Discovery)."),
    ] = None
    secret: Annotated[
        Secret | None, Meta(description="Secret shared with the issuer, for HS… algorithms, instead of public keys.")
    ] = None
    keys_ttl: Annotated[
        float, Meta(ge=10, le=86_400, description="Seconds until the issuer's keys are fetched again.")
    ] = 600.0
    keys_stale: Annotated[
        float,
        Meta(ge=0, le=604_800, description="Seconds that old keys are still good for when they cannot be fetched."),
    ] = 86_400.0
    keys_interval: Annotated[
        float,
        Meta(ge=1, le=3600, description="Least seconds between two fetches, however many unknown keys are named."),
    ] = 10.0
    keys_timeout: Annotated[float, Meta(gt=0, le=60, description="Seconds for one fetch.")] = 5.0
    leeway: Annotated[float, Meta(ge=0, le=300, description="Seconds that the issuer's clock may differ.")] = 30.0
    lifetime: Annotated[
        float, Meta(ge=60, le=31_536_000, description="Most seconds from `iat` (or from now) to `exp`.")
    ] = 86_400.0
    require: Annotated[tuple[Claim, ...], Meta(description="Further claims without which a token is refused.")] = ()
    claims: Annotated[ClaimSettings, Meta(description="Which claims say what.")] = ClaimSettings()
    tenant: Annotated[str, Meta(min_length=1, description="The tenant of its users, where no claim says it.")] = (
        "default"
    )
    tenants: Annotated[
        tuple[str, ...],
        Meta(description="Tenants that it may name in the claim; a * at the end stands for any rest."),
    ] = ()
    roles: Annotated[dict[str, Role], Meta(description="Administrative roles by group; the highest one counts.")] = (
        msgspec.field(default_factory=dict)
    )


class AccessSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Who is let in besides the keys of `server.keys`. Virtual keys live in the database."""

    anonymous: Annotated[
        Literal["auto", "never"],
        Meta(description="auto lets anybody on this machine in while nothing to authenticate with exists."),
    ] = "auto"
    pepper: Annotated[
        Secret | None,
        Meta(
            description="Secret of at least 32 characters that keys are hashed with. Null keeps one beside a SQLite file."
            " Changing it makes every virtual key unknown."
        ),
    ] = None
    bootstrap_key_file: Annotated[
        str | None,
        Meta(min_length=1, description="File for the first administrator's key. Null prints it at the first start."),
    ] = None
    keys_refresh: Annotated[
        float, Meta(ge=0.05, le=0.8, description="Seconds between two looks for keys changed by other replicas.")
    ] = 0.5
    bad_keys_per_minute: Annotated[
        int,
        Meta(ge=0, le=100_000, description="Unknown keys from one client address before they get 429; 0 counts none."),
    ] = 100
    trusted_proxies: Annotated[
        tuple[str, ...],
        Meta(description="Addresses and networks of proxies whose X-Forwarded-For says where a client is."),
    ] = ()
    token_bytes: Annotated[int, Meta(ge=1024, le=65_536, description="Longest key or token, in bytes.")] = 16_384
    jwt: Annotated[
        dict[IssuerName, JwtSettings],
        Meta(description="Issuers of tokens, by the names that callers' ids begin with."),
    ] = msgspec.field(default_factory=dict)


Fault: TypeAlias = tuple[tuple[str | int, ...], str]
"""Where in the struct something is wrong, and what."""


def access_faults(access: AccessSettings) -> Iterator[Fault]:
    """Yield what is wrong with the section as a whole: networks that are none, a short pepper, an issuer named twice."""
    for number, text in enumerate(access.trusted_proxies):
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError:
            yield ("trusted_proxies", number), "expected an IP address or a network such as 10.0.0.0/8"
    if access.pepper is not None and len(access.pepper.reveal()) < 32:
        yield ("pepper",), f"the value from {access.pepper.source} is shorter than 32 characters"
    seen: set[str] = set()
    for name, issuer in access.jwt.items():
        if issuer.issuer in seen:
            yield ("jwt", name, "issuer"), "this issuer is named twice; one entry may accept several audiences"
        seen.add(issuer.issuer)


def issuer_faults(issuer: JwtSettings) -> Iterator[Fault]:
    """Yield what is wrong with one issuer: keys that do not fit its algorithms, unsafe addresses, tenants without bounds."""
    shared = [algorithm for algorithm in issuer.algorithms if algorithm in SECRET_BYTES]
    if issuer.secret is None:
        if shared:
            yield ("algorithms",), f"{shared[0]} needs a shared `secret`; with public keys take RS256, ES256 or EdDSA"
        yield from _address_faults(issuer)
    else:
        yield from _secret_faults(issuer, issuer.secret, shared)
    if issuer.claims.tenant is not None and not issuer.tenants:
        message = 'say which tenants the issuer may name: a list such as ["acme"], or ["*"] for every one'
        yield ("tenants",), message
    if issuer.claims.tenant is None and issuer.tenants:
        yield ("tenants",), "without claims.tenant, no token names a tenant: write `tenant` instead"


def _secret_faults(issuer: JwtSettings, secret: Secret, shared: Sequence[str]) -> Iterator[Fault]:
    if len(shared) != len(issuer.algorithms):
        yield ("algorithms",), "a shared `secret` is for HS256, HS384 and HS512 only: it is no key for the others"
    if issuer.jwks_url is not None:
        yield ("jwks_url",), "write either a shared secret or jwks_url, not both"
    least = max((SECRET_BYTES[algorithm] for algorithm in shared), default=32)
    if len(secret.reveal().encode()) < least:
        yield ("secret",), f"the value from {secret.source} is shorter than {least} bytes"


def _address_faults(issuer: JwtSettings) -> Iterator[Fault]:
    if issuer.jwks_url is None:
        if not is_fetchable(issuer.issuer) or "?" in issuer.issuer:
            yield ("issuer",), "its keys cannot be looked up below this issuer (no https address): write jwks_url"
    elif not is_fetchable(issuer.jwks_url):
        yield ("jwks_url",), "keys are fetched by https only, except on this machine (127.0.0.1, ::1, localhost)"


def is_fetchable(url: str) -> bool:
    """Whether keys may be fetched from this address: https, or http on this machine; no user or fragment."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    if not host or "@" in parts.netloc or "#" in url:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_this_machine(host))


def is_this_machine(host: str) -> bool:
    """Whether a host name or address is this machine's own, as far as its text says."""
    address = read_host_address(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


def read_host_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Read the IP address that a host is written as, with or without brackets; None for a name."""
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
