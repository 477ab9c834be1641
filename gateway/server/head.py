"""What a request's head must satisfy before the application sees it: Host, framing, sizes, target (RFC 9110 and 9112).

Pure functions over parsed headers; what the parser refuses by itself (doubled Content-Length, control characters,
Content-Length beside Transfer-Encoding, folded lines) is not repeated here.
"""

import functools
import re

import httptools
from websockets.utils import accept_key

from gateway.server.refusal import Headers, Refused
from gateway.server.state import EdgeState

_CHECKED = frozenset({b"host", b"content-length", b"transfer-encoding", b"expect"})
_HOST = re.compile(rb"[A-Za-z0-9\-._~%!$&'()*+,;=:\[\]]*")
_KEY = re.compile(rb"[A-Za-z0-9+/]{22}==").fullmatch  # RFC 6455, 4.1: sixteen bytes
_WITH_BODY = frozenset({b"content-length", b"transfer-encoding"})
_SOON = [(b"retry-after", b"1")]
_HOST_BYTES = 262  # a DNS name of 255, a colon and a port


def check_head(version: str, headers: Headers, body_bytes: int) -> bool:
    """Raise Refused for a head that must not be passed on; True if the client waits for `100 Continue`.

    `version` as the parser writes it ("1.1"), header names in lower case.
    """
    if version not in ("1.1", "1.0"):
        raise Refused(400, "unsupported_http_version", "This server speaks HTTP/1.1 and HTTP/1.0.")
    hosts = 0
    expects = False
    for name, value in headers:
        if name not in _CHECKED:
            continue
        if name == b"host":
            hosts += 1
            _check_host(value)
        elif name == b"content-length":
            _check_length(value, body_bytes)
        elif name == b"expect":
            expects = _expects_continue(value)
        else:
            _check_coding(value, version)
    if hosts != 1 and (hosts > 1 or version == "1.1"):
        raise Refused(400, "invalid_host", "The request needs exactly one Host header.")
    return expects and version == "1.1"


def _check_host(value: bytes) -> None:
    if len(value) > _HOST_BYTES or not _plausible_host(value):
        raise Refused(400, "invalid_host", "The Host header is not a host name with an optional port.")


@functools.lru_cache(maxsize=256)
def _plausible_host(value: bytes) -> bool:
    return _HOST.fullmatch(value) is not None


def _check_length(value: bytes, body_bytes: int) -> None:
    if int(value) > body_bytes:
        raise body_too_large(body_bytes)


def _expects_continue(value: bytes) -> bool:
    if value.lower() != b"100-continue":
        raise Refused(417, "unsupported_expectation", "The only expectation that is understood is 100-continue.")
    return True


def _check_coding(value: bytes, version: str) -> None:
    # RFC 9112 says 501 for an unknown coding; it is the client's mistake, and 5xx would blame (and retry) the server.
    if value.lower() != b"chunked" or version == "1.0":
        raise Refused(
            400, "unsupported_transfer_encoding", "The only transfer coding is chunked, and only in HTTP/1.1."
        )


def body_too_large(body_bytes: int) -> Refused:
    """The refusal of a body over the limit."""
    return Refused(413, "request_too_large", f"The request body is larger than {body_bytes} bytes.")


def head_too_large(header_bytes: int, header_count: int) -> Refused:
    """The refusal of headers over the limits."""
    limit = f"{header_bytes} bytes or {header_count} headers"
    return Refused(431, "headers_too_large", f"The request's headers are more than {limit}.")


def target_too_long(target_bytes: int) -> Refused:
    """The refusal of a target over the limit."""
    return Refused(414, "target_too_long", f"The request target is longer than {target_bytes} bytes.")


def origin_form(target: bytes) -> tuple[bytes, bytes]:
    """An absolute-form target as path with query, and the authority that replaces Host (RFC 9112, 3.2.2); or Refused."""
    try:
        url = httptools.parse_url(target)
    except httptools.HttpParserInvalidURLError:
        url = None
    if url is None or url.schema is None or url.schema.lower() not in (b"http", b"https") or url.userinfo:
        raise Refused(400, "invalid_target", "The request target must be a path or an http(s) URL.")
    path = url.path or b"/"
    authority = target.split(b"/", 3)[2].partition(b"?")[0].partition(b"#")[0]
    return (path if url.query is None else path + b"?" + url.query), authority


def check_upgrade(method: bytes, target: bytes, headers: Headers, edge: EdgeState) -> bytes:
    """Give what accepts the WebSocket that a request is for, b"" for one that only offers something else: that is not taken, and does no harm.

    Raises Refused for CONNECT, and for a WebSocket that is malformed, not served at this path, or one too many (RFC 6455, 4.2).
    """
    if method == b"CONNECT":
        raise Refused(405, "method_not_allowed", "This server is not a proxy: CONNECT is not supported.")
    if not any(name == b"upgrade" and b"websocket" in value.lower() for name, value in headers):
        return b""
    if target.partition(b"?")[0] not in edge.options.sockets:
        # 426, because Codex CLI takes only that for a reason to go on without a WebSocket; 400 ends its turn.
        raise Refused(426, "websocket_not_supported", "This server has no WebSocket endpoint here.")
    check_head("1.1", headers, 0)
    named = dict(headers)
    key = named.get(b"sec-websocket-key", b"")
    if method != b"GET" or _KEY(key) is None or not _WITH_BODY.isdisjoint(named):
        raise Refused(400, "invalid_websocket", "The request is no opening handshake of a WebSocket.")
    if named.get(b"sec-websocket-version") != b"13":
        message = "This server speaks version 13 of the WebSocket protocol."
        raise Refused(426, "invalid_websocket", message, headers=[(b"sec-websocket-version", b"13")])
    if edge.draining:
        raise Refused(503, "unavailable", "The server is shutting down; try again in a moment.", headers=_SOON)
    if len(edge.sockets) >= edge.options.most_sockets:
        raise Refused(503, "too_many_websockets", "The server has as many WebSockets as it takes.", headers=_SOON)
    return accept_key(key.decode("ascii")).encode("ascii")


def without_upgrade(method: bytes, target: bytes, version: str, headers: Headers) -> bytes:
    """Write a head anew, less an offer to upgrade that is not taken: a server may always ignore it (RFC 9110, 7.8)."""
    lines = [b"%b %b HTTP/%b" % (method, target, version.encode("ascii"))]
    lines += [b"%b: %b" % header for header in _without_offer(headers)]
    return b"\r\n".join([*lines, b"", b""])


def _without_offer(headers: Headers) -> list[tuple[bytes, bytes]]:
    kept = []
    for name, value in headers:
        if name in (b"upgrade", b"http2-settings"):
            continue
        if name == b"connection":
            tokens = [
                token for token in value.split(b",") if token.strip().lower() not in (b"upgrade", b"http2-settings")
            ]
            if not tokens:
                continue
            value = b",".join(tokens)  # noqa: PLW2901 - the filtered value takes the place of the one that was sent
        kept.append((name, value))
    return kept
