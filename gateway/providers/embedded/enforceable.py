"""Enforceable schemas: rewrites a JSON schema in the keywords that the grammar compiler has.

Most of what it lacks can be said more narrowly in what it has: every document of the rewritten schema is one of the original. What
cannot is left out and named; the judge of the finished text then has the last word. Pure; it neither bounds (`bounded_schema` does)
nor compiles.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.core.errors import UnsupportedSchema
from gateway.providers.embedded.member_names import MEMBERS, enough, listed, pattern_of
from gateway.providers.embedded.wider_pattern import wider
from gateway.schemas import keywords as kw
from gateway.schemas.judge import compiled
from gateway.schemas.limits import MAX_DEPTH, MAX_PARTS
from gateway.schemas.merging import ANNOTATIONS, merged
from gateway.schemas.outline import Graph

_KINDS = ("string", "number", "boolean", "null", "array", "object")
_COUNTS = (
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "minContains",
    "maxContains",
)
# A pattern, as wide or narrower, of each format that the compiler lacks or takes too widely.
_YEAR = r"[1-9][0-9]{3}"
_LEAP_YEAR = r"(?:[1-9][0-9](?:0[48]|[2468][048]|[13579][26])|(?:[2468][048]|[13579][26])00)"
_DATE = (
    rf"(?:{_YEAR}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    rf"|02-(?:0[1-9]|1[0-9]|2[0-8]))|{_LEAP_YEAR}-02-29)"
)
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])"
_WEB = "^https?://[a-z0-9]{1,20}(?:[.][a-z0-9]{1,20}){0,3}(?:/[A-Za-z0-9_-]{1,30}){0,6}$"
_FORMATS = {
    "date": f"^{_DATE}$",
    "time": f"^{_TIME}$",
    "date-time": f"^{_DATE}T{_TIME}$",
    "regex": "^[A-Za-z0-9 ]{1,40}$",
    "json-pointer": "^(?:/[A-Za-z0-9_-]{1,30}){0,8}$",
    "relative-json-pointer": "^[0-9](?:/[A-Za-z0-9_-]{1,30}){0,8}$",
    **dict.fromkeys(("uri", "uri-reference", "iri", "iri-reference"), _WEB),
    "idn-hostname": "^[a-z]{1,20}(?:[.][a-z]{1,20}){0,3}$",
    "uri-template": "^https?://[a-z0-9]{1,30}(?:/[a-z0-9]{1,30}){0,4}(?:/[{][a-z]{1,20}[}])?$",
}
_NARROWER = {
    "idn-email": "email",
}
_COMPILED = frozenset({"email", "hostname", "ipv4", "ipv6", "uuid", "duration"})
_UNEVALUATED = ("unevaluatedProperties", "unevaluatedItems")
_PLACES = 8
_SAFE = 2**53 - 1


def enforceable(schema: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Give the rewritten schema, and the keywords that were left out. Raises UnsupportedSchema for a reference to elsewhere."""
    return _Rewriting(dict(schema)).whole()


