"""Takes in an upload (multipart/form-data, RFC 7578) while it arrives: its file goes to the disk piece by piece.

The parser is python-multipart's; what a form may hold is settled here, what a file may be by who asks.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from gateway.api.asgi import Receive
from gateway.core.errors import BodyTooLarge, ClientLeft, InvalidRequest, MalformedBody, UnsupportedMediaType

MOST_PARTS: Final = 16
MOST_TEXT: Final = 1024
MOST_NAME: Final = 255
SPARE: Final = 64 * 1024
"""Bytes of a form beside its file."""
_NO_BOUNDARY: Final = "The content-type needs a boundary, as multipart/form-data has one."
_UNSEEN: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

Write = Callable[[bytes], Awaitable[None]]


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """What came: the texts by name, and what the client called the file."""

    texts: dict[str, str]
    filename: str


class _Part:
    """One part of the form, as far as it has come."""

    def __init__(self) -> None:
        self.headers: dict[bytes, bytes] = {}
        self.name = ""
        self.filename: str | None = None
        self.text = b""


class _Parsed:
    """What the parser has seen since the last look: pieces of parts, in order. It only collects: it cannot wait."""

    def __init__(self) -> None:
        self.pieces: list[tuple[_Part, bytes]] = []
        self.parts = 0
        self.complete = False
        self._part = _Part()
        self._field = b""
        self._value = b""

    def on_part_begin(self) -> None:
        self._part = _Part()
        self.parts += 1

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        self._part.headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def on_headers_finished(self) -> None:
        part = self._part
        kind, options = parse_options_header(part.headers.get(b"content-disposition"))
        if kind == b"form-data":
            part.name = options.get(b"name", b"").decode("utf-8", "replace")
        if b"filename" in options:
            part.filename = _plain(options[b"filename"].decode("utf-8", "replace"))
        self.pieces.append((part, b""))

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self.pieces.append((self._part, data[start:end]))

    def on_end(self) -> None:
        self.complete = True


async def read_form(
    receive: Receive, content_type: bytes | None, *, known: frozenset[str], most: int, write: Write
) -> Form:
    """Read a form with the texts `known` and one file, named `file`, of about `most` bytes, which goes to `write`.

    Raises InvalidRequest for what is no such form, and ClientLeft.
    """
    parsed = _Parsed()
    parser = _parser(content_type, parsed)
    found = _Found(known, write)
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            msg = "The client left before its request was complete."
            raise ClientLeft(msg)
        data, more = message.get("body", b""), message.get("more_body", False)
        size += len(data)
        if size > most + SPARE:
            msg = f"The file is larger than the limit of {most} bytes."
            raise BodyTooLarge(msg, param="file")
        try:
            parser.write(data)
        except FormParserError as error:
            msg = "The body is not well-formed multipart/form-data."
            raise MalformedBody(msg) from error
        if parsed.parts > MOST_PARTS:
            msg = f"The form has more than {MOST_PARTS} parts."
            raise InvalidRequest(msg)
        pieces, parsed.pieces = parsed.pieces, []
        for part, piece in pieces:
            await found.take(part, piece)
    if not parsed.complete:
        msg = "The body ends before the form does."
        raise MalformedBody(msg)
    return found.form()


class _Found:
    """What a form has held so far."""

    def __init__(self, known: frozenset[str], write: Write) -> None:
        self._known = known
        self._write = write
        self._texts: dict[str, _Part] = {}
        self._file: _Part | None = None

    async def take(self, part: _Part, piece: bytes) -> None:
        """Take a piece of a part; the first one of each is empty."""
        if part.name == "file":
            if self._file not in (None, part):
                msg = "The form has more than one file."
                raise InvalidRequest(msg, param="file")
            if part.filename is None:
                msg = "`file` must be a file: its part needs a filename."
                raise InvalidRequest(msg, param="file")
            self._file = part
            if piece:
                await self._write(piece)
            return
        if part.name not in self._known:
            names = ", ".join(sorted(self._known | {"file"}))
            msg = f"There is no field {part.name[:100]!r} here. Known here: {names}."
            raise InvalidRequest(msg, param=part.name[:100] or None)
        if self._texts.setdefault(part.name, part) is not part:
            msg = f"The field `{part.name}` was given more than once."
            raise InvalidRequest(msg, param=part.name)
        part.text += piece
        if len(part.text) > MOST_TEXT:
            msg = f"`{part.name}` is longer than {MOST_TEXT} bytes."
            raise InvalidRequest(msg, param=part.name)

    def form(self) -> Form:
        """Give the whole. Raises InvalidRequest where there is no file."""
        if self._file is None:
            msg = "`file` is missing: the form needs a part of that name with a filename."
            raise InvalidRequest(msg, param="file")
        texts = {name: part.text.decode("utf-8", "replace") for name, part in self._texts.items()}
        return Form(texts=texts, filename=self._file.filename or "file")


def _parser(content_type: bytes | None, parsed: _Parsed) -> MultipartParser:
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        msg = "The content-type must be multipart/form-data: a file is uploaded as a form."
        raise UnsupportedMediaType(msg)
    boundary = options.get(b"boundary", b"")
    names = (
        "on_part_begin", "on_part_data", "on_header_field", "on_header_value", "on_header_end", "on_headers_finished",
        "on_end",
    )  # fmt: skip
    if not boundary:
        raise MalformedBody(_NO_BOUNDARY)
    try:
        return MultipartParser(boundary, {name: getattr(parsed, name) for name in names})  # type: ignore[arg-type] # named above
    except FormParserError:
        raise MalformedBody(_NO_BOUNDARY) from None


def _plain(name: str) -> str:
    """Give a name as it may be shown, without folders."""
    return _UNSEEN.sub("?", name.replace("\\", "/").rpartition("/")[2])[:MOST_NAME]
