"""The port of grants: what servers of tools have given this gateway to act with, in the operator's name or a person's. Tokens are sealed at rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Whose grant it is: a person's of a tenant, or, where both are empty, the operator's."""

    server: str
    tenant: str = ""
    person: str = ""


class Tokens(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an authorization server gave, and what is needed to have it renewed or revoked. Times are seconds since 1970.

    `resource` is the server of tools that the tokens are for: they are sent nowhere else. `scope` is what was granted, words with spaces between;
    `wanted` what a server of tools has asked for beyond it.
    """

    access: str
    refresh: str = ""
    expires_at: float | None = None
    scope: str = ""
    wanted: str = ""
    resource: str
    issuer: str
    token_endpoint: str
    revocation_endpoint: str = ""
    client_id: str
    client_secret: str = ""
    auth_method: str = "none"


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens as they are kept. `version` grows with each change."""

    holder: Holder
    version: int
    tokens: Tokens


class GrantInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What may be told of a grant."""

    holder: Holder
    version: int
    updated_at: float


class Consent(msgspec.Struct, frozen=True, kw_only=True):
    """A person was sent to an authorization server, and has not come back yet. It is used once, and only before `expires_at`.

    `verifier` is that of PKCE (RFC 7636); `by` is who asked for it; `code` is there when he has come back, and has to say that it was he who asked;
    the other fields are those of the tokens that come of it.
    """

    holder: Holder
    by: str
    verifier: str
    redirect_uri: str
    issuer: str
    needs_iss: bool = False
    scope: str = ""
    resource: str
    token_endpoint: str
    revocation_endpoint: str = ""
    client_id: str
    client_secret: str = ""
    auth_method: str = "none"
    code: str = ""
    expires_at: float


class GrantStore(Protocol):
    """Keeps grants. Everything raises StoreUnavailable; what cannot be opened any more counts as not there."""

    async def find(self, holder: Holder) -> Grant | None:
        """Give one."""
        ...

    async def list(self, server: str) -> Sequence[GrantInfo]:
        """Give those for a server, the operator's first."""
        ...

    async def put(self, holder: Holder, tokens: Tokens, *, now: float) -> Grant:
        """Keep tokens in the place of those before, whatever they were."""
        ...

    async def claim(self, grant: Grant, *, now: float, until: float) -> bool:
        """Take the right to renew a grant, which one at a time has; False where another has it, or the grant is another by now."""
        ...

    async def renew(self, grant: Grant, tokens: Tokens, *, now: float) -> bool:
        """Put tokens in the place of those of `grant`; False where it is another by now. It gives the right to renew back."""
        ...

    async def remove(self, holder: Holder) -> bool:
        """Forget one; False where there is none."""
        ...

    async def begin(self, state: str, consent: Consent) -> None:
        """Remember where somebody was sent, under the `state` that he comes back with; what is too old is forgotten."""
        ...

    async def take(self, state: str, *, now: float) -> Consent | None:
        """Give what was remembered under a state and forget it: None for one that is unknown, used or too old."""
        ...
