"""The policies that speak of calls of tools: what one of them is told of a call, and whether it fits a tool's definition."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from typing import Any, Final

import cedarpy
from cedarpy import pst

from gateway.config.faults import Fault
from gateway.core.items import Json
from gateway.core.tools import Label, Tool
from gateway.policies.argument_values import decimal, readable
from gateway.policies.entities import clock_facts
from gateway.policies.named_arguments import Path, Use, joined, quoted, record_type
from gateway.policies.reading import Parsed, type_problems
from gateway.policies.schema import schema_with
from gateway.policies.tool_judgement import ToolFacts

MOST_REMEMBERED: Final = 10_000
_DOLLAR: Final = Decimal(10) ** 9
_CELL: Final = Decimal("0.0001")
_PLACE: Final = re.compile(r"\[[0-9]+\]")
_KINDS: Final = {"integer": "Long", "number": "decimal", "string": "String", "boolean": "Bool"}
_RESOURCE: Final = pst.Var(name="resource")


class CallPolicies:
    """Those policies of a folder, and which arguments they name. What belongs to a tool is found once."""

    def __init__(self, parsed: Sequence[Parsed]) -> None:
        self._parsed = parsed
        self._named: dict[str, dict[Path, Use]] = {}

    def context(self, facts: ToolFacts, zone: dt.tzinfo) -> dict[str, Any]:
        """Give what policies are told of a call. Raises ArgumentUnreadable for an argument that one names and none can read."""
        tool = facts.tool
        cost = (Decimal(facts.nano) / _DOLLAR).quantize(_CELL, rounding=ROUND_CEILING)
        return clock_facts(facts.at, zone) | {
            "args": readable(facts.arguments, self._names(tool)),
            "agent": facts.agent,
            "effect": tool.effect,
            "outward": tool.outward,
            "wish": facts.wish,
            "tainted": bool(facts.taint),
            "taint": list(facts.taint),
            "untrusted": untrusted_names(facts.origins, facts.arguments),
            "sensitive": list(facts.sensitive),
            "cost": decimal(cost),
            "steps": facts.steps,
            "calls": facts.calls,
        }

    def may_lift(self, tool: Tool, rule: str) -> bool:
        """Whether one of them could lift a built-in rule for a call of a tool."""
        return any(rule in entry.lifts and speaks_of(entry.tree, tool) for entry in self._parsed)

    def misfits(self, tool: Tool) -> tuple[Fault, ...]:
        """Give those that could err for a tool, by what its definition says of the arguments that they name."""
        faults = []
        for entry in self._parsed:
            # One that names no argument was found right when it was loaded, for all tools.
            if not entry.named or not speaks_of(entry.tree, tool):
                continue
            schema = cedarpy.Schema.from_str(schema_with(tool_type(entry.named, tool.schema)))
            text = str(cedarpy.PolicySet.from_pst(_alone(_settled_for(entry.tree, tool))))
            for problem in type_problems(text, schema):
                message = (
                    f"it does not fit the tool {tool.id}: {problem.removeprefix(f'for policy `{entry.rule.id}`, ')}"
                )
                faults.append(Fault(file=entry.rule.path, line=entry.rule.line, path=entry.rule.id, message=message))
        return tuple(faults)

    def _names(self, tool: Tool) -> dict[Path, Use]:
        known = self._named.get(tool.id)
        if known is None:
            if len(self._named) >= MOST_REMEMBERED:
                self._named.clear()
            known = joined(entry.named for entry in self._parsed if speaks_of(entry.tree, tool))
            self._named[tool.id] = known
        return known


def untrusted_names(origins: Mapping[str, Label], arguments: Mapping[str, Json]) -> list[str]:
    """Give the untrusted arguments as policies name them: each path, the same without places in lists, and its first name."""
    found: dict[str, None] = {}
    for path, label in origins.items():
        if label.integrity != "untrusted":
            continue
        if path == "…":
            # More than anybody looked at: any argument may be among it.
            found |= dict.fromkeys(arguments)
        plain = path.removesuffix(" (name)")
        general = _PLACE.sub("", plain)
        first = next((name for name in arguments if general == name or general.startswith(f"{name}.")), general)
        found |= dict.fromkeys((plain, general, first))
    return list(found)


def speaks_of(policy: pst.Template, tool: Tool) -> bool:
    """Whether the head of a policy leaves room for a tool."""
    head = policy.resource
    entity = getattr(head, "entity", None) or getattr(head, "in_entity", None)
    if isinstance(head, pst.ScopeIs | pst.ScopeIsIn) and str(head.entity_type) != "Tool":
        return False
    if isinstance(head, pst.ScopeEq):
        return (str(entity.type), entity.id) == ("Tool", tool.id) if entity is not None else True
    if entity is not None and isinstance(head, pst.ScopeIn | pst.ScopeIsIn):
        return (str(entity.type), entity.id) in {("Tool", tool.id), ("Server", tool.server)}
    return True


def tool_type(named: Mapping[Path, Use], schema: Json, under: Path = ()) -> str:
    """Write the type of the arguments named, as a tool's definition has them. What it does not have, there is not."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict):
        return record_type(named, under)
    required = schema.get("required") or ()
    fields = []
    for name in dict.fromkeys(
        path[len(under)] for path in named if path[: len(under)] == under and len(path) > len(under)
    ):
        if name not in properties:
            continue
        kind = _type_of(named, properties[name], (*under, name))
        fields.append(f"{quoted(name)}{'' if name in required else '?'}: {kind}")
    return "{" + ", ".join(fields) + "}"


