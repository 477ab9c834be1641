"""What rules ask about a call that its body does not say: who asks, when, and how. Two calls that differ only there may get other targets.

Of a condition each part between `and`, `or` and `not` that names such a fact counts with its outcome: `user == "ada"` tells one from
all others, and not each from each. Where a part mixes in what the body says, the facts themselves count.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from gateway.config.choosing_settings import RuleSettings
from gateway.config.rule_names import RULE_NAMES
from gateway.core.call import Call
from gateway.core.expression import ExpressionError, read_condition
from gateway.routing.choosing.call_facts import FINDERS, Facts, Surroundings

OUTSIDE: Final = frozenset(
    {"caller", "end_user", "groups", "hour", "minute", "session", "stream", "tags", "team", "user", "weekday"}
)
"""Facts that no part of a body which shapes its answer says."""
_NO_FACTS: Final = frozenset({"true", "false", "none", "len"})
_FAULTS: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
_encode = msgspec.json.Encoder(order="sorted").encode

Outside = Callable[[Call], bytes]
_Ask = Callable[[Facts], Any]


def outside_of(rules: Sequence[RuleSettings], around: Surroundings) -> Outside | None:
    """Give what differs between calls that rules tell apart by such facts; None where they look at none."""
    parts = tuple(dict.fromkeys(part for rule in rules for part in _parts(rule.when)))
    if not parts:
        return None
    runs = [_run(part) for part in parts]

    def told(call: Call) -> bytes:
        facts = Facts(call, around)
        return _encode([_outcome(run, facts) for run in runs])

    return told


def _parts(condition: str) -> Iterator[str]:
    """Give the parts of a condition, which has been checked, that look at such facts; a fact's name for what mixes them."""
    if not condition.strip():
        return
    for node in _leaves(ast.parse(" ".join(condition.split("\n")).strip(), mode="eval").body):
        names = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)} - _NO_FACTS
        outside = sorted(names & OUTSIDE)
        if outside and names <= OUTSIDE and _is_readable(text := ast.unparse(node)):
            yield text
        else:
            yield from outside


def _leaves(node: ast.expr) -> Iterable[ast.expr]:
    if isinstance(node, ast.BoolOp):
        return [leaf for part in node.values for leaf in _leaves(part)]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return _leaves(node.operand)
    return [node]


def _is_readable(text: str) -> bool:
    try:
        read_condition(text, RULE_NAMES)
    except ExpressionError:  # it is quoted in a way that this language has not
        return False
    return True


def _run(part: str) -> _Ask:
    return FINDERS[part] if part in OUTSIDE else read_condition(part, RULE_NAMES)


def _outcome(run: _Ask, facts: Facts) -> Any:
    try:
        return run(facts)
    except _FAULTS:
        return None  # a rule that cannot be worked out does not hold
