"""Content parts, both ways: what a message or a tool's result is made of."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence

from gateway.core.items import Audio, Document, Foreign, Image, Json, Part, Refusal, Text
from gateway.dialects.data_urls import data_url, file_name, image_type, split_data_url
from gateway.dialects.openai_responses.reader import Reader, wrong
from gateway.dialects.openai_responses.written import NAME, came_from_here, keep, own_fields, own_form
from gateway.dialects.rest import Leftovers

_BREAKPOINT = "prompt_cache_breakpoint"
_ANNOTATIONS = frozenset({"file_citation", "url_citation", "container_file_citation", "file_path"})


def decode_content(value: Json, path: str) -> tuple[Part, ...]:
    """Read a plain string or a list of parts."""
    if isinstance(value, str):
        return (Text(text=value),)
    if not isinstance(value, list):
        raise wrong(path, "a string or an array", value)
    return tuple(decode_part(part, f"{path}[{number}]") for number, part in enumerate(value))


def decode_part(value: Json, path: str) -> Part:
    """Read one part; one of an unknown type is kept whole."""
    reader = Reader(value, path)
    decoder = _DECODERS.get(reader.needed_string("type"))
    return Foreign(dialect=NAME, raw=value) if decoder is None else decoder(reader)


def _text(reader: Reader) -> Text:
    kind = reader.take("type")
    text = reader.needed_string("text")
    listed = reader.array("annotations")
    logprobs = reader.array("logprobs")
    plain = logprobs is None and (kind == "input_text" if listed is None else kind == "output_text")
    fields = reader.rest()
    return Text(
        text=text,
        annotations=tuple(listed or ()),
        logprobs=tuple(logprobs) if logprobs else None,
        cache=_cache_mark(reader),
        rest={} if plain and not fields else keep(fields, _text_form(kind, listed, logprobs)),
    )


def _text_form(kind: str, listed: list[Json] | None, logprobs: list[Json] | None) -> dict[str, Json]:
    form: dict[str, Json] = {"type": kind}
    if listed is not None:
        form["annotations"] = True
    if logprobs is not None:
        form["logprobs"] = True
    return form


def _cache_mark(reader: Reader) -> dict[str, Json] | None:
    """Give the hub's mark for a breakpoint, which itself stays in `rest`: its lifetimes differ a little."""
    mark = Reader(reader.peek(_BREAKPOINT) or {}, reader.at(_BREAKPOINT))
    ttl = mark.string("ttl")
    if mark.string("mode") is None:
        return None
    return {"type": "ephemeral", "ttl": "1h"} if ttl == "12h" else {"type": "ephemeral"}


def _image(reader: Reader) -> Image:
    reader.take("type")
    address = reader.string("image_url")
    media_type, data = split_data_url(address or "")
    return Image(
        url=address if data is None else None,
        data=data,
        media_type=media_type,
        file_id=reader.string("file_id"),
        detail=reader.string("detail"),
        cache=_cache_mark(reader),
        rest=keep(reader.rest()),
    )


def _file(reader: Reader) -> Document:
    reader.take("type")
    given = reader.string("file_data")
    media_type, data = split_data_url(given or "")
    return Document(
        url=reader.string("file_url"),
        data=given if data is None else data,
        media_type=media_type,
        file_id=reader.string("file_id"),
        name=reader.string("filename"),
        cache=_cache_mark(reader),
        rest=keep(reader.rest()),
    )


def _audio(reader: Reader) -> Audio:
    reader.take("type")
    inner = Reader(reader.take("input_audio"), reader.at("input_audio"))
    return Audio(data=inner.needed_string("data"), format=inner.needed_string("format"), rest=keep(reader.rest()))


def _refusal(reader: Reader) -> Refusal:
    reader.take("type")
    return Refusal(text=reader.needed_string("refusal"), rest=keep(reader.rest()))


_DECODERS: dict[str, Callable[[Reader], Part]] = {
    "input_text": _text,
    "output_text": _text,
    "text": _text,
    "input_image": _image,
    "input_file": _file,
    "input_audio": _audio,
    "refusal": _refusal,
}


def encode_parts(parts: Sequence[Part], left: Leftovers, path: str, *, said_by_model: bool = False) -> list[Json]:
    """Write parts. What the model said itself has a type of its own."""
    written = [_encode(part, left, f"{path}[{number}]", said_by_model) for number, part in enumerate(parts)]
    return [part for part in written if part is not None]


def _encode(part: Part, left: Leftovers, path: str, said_by_model: bool) -> Json:  # noqa: FBT001 - private, and named above
    left.foreign(part.rest, path + ".")
    if part.cache is not None and _BREAKPOINT not in own_fields(part.rest):
        left.hint("cache_control")
    if isinstance(part, Text):
        return _write_text(part, "output_text" if said_by_model else "input_text")
    if isinstance(part, Refusal):
        return {**own_fields(part.rest), "type": "refusal", "refusal": part.text}
    if isinstance(part, Foreign):
        if part.dialect == NAME:
            return part.raw
        left.alien("part", part, path)
        return None
    if isinstance(part, Audio) and not came_from_here(part.rest):
        left.refuse(path, "Audio")
        return None
    return _write_file(part)


def _write_text(part: Text, kind: str) -> dict[str, Json]:
    form = own_form(part.rest)
    kind = form.get("type", kind)
    fields: dict[str, Json] = {"type": kind, "text": part.text}
    if kind == "output_text":
        annotations = known_annotations(part.annotations)
        if annotations or "annotations" in form or not came_from_here(part.rest):
            fields["annotations"] = annotations
        if "logprobs" in form:
            fields["logprobs"] = list(part.logprobs or ())
    return {**own_fields(part.rest), **fields}


def _write_file(part: Image | Document | Audio) -> dict[str, Json]:
    rest = own_fields(part.rest)
    if isinstance(part, Audio):
        return {**rest, "type": "input_audio", "input_audio": {"data": part.data, "format": part.format}}
    if isinstance(part, Image):
        address = part.url
        if part.data is not None:
            address = data_url(image_type(part.media_type, part.data) or "image/png", part.data)
        detail = part.detail if came_from_here(part.rest) else part.detail or "auto"  # strict upstreams want it
        known = _present(image_url=address, file_id=part.file_id, detail=detail)
        return {**rest, "type": "input_image", **known}
    data, name = part.data, part.name
    if data is not None and part.media_type is not None:
        data = data_url(part.media_type, data)
    elif part.text is not None:
        data = data_url("text/plain", base64.b64encode(part.text.encode()).decode())
        name = name or "document.txt"
    if data is not None and name is None and not came_from_here(part.rest):
        name = file_name(part.media_type)
    return {
        **rest,
        "type": "input_file",
        **_present(file_data=data, file_url=part.url, file_id=part.file_id, filename=name),
    }


def _present(**fields: Json) -> dict[str, Json]:
    return {key: value for key, value in fields.items() if value is not None}


def known_annotations(annotations: Sequence[Json]) -> list[Json]:
    """Give the citations that this API has a form for; Chat Completions' web citations are brought into it."""
    known = []
    for annotation in annotations:
        kind = annotation.get("type") if isinstance(annotation, dict) else None
        if kind in _ANNOTATIONS:
            nested = annotation.get(kind)
            known.append({"type": kind, **nested} if isinstance(nested, dict) else annotation)
    return known
