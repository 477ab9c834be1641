"""The request of an operation, from arguments that its schema admits. Pure.

Whatever an argument holds stays in its place: it cannot leave its segment of the path or add a header, nor add a parameter but where
the document says that an object's members are parameters (`explode`).
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

import msgspec

from gateway.core.items import Json
from gateway.tools.openapi.operations import BODY, Operation, Parameter

_SEGMENTS: Final = ("", ".", "..")
_MOST_URL: Final = 16_384


class Unsendable(ValueError):
    """An argument that cannot be sent as it is; the message is for the model."""


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent. `target` is path and query, to be put after the server's base."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None


def write_request(operation: Operation, arguments: dict[str, Json]) -> HttpRequest:
    """Give the request. Raises Unsendable, which names the argument."""
    path, query, headers = operation.path, list[str](), list[tuple[str, str]]()
    for parameter in operation.parameters:
        if parameter.argument not in arguments:
            continue
        value = arguments[parameter.argument]
        if parameter.place == "path":
            path = path.replace("{" + parameter.name + "}", _segment(parameter, value))
        elif parameter.place == "query":
            query += _pairs(parameter, value)
        else:
            headers.append((parameter.name, _header(parameter, value)))
    target = path + ("?" + "&".join(query) if query else "")
    if len(target) > _MOST_URL:
        raise Unsendable(f"The arguments make a URL of {len(target):,} characters; at most {_MOST_URL:,} are sent.")
    body = None
    if operation.body is not None and BODY in arguments:
        headers.append(("content-type", operation.body))
        body = _body(operation.body, arguments[BODY])
    return HttpRequest(method=operation.method, target=target, headers=tuple(headers), body=body)


def _text(value: Json) -> str:
    """Give a value that is no list and no object as APIs write it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _flat(parameter: Parameter, value: Json) -> list[Json]:
    """Give the values of a list, and any other as a list of one. Raises Unsendable for what is nested."""
    values = value if isinstance(value, list) else [value]
    if any(isinstance(one, (dict, list)) for one in values):
        raise Unsendable(f"`{parameter.argument}` is nested more deeply than a {parameter.place} parameter can say.")
    return values


def _segment(parameter: Parameter, value: Json) -> str:
    if isinstance(value, dict):
        raise Unsendable(f"`{parameter.argument}` is an object, and goes into the path.")
    text = ",".join(_text(one) for one in _flat(parameter, value))
    if text in _SEGMENTS:
        raise Unsendable(f"`{parameter.argument}` goes into the path and must not be {text!r}.")
    return quote(text, safe=",")


def _pairs(parameter: Parameter, value: Json) -> list[str]:
    name = quote(parameter.name, safe="[]")
    if isinstance(value, dict):
        items = [
            (key, _text(_flat(parameter, one)[0]) if not isinstance(one, list) else None) for key, one in value.items()
        ]
        if any(one is None for _, one in items):
            raise Unsendable(f"`{parameter.argument}` is nested more deeply than a query parameter can say.")
        said = [(quote(key, safe=""), quote(str(one), safe="")) for key, one in items]
        if parameter.style == "deepObject":
            return [f"{name}[{key}]={one}" for key, one in said]
        if parameter.explode:
            return [f"{key}={one}" for key, one in said]
        return [f"{name}=" + ",".join(f"{key},{one}" for key, one in said)]
    texts = [quote(_text(one), safe="") for one in _flat(parameter, value)]
    if parameter.explode or not isinstance(value, list):
        return [f"{name}={one}" for one in texts]
    return [f"{name}=" + ",".join(texts)]


def _header(parameter: Parameter, value: Json) -> str:
    if isinstance(value, dict):
        raise Unsendable(f"`{parameter.argument}` is an object, and goes into a header.")
    text = ",".join(_text(one) for one in _flat(parameter, value))
    if not text.isascii() or not text.isprintable():
        raise Unsendable(f"`{parameter.argument}` goes into a header: visible ASCII characters and spaces only.")
    return text


def _body(kind: str, value: Json) -> bytes:
    if kind == "application/json":
        return msgspec.json.encode(value)
    if kind == "text/plain":
        return _text(value).encode()
    if not isinstance(value, dict) or any(isinstance(one, dict) for one in value.values()):
        raise Unsendable("`body` must be an object of plain values: it is sent as a form.")
    pairs: list[str] = []
    for name, one in value.items():
        values = one if isinstance(one, list) else [one]
        pairs += [f"{quote(name, safe='')}={quote(_text(each), safe='')}" for each in values]
    return "&".join(pairs).encode()
