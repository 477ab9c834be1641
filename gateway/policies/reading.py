"""One policy's text to a parsed rule, checked against the schema. A policy that could err at run time for its types is refused."""

from __future__ import annotations

import dataclasses
import difflib
import re
from typing import Final

import cedarpy
import msgspec
from cedarpy import pst

from gateway.config.faults import Fault, shown
from gateway.policies.builtin_rules import LIFTABLE
from gateway.policies.decision import Approval, Rule
from gateway.policies.named_arguments import Path, Unnamed, Use, named_arguments, record_type
from gateway.policies.schema import SCHEMA, schema_with
from gateway.policies.sight import Sight, applies_to, sight_of
from gateway.policies.source import Piece

ANNOTATIONS: Final = ("id", "effect", "approvers", "quorum", "ttl", "explain", "lifts")
EFFECTS: Final = ("default", "require_approval")
LONGEST_ID: Final = 100
MOST_VOTES: Final = 100
LONGEST_WAIT: Final = 30 * 24 * 3600
DEFAULT_WAIT: Final = 3600

_CULPRIT: Final = re.compile(r"`(?P<token>.+)`\Z|: (?P<word>\w+)\Z|\A'(?P<sign>.+?)' is not", re.DOTALL)
"""How Cedar names what it did not expect; where it stands, it does not say."""
_PREFIX: Final = re.compile(r"^(Policy parse error: |for policy `[^`]*`, |cedarpy: )+")


class Parsed(msgspec.Struct, frozen=True, kw_only=True):
    """A rule, its tree under its own id, and what it can see. `approval` is there when it asks for one.

    `named` are the arguments of tools that it names, `lifts` the built-in rules that it lifts where it permits.
    """

    rule: Rule
    tree: pst.Template
    sight: Sight
    named: dict[Path, Use] = {}
    lifts: frozenset[str] = frozenset()
    fallback: bool = False
    approval: Approval | None = None


class Unreadable(Exception):
    """The policy cannot be used; carries the faults."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__(faults)
        self.faults = faults


def read_policy(piece: Piece, schema: cedarpy.Schema) -> Parsed:
    """Give the rule. Raises Unreadable."""
    tree = _tree(piece)
    written = tree.annotations.get("id")
    rule = Rule(
        id=piece.derived_id if written is None else written,
        path=piece.path,
        line=piece.line,
        kind=tree.effect,
        text=piece.text,
        named=written is not None,
        annotations=tuple(sorted(tree.annotations.items())),
    )
    named, problems = _named(tree)
    if named and not problems:
        # Of which type an argument is, the policy itself says; whether a tool agrees is asked once its definition is known.
        schema = cedarpy.Schema.from_str(schema_with(record_type(named)))
    problems += [*type_problems(piece.text, schema), *_annotation_problems(rule), *_lift_problems(rule, tree)]
    if problems:
        path = rule.id[:LONGEST_ID] if rule.id.isprintable() else piece.derived_id
        raise Unreadable(*(Fault(file=rule.path, line=rule.line, path=path, message=text) for text in problems))
    asks = rule.note("effect") == "require_approval"
    return Parsed(
        rule=rule,
        tree=dataclasses.replace(tree, id=rule.id),
        sight=sight_of(tree),
        named=named,
        lifts=frozenset(_names(rule.note("lifts"))),
        fallback=rule.note("effect") == "default",
        approval=_approval(rule) if asks else None,
    )


def open_schema() -> cedarpy.Schema:
    """Parse the product's schema."""
    return cedarpy.Schema.from_str(SCHEMA)


def _tree(piece: Piece) -> pst.Template:
    try:
        trees = cedarpy.policies_to_pst(piece.text)
    except ValueError as error:
        message = _PREFIX.sub("", str(error))
        culprit = _CULPRIT.search(message)
        line = piece.line if culprit is None else piece.line_of(culprit[culprit.lastgroup or 0])
        raise Unreadable(Fault(file=piece.path, line=line, message=f"not valid Cedar: {message}")) from None
    if trees.templates or len(trees.static_policies) != 1:
        message = "templates (?principal, ?resource) are not supported: write the policy out"
        raise Unreadable(Fault(file=piece.path, line=piece.line, message=message))
    (tree,) = trees.static_policies.values()
    return tree


def _named(tree: pst.Template) -> tuple[dict[Path, Use], list[str]]:
    if not applies_to(tree, "call_tool"):
        return {}, []
    try:
        return named_arguments(tree), []
    except Unnamed as error:
        return {}, [str(error)]


def type_problems(text: str, schema: cedarpy.Schema) -> list[str]:
    """Say what is wrong with a policy by a schema: what could fail when it is evaluated, too."""
    result = cedarpy.validate_policies(text, schema)
    found = dict.fromkeys(_PREFIX.sub("", error.error) for error in result.errors)
    if not found and not result.validation_passed:
        return ["it does not fit the schema"]
    return list(found)


def _annotation_problems(rule: Rule) -> list[str]:
    problems: list[str] = []
    for name, value in rule.annotations:
        near = difflib.get_close_matches(name, ANNOTATIONS, n=1, cutoff=0.75)
        if name not in ANNOTATIONS and near:
            problems.append(f"unknown annotation @{name}; did you mean @{near[0]}?")
        if name == "id" and not (0 < len(value) <= LONGEST_ID and value.isprintable()):
            problems.append(f"@id must be of 1 to {LONGEST_ID} printable characters")
    return problems + _effect_problems(rule)


def _lift_problems(rule: Rule, tree: pst.Template) -> list[str]:
    lifts = rule.note("lifts")
    if lifts is None:
        return []
    problems = [
        f"@lifts names {', '.join(LIFTABLE)}, not {shown(name)}"
        for name in _names(lifts) or ("",)
        if name not in LIFTABLE
    ]
    if rule.kind != "permit" or rule.note("effect") is not None:
        problems.append("@lifts belongs on a permit without @effect")
    if not isinstance(tree.action, pst.ActionEq) or tree.action.entity.id != "call_tool":
        problems.append('@lifts belongs on a policy for action == Action::"call_tool"')
    return problems


def _effect_problems(rule: Rule) -> list[str]:
    effect = rule.note("effect")
    if effect is not None and effect not in EFFECTS:
        return [f"@effect is one of {', '.join(EFFECTS)}, not {shown(effect)}"]
    if effect != "require_approval":
        stray = [name for name in ("approvers", "quorum", "ttl") if rule.note(name) is not None]
        return [f'@{name} means nothing without @effect("require_approval")' for name in stray]
    problems = []
    if rule.kind != "forbid":
        problems.append('@effect("require_approval") belongs on a forbid')
    if rule.note("approvers") is not None and not _names(rule.note("approvers")):
        problems.append(
            '@approvers names nobody: write "group, group", or leave it out for whoever may answer approvals'
        )
    for name, most in (("quorum", MOST_VOTES), ("ttl", LONGEST_WAIT)):
        value = rule.note(name)
        if value is not None and not (re.fullmatch(r"[0-9]{1,7}", value) and 1 <= int(value) <= most):
            problems.append(f"@{name} is a whole number from 1 to {most}")
    return problems


def _approval(rule: Rule) -> Approval:
    return Approval(
        approvers=_names(rule.note("approvers")),
        quorum=int(rule.note("quorum") or 1),
        ttl=int(rule.note("ttl") or DEFAULT_WAIT),
    )


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(sorted({name.strip() for name in (text or "").split(",")} - {""}))
