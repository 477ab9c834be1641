"""A provider's subset of JSON Schema as a table, and the one walk that lowers a schema to any such subset. Pure.

A keyword that the subset lacks is left out and named, where that only loosens; what cannot be said at all is refused
(UnsupportedSchema), and the schema then has to be kept by other means. What was left open may be narrowed without a word: every
answer of the narrowed schema is one of the original's.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import msgspec

from gateway.core.errors import UnsupportedSchema
from gateway.schemas.lowering.lowered import WRAPPED, Lowered, admits_null, pointed
from gateway.schemas.merging import ANNOTATIONS, merged

MOST_VISITS = 10_000
"""What a walk may take in effort: schemas that it sees, and more for merges of large ones and for long texts."""
_VISIT_CHARACTERS = 256
_MERGE = 8
_MERGE_BYTES = 4_096
_KEPT_ANNOTATIONS = ("title", "description")
_STRUCTURAL = frozenset(
    {
        *("type", "enum", "const", "properties", "required", "additionalProperties", "items", "prefixItems"),
        *("anyOf", "oneOf", "allOf", "$ref", "$defs", "definitions", "patternProperties", "additionalItems"),
    },
)
_HINTS = {
    "object": ("properties", "required", "additionalProperties", "patternProperties", "minProperties", "maxProperties"),
    "array": ("items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains"),
    "string": ("pattern", "format", "minLength", "maxLength"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}
_HARD_PATTERN = re.compile(r"\(\?[=!<]|\\[1-9bBkpP]")
_BELONGS = {word: kind for kind, words in _HINTS.items() for word in words}


class Subset(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider's strict mode takes.

    `keywords` are those without further schemas that it enforces. `min_items`: the values of minItems that it takes, None for all.
    """

    name: str
    keywords: frozenset[str]
    formats: frozenset[str]
    min_items: frozenset[int] | None = None
    all_required: bool
    object_root: bool
    recursive: bool
    depth: int
    properties: int
    enum_values: int


def lower(schema: dict[str, Any], subset: Subset) -> Lowered:
    """Lower `schema`. Raises UnsupportedSchema where the subset cannot say it."""
    try:
        return _lowered(schema, subset)
    except RecursionError as exc:
        msg = f"{subset.name} cannot be told of references that lead on so far."
        raise UnsupportedSchema(msg) from exc


def _lowered(schema: dict[str, Any], subset: Subset) -> Lowered:
    walk = _Walk(schema, subset)
    out = walk.schema(schema, "$", 0)
    if subset.object_root and "$ref" in out:
        out = dict(walk.definitions()[out["$ref"].rpartition("/")[2]])
    wrapped = subset.object_root and out.get("type") != "object"
    if wrapped:
        out = {"type": "object", "properties": {WRAPPED: out}, "required": [WRAPPED], "additionalProperties": False}
    definitions = walk.definitions()
    if definitions:
        out["$defs"] = definitions
    return Lowered(
        schema=out,
        original=schema,
        loosened=tuple(dict.fromkeys(walk.loosened)),
        wrapped=wrapped,
        nulled=walk.nulled,
        effort=walk.effort,
    )


