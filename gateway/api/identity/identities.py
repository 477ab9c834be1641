"""Makes an Identity for each generation of the configuration, and keeps what outlives one: fetched keys, counts of bad keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

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

    def of(self, settings: Settings) -> Identity:
        """Give the identity for these settings. Issuers that did not change keep the keys that were fetched."""
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
        )
