"""Schemas of an OpenAPI document as JSON Schema 2020-12: each with what it refers to, in its own `$defs`. Pure."""

from __future__ import annotations

from typing import Any, Final

from gateway.core.items import Json
from gateway.tools.openapi.document import OpenApiDocument, Unusable

_COMPONENTS: Final = "#/components/schemas/"
_MOST_PARTS: Final = 5_000
_SCHEMAS: Final = frozenset(
    {"additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties"}
)  # fmt: skip
_LISTS: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_MAPS: Final = frozenset({"$defs", "dependentSchemas", "patternProperties", "properties"})
_LEFT_OUT: Final = frozenset({"discriminator", "example", "externalDocs", "nullable", "xml"})


class Schemas:
    """Takes schemas over, and gathers what they refer to in `defs`. `refuses` leaves out the members that a client may not send (readOnly)."""

    def __init__(self, document: OpenApiDocument) -> None:
        self.defs: dict[str, Json] = {}
        self._document = document
        self._parts = 0

    def taken(self, schema: Json, where: str) -> Json:
        """Give a schema as JSON Schema. Raises Unusable for one that is too large, or refers to what is not in the document."""
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, dict):
            raise Unusable("must be a schema", where)
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise Unusable(f"has more than {_MOST_PARTS:,} parts", where)
        if isinstance(reference := schema.get("$ref"), str):
            return self._referred(schema, reference, where)
        taken = {name: self._member(name, value, where) for name, value in schema.items() if _is_kept(name)}
        self._without_read_only(schema, taken)
        if self._document.is_old:
            _modernise(schema, taken)
        return taken

    def _member(self, name: str, value: Json, where: str) -> Json:
        here = f"{where}.{name}"
        if name in _SCHEMAS and isinstance(value, (dict, bool)):
            return self.taken(value, here)
        if name in _LISTS and isinstance(value, list):
            return [self.taken(one, f"{here}[{number}]") for number, one in enumerate(value)]
        if name in _MAPS and isinstance(value, dict):
            return {key: self.taken(one, f"{here}.{key}") for key, one in value.items()}
        return value

    def _referred(self, schema: dict[str, Json], reference: str, where: str) -> Json:
        if not reference.startswith(_COMPONENTS):
            return self.taken(self._document.resolved(schema, where), where)
        name = reference.removeprefix(_COMPONENTS).replace("~1", ".").replace("~0", "~")
        if name not in self.defs:
            self.defs[name] = True  # stands in for itself where it refers to itself
            self.defs[name] = self.taken(
                self._document.resolved({"$ref": reference}, where), f"components.schemas.{name}"
            )
        beside = {} if self._document.is_old else {key: value for key, value in schema.items() if key == "description"}
        return {"$ref": f"#/$defs/{name.replace('~', '~0').replace('/', '~1')}", **beside}

    def _without_read_only(self, schema: dict[str, Json], taken: dict[str, Any]) -> None:
        members = schema.get("properties")
        if not isinstance(members, dict):
            return
        hidden = {name for name, one in members.items() if isinstance(one, dict) and one.get("readOnly") is True}
        if hidden:
            taken["properties"] = {name: one for name, one in taken["properties"].items() if name not in hidden}
            if isinstance(required := taken.get("required"), list):
                taken["required"] = [name for name in required if not isinstance(name, str) or name not in hidden]


def _is_kept(name: str) -> bool:
    return name not in _LEFT_OUT and not name.startswith("x-")


def _modernise(schema: dict[str, Json], taken: dict[str, Any]) -> None:
    """Say in today's words what OpenAPI 3.0 says in those of draft 4, and its own `nullable`."""
    for bound, name in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(taken.get(name), bool) and taken.pop(name) and bound in taken:
            taken[name] = taken.pop(bound)
    if schema.get("nullable") is True and isinstance(kind := taken.get("type"), str):
        taken["type"] = [kind, "null"]
        if isinstance(values := taken.get("enum"), list) and None not in values:
            taken["enum"] = [*values, None]
