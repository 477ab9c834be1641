"""Makes an Identity for each generation of the configuration, and keeps what outlives one: fetched keys, counts of bad keys."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Literal

import msgspec

from gateway.api.identity.bad_keys import BadKeys
from gateway.api.identity.establishing import Identity
from gateway.config import Settings
from gateway.core.clock import SYSTEM_CLOCK, Clock
from gateway.stores.key_ring import KeyRing

if TYPE_CHECKING:
    from gateway.api.identity.tokens import KeySources


class Identities:
    """One for each server. `ring` holds the virtual keys, where there is a database."""

    def __init__(self, *, ring: KeyRing | None = None, clock: Clock = SYSTEM_CLOCK) -> None:
        self._ring = ring
        self._clock = clock
        self._bad_keys = BadKeys(clock)
        self._sources: KeySources | None = None

    def of(self, settings: Settings, *, minds_pages: bool = True) -> Identity:
        """Give the identity for these settings; without `minds_pages` its door looks at Host and Origin itself. Issuers that did not change keep the keys that were fetched."""
        access = settings.access
        tokens = None
        if access.jwt:
            from gateway.api.identity.tokens import KeySources, open_tokens  # noqa: PLC0415 - loads cryptography

            if self._sources is None:
                self._sources = KeySources()
            tokens = open_tokens(access.jwt, self._sources, self._clock)
        return Identity(
            (key.reveal() for key in settings.server.keys),
            access=access,
            ring=self._ring,
            tokens=tokens,
            bad_keys=self._bad_keys,
            clock=self._clock,
            minds_pages=minds_pages,
        )

    def for_resource(self, settings: Settings, resource: str | None, issuers: Collection[str] = ()) -> Identity:
        """Give an identity that takes the same keys, and of tokens those that were made for `resource` (RFC 8707) and no others.

        `issuers` are those whose tokens it takes, by name; none is all of them. Without a resource it takes no tokens.
        Its door knows better which hosts and origins are the operator's own.
        """
        access = settings.access
        taken = {
            name: msgspec.structs.replace(issuer, audience=(resource,))
            for name, issuer in access.jwt.items()
            if resource is not None and (not issuers or name in issuers)
        }
        # Where tokens are asked for elsewhere, nobody is let in here without anything because this door takes none.
        anonymous: Literal["auto", "never"] = "never" if access.jwt else access.anonymous
        narrowed = msgspec.structs.replace(access, jwt=taken, anonymous=anonymous)
        return self.of(msgspec.structs.replace(settings, access=narrowed), minds_pages=False)
