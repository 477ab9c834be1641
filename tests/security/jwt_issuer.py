"""An identity provider for tests: it signs tokens, rightly or wrongly, and serves its keys over real HTTP."""

import base64
import functools
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import jwt
import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from gateway.api.identity import Identities, Identity
from gateway.config.access_settings import AccessSettings, JwtSettings
from gateway.config.settings import Settings
from gateway.core.clock import Clock
from tests.contract.upstream_faulty_server import Peer, serving

AUDIENCE = "https://switchgear.example"
HERE = ("127.0.0.1", 50000)


class Time:
    """A clock that is set by hand; both of its hands move together."""

    def __init__(self) -> None:
        self.now = time.time()
        self.clock = Clock(monotonic=lambda: self.now, wall=lambda: self.now)

    def pass_(self, seconds: float) -> None:
        self.now += seconds


@functools.cache
def rsa_key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """A key of its own for each name, made once: that takes a while."""
    del name
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@functools.cache
def ec_key(name: str) -> ec.EllipticCurvePrivateKey:
    del name
    return ec.generate_private_key(ec.SECP256R1())


@functools.cache
def ed_key(name: str) -> ed25519.Ed25519PrivateKey:
    del name
    return ed25519.Ed25519PrivateKey.generate()


def jwk(key, kid: str | None, algorithm: str, **more) -> dict[str, object]:
    """The public half of a key as an issuer publishes it."""
    maker = {"R": jwt.algorithms.RSAAlgorithm, "P": jwt.algorithms.RSAAlgorithm, "E": jwt.algorithms.ECAlgorithm}
    kind = jwt.algorithms.OKPAlgorithm if algorithm == "EdDSA" else maker[algorithm[0]]
    public = kind.to_jwk(key.public_key(), as_dict=True)
    return {**public, **({} if kid is None else {"kid": kid}), "use": "sig", "alg": algorithm, **more}


def public_pem(key) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def part(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed_by_hand(header: object, payload: object, secret: bytes) -> str:
    """A token with an HMAC that no library would make."""
    text = f"{part(header)}.{part(payload)}"
    return f"{text}.{part(hmac.digest(secret, text.encode(), 'sha256'))}"


def bearer(token: str) -> bytes:
    return b"Bearer " + token.encode()


class Issuer:
    """Keys by id, all published; `broken` says how the server fails, if it does."""

    def __init__(self, time_: Time) -> None:
        self.time = time_
        self.keys = {"one": rsa_key("one")}
        self.published: list[dict[str, object]] = [jwk(self.keys["one"], "one", "RS256")]
        self.url = ""
        self.broken = ""
        self.paths: list[str] = []

    @property
    def fetches(self) -> int:
        return sum(path == "/keys" for path in self.paths)

    def claims(self, **changes) -> dict[str, object]:
        """Claims that are fine, with changes; None leaves a claim out."""
        now = int(self.time.now)
        fine = {"iss": self.url, "aud": AUDIENCE, "sub": "alice", "iat": now, "nbf": now, "exp": now + 600}
        return {name: value for name, value in {**fine, **changes}.items() if value is not None}

    def token(self, claims=None, *, key: str = "one", headers=None, algorithm="RS256") -> str:
        return self.sign(claims or self.claims(), self.keys[key], {"kid": key, **(headers or {})}, algorithm)

    @staticmethod
    def sign(claims, key, headers, algorithm="RS256") -> str:
        return jwt.PyJWS().encode(json.dumps(claims).encode(), key, algorithm=algorithm, headers=headers)

    def settings(self, **changes) -> JwtSettings:
        fine = {"issuer": self.url, "audience": (AUDIENCE,), "algorithms": ("RS256",), "jwks_url": f"{self.url}/keys"}
        return JwtSettings(**{**fine, **changes})

    def access(self, **changes) -> AccessSettings:
        return AccessSettings(jwt={"corp": self.settings(**changes)})

    def identity(self, **changes) -> Identity:
        return self.identity_for(self.access(**changes))

    def identity_for(self, access: AccessSettings, identities: Identities | None = None) -> Identity:
        made = identities or Identities(clock=self.time.clock)
        return made.of(Settings(providers={}, models={}, access=access))

    async def answer(self, peer: Peer) -> None:
        path = (await peer.request()).split(b" ", 2)[1].decode()
        self.paths.append(path)
        if self.broken == "silent":
            await peer.left()
            return
        await peer.send(self._document(path))

    def _document(self, path: str) -> bytes:
        if self.broken == "redirect":
            return b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/keys\r\ncontent-length: 0\r\n\r\n"
        if self.broken == "error":
            return b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n"
        body = msgspec.json.encode({"keys": self.published})
        if path == "/.well-known/openid-configuration":
            body = msgspec.json.encode({"issuer": self.url, "jwks_uri": f"{self.url}/keys"})
        if self.broken:
            body = self.broken.encode()
        return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


@asynccontextmanager
async def issuing(time_: Time | None = None) -> AsyncIterator[Issuer]:
    """Run an issuer's server."""
    issuer = Issuer(time_ or Time())
    async with serving(issuer.answer) as server:
        issuer.url = server.url.removesuffix("/v1")
        yield issuer
