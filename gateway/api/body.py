"""Takes in a request's body and refuses what is not JSON of a bearable size."""

from __future__ import annotations

from gateway.api.asgi import Receive
from gateway.core.errors import BodyTooLarge, ClientLeft, UnsupportedMediaType


async def read_body(receive: Receive, limit: int) -> bytes:
    """Read the whole body. Raises BodyTooLarge, or ClientLeft when the client went away in the middle."""
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body: bytes = message.get("body", b"")
        if len(body) > limit:
            raise BodyTooLarge(_too_large(limit))
        return body
    pieces: list[bytes] = []
    size = 0
    while True:
        if message["type"] == "http.disconnect":
            msg = "The client left before its request was complete."
            raise ClientLeft(msg)
        piece: bytes = message.get("body", b"")
        size += len(piece)
        if size > limit:
            raise BodyTooLarge(_too_large(limit))
        pieces.append(piece)
        if not message.get("more_body", False):
            return b"".join(pieces)
        message = await receive()


def _too_large(limit: int) -> str:
    return f"The body is larger than the limit of {limit} bytes."


def check_media_type(content_type: bytes | None, content_encoding: bytes | None) -> None:
    """Raise UnsupportedMediaType for a body that is declared as something other than plain JSON."""
    if content_encoding is not None and content_encoding.strip().lower() not in (b"", b"identity"):
        msg = f"The content-encoding {_shown(content_encoding)} is not supported; send the body uncompressed."
        raise UnsupportedMediaType(msg)
    if content_type is None or content_type == b"application/json":
        return
    media_type = content_type.split(b";", 1)[0].strip().lower()
    if media_type != b"application/json" and not media_type.endswith(b"+json"):
        msg = f"The content-type must be application/json, not {_shown(content_type)}."
        raise UnsupportedMediaType(msg)


def _shown(value: bytes) -> str:
    return repr(value[:100].decode("latin-1"))
