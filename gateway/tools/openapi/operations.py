"""An operation as a tool: the schema of its arguments, and where in a request each of them goes. Pure."""

from __future__ import annotations

import hashlib
import re
from typing import Final, Literal

import msgspec

from gateway.core.items import Json
from gateway.core.tools import Effect
from gateway.tools.openapi.document import Found, OpenApiDocument, Unusable
from gateway.tools.openapi.schemas import Schemas

BODY: Final = "body"
"""The argument that is the request's body."""
Place = Literal["path", "query", "header"]
BodyKind = Literal["application/json", "application/x-www-form-urlencoded", "text/plain"]
_BODIES: Final[tuple[BodyKind, ...]] = ("application/json", "application/x-www-form-urlencoded", "text/plain")

OURS: Final = frozenset(
    {"authorization", "connection", "content-length", "content-type", "cookie", "expect", "host", "idempotency-key", "proxy-authorization",
     "te", "trailer", "traceparent", "transfer-encoding", "upgrade"}
)  # fmt: skip
"""Headers that no model sets."""

_EFFECTS: Final[dict[str, Effect]] = {
    "GET": "read", "HEAD": "read", "PUT": "idempotent", "DELETE": "idempotent", "POST": "once", "PATCH": "once",
}  # fmt: skip
_STYLES: Final[dict[Place, tuple[str, ...]]] = {
    "path": ("simple",),
    "query": ("form", "deepObject"),
    "header": ("simple",),
}
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_IN_PATH: Final = re.compile(r"\{([^{}]*)\}")


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """Where an argument goes. `argument` is its name for the model, `name` that in the request."""

    argument: str
    name: str
    place: Place
    style: str
    explode: bool


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """An operation that can be called. `schema` is that of its arguments; `definition` the sha256 of all that is said here."""

    name: str
    method: str
    path: str
    title: str
    description: str
    schema: dict[str, Json]
    parameters: tuple[Parameter, ...]
    body: BodyKind | None
    effect: Effect
    definition: str


def read_operation(document: OpenApiDocument, found: Found) -> Operation:
    """Give an operation as a tool. Raises Unusable for one that takes what cannot be sent."""
    schemas = Schemas(document)
    members: dict[str, Json] = {}
    required: list[str] = []
    parameters: list[Parameter] = []
    for place, entry, where in _entries(document, found):
        name = entry["name"]
        if place == "header" and name.lower() in OURS:
            continue
        argument = name if name not in members and name != BODY else f"{name}_{place}"
        if argument in members:
            raise Unusable(f"comes twice: {name!r} in {place}", where)
        members[argument] = _described(schemas.taken(_schema_of(document, entry, where), f"{where}.schema"), entry)
        if entry.get("required") is True or place == "path":
            required.append(argument)
        parameters.append(_parameter(argument, place, entry, where))
    _check_path(found, parameters)
    kind = _read_body(document, found, schemas, members, required)
    schema: dict[str, Json] = {"type": "object", "properties": members, "additionalProperties": False}
    if required:
        schema["required"] = required
    if schemas.defs:
        schema["$defs"] = schemas.defs
    title = str(found.body.get("summary") or "")[:200]
    description = str(found.body.get("description") or title or f"{found.method} {found.path}")[:4000]
    said = [
        found.name,
        found.method,
        found.path,
        title,
        description,
        schema,
        [msgspec.to_builtins(one) for one in parameters],
        kind,
    ]
    return Operation(
        name=found.name,
        method=found.method,
        path=found.path,
        title=title,
        description=description,
        schema=schema,
        parameters=tuple(parameters),
        body=kind,
        effect=_EFFECTS[found.method],
        definition=hashlib.sha256(msgspec.json.encode(said, order="sorted")).hexdigest(),
    )


def _entries(document: OpenApiDocument, found: Found) -> list[tuple[Place, dict[str, Json], str]]:
    """Give the parameters: those of the operation in the place of those of its path. Cookies are none of a model's."""
    known: dict[tuple[str, str], tuple[Place, dict[str, Json], str]] = {}
    own = found.body.get("parameters") or []
    for source, base in ((found.shared, f"paths.{found.path}"), (own, found.where)):
        if not isinstance(source, list):
            raise Unusable("must be a list", f"{base}.parameters")
        for number, entry in enumerate(source):
            where = f"{base}.parameters[{number}]"
            whole = document.resolved(entry, where)
            if not isinstance(whole, dict) or not isinstance(name := whole.get("name"), str) or not name:
                raise Unusable("must be an object with a name", where)
            place = whole.get("in")
            if place == "cookie":
                if whole.get("required") is True:
                    raise Unusable(f"is a cookie that must be sent ({name!r})", where)
                continue
            if place not in ("path", "query", "header"):
                raise Unusable(f"`in` must be path, query, header or cookie, not {str(place)[:40]!r}", where)
            if place == "header" and not _TOKEN.match(name):
                raise Unusable(f"is no name of a header: {name[:80]!r}", where)
            known[place, name] = (place, whole, where)
    return list(known.values())


def _schema_of(document: OpenApiDocument, entry: dict[str, Json], where: str) -> Json:
    if "schema" in entry:
        return entry["schema"]
    content = entry.get("content")
    if isinstance(content, dict) and content:
        raise Unusable("is described by `content`; only `schema` is read", where)
    del document
    return {}


def _described(schema: Json, entry: dict[str, Json]) -> Json:
    text = entry.get("description")
    if isinstance(schema, dict) and isinstance(text, str) and "description" not in schema:
        return {**schema, "description": text[:2000]}
    return schema


def _parameter(argument: str, place: Place, entry: dict[str, Json], where: str) -> Parameter:
    styles = _STYLES[place]
    style = entry.get("style", styles[0])
    if style not in styles:
        raise Unusable(f"`style` in {place} may be {' or '.join(styles)}, not {str(style)[:40]!r}", where)
    explode = entry.get("explode", style == "form")
    return Parameter(argument=argument, name=entry["name"], place=place, style=style, explode=bool(explode))


def _check_path(found: Found, parameters: list[Parameter]) -> None:
    wanted = set(_IN_PATH.findall(found.path))
    given = {one.name for one in parameters if one.place == "path"}
    if missing := sorted(wanted - given):
        raise Unusable(f"has no parameter {missing[0]!r}, which its path names", found.where)
    if extra := sorted(given - wanted):
        raise Unusable(f"has a parameter {extra[0]!r} that its path does not name", found.where)


def _read_body(
    document: OpenApiDocument, found: Found, schemas: Schemas, members: dict[str, Json], required: list[str]
) -> BodyKind | None:
    """Add the body to the arguments, where there is one; give its media type."""
    given = found.body.get("requestBody")
    if given is None:
        return None
    where = f"{found.where}.requestBody"
    body = document.resolved(given, where)
    content = body.get("content") if isinstance(body, dict) else None
    if not isinstance(content, dict) or not content:
        raise Unusable("must have a `content`", where)
    must = body.get("required") is True
    kind: BodyKind | None = next((one for one in _BODIES if one in content), None)
    if kind is None:
        if must:
            raise Unusable(f"takes {', '.join(map(str, content))[:200]}; {', '.join(_BODIES)} can be sent", where)
        return None
    media = content[kind]
    schema = media.get("schema", {}) if isinstance(media, dict) else {}
    members[BODY] = _described(schemas.taken(schema, f"{where}.content.{kind}.schema"), body)
    if must:
        required.append(BODY)
    return kind
