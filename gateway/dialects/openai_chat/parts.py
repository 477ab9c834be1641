"""The parts of a message's content, both ways."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from gateway.core.items import Audio, Document, Foreign, Image, Json, Part, Refusal, Text
from gateway.dialects.data_urls import data_url, file_name, image_type, split_data_url
from gateway.dialects.openai_chat.names import MARK, NAME, TITLE, rest_of
from gateway.dialects.openai_chat.shapes import PARTS
from gateway.dialects.rest import Leftovers, extras, own
from gateway.dialects.shapes import check, kind_of

_PART_FIELDS = {"type", "cache_control"}


def decode_content(content: str | list[dict[str, Json]], path: str) -> tuple[Part, ...]:
    """Translate `content`, whose own type is checked. Raises InvalidRequest with the part's path."""
    if isinstance(content, str):
        return (Text(text=content),)
    parts = tuple(_decode_part(raw, f"{path}[{number}]") for number, raw in enumerate(content))
    if len(parts) == 1 and isinstance(parts[0], Text) and not parts[0].rest:
        # Without a mark this would go back as a plain text.
        return (msgspec.structs.replace(parts[0], rest=MARK),)
    return parts


def _decode_part(raw: dict[str, Json], path: str) -> Part:
    kind = kind_of(raw, path, "A content part")
    if kind not in PARTS:
        return Foreign(dialect=NAME, raw=raw)
    check(raw, PARTS[kind], path)
    return _DECODERS[kind](raw)


def _rest(raw: dict[str, Json], key: str, known: set[str]) -> dict[str, Json]:
    unknown = extras(raw, {*_PART_FIELDS, key})
    if nested := extras(raw[key], known):
        unknown[key] = nested
    # A cache mark goes back to the API that it came from, so that must be known.
    return {NAME: unknown} if unknown or raw.get("cache_control") else {}


def _decode_text(raw: dict[str, Json]) -> Part:
    unknown = extras(raw, {*_PART_FIELDS, "text"})
    cache = raw.get("cache_control")
    return Text(text=raw["text"], cache=cache, rest=MARK if cache and not unknown else rest_of(unknown))


def _decode_image(raw: dict[str, Json]) -> Part:
    source = raw["image_url"]
    media_type, data = split_data_url(source["url"])
    return Image(
        url=source["url"] if data is None else None,
        data=data,
        media_type=media_type,
        detail=source.get("detail"),
        cache=raw.get("cache_control"),
        rest=_rest(raw, "image_url", {"url", "detail"}),
    )


def _decode_audio(raw: dict[str, Json]) -> Part:
    sound = raw["input_audio"]
    return Audio(
        data=sound["data"],
        format=sound["format"],
        cache=raw.get("cache_control"),
        rest=_rest(raw, "input_audio", {"data", "format"}),
    )


def _decode_file(raw: dict[str, Json]) -> Part:
    file = raw["file"]
    content: str | None = file.get("file_data")
    is_url = content is not None and content.startswith(("https://", "http://"))
    media_type, data = split_data_url(content) if content and not is_url else (None, None)
    return Document(
        url=content if is_url else None,
        data=None if is_url else data or content,
        media_type=media_type,
        file_id=file.get("file_id"),
        name=file.get("filename"),
        cache=raw.get("cache_control"),
        rest=_rest(raw, "file", {"file_id", "file_data", "filename"}) or MARK,
    )


def _decode_refusal(raw: dict[str, Json]) -> Part:
    return Refusal(text=raw["refusal"], rest=rest_of(extras(raw, {"type", "refusal"})))


_DECODERS: dict[str, Callable[[dict[str, Json]], Part]] = {
    "text": _decode_text,
    "image_url": _decode_image,
    "input_audio": _decode_audio,
    "file": _decode_file,
    "refusal": _decode_refusal,
}


def encode_content(parts: tuple[Part, ...], path: str, left: Leftovers) -> str | list[dict[str, Json]]:
    """Translate parts for the wire: a text where that says everything, else a list."""
    if len(parts) == 1 and isinstance(parts[0], Text) and NAME not in parts[0].rest:
        _judge(parts[0], path, left)
        return parts[0].text
    wire = (encode_part(part, f"{path}[{number}]", left) for number, part in enumerate(parts))
    return [part for part in wire if part is not None]


def encode_part(part: Part, path: str, left: Leftovers) -> dict[str, Json] | None:
    """Translate one part; None when it was left out by permission."""
    if isinstance(part, Foreign):
        if part.dialect == NAME:
            return part.raw
        left.alien("part", part, path)
        return None
    _judge(part, path, left)
    mine = own(part.rest, NAME)
    body = _body(part, path, left)
    if body is None:
        return None
    kind, value = body
    nested = mine.pop(kind, None)
    node: dict[str, Json] = {"type": kind, kind: {**value, **nested} if isinstance(nested, dict) else value, **mine}
    if part.cache and NAME in part.rest:
        node["cache_control"] = part.cache
    return node


def _judge(part: Part, path: str, left: Leftovers) -> None:
    if part.rest:
        left.foreign(part.rest, path + ".")
    if part.cache and NAME not in part.rest:
        left.hint("cache_control")


def _body(part: Part, path: str, left: Leftovers) -> tuple[str, Json] | None:
    """Give (type, value) of a part; the value stands under the name of the type."""
    if isinstance(part, Text):
        return "text", part.text
    if isinstance(part, Refusal):
        return "refusal", part.text
    if isinstance(part, Audio):
        return "input_audio", {"data": part.data, "format": part.format}
    if isinstance(part, Image):
        return _image(part, path, left)
    if isinstance(part, Document):
        return _document(part, path, left)
    return None


def _image(part: Image, path: str, left: Leftovers) -> tuple[str, Json] | None:
    if part.data is not None:
        url = data_url(image_type(part.media_type, part.data) or "image/png", part.data)
    elif part.url is not None:
        url = part.url
    else:
        left.refuse(path, "An image by file id")
        return None
    return "image_url", {"url": url, "detail": part.detail} if part.detail else {"url": url}


def _document(part: Document, path: str, left: Leftovers) -> tuple[str, Json] | None:
    if part.text is not None:
        return "text", f"{part.name}\n\n{part.text}" if part.name else part.text
    if part.url is not None and NAME not in part.rest:
        left.refuse(path, f"A document by URL (in the {TITLE} it has to be sent as data)")
        return None
    file: dict[str, Json] = {}
    if part.file_id is not None:
        file["file_id"] = part.file_id
    if part.url is not None:
        file["file_data"] = part.url
    elif part.data is not None:
        file["file_data"] = data_url(part.media_type, part.data) if part.media_type else part.data
    if part.name is not None:
        file["filename"] = part.name
    elif part.data is not None and NAME not in part.rest:
        file["filename"] = file_name(part.media_type)
    return "file", file
