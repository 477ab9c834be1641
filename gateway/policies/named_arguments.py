"""Which arguments of a tool a policy names, and as what: `context.args.replicas > 3` names `replicas`, as a whole number.

Found in the policy's parsed form. A policy can see no other argument, so nothing else of a call is ever turned into Cedar's values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from cedarpy import pst

Path = tuple[str, ...]

DEEPEST: Final = 20
MOST_NAMED: Final = 100

_CONTEXT = pst.Var(name="context")
_ARGUMENTS = pst.GetAttr(base=_CONTEXT, attr="args")
_LONG: Final = frozenset({"less", "less_eq", "greater", "greater_eq", "add", "sub", "mul"})
_BOOL: Final = frozenset({"and", "or"})
_DECIMAL: Final = frozenset({"decimal_less_than", "decimal_less_eq", "decimal_greater", "decimal_greater_eq"})
_SETS: Final = frozenset({"contains_all", "contains_any"})
_ANY: Final = ""


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """As what an argument is used: a type of Cedar's, empty where that is open. `guarded`: the policy asks whether it is there."""

    kind: str = _ANY
    guarded: bool = False

    def __or__(self, other: Use) -> Use:
        return Use(kind=self.kind or other.kind, guarded=self.guarded or other.guarded)


class Unnamed(Exception):
    """A policy speaks of the arguments as a whole, or of too many; carries the message."""


def named_arguments(policy: pst.Template) -> dict[Path, Use]:
    """Give the arguments that a policy names. Raises Unnamed."""
    found: dict[Path, Use] = {}
    waiting: list[tuple[Any, str]] = [(clause.expr, "Bool") for clause in policy.clauses]
    while waiting:
        node, kind = waiting.pop()
        path = _path(node)
        if path is not None:
            _note(found, path, Use(kind=kind))
        elif isinstance(node, pst.HasAttr) and (base := _path(node.base)) is not None:
            for end in range(1, len(node.attrs) + 1):
                _note(found, base + node.attrs[:end], Use(guarded=True))
        else:
            waiting.extend(_inner(node))
    return found


def joined(all_of: Iterable[Mapping[Path, Use]]) -> dict[Path, Use]:
    """Give what several policies name together."""
    found: dict[Path, Use] = {}
    for names in all_of:
        for path, use in names.items():
            found[path] = found.get(path, Use()) | use
    return found


def record_type(named: Mapping[Path, Use], under: Path = ()) -> str:
    """Write the type of a record that has the arguments named, as Cedar's schemas write types."""
    fields = []
    for name in dict.fromkeys(
        path[len(under)] for path in named if path[: len(under)] == under and len(path) > len(under)
    ):
        path = (*under, name)
        use = named.get(path, Use())
        deeper = any(len(other) > len(path) and other[: len(path)] == path for other in named)
        kind = record_type(named, path) if deeper else use.kind or "String"
        fields.append(f"{quoted(name)}{'?' if use.guarded else ''}: {kind}")
    return "{" + ", ".join(fields) + "}"


def quoted(name: str) -> str:
    """Write a text as Cedar does."""
    return (
        '"'
        + "".join(char if char.isprintable() and char not in '"\\' else f"\\u{{{ord(char):x}}}" for char in name)
        + '"'
    )


def _note(found: dict[Path, Use], path: Path, use: Use) -> None:
    if not path:
        msg = "name the argument that is meant (context.args.name): the arguments as a whole have no type"
        raise Unnamed(msg)
    if len(path) > DEEPEST or len(found) > MOST_NAMED:
        msg = f"a policy may name {MOST_NAMED} arguments, each at most {DEEPEST} deep"
        raise Unnamed(msg)
    found[path] = found.get(path, Use()) | use


def _path(node: object) -> Path | None:
    """Give the path of an argument; () for all of them, None for what is none."""
    names: list[str] = []
    while isinstance(node, pst.GetAttr):
        if node == _ARGUMENTS:
            return tuple(reversed(names))
        names.append(node.attr)
        node = node.base
    return None


def _inner(node: Any) -> list[tuple[Any, str]]:
    """Give what a node is made of, each with the type that it must have there."""
    if isinstance(node, pst.BinaryOp):
        return _sides(node)
    if isinstance(node, pst.UnaryOp):
        kinds = {"not": "Bool", "neg": "Long", "is_empty": "Set<String>"}
        return [
            (node.arg, kinds.get(node.op, "String" if node.op in {"decimal", "datetime", "ip", "duration"} else _ANY))
        ]
    if isinstance(node, pst.IfThenElse):
        return [(node.cond, "Bool"), (node.then_expr, _ANY), (node.else_expr, _ANY)]
    if isinstance(node, pst.Like):
        return [(node.base, "String")]
    if isinstance(node, pst.GetAttr | pst.HasAttr):
        return [(node.base, _ANY)]
    if isinstance(node, pst.Is):
        return [(node.base, _ANY)] + ([] if node.in_expr is None else [(node.in_expr, _ANY)])
    if isinstance(node, pst.Set):
        return [(element, _ANY) for element in node.elements]
    if isinstance(node, pst.Record):
        return [(value, _ANY) for value in dict(node.fields).values()]
    return []


def _sides(node: pst.BinaryOp) -> list[tuple[Any, str]]:
    left, right, op = node.left, node.right, str(node.op)
    if op in _LONG or op in _BOOL or op in _DECIMAL:
        kind = "Long" if op in _LONG else "Bool" if op in _BOOL else "decimal"
        return [(left, kind), (right, kind)]
    if op in {"eq", "not_eq"} or op in _SETS:
        return [(left, _kind_of(right)), (right, _kind_of(left))]
    if op == "contains":
        of = _kind_of(left)
        return [(left, f"Set<{_kind_of(right) or 'String'}>"), (right, of[4:-1] if of.startswith("Set<") else _ANY)]
    return [(left, _ANY), (right, _ANY)]


def _kind_of(node: Any) -> str:
    if isinstance(node, pst.LongLit):
        return "Long"
    if isinstance(node, pst.BoolLit):
        return "Bool"
    if isinstance(node, pst.StringLit):
        return "String"
    if isinstance(node, pst.UnaryOp) and node.op in {"decimal", "datetime", "duration"}:
        return str(node.op)
    if isinstance(node, pst.UnaryOp) and node.op == "ip":
        return "ipaddr"
    if isinstance(node, pst.Set):
        return f"Set<{next((kind for kind in map(_kind_of, node.elements) if kind), 'String')}>"
    return _ANY
