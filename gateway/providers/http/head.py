"""The head of a request as bytes, and the parts of a base URL. Pure: it knows no connection.

It is where a path or header that could smuggle a second request is refused, for both clients.
"""

import functools
import re
from urllib.parse import urlsplit

import msgspec

from gateway.core.errors import InvalidRequest
from gateway.providers.http.protocol import HttpRequest

_DEFAULT_PORTS = {"http": 80, "https": 443}
# RFC 9110: a method and a header name are tokens, a value has no control characters; RFC 3986: a path is visible ASCII.
_METHOD = re.compile(rb"[A-Z]{1,32}")
_PATH = re.compile(rb"/[!-~]*")
_HEADERS = re.compile(rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+: [\t -~\x80-\xff]*\r\n)*")
# These frame the message: a second one would let an upstream and us disagree on where the request ends.
_OWN_HEADERS = frozenset((b"host", b"connection", b"content-length", b"transfer-encoding"))


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where a base URL points: scheme, host and port to connect to, `authority` for the host header, path prefix."""

    scheme: str
    host: str
    port: int
    authority: bytes
    prefix: bytes

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.scheme == "https"


def parse_base_url(base_url: str) -> Origin:
    """Split an http(s) URL without user, query and fragment. Raises ValueError, naming what is wrong."""
    parts = urlsplit(base_url)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ValueError(f"{base_url!r} is not an http:// or https:// URL")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a base URL carries no user or password; give them as a header or a key")
    if parts.query or parts.fragment:
        raise ValueError(f"{base_url!r} has a query or fragment; a base URL has none")
    prefix = parts.path.rstrip("/").encode("ascii")
    if prefix and not _PATH.fullmatch(prefix):
        raise ValueError(f"the path of {base_url!r} has characters that must be percent-encoded")
    host = parts.hostname
    default_port = _DEFAULT_PORTS[parts.scheme]
    port = parts.port or default_port
    shown = f"[{host}]" if ":" in host else host
    authority = shown if port == default_port else f"{shown}:{port}"
    return Origin(scheme=parts.scheme, host=host, port=port, authority=authority.encode("idna"), prefix=prefix)


def encode_headers(request: HttpRequest) -> bytes:
    """Return the request's headers as a block of lines. Raises InvalidRequest for what is not safe to send."""
    return _checked_block(request.method, request.path, request.headers)


# A provider sends the same few sets of headers with every call: checking one again would find nothing new.
@functools.lru_cache(maxsize=256)
def _checked_block(method: bytes, path: bytes, headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    if _PATH.fullmatch(path) is None or _METHOD.fullmatch(method) is None:
        raise InvalidRequest("the upstream request's method or path has characters that HTTP does not allow")
    block = b"".join([b"%b: %b\r\n" % pair for pair in headers])
    if block.count(b"\n") != len(headers) or _HEADERS.fullmatch(block) is None:
        raise InvalidRequest("a request header for the upstream has characters that HTTP does not allow")
    names = {name.lower() for name, _ in headers}
    if not names.isdisjoint(_OWN_HEADERS):
        raise InvalidRequest("host, connection, content-length and transfer-encoding are set by the HTTP client itself")
    return block if b"accept-encoding" in names else block + b"accept-encoding: identity\r\n"


def checked_headers(request: HttpRequest) -> tuple[tuple[bytes, bytes], ...]:
    """Return the headers that `encode_headers` would encode, for a client that encodes them itself."""
    if encode_headers(request).endswith(b"accept-encoding: identity\r\n"):
        others = tuple(pair for pair in request.headers if pair[0].lower() != b"accept-encoding")
        return (*others, (b"accept-encoding", b"identity"))
    return request.headers


def encode_head(origin: Origin, request: HttpRequest) -> bytes:
    """Return request line and headers, the empty line included."""
    block = encode_headers(request)
    return b"%b %b%b HTTP/1.1\r\nhost: %b\r\n%bcontent-length: %d\r\n\r\n" % (
        request.method,
        origin.prefix,
        request.path,
        origin.authority,
        block,
        len(request.body),
    )
