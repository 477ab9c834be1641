"""Establishes who is calling, from the headers and the address of a request. What the caller may do is not decided here."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Sequence
from typing import NoReturn

import structlog

from gateway.api.identity.bad_keys import BadKeys
from gateway.api.identity.clients import Clients, Peer, source_of
from gateway.api.identity.places import is_of_this_machine
from gateway.api.identity.strict_token import UnacceptableToken
from gateway.api.identity.token_port import JudgesTokens, KeysWanted
from gateway.config.access_settings import AccessSettings
from gateway.core.caller import ANONYMOUS, Caller
from gateway.core.clock import SYSTEM_CLOCK, Clock
from gateway.core.errors import (
    InvalidRequest,
    InvalidToken,
    KeyExpired,
    KeyMisplaced,
    KeyRevoked,
    PageRefused,
    TooManyBadKeys,
    Unauthenticated,
    Unavailable,
)
from gateway.stores.held_key import HeldKey
from gateway.stores.key_material import DIGEST_BYTES, has_key_prefix, is_well_formed
from gateway.stores.key_ring import KeyRing

log = structlog.get_logger()

_NO_ACCESS = AccessSettings()

Headers = Sequence[tuple[bytes, bytes]]
_Place = tuple[Peer, bytes | None, bytes | None, bytes | None]
"""Where a request comes from: the address of the connection, and the headers `x-forwarded-for`, `origin` and `host`."""
_ONCE = frozenset({b"authorization", b"host", b"origin", b"x-api-key"})


class Identity:
    """The keys and tokens that one generation of the configuration accepts.

    `keys` are those of the configuration, `ring` holds the virtual ones, `tokens` judges JWTs. Without `minds_pages` somebody else
    looks at where a request without a key comes from. Only keyed hashes of keys are
    kept: a look-up by a hash whose key is secret says nothing about the keys by its timing, and the final comparison is
    constant in time.
    """

    def __init__(
        self,
        keys: Iterable[str] = (),
        *,
        access: AccessSettings = _NO_ACCESS,
        ring: KeyRing | None = None,
        tokens: JudgesTokens | None = None,
        bad_keys: BadKeys | None = None,
        clock: Clock = SYSTEM_CLOCK,
        minds_pages: bool = True,
    ) -> None:
        pepper = ring.pepper if ring is not None else secrets.token_bytes(32)
        # Keyed once: a copy of it saves a digest the half of its work.
        self._keyed = hashlib.blake2b(digest_size=DIGEST_BYTES, key=pepper)
        self._ring = ring
        self._tokens = tokens
        self._clients = Clients(access.trusted_proxies)
        self._bad_keys = BadKeys(clock) if bad_keys is None else bad_keys
        self._per_minute = access.bad_keys_per_minute
        self._most_bytes = access.token_bytes
        self._now = clock.wall
        self._minds_pages = minds_pages
        self._static: dict[bytes, tuple[bytes, Caller]] = {}
        for number, key in enumerate(keys, start=1):
            digest = self._digest(key.encode("utf-8"))
            self._static[digest] = (digest, Caller(id=f"key-{number}"))
        self._may_open = access.anonymous == "auto" and not self._static and tokens is None

    @property
    def open(self) -> bool:
        """Whether anybody on this machine is let in: there is nothing to authenticate with but the first key."""
        return self._may_open and (self._ring is None or not self._ring.locked)

    def caller(
        self,
        authorization: bytes | None,
        api_key: bytes | None,
        client: Peer = None,
        forwarded: bytes | None = None,
        origin: bytes | None = None,
        host: bytes | None = None,
    ) -> Caller:
        """Give the caller for the headers `authorization`, `x-api-key`, `x-forwarded-for`, `origin` and `host`, and ASGI's `client`.

        Raises Unauthenticated (a bad, expired or revoked key, a bad token), Forbidden (a key used from elsewhere),
        RateLimited (too many bad keys from there), Unavailable (an issuer's keys cannot be had), and KeysWanted.
        """
        # Some clients send `Authorization: Basic` on their own account, beside the key.
        key = _bearer(authorization) if authorization is not None else None
        key = api_key if key is None else key
        if key is None or len(key) > self._most_bytes:
            return self._without_key(key, (client, forwarded, origin, host))
        hashed = self._keyed.copy()  # as `_digest`, which is done for every call here
        hashed.update(key)
        digest = hashed.digest()
        if self._static:
            found = self._static.get(digest)
            if found is not None and hmac.compare_digest(found[0], digest):
                return found[1]
        if self._ring is not None:
            held = self._ring.find(digest)
            if held is not None and hmac.compare_digest(held.digest, digest):
                return self._holder(self._ring, held, client, forwarded, origin)
        if self._tokens is not None and key.count(b".") == 2:
            try:
                return self._tokens.caller(key, digest)
            except UnacceptableToken:
                raise  # its issuer did sign it: nobody is guessing
            except InvalidToken as error:
                raise self._refusal(error, client, forwarded) from None
        return self._with_unknown_key(key, (client, forwarded, origin, host))

    async def admit(
        self,
        authorization: bytes | None,
        api_key: bytes | None,
        client: Peer = None,
        forwarded: bytes | None = None,
        origin: bytes | None = None,
        host: bytes | None = None,
    ) -> Caller:
        """Give the caller as `caller` does, fetching the keys of a token's issuer where they are wanted."""
        try:
            return self.caller(authorization, api_key, client, forwarded, origin, host)
        except KeysWanted as wanted:
            await wanted.source.fetch()
        try:
            return self.caller(authorization, api_key, client, forwarded, origin, host)
        except KeysWanted as wanted:
            msg = f"The keys of the token's issuer ({wanted.source.name}) cannot be fetched now."
            raise Unavailable(msg, retry_after=1.0) from None

    async def identify(self, headers: Headers, client: Peer) -> Caller:
        """Give the caller for all headers of a request: for endpoints off the hot path."""
        found = dict(headers)
        for name, value in headers:
            if name in _ONCE and found[name] != value:
                raise_contradiction(name)
        forwarded = [value for name, value in headers if name == b"x-forwarded-for"]
        return await self.admit(
            found.get(b"authorization"),
            found.get(b"x-api-key"),
            client,
            b",".join(forwarded) if forwarded else None,
            found.get(b"origin"),
            found.get(b"host"),
        )

    def _holder(
        self, ring: KeyRing, held: HeldKey, client: Peer, forwarded: bytes | None, origin: bytes | None
    ) -> Caller:
        now = self._now()
        if now >= held.works_until:
            if held.revoked:
                msg = "This API key was revoked."
                raise KeyRevoked(msg)
            msg = "This API key has expired."
            raise KeyExpired(msg)
        if held.networks is not None or held.origins is not None:
            address = self._clients.address(client, forwarded)
            if not held.admits(address, None if origin is None else origin.decode("latin-1")):
                log.warning("key.misplaced", key=held.caller.id, address=str(address))
                place = "from this origin" if held.reaches(address) else f"from here (address {address or 'unknown'})"
                msg = f"This API key may not be used {place}."
                raise KeyMisplaced(msg)
        ring.note_use(held.caller.id, now)
        return held.caller

    def _without_key(self, key: bytes | None, place: _Place) -> Caller:
        if self._lets_in(place):
            return ANONYMOUS
        if key is None:
            msg = "No API key was given. Send it as `Authorization: Bearer KEY` or `x-api-key: KEY`."
            raise Unauthenticated(msg)
        msg = f"The API key is longer than {self._most_bytes} bytes: no key or token accepted here is."
        raise self._refusal(Unauthenticated(msg), *place[:2])

    def _with_unknown_key(self, key: bytes, place: _Place) -> Caller:
        # Local clients send anything as a key where none is asked for; but who sends one of ours means it.
        meant = self._ring is not None and has_key_prefix(key)
        if not meant and self._lets_in(place):
            return ANONYMOUS
        msg = "The API key is not known here."
        if has_key_prefix(key) and not is_well_formed(key):
            msg = "The API key is mistyped or incomplete: its checksum does not fit."
        raise self._refusal(Unauthenticated(msg), *place[:2])

    def _lets_in(self, place: _Place) -> bool:
        """Whether somebody comes in without a key. Raises PageRefused for a web page of elsewhere, which only its user's browser lets this near."""
        if not self.open:
            return False
        client, forwarded, origin, host = place
        address = self._clients.address(client, forwarded)
        if client is not None and (address is None or not address.is_loopback):
            return False
        if self._minds_pages and not is_of_this_machine(host, origin):
            msg = "Without a key, programs and pages of this machine may ask, by a name of this machine: the Host or the Origin is another. Use a key."
            raise PageRefused(msg)
        return True

    def _refusal(
        self, error: Unauthenticated, client: Peer, forwarded: bytes | None
    ) -> Unauthenticated | TooManyBadKeys:
        """Count a bad key, and give the error to raise: `error`, or that there were too many."""
        if self._per_minute == 0:
            return error
        source = source_of(self._clients.address(client, forwarded))
        wait = self._bad_keys.count(source, self._per_minute)
        if wait is None:
            return error
        msg = "Too many API keys that are not known here came from this address."
        return TooManyBadKeys(msg, retry_after=wait)

    def _digest(self, key: bytes) -> bytes:
        """Give what `digest_key` gives."""
        digest = self._keyed.copy()
        digest.update(key)
        return digest.digest()


def raise_contradiction(name: bytes) -> NoReturn:
    """Refuse a request that says two things with one header: which of them a proxy before us took is not known."""
    msg = f"The request has two different {name.decode('latin-1')} headers."
    raise InvalidRequest(msg)


def _bearer(authorization: bytes) -> bytes | None:
    if authorization[:7] == b"Bearer ":  # as everybody writes it
        return authorization[7:].strip() or None
    scheme, _, value = authorization.partition(b" ")
    return value.strip() if scheme.lower() == b"bearer" and value else None
