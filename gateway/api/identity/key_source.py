"""Fetches the keys of an issuer (its JWKS), and keeps them: for how long, and how often it asks, whatever tokens say.

Addresses come from the configuration, or from the issuer's own discovery document, never from a token. Redirects are not
followed.
"""

from __future__ import annotations

from math import inf
from typing import Final
from urllib.parse import urlsplit

import structlog
from anyio import CancelScope, Lock, fail_after

from gateway.api.identity.signatures import KeySet, parse_key_set
from gateway.config.access_settings import JwtSettings, is_fetchable, is_this_machine, read_host_address
from gateway.core.clock import Clock
from gateway.core.errors import SwitchgearError
from gateway.core.strict_json import decode_object
from gateway.providers.http.connect import make_upstream
from gateway.providers.http.protocol import HttpRequest, HttpTimeouts

log = structlog.get_logger()

MOST_BYTES: Final = 256 * 1024
_DISCOVERY: Final = "/.well-known/openid-configuration"
_RETRY_SHARE: Final = 0.1


class KeySource:
    """The keys of one issuer, fetched when a token needs them.

    They are fetched again after `keys_ttl`, and when a token names a key that is not among them, but never twice within
    `keys_interval`. When that fails, the old ones are good for `keys_stale` more.
    """

    def __init__(self, name: str, settings: JwtSettings, clock: Clock) -> None:
        self.name = name
        self._settings = settings
        self._now = clock.monotonic
        self._lock = Lock()
        self._keys: KeySet | None = None
        self._body = b""
        self._fetched_at = 0.0
        self._tried_at = -inf

    @property
    def fresh(self) -> KeySet | None:
        """The keys in force, None where there are none, or it is time to fetch them again.

        While one call does that, the others go on with those there are.
        """
        keys = self._keys
        if keys is None:
            return None
        settings, now = self._settings, self._now()
        age = now - self._fetched_at
        if age < settings.keys_ttl:
            return keys
        # An issuer that does not answer must not have a call wait for it every few seconds.
        again = max(settings.keys_interval, settings.keys_ttl * _RETRY_SHARE)
        if not self._lock.locked() and now - self._tried_at >= again:
            return None
        return keys if age < settings.keys_ttl + settings.keys_stale else None

    @property
    def may_fetch(self) -> bool:
        """Whether a fetch would be made now, or is being made."""
        return self._lock.locked() or self._is_allowed()

    async def fetch(self) -> None:
        """Fetch the keys, or wait for the fetch that is under way. A failure is logged, and the old keys stay."""
        asked = self._now()
        async with self._lock:
            if self._tried_at >= asked or not self._is_allowed():
                return  # somebody else did it meanwhile
            # A client that leaves must not leave the others without keys, or it could do so over and over.
            with CancelScope(shield=True):
                await self._fetch()

    async def _fetch(self) -> None:
        settings = self._settings
        try:
            with fail_after(settings.keys_timeout):
                body = await _load(await self._address(), settings.keys_timeout)
            if body != self._body or self._keys is None:
                self._keys, self._body = parse_key_set(body, settings.algorithms), body
                log.info("jwks.fetched", issuer=self.name, keys=len(self._keys))
            self._fetched_at = self._now()
        except TimeoutError:
            log.warning("jwks.failed", issuer=self.name, reason=f"no answer within {settings.keys_timeout:g} s")
        except (SwitchgearError, ValueError) as exc:
            log.warning("jwks.failed", issuer=self.name, reason=str(exc)[:200])
        finally:
            self._tried_at = self._now()

    async def _address(self) -> str:
        settings = self._settings
        if settings.jwks_url is not None:
            return settings.jwks_url
        body = await _load(settings.issuer.rstrip("/") + _DISCOVERY, settings.keys_timeout)
        document = decode_object(body, depth=20)
        if document.get("issuer") != settings.issuer:
            msg = "the discovery document is that of another issuer"
            raise ValueError(msg)
        address = document.get("jwks_uri")
        if not isinstance(address, str) or not _may_lead_to(settings.issuer, address):
            msg = "the discovery document leads to an address from which keys are not fetched"
            raise ValueError(msg)
        return address

    def _is_allowed(self) -> bool:
        return self._now() - self._tried_at >= self._settings.keys_interval


def _may_lead_to(issuer: str, address: str) -> bool:
    """Whether an issuer's document may name this address: https at the issuer's own host, or at another one with a name.

    An address of this machine, or one in digits, is not for a document to choose: it would make us reach into our own
    network. (With https, a name must also answer with a certificate for itself.)
    """
    if not is_fetchable(address):
        return False
    ours, theirs = urlsplit(issuer), urlsplit(address)
    if theirs.hostname == ours.hostname:
        return theirs.scheme in (ours.scheme, "https")
    host = theirs.hostname or ""
    return theirs.scheme == "https" and not is_this_machine(host) and read_host_address(host) is None


async def _load(url: str, seconds: float) -> bytes:
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    upstream = make_upstream(f"{parts.scheme}://{parts.netloc}", http="native", connections=1)
    try:
        request = HttpRequest(method=b"GET", path=path.encode(), headers=((b"accept", b"application/json"),))
        timeouts = HttpTimeouts(connect=seconds, first_byte=seconds, idle=seconds, total=seconds)
        response = await upstream.request(request, timeouts)
        try:
            if response.status != 200:
                msg = f"{parts.netloc} answered with HTTP {response.status}"
                raise ValueError(msg)
            return await response.read_all(MOST_BYTES)
        finally:
            await response.aclose()
    finally:
        await upstream.aclose()