class _Rewriting:
    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._graph = Graph(root, most=MAX_PARTS, depth=MAX_DEPTH)
        self._old = "draft-0" in str(root.get("$schema", "")) or "2019-09" in str(root.get("$schema", ""))
        self._names: dict[int, str] = {}
        self._rewritten: dict[str, Any] = {}
        self._lost: set[str] = set()

    def whole(self) -> tuple[dict[str, Any], tuple[str, ...]]:
        # The graph copied the root; identities are those of its parts.
        out = self.schema(self._graph.parts[0].schema)
        if out is False:
            msg = "The schema cannot be enforced: it allows nothing."
            raise UnsupportedSchema(msg)
        out = out if isinstance(out, dict) else {}
        if self._rewritten:
            out = {**out, "$defs": self._rewritten}
        return out, tuple(sorted(self._lost))

    def schema(self, schema: Any) -> Any:
        if not isinstance(schema, dict):
            return schema
        out = {word: value for word, value in schema.items() if word not in ANNOTATIONS and word != "x-guidance"}
        out = self._referred(schema, out)
        if "$ref" in out and self._old:
            return {"$ref": out["$ref"]}
        self._modern(out)
        self._deeper(out)
        if out.get("not") in (True, {}):
            return False
        for step in (
            self._numbers,
            self._listed,
            self._formats,
            self._patterns,
            self._arrays,
            self._dependent,
            self._conditional,
        ):
            out = step(out)
        out = self._negated(self._counted(self._names_of_members(self._combined(out))))
        return self._unevaluated(out)

    def _referred(self, schema: dict[str, Any], out: dict[str, Any]) -> dict[str, Any]:
        """Point every reference into `$defs`, whatever it was written as."""
        for word in (
            "$defs",
            "definitions",
            "$id",
            "id",
            "$anchor",
            "$dynamicAnchor",
            "$recursiveAnchor",
            "$vocabulary",
        ):
            if word != "id" or isinstance(out.get(word), str):
                out.pop(word, None)
        if not any(word in out and isinstance(out[word], str) for word in kw.REFERENCES):
            return out
        for word in kw.REFERENCES:
            if out.pop(word, None) is not None and word != "$ref" and self._graph.ambiguous(schema):
                # Who is meant depends on who asks; the plain meaning is enforced.
                self._lost.add(word)
        target = self._graph.targets.get(id(schema))
        if target is False:
            out["not"] = {}
            return out
        if target is None:
            self._lost.add("$ref")
        elif target is not True:
            out["$ref"] = f"#/$defs/{self._definition(target)}"
        return out

    def _definition(self, target: int) -> str:
        if target not in self._names:
            name = self._names[target] = f"part{target}"
            self._rewritten[name] = self.schema(self._graph.parts[target].schema)
        return self._names[target]

    def _modern(self, out: dict[str, Any]) -> None:
        """Say what older drafts say in the words of 2020-12."""
        if isinstance(out.get("items"), list):
            out["prefixItems"] = out.pop("items")
            if "additionalItems" in out:
                out["items"] = out["additionalItems"]
        out.pop("additionalItems", None)
        for word, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
            if isinstance(out.get(word), bool) and out.pop(word) and bound in out:
                out[word] = out.pop(bound)
        for word, needs in (out.pop("dependencies", None) or {}).items():
            keyword = "dependentRequired" if isinstance(needs, list) else "dependentSchemas"
            out.setdefault(keyword, {})
            out[keyword] = {**out[keyword], word: needs}

    def _deeper(self, out: dict[str, Any]) -> None:
        for word in (*kw.SAME_ONE, *kw.ELEMENT_ONE, *kw.MEMBER_ONE):
            if isinstance(out.get(word), dict):
                out[word] = self.schema(out[word])
        for word in (*kw.SAME_LIST, "prefixItems"):
            if isinstance(out.get(word), list):
                out[word] = [self.schema(part) for part in out[word]]
        for word in ("dependentSchemas", *kw.MEMBER_MAP, *kw.NAMED_MAP):
            if isinstance(out.get(word), dict):
                out[word] = {name: self.schema(part) for name, part in out[word].items()}

    def _numbers(self, out: dict[str, Any]) -> dict[str, Any]:
        for word in _COUNTS:
            if isinstance(out.get(word), float) and out[word].is_integer():
                out[word] = int(out[word])
        # Nobody writes numbers beyond what a double holds exactly; the compiler has no words for them.
        for words, limit in ((("maximum", "exclusiveMaximum"), _SAFE), (("minimum", "exclusiveMinimum"), -_SAFE)):
            for word in words:
                if (
                    isinstance(out.get(word), (int, float))
                    and abs(out[word]) > _SAFE
                    and (out[word] > 0) == (limit > 0)
                ):
                    del out[word]
                    out.setdefault(words[0], limit)
        return out

    def _listed(self, out: dict[str, Any]) -> dict[str, Any]:
        """Keep those listed values that satisfy everything else that is said about them."""
        if "const" not in out and not isinstance(out.get("enum"), list):
            return out
        rest = {word: value for word, value in out.items() if word not in ("const", "enum")}
        values = [out["const"]] if "const" in out else out["enum"]
        if "const" in out and isinstance(out.get("enum"), list):
            values = [value for value in values if value in out["enum"]]
        if not rest:
            return {"enum": values}
        if "$ref" in rest:
            return out
        judge = compiled({**rest, "$defs": self._rewritten})
        return {"enum": [value for value in values if not judge.judge(value)]}

    def _formats(self, out: dict[str, Any]) -> dict[str, Any]:
        form = out.get("format")
        if not isinstance(form, str):
            return out
        if out.get("type", "string") != "string":
            return out if form in _COMPILED else {word: value for word, value in out.items() if word != "format"}
        if form in _FORMATS and "pattern" not in out:
            return {word: value for word, value in out.items() if word != "format"} | {"pattern": _FORMATS[form]}
        if form in _NARROWER:
            return {**out, "format": _NARROWER[form]}
        if form in _COMPILED or form in ("date", "time", "date-time"):
            return out
        if form in _FORMATS:
            self._lost.add("format")
        # Any other is only an annotation: the judge does not know it either.
        return {word: value for word, value in out.items() if word != "format"}

    def _patterns(self, out: dict[str, Any]) -> dict[str, Any]:
        pattern = out.get("pattern")
        if not isinstance(pattern, str) or (simple := wider(pattern)) == pattern:
            return out
        self._lost.add("pattern")
        rest = {word: value for word, value in out.items() if word != "pattern"}
        return {**rest, "pattern": simple} if simple else rest

    def _arrays(self, out: dict[str, Any]) -> dict[str, Any]:
        if out.pop("uniqueItems", False) and not self._distinct(out):
            self._lost.add("uniqueItems")
        contains = out.pop("contains", None)
        least, most = out.pop("minContains", 1), out.pop("maxContains", None)
        if contains is None or (least == 0 and most is None):
            return out
        # Every element is one of those that the array has to contain.
        items = merged([out.get("items", True), contains])
        if items is None or "prefixItems" in out:
            self._lost.add("contains")
            return out
        if least == 0 and most == 0:
            self._lost.add("contains")
            return out
        out["items"] = items
        out["minItems"] = max(out.get("minItems", 0), least)
        if most is not None:
            out["maxItems"] = min(out.get("maxItems", most), most)
        return {"type": "array", **out} if "type" not in out else out

    def _distinct(self, out: dict[str, Any]) -> bool:
        """Let each place of an array of listed values have values of its own, if there are enough: then none is there twice."""
        items = self._inlined(out.get("items"))
        values = items.get("enum") if isinstance(items, dict) and items.keys() == {"enum"} else None
        if out.get("maxItems") == 1:
            return True
        if not isinstance(values, list) or out.keys() & {"prefixItems", "contains"}:
            return False
        least = out.get("minItems", 0)
        places = min(len(values), out.get("maxItems", max(least, _PLACES)))
        if places < max(least, 1):
            return False
        out["prefixItems"] = [{"enum": values[place::places]} for place in range(places)]
        out["items"] = False
        out["maxItems"] = places
        return True

    def _dependent(self, out: dict[str, Any]) -> dict[str, Any]:
        """What is asked for when a member is there is asked for always."""
        for needs in (out.pop("dependentRequired", None) or {}).values():
            out["required"] = list(dict.fromkeys([*(out.get("required") or ()), *needs]))
        for name, part in (out.pop("dependentSchemas", None) or {}).items():
            joined = merged([out, part])
            if not isinstance(joined, dict):
                # Then the member that asks for it is never there.
                joined = merged([out, {"properties": {name: False}}])
            if isinstance(joined, dict):
                out = joined
            else:
                self._lost.add("dependentSchemas")
        return out

    def _conditional(self, out: dict[str, Any]) -> dict[str, Any]:
        """Take the way of `then`."""
        condition, then, otherwise = (out.pop(word, None) for word in ("if", "then", "else"))
        if condition is None or (then is None and otherwise is None):
            return out
        if condition is False:
            joined = merged([out, True if otherwise is None else otherwise])
        else:
            joined = merged([out, condition, True if then is None else then])
        if isinstance(joined, dict):
            return joined
        self._lost.add("if")
        return out

    def _combined(self, out: dict[str, Any]) -> dict[str, Any]:
        """Make one schema of `allOf`, where it can be said, and of `$ref` where something depends on all of them."""
        parts = out.get("allOf") or []
        rules: dict[str, Any] = {word: out[word] for word in _UNEVALUATED if word in out}
        rest = {word: value for word, value in out.items() if word != "allOf" and word not in rules}
        joined = merged([self._inlined(part) for part in (rest, *parts)] if rules else [rest, *parts])
        return {**joined, **rules} if isinstance(joined, dict) else out

    def _inlined(self, part: Any) -> Any:
        reference = part.get("$ref") if isinstance(part, dict) else None
        if reference is None:
            return part
        target = self._rewritten.get(reference.rpartition("/")[2])
        rest = {word: value for word, value in part.items() if word != "$ref"}
        return None if target is None else merged([target, rest])

    def _names_of_members(self, out: dict[str, Any]) -> dict[str, Any]:
        """Only the listed members, by names that are allowed; or any, by names of a pattern; else names are the judge's."""
        rule = out.pop("propertyNames", None)
        if rule is None or rule is True:
            return out
        branching = out.keys() & {*kw.SAME_LIST, "$ref"}
        rest = out.get("additionalProperties", True if branching else out.get("unevaluatedProperties", True))
        judge = compiled({"$defs": self._rewritten, **rule} if isinstance(rule, dict) else {"not": {}})
        wanted = [*(out.get("required") or ()), *(listed(rule) if "patternProperties" not in out else ())]
        names = dict.fromkeys(wanted, rest) | (out.get("properties") or {})
        allowed = {name: part if not judge.judge(name) else False for name, part in names.items()}
        closed = {"type": "object", **out, "properties": allowed, "additionalProperties": False}
        if rule is False or listed(rule) or (names and enough(allowed, out)):
            return closed
        pattern = pattern_of(rule)
        if pattern is None or names or "patternProperties" in out:
            self._lost.add("propertyNames")
            return out
        if rest is False:
            return closed
        # A tiny model goes on with members for ever.
        most = max(MEMBERS, out.get("minProperties", 0))
        return {"maxProperties": most, **closed, "patternProperties": {pattern: rest}}

    def _counted(self, out: dict[str, Any]) -> dict[str, Any]:
        """The compiler counts the members of an object only where all that are listed are required."""
        names, required = set(out.get("properties") or ()), set(out.get("required") or ())
        if not names - required:
            return out
        if out.get("minProperties", 0) <= len(required):
            out.pop("minProperties", None)
        if out.get("additionalProperties") is False and not out.get("patternProperties"):
            out = {word: value for word, value in out.items() if word != "maxProperties" or value < len(names)}
        for word in ("minProperties", "maxProperties"):
            if out.pop(word, None) is not None:
                self._lost.add(word)
        return out

    def _negated(self, out: dict[str, Any]) -> dict[str, Any]:
        rule = out.get("not")
        if rule is None or rule is False:
            return {word: value for word, value in out.items() if word != "not"}
        rest = {word: value for word, value in out.items() if word != "not"}
        only = rule.keys()
        if only == {"required"} and len(rule["required"]) == 1:
            (name,) = rule["required"]
            joined = merged([rest, {"properties": {name: False}}])
            if isinstance(joined, dict):
                return joined
        if only == {"type"} and "type" not in rest:
            excluded = [rule["type"]] if isinstance(rule["type"], str) else rule["type"]
            if "integer" not in excluded:
                return {**rest, "type": [kind for kind in _KINDS if kind not in excluded]}
        self._lost.add("not")
        return rest

    def _unevaluated(self, out: dict[str, Any]) -> dict[str, Any]:
        """What nothing else speaks of is what the one schema does not name, where it is one; or each of its branches."""
        rules: dict[str, Any] = {word: out.pop(word) for word in _UNEVALUATED if word in out}
        rules = {word: rule for word, rule in rules.items() if rule is not True}
        if not rules:
            return out
        branching = [word for word in (*kw.SAME_LIST, "$ref") if word in out]
        if not branching:
            return _closed(out, rules)
        (word, *others) = branching
        if word in ("anyOf", "oneOf") and not others:
            rest = {name: value for name, value in out.items() if name != word}
            branches = [merged([rest, self._inlined(branch)]) for branch in out[word]]
            if all(isinstance(branch, dict) and not branch.keys() & {*kw.SAME_LIST, "$ref"} for branch in branches):
                return {word: [_closed(branch, rules) for branch in branches]}
        self._lost |= rules.keys()
        return out


def _closed(out: dict[str, Any], rules: dict[str, Any]) -> dict[str, Any]:
    for word, plain in (("unevaluatedProperties", "additionalProperties"), ("unevaluatedItems", "items")):
        if word in rules:
            out.setdefault(plain, rules[word])
    return out