def _type_of(named: Mapping[Path, Use], schema: Json, path: Path) -> str:
    kind = schema.get("type") if isinstance(schema, dict) else None
    if isinstance(kind, list):
        kinds = [one for one in kind if one != "null"]
        kind = kinds[0] if len(kinds) == 1 else None
    guess = named.get(path, Use()).kind or "String"
    if isinstance(kind, str) and kind in _KINDS:
        return _KINDS[kind]
    if kind == "array":
        items = schema.get("items")
        inner = items.get("type") if isinstance(items, dict) else None
        return f"Set<{_KINDS[inner]}>" if isinstance(inner, str) and inner in _KINDS else guess
    if any(other[: len(path)] == path and len(other) > len(path) for other in named):
        return tool_type(named, schema, path)
    return guess


def _alone(tree: pst.Template) -> pst.PolicySet:
    return pst.PolicySet(templates={}, static_policies={tree.id: tree}, template_links=())


def _settled_for(tree: pst.Template, tool: Tool) -> pst.Template:
    """Give a policy with the questions answered that a tool answers by its name, so that what is for others is not held against it."""
    try:
        clauses = tuple(dataclasses.replace(clause, expr=_settled(clause.expr, tool)) for clause in tree.clauses)
    except RecursionError:
        return tree
    return dataclasses.replace(tree, clauses=clauses)


def _settled(node: Any, tool: Tool) -> Any:
    if isinstance(node, pst.BinaryOp):
        if node.left == _RESOURCE and node.op in {"eq", "in"} and isinstance(node.right, pst.EntityLit):
            entity = node.right.value
            mine = {("Tool", tool.id)} | ({("Server", tool.server)} if node.op == "in" else set())
            return pst.BoolLit(value=(str(entity.type), entity.id) in mine)
        return dataclasses.replace(node, left=_settled(node.left, tool), right=_settled(node.right, tool))
    if isinstance(node, pst.UnaryOp):
        return dataclasses.replace(node, arg=_settled(node.arg, tool))
    if isinstance(node, pst.IfThenElse):
        parts = {name: _settled(getattr(node, name), tool) for name in ("cond", "then_expr", "else_expr")}
        return dataclasses.replace(node, **parts)
    return node
