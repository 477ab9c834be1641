"""Who gets in at /mcp, by one generation of the configuration: place, caller, and the scopes of a token.

Keys have no scopes: what they may do is said by the policies and their own lists alone. A token's scopes hold beside those.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

from gateway.api.asgi import Scope
from gateway.api.identity import Identities, Identity
from gateway.api.mcp_door.places import Places
from gateway.api.mcp_door.refusing import Refused, challenge_of, refused_by
from gateway.config import Settings
from gateway.config.access_settings import JwtSettings
from gateway.config.mcp_door_settings import McpAuthorizationSettings, McpDoorSettings
from gateway.core.caller import Caller
from gateway.core.errors import SwitchgearError, Unauthenticated

WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"
_GIVEN: Final = frozenset({b"authorization", b"x-api-key"})


class Entrance:
    """Lets callers in. `identity` takes keys, and the tokens that were made for this resource."""

    def __init__(self, door: McpDoorSettings, identity: Identity, issuers: Mapping[str, JwtSettings]) -> None:
        self._identity = identity
        self._places = Places(door)
        self._asked = door.authorization
        self._issuers = [] if door.authorization is None else _issuers(door.authorization, issuers)

    @classmethod
    def of(cls, door: McpDoorSettings, settings: Settings, identities: Identities) -> Entrance:
        """Give the entrance for these settings."""
        asked = door.authorization
        resource, issuers = (None, ()) if asked is None else (asked.resource, asked.issuers)
        return cls(door, identities.for_resource(settings, resource, issuers), settings.access.jwt)

    @property
    def metadata(self) -> dict[str, object] | None:
        """What a client reads to find an authorization server (RFC 9728); None where there is none to find."""
        asked = self._asked
        if asked is None:
            return None
        scopes = [*asked.required, *(name for name in asked.scopes if name not in asked.required)]
        return {
            "resource": asked.resource,
            "authorization_servers": self._issuers,
            **({"scopes_supported": scopes} if scopes else {}),
            "bearer_methods_supported": ["header"],
            "resource_name": asked.name,
        }

    async def admit(self, scope: Scope) -> Caller:
        """Give the caller of a request. Raises Refused: 421 and 403 by the place, 401 without a good key or token, 403 for too few scopes."""
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        hosts = [value for name, value in headers if name == b"host"]
        if not self._places.is_host(hosts):
            raise Refused(421, "This server does not answer under that name (Host): list it in mcp.public_hosts.")
        if not self._places.is_origin((value for name, value in headers if name == b"origin"), hosts):
            raise Refused(403, "Pages of that origin may not use this server: list it in mcp.allowed_origins.")
        try:
            caller = await self._identity.identify(headers, scope.get("client"))
        except Unauthenticated as error:
            given = any(name in _GIVEN for name, _ in headers)
            raise refused_by(error, self._unauthenticated(str(error) if given else "")) from error
        except SwitchgearError as error:
            raise refused_by(error) from error
        required = () if self._asked is None else self._asked.required
        if lacking := _lacking(caller, required):
            raise self.insufficient(caller, lacking)
        return caller

    def missing(self, caller: Caller, tool: str, effect: str) -> tuple[str, ...]:
        """Give the scopes that a caller lacks for a call of a tool (server/name), or of an agent (agents/name); none for a key."""
        if self._asked is None:
            return ()
        return _lacking(
            caller, (name for name, one in self._asked.scopes.items() if _covers(one.tools, one.effects, tool, effect))
        )

    def insufficient(self, caller: Caller, lacking: Iterable[str]) -> Refused:
        """Give the refusal that sends a client for more scopes: those that are lacking, and those of ours that it has, so that it loses none."""
        asked, named = self._asked, tuple(lacking)
        known = () if asked is None else (*asked.required, *asked.scopes)
        held = tuple(one for one in dict.fromkeys(known) if one in caller.scopes and one not in named)
        message = f"The token lacks the scope {' '.join(named)}."
        challenge = challenge_of(
            metadata=self._metadata_url, error="insufficient_scope", description=message, scopes=(*held, *named)
        )
        return Refused(403, message, ((b"www-authenticate", challenge),))

    def _unauthenticated(self, reason: str) -> bytes:
        required = () if self._asked is None else self._asked.required
        return challenge_of(
            metadata=self._metadata_url,
            error="invalid_token" if reason else "",
            description=reason,
            scopes=required,
        )

    @property
    def _metadata_url(self) -> str | None:
        if self._asked is None:
            return None
        parts = urlsplit(self._asked.resource)
        # RFC 9728, 3.1: the resource's path comes after the well-known one.
        return f"{parts.scheme}://{parts.netloc}{WELL_KNOWN}{parts.path}"


def _issuers(asked: McpAuthorizationSettings, issuers: Mapping[str, JwtSettings]) -> list[str]:
    return [issuers[name].issuer for name in asked.issuers or issuers]


def _lacking(caller: Caller, wanted: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in wanted if name not in caller.scopes) if caller.kind == "jwt" else ()


def _covers(tools: Iterable[str], effects: Iterable[str], tool: str, effect: str) -> bool:
    if effects and effect not in effects:
        return False
    return any(tool.startswith(one[:-1]) if one.endswith("*") else tool == one for one in tools)