class _Walk:
    def __init__(self, root: dict[str, Any], subset: Subset) -> None:
        self._root = root
        self._subset = subset
        self._left = MOST_VISITS
        self._merge_cost = _MERGE + len(msgspec.json.encode(root)) // _MERGE_BYTES
        self._properties = 0
        self._values = 0
        self._names: dict[str, str] = {}
        self._numbers: Counter[str] = Counter()
        self._taken: set[str] = set()
        self._lowered: dict[str, dict[str, Any]] = {}
        self._entered: list[str] = []
        self.loosened: list[str] = []
        self.nulled = False

    @property
    def effort(self) -> int:
        """What it took."""
        return MOST_VISITS - self._left

    def definitions(self) -> dict[str, Any]:
        """Give what was referred to."""
        return {self._names[reference]: schema for reference, schema in self._lowered.items()}

    def schema(self, schema: Any, path: str, depth: int) -> dict[str, Any]:
        if not isinstance(schema, dict):
            raise self._no(path, "anything at all" if schema is True else "false")
        self._spend(1 + _characters(schema) // _VISIT_CHARACTERS, path)
        if depth > self._subset.depth:
            raise self._no(path, f"more than {self._subset.depth} levels")
        if words := schema.keys() & {"$dynamicRef", "$recursiveRef", "$anchor", "$dynamicAnchor"}:
            raise self._no(path, min(words))
        if schema is not self._root and "$id" in schema:
            raise self._no(path, "$id")
        notes = {word: schema[word] for word in _KEPT_ANNOTATIONS if isinstance(schema.get(word), str)}
        plain = {word: value for word, value in schema.items() if word not in ANNOTATIONS}
        plain = self._flat(plain, path)
        if "$ref" in plain:
            return self._reference(plain["$ref"], path)
        branches = plain.get("anyOf") or plain.get("oneOf")
        if branches:
            return {**notes, **self._branches(plain, path, depth)}
        return {**notes, **self._typed(plain, path, depth)}

    def _flat(self, plain: dict[str, Any], path: str) -> dict[str, Any]:
        """Give the schema without allOf, and without anything beside `$ref`."""
        for _ in range(8):
            beside = plain.keys() - {"$ref", "$defs", "definitions"}
            if "allOf" not in plain and not ("$ref" in plain and beside):
                return plain
            parts = [{word: plain[word] for word in beside - {"allOf"}}, *(plain.get("allOf") or ())]
            if "$ref" in plain:
                parts.append({"$ref": plain["$ref"]})
            if len(parts) > 1 and any(isinstance(part, dict) and "$ref" in part for part in parts[1:]):
                several = len([part for part in parts if part]) > 1
                parts = [self._inlined(part, path) for part in parts] if several else parts
            joined = self._merged(parts, path)
            if not isinstance(joined, dict):
                raise self._no(path, "allOf")
            plain = {word: value for word, value in joined.items() if word not in ANNOTATIONS}
        raise self._no(path, "allOf")

    def _spend(self, effort: int, path: str) -> None:
        self._left -= effort
        if self._left < 0:
            raise self._no(path, "so much: references with keywords beside them, and branches, multiply")

    def _merged(self, parts: list[Any], path: str) -> Any:
        several = sum(1 for part in parts if part)
        if several > 1:
            self._spend(several * self._merge_cost, path)
        return merged(parts)

    def _inlined(self, part: Any, path: str) -> Any:
        if not isinstance(part, dict) or "$ref" not in part:
            return part
        target = pointed(self._root, part["$ref"])
        rest = {word: value for word, value in part.items() if word != "$ref"}
        return self._merged([target, rest], path) if isinstance(target, (dict, bool)) else part

    def _reference(self, reference: Any, path: str) -> dict[str, Any]:
        target = pointed(self._root, reference)
        if not isinstance(target, dict):
            raise self._no(path, f"the reference {str(reference)[:100]!r}")
        if reference not in self._names:
            self._names[reference] = self._definition_name(reference)
            self._entered.append(reference)
            self._lowered[reference] = {}
            self._lowered[reference] = self.schema(target, f"$<{self._names[reference]}>", 1)
            self._entered.pop()
        elif reference in self._entered and not self._subset.recursive:
            raise self._no(path, "recursion")
        return {"$ref": f"#/$defs/{self._names[reference]}"}

    def _definition_name(self, reference: str) -> str:
        last = re.sub(r"[^A-Za-z0-9_-]", "_", reference.rpartition("/")[2]) or "root"
        name = last
        while name in self._taken:
            self._numbers[last] += 1
            name = f"{last}_{self._numbers[last]}"
        self._taken.add(name)
        return name

    def _branches(self, plain: dict[str, Any], path: str, depth: int) -> dict[str, Any]:
        keyword = "anyOf" if plain.get("anyOf") else "oneOf"
        if "anyOf" in plain and "oneOf" in plain:
            self.loosened.append(f"{path}: oneOf")
        rest = {word: value for word, value in plain.items() if word not in ("anyOf", "oneOf", "$defs", "definitions")}
        out = []
        for number, branch in enumerate(plain[keyword]):
            if branch is False:
                continue
            whole = branch if not rest else self._merged([rest, self._inlined(branch, path)], path)
            if not isinstance(whole, (dict, bool)):
                raise self._no(path, f"keywords beside {keyword}")
            out.append(self.schema(whole, f"{path}|{number}", depth))
        if not out:
            raise self._no(path, "what nothing satisfies")
        if keyword == "oneOf":
            self.loosened.append(f"{path}: oneOf")
        return {"anyOf": out}

    def _typed(self, plain: dict[str, Any], path: str, depth: int) -> dict[str, Any]:
        if "const" in plain or "enum" in plain:
            return self._listed(plain, path)
        kinds = plain.get("type") or _inferred(plain)
        kinds = [kinds] if isinstance(kinds, str) else list(kinds)
        if not kinds:
            raise self._no(path, "anything at all")
        if len(kinds) == 1:
            return self._one(plain, kinds[0], path, depth)
        return {"anyOf": [self._one(plain, kind, path, depth) for kind in kinds]}

    def _listed(self, plain: dict[str, Any], path: str) -> dict[str, Any]:
        values = [plain["const"]] if "const" in plain else list(plain["enum"])
        kinds = plain.get("type")
        names = [kinds] if isinstance(kinds, str) else kinds
        values = [value for value in values if names is None or _is(value, names)]
        if not values or any(isinstance(value, (dict, list)) for value in values):
            raise self._no(path, "an enum of arrays or objects")
        self._values += len(values)
        if self._values > self._subset.enum_values:
            raise self._no(path, f"more than {self._subset.enum_values} values in enums")
        self._leave_out(plain.keys() - _STRUCTURAL, path)
        found = list(dict.fromkeys(_kind(value) for value in values))
        return {"type": found[0] if len(found) == 1 else found, "enum": values}

    def _one(self, plain: dict[str, Any], kind: str, path: str, depth: int) -> dict[str, Any]:
        out: dict[str, Any] = {"type": kind}
        belonging = "number" if kind == "integer" else kind
        for word, value in plain.items():
            if word in _STRUCTURAL or _BELONGS.get(word, belonging) != belonging:
                continue
            if word in self._subset.keywords and self._takes(word, value):
                out[word] = value
            else:
                self._leave_out({word}, path)
        if kind == "object":
            return {**out, **self._object(plain, path, depth)}
        return {**out, **self._array(plain, path, depth)} if kind == "array" else out

    def _takes(self, word: str, value: Any) -> bool:
        if word == "format":
            return value in self._subset.formats
        if word == "pattern":
            return isinstance(value, str) and _HARD_PATTERN.search(value) is None
        return word != "minItems" or self._subset.min_items is None or value in self._subset.min_items

    def _object(self, plain: dict[str, Any], path: str, depth: int) -> dict[str, Any]:
        properties = plain.get("properties") or {}
        required = [name for name in plain.get("required") or () if name in properties]
        if not properties and plain.get("additionalProperties", True) is not False:
            raise self._no(path, "an object without named members")
        if len(required) < len(plain.get("required") or ()):
            raise self._no(path, "a required member that is not described")
        self._properties += len(properties)
        if self._properties > self._subset.properties:
            raise self._no(path, f"more than {self._subset.properties} members")
        out = {}
        for name, part in properties.items():
            if part is False and name not in required:
                continue
            out[name] = self.schema(part, f"{path}.{name}", depth + 1)
            if self._subset.all_required and name not in required:
                out[name] = self._or_null(out[name], part)
        names = list(out) if self._subset.all_required else required
        return {"properties": out, "required": names, "additionalProperties": False}

    def _or_null(self, lowered: dict[str, Any], part: Any) -> dict[str, Any]:
        if admits_null(lowered):
            return lowered
        self.nulled = True
        notes = {word: lowered[word] for word in _KEPT_ANNOTATIONS if word in lowered}
        bare = {word: value for word, value in lowered.items() if word not in notes}
        branches = bare["anyOf"] if bare.keys() == {"anyOf"} else [bare]
        if any(branch == {"type": "null"} for branch in branches):
            return lowered
        return {**notes, "anyOf": [*branches, {"type": "null"}]}

    def _array(self, plain: dict[str, Any], path: str, depth: int) -> dict[str, Any]:
        items = plain.get("items")
        first = plain.get("prefixItems") or (items if isinstance(items, list) else None)
        if first:
            self.loosened.append(f"{path}: prefixItems")
            others = [items] if isinstance(items, dict) else []
            lowered = [self.schema(part, f"{path}[{at}]", depth + 1) for at, part in enumerate([*first, *others])]
            distinct = list({msgspec.json.encode(part, order="sorted"): part for part in reversed(lowered)}.values())[
                ::-1
            ]
            return {"items": distinct[0] if len(distinct) == 1 else {"anyOf": distinct}}
        if not isinstance(items, dict):
            raise self._no(path, "an array of anything")
        return {"items": self.schema(items, f"{path}[]", depth + 1)}

    def _leave_out(self, words: Any, path: str) -> None:
        self.loosened.extend(f"{path}: {word}" for word in sorted(words))

    def _no(self, path: str, what: str) -> UnsupportedSchema:
        return UnsupportedSchema(f"{self._subset.name} cannot be told of {what} (at {path}).")


def _characters(schema: dict[str, Any]) -> int:
    """Give about how long the texts are that stand in a schema itself: all of them may go out."""
    count = 0
    for value in schema.values():
        if isinstance(value, str):
            count += len(value)
        elif isinstance(value, (list, dict)):
            count += sum(len(text) for text in value if isinstance(text, str))
    return count


def _inferred(plain: dict[str, Any]) -> list[str]:
    """Give the kind that the keywords speak of: answers of that kind are among those of the schema."""
    return next(([kind] for kind, words in _HINTS.items() if plain.keys() & set(words)), [])


def _is(value: Any, names: list[str]) -> bool:
    kind = _kind(value)
    return kind in names or (kind == "integer" and "number" in names)


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    for kind, name in ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"), (list, "array")):
        if isinstance(value, kind):
            return name
    return "object"
