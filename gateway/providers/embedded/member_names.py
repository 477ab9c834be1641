"""Names of members: what `propertyNames` says, as a list or a pattern of names. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MEMBERS = 8
"""Of an object with any names that a pattern allows: a tiny model goes on with them for ever."""
_NAME_LENGTH = 31


def listed(rule: Any) -> list[str]:
    """Give the names that `rule` lists, if it does."""
    values = rule.get("enum") if isinstance(rule, dict) else None
    return [name for name in values if isinstance(name, str)] if isinstance(values, list) else []


def enough(allowed: Mapping[str, Any], out: Mapping[str, Any]) -> bool:
    """Whether as many members are `allowed` as the object `out` has at least."""
    return sum(part is not False for part in allowed.values()) >= int(out.get("minProperties", 0))


def pattern_of(rule: dict[str, Any]) -> str | None:
    """Give a pattern of names, as wide as `rule` or narrower, where it speaks of nothing but a pattern, or of lengths."""
    said = rule.keys() - {"type"}
    if rule.get("type", "string") != "string" or not said:
        return None
    if said == {"pattern"}:
        return str(rule["pattern"])
    if said - {"minLength", "maxLength"}:
        return None
    least = max(rule.get("minLength", 0), 1)
    longest = max(least, _NAME_LENGTH)
    most = min(rule.get("maxLength", longest), longest)
    if most < least:
        return "^$" if rule.get("minLength", 0) == 0 else None
    return f"^[A-Za-z_][A-Za-z0-9_ -]{{{least - 1},{most - 1}}}$"
