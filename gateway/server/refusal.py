"""An answer that the edge gives by itself, before or instead of the application.

It knows HTTP and no dialect: the body is made by a renderer that is passed in.
"""

from collections.abc import Callable, Sequence
from http import HTTPStatus

import httptools
import msgspec
import structlog

log = structlog.get_logger()

Headers = Sequence[tuple[bytes, bytes]]
RenderError = Callable[[bytes, Headers, int, str, str], bytes]
"""path (raw, with query), headers (lower-case names, as far as they were read), status, code, message -> JSON body"""


class Refused(Exception):
    """A request that the edge will not pass on: `status`, a machine-readable `code`, and a message for the caller."""

    def __init__(self, status: int, code: str, message: str, *, headers: Headers = ()) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers


def openai_error(path: bytes, headers: Headers, status: int, code: str, message: str) -> bytes:
    """The default renderer: OpenAI's shape, whatever the path."""
    del path, headers
    kind = "invalid_request_error" if status < 500 else "server_error"
    return msgspec.json.encode({"error": {"message": message, "type": kind, "param": None, "code": code}})


def refusal_bytes(refused: Refused, body: bytes, *, with_body: bool) -> bytes:
    """The whole HTTP/1.1 response, which always ends the connection; `with_body` is False for HEAD (RFC 9110, 9.3.2)."""
    lines = [
        f"HTTP/1.1 {refused.status} {HTTPStatus(refused.status).phrase}\r\n".encode("ascii"),
        b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n" % len(body),
        *(b"%b: %b\r\n" % header for header in refused.headers),
        b"\r\n",
    ]
    if with_body:
        lines.append(body)
    return b"".join(lines)


def as_refused(exc: httptools.HttpParserError) -> Refused:
    """What the parser found wrong; a refusal that one of our own callbacks raised is the context of the parser's error."""
    if isinstance(exc.__context__, Refused):
        return exc.__context__
    if isinstance(exc, httptools.HttpParserCallbackError):
        log.error("server.request.unreadable", error=repr(exc.__context__))
        return Refused(400, "invalid_request", "The request could not be read.")
    return Refused(400, "invalid_request", f"Invalid HTTP request: {exc}.")
