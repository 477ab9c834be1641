"""vLLM's structured outputs: nearly all of JSON Schema goes as it is; what is refused is left out, what is ignored is named."""

from __future__ import annotations

from typing import Any

from gateway.schemas import keywords as kw
from gateway.schemas.lowering.lowered import Lowered

_REFUSED = frozenset({"uniqueItems"})
_IGNORED = frozenset(
    {
        *("multipleOf", "format", "not", "if", "then", "else", "contains", "minContains", "maxContains", "oneOf"),
        *("dependentRequired", "dependentSchemas", "dependencies", "propertyNames", "minProperties", "maxProperties"),
        *("unevaluatedItems", "unevaluatedProperties"),
    },
)


def lower(schema: dict[str, Any]) -> Lowered:
    """Lower `schema`; there is none that cannot be sent, but for limits of vLLM's own."""
    loosened: list[str] = []
    out = _lower(schema, "$", loosened)
    return Lowered(schema=out, original=schema, loosened=tuple(loosened))


def _lower(schema: dict[str, Any], path: str, loosened: list[str]) -> dict[str, Any]:
    loosened.extend(f"{path}: {word}" for word in sorted(schema.keys() & (_REFUSED | _IGNORED)))
    out = {word: value for word, value in schema.items() if word not in _REFUSED and word != "x-guidance"}
    for word in (*kw.SAME_ONE, *kw.ELEMENT_ONE, *kw.MEMBER_ONE):
        if isinstance(out.get(word), dict):
            out[word] = _lower(out[word], f"{path}.{word}", loosened)
    for word in (*kw.SAME_LIST, *kw.ELEMENT_LIST):
        if isinstance(out.get(word), list):
            out[word] = [_part(part, f"{path}.{word}[{at}]", loosened) for at, part in enumerate(out[word])]
    for word in (*kw.SAME_MAP, *kw.MEMBER_MAP, *kw.NAMED_MAP, *kw.DEFINITIONS):
        if isinstance(out.get(word), dict):
            out[word] = {name: _part(part, f"{path}.{name}", loosened) for name, part in out[word].items()}
    return out


def _part(part: Any, path: str, loosened: list[str]) -> Any:
    return _lower(part, path, loosened) if isinstance(part, dict) else part
