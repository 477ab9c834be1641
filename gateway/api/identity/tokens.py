"""Judges JSON Web Tokens of the configured issuers, and remembers those that passed until they end.

Loads cryptography: it is imported only where issuers are configured.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Final
from weakref import WeakValueDictionary

import msgspec

from gateway.api.identity.key_source import KeySource
from gateway.api.identity.signatures import KeySet, check_signature, shared_key_set
from gateway.api.identity.strict_token import ParsedToken, parse_token
from gateway.api.identity.token_claims import caller_of, check_claims
from gateway.api.identity.token_port import KeysWanted
from gateway.config.access_settings import JwtSettings
from gateway.core.caller import Caller
from gateway.core.clock import Clock
from gateway.core.errors import InvalidToken, Unavailable

MOST_TOKENS: Final = 4096


class Issuer:
    """One issuer: its settings, and its keys, which are fetched from `source`, or shared where that is None."""

    def __init__(self, name: str, settings: JwtSettings, source: KeySource | None) -> None:
        self.name = name
        self.settings = settings
        self._source = source
        shared = settings.secret
        self._shared = None if shared is None else shared_key_set(shared.reveal(), settings.algorithms)

    @property
    def keys(self) -> KeySet | None:
        """The keys that are in force, None when they are to be fetched first."""
        return self._shared if self._source is None else self._source.fresh

    def check(self, token: bytes, parsed: ParsedToken) -> KeySet:
        """Check the signature, and give the keys that it was checked with. Raises InvalidToken, Unavailable, KeysWanted."""
        if parsed.algorithm not in self.settings.algorithms:
            msg = "The token is signed by an algorithm that is not accepted from its issuer."
            raise InvalidToken(msg)
        keys = self.keys
        key = None if keys is None else keys.find(parsed.kid, parsed.algorithm)
        if key is None and self._source is not None and self._source.may_fetch:
            raise KeysWanted(self._source)
        if keys is None:
            msg = f"The keys of the token's issuer ({self.name}) cannot be fetched now."
            raise Unavailable(msg, retry_after=self.settings.keys_interval)
        if key is None:
            msg = "The token's key (`kid`) is not among those of its issuer."
            raise InvalidToken(msg)
        check_signature(token, key, parsed.algorithm)
        return keys


class Admitted(msgspec.Struct, frozen=True, kw_only=True):
    """A token that passed: for whom, until when (seconds since 1970), and by which keys, which must still be in force."""

    caller: Caller
    until: float
    issuer: Issuer
    keys: KeySet


class Tokens:
    """The issuers of one generation of the configuration, and the tokens of theirs that passed, by digest."""

    def __init__(self, issuers: Iterable[Issuer], clock: Clock) -> None:
        self._issuers = {issuer.settings.issuer: issuer for issuer in issuers}
        self._now = clock.wall
        self._admitted: OrderedDict[bytes, Admitted] = OrderedDict()

    def caller(self, token: bytes, digest: bytes) -> Caller:
        """Give the caller that a token stands for. Raises InvalidToken, Unavailable and KeysWanted."""
        known = self._admitted.get(digest)
        if known is not None and self._now() < known.until and known.keys is known.issuer.keys:
            self._admitted.move_to_end(digest)
            return known.caller
        self._admitted.pop(digest, None)
        admitted = self._judge(token)
        self._admitted[digest] = admitted
        if len(self._admitted) > MOST_TOKENS:
            self._admitted.popitem(last=False)
        return admitted.caller

    def _judge(self, token: bytes) -> Admitted:
        parsed = parse_token(token)
        issuer = self._issuers.get(parsed.issuer)
        if issuer is None:
            msg = "The token's issuer (`iss`) is not accepted here."
            raise InvalidToken(msg)
        keys = issuer.check(token, parsed)
        until = check_claims(parsed.claims, issuer.settings, self._now())
        caller = caller_of(parsed.claims, issuer.name, issuer.settings)
        return Admitted(caller=caller, until=until, issuer=issuer, keys=keys)


class KeySources:
    """The key sources in use, so that a reload keeps what was fetched. One that no generation uses any more is forgotten."""

    def __init__(self) -> None:
        self._sources: WeakValueDictionary[tuple[object, ...], KeySource] = WeakValueDictionary()

    def of(self, name: str, settings: JwtSettings, clock: Clock) -> KeySource:
        """Give the source for these settings, the same one as before where nothing of it changed."""
        wanted = (
            name,
            settings.issuer,
            settings.jwks_url,
            settings.algorithms,
            settings.keys_ttl,
            settings.keys_stale,
            settings.keys_interval,
            settings.keys_timeout,
        )
        source = self._sources.get(wanted)
        if source is None:
            source = self._sources[wanted] = KeySource(name, settings, clock)
        return source


def open_tokens(issuers: Mapping[str, JwtSettings], sources: KeySources, clock: Clock) -> Tokens:
    """Give what judges tokens of these issuers, by name."""
    opened = (
        Issuer(name, settings, None if settings.secret is not None else sources.of(name, settings, clock))
        for name, settings in issuers.items()
    )
    return Tokens(opened, clock)
