"""The JSON Schema of the configuration, for editors. `python -m gateway.config.schema > FILE` writes it; with the word agent, that of agent.yaml, with prompt that of a prompt.

It says what shapes say: types, ranges, names, the fields of each kind of provider. What depends on the machine or on
other settings (files, variables, references) only `load` can check.
"""

import json
import sys
from functools import singledispatchmethod
from typing import Any, Final

import msgspec

from gateway.config.agent_settings import AgentSettings
from gateway.config.presets import PRESETS
from gateway.config.prompt_settings import PromptTemplate
from gateway.config.secret import SOURCE_PATTERN
from gateway.config.settings import Settings
from gateway.config.shapes import (
    KIND,
    ChoiceShape,
    FieldShape,
    FlagShape,
    JsonShape,
    KindShape,
    ListShape,
    MapShape,
    NumberShape,
    OptionalShape,
    PathShape,
    RecordShape,
    SecretShape,
    Shape,
    TextShape,
    fields_of,
    shape_of,
)

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_KEYWORDS: Final = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}


def json_schema(cls: type[msgspec.Struct] = Settings, title: str = "Switchgear configuration") -> dict[str, Any]:
    """Return the schema (draft 2020-12) of a document of that type: a configuration, where none is named."""
    writer = _Writer()
    root = writer.write(shape_of(cls))
    return {
        "$schema": _DIALECT,
        "title": title,
        "$ref": root["$ref"],
        "$defs": dict(sorted(writer.definitions.items())),
    }


def schema_text() -> str:
    """Return the schema as the text of a file."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def agent_schema_text() -> str:
    """Return the schema of an agent's definition (agent.yaml) as the text of a file."""
    schema = json_schema(AgentSettings, "Switchgear agent")
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def prompt_schema_text() -> str:
    """Return the schema of a version of a prompt as the text of a file."""
    schema = json_schema(PromptTemplate, "Switchgear prompt template")
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


class _Writer:
    """Writes shapes as schemas; each struct once, as a definition."""

    def __init__(self) -> None:
        self.definitions: dict[str, Any] = {}

    @singledispatchmethod
    def write(self, shape: Shape) -> dict[str, Any]:
        """Return the schema of one shape."""
        raise TypeError(f"no schema for {shape}")

    @write.register
    def _(self, shape: TextShape) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "string"}
        if shape.min_length:
            schema["minLength"] = shape.min_length
        if shape.pattern:
            schema["pattern"] = shape.pattern
        return schema

    @write.register
    def _(self, shape: NumberShape) -> dict[str, Any]:
        limits = {word: getattr(shape, name) for name, word in _KEYWORDS.items() if getattr(shape, name) is not None}
        return {"type": "integer" if shape.whole else "number", **limits}

    @write.register
    def _(self, shape: FlagShape) -> dict[str, Any]:
        return {"type": "boolean"}

    @write.register
    def _(self, shape: ChoiceShape) -> dict[str, Any]:
        return {"type": "string", "enum": list(shape.words)}

    @write.register
    def _(self, shape: SecretShape) -> dict[str, Any]:
        self.definitions["Secret"] = {
            "type": "string",
            "pattern": SOURCE_PATTERN,
            "description": "env:NAME (an environment variable) or file:path (a file); never the secret itself.",
        }
        secret = {"$ref": "#/$defs/Secret"}
        return {"anyOf": [secret, self.write(shape.or_text)]} if shape.or_text else secret

    @write.register
    def _(self, shape: PathShape) -> dict[str, Any]:
        return {"type": "string", "minLength": 1}

    @write.register
    def _(self, shape: JsonShape) -> dict[str, Any]:
        return {}

    @write.register
    def _(self, shape: ListShape) -> dict[str, Any]:
        least = {"minItems": shape.min_length} if shape.min_length else {}
        return {"type": "array", "items": self.write(shape.item), **least}

    @write.register
    def _(self, shape: MapShape) -> dict[str, Any]:
        least = {"minProperties": shape.min_length} if shape.min_length else {}
        names = self.write(shape.key)
        limited = {"propertyNames": names} if len(names) > 1 else {}
        value = self.write(shape.value)
        if not shape.names:
            return {"type": "object", **limited, "additionalProperties": value, **least}
        some = {"minItems": shape.min_length} if shape.min_length else {}
        entry = {"anyOf": [value, {"type": "null"}]}
        return {
            "anyOf": [
                {"type": "array", "items": names, "uniqueItems": True, **some},
                {"type": "object", **limited, "additionalProperties": entry, **least},
            ]
        }

    @write.register
    def _(self, shape: OptionalShape) -> dict[str, Any]:
        inner = self.write(shape.inner)
        if isinstance(inner.get("type"), str) and "enum" not in inner:
            return inner | {"type": [inner["type"], "null"]}
        return {"anyOf": [inner, {"type": "null"}]}

    @write.register
    def _(self, shape: RecordShape) -> dict[str, Any]:
        name = shape.cls.__name__
        if name not in self.definitions:
            self.definitions[name] = {}
            self.definitions[name] = self._definition(shape.cls)
        long_form = {"$ref": f"#/$defs/{name}"}
        if shape.shorthand is None:
            return long_form
        short = {"type": "string", "pattern": shape.shorthand.pattern, "description": shape.shorthand.description}
        return {"anyOf": [short, long_form]}

    @write.register
    def _(self, shape: KindShape) -> dict[str, Any]:
        # if/then, not oneOf: an editor then complains about the one wrong field, not about every kind.
        kinds: dict[str, list[str]] = {}
        for kind, record in shape.records.items():
            kinds.setdefault(self.write(record)["$ref"], []).append(kind)
        cases = [{"if": _kind_in(words), "then": {"$ref": reference}} for reference, words in kinds.items()]
        if homeless := _without_address(shape):
            cases.append({"if": _kind_in(homeless), "then": {"required": ["base_url"]}})
        name = _name_of(shape)
        self.definitions[name] = {
            "type": "object",
            "required": [KIND],
            "properties": {KIND: {"enum": list(shape.records)}},
            "allOf": cases,
        }
        return {"$ref": f"#/$defs/{name}"}

    def _definition(self, cls: type[msgspec.Struct]) -> dict[str, Any]:
        fields = fields_of(cls)
        required = [name for name, field in fields.items() if field.required]
        return {
            "type": "object",
            "description": (cls.__doc__ or "").strip(),
            "properties": {name: self._property(field) for name, field in fields.items()},
            **({"required": required} if required else {}),
            "additionalProperties": False,
        }

    def _property(self, field: FieldShape) -> dict[str, Any]:
        schema = self.write(field.shape) | {"description": field.description}
        if field.required or isinstance(field.shape, RecordShape):
            return schema
        return schema | {"default": msgspec.to_builtins(field.default)}


def _name_of(shape: KindShape) -> str:
    """Name a choice of kinds after the module that its kinds are written in: provider_settings has the Provider kinds."""
    module = next(iter(shape.records.values())).cls.__module__.rpartition(".")[2]
    return module.removesuffix("_settings").title() + "Kind"


def _kind_in(words: list[str]) -> dict[str, Any]:
    return {"properties": {KIND: {"enum": words}}, "required": [KIND]}


def _without_address(shape: KindShape) -> list[str]:
    return [kind for kind in shape.records if kind in PRESETS and PRESETS[kind].base_url is None]


if __name__ == "__main__":
    texts = {"agent": agent_schema_text, "prompt": prompt_schema_text}
    sys.stdout.write(texts.get("".join(sys.argv[1:]), schema_text)())
