"""JSON Schemas of records, each whole in itself: the schema of a tool has no place for definitions of its parts."""

from __future__ import annotations

from typing import Any

import msgspec

from mcp_servers.verbs import Json

_REFERENCE = "#/$defs/"


def shape(kind: Any) -> dict[str, Json]:
    """Give the schema of a record, or of a sequence of records; they do not hold themselves."""
    [schema], parts = msgspec.json.schema_components((kind,), ref_template=f"{_REFERENCE}{{name}}")
    found: dict[str, Json] = _whole(schema, parts)
    return found


def _whole(schema: Json, parts: dict[str, Json]) -> Json:
    if isinstance(schema, list):
        return [_whole(each, parts) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _whole(parts[schema["$ref"].removeprefix(_REFERENCE)], parts)
    return {name: _whole(each, parts) for name, each in schema.items() if name not in ("title", "default")}
