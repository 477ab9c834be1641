"""Promises: what a finished text was asked to be, as a grammar before it is written and as a judgement afterwards.

Of a schema, a regular expression, a list of choices or a grammar of the caller's own; by `response_format`, or by vLLM's
`structured_outputs`. A grammar does not see what a stop string cut off: so the finished text is judged, whatever it was constrained by.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from gateway.core.errors import InvalidOutput, InvalidRequest, UnsupportedParameter, UnsupportedSchema
from gateway.providers.embedded import request_fields as field
from gateway.providers.embedded.room import ROOM
from gateway.providers.embedded.structured import admits, compile_json, lark_grammar, lark_of, regex_rule
from gateway.providers.embedded.tool_calls import ToolPlan
from gateway.providers.vllm.fields import RENAMED
from gateway.schemas.judge import compiled
from gateway.schemas.limits import MAX_PATTERN
from gateway.schemas.worker import Judging

Kind = Literal["schema", "regex", "choice", "grammar"]

MOST_CHOICES = 1_000
MOST_BYTES = 64 * 1024
"""Of all choices together, or of a grammar."""

_KINDS = ("json", "json_object", "regex", "choice", "grammar")
_FORM = "structured_outputs"
# What is done anyway, or changes nothing: the separators are fixed, and no other decoder stands in for this one.
_INERT = {"disable_any_whitespace": (True, False), "disable_fallback": (True, False), "json_object": (False,)}


class Promise(msgspec.Struct, frozen=True, kw_only=True):
    """`rules` (Lark) define `answer`; `param` is the field that asked for it. The rest is what the finished text is judged by."""

    kind: Kind
    rules: str
    param: str
    schema: dict[str, Any] | None = None
    pattern: str = ""
    choices: tuple[str, ...] = ()

    async def keep(self, text: str, judging: Judging) -> None:
        """Raise InvalidOutput, with what is wrong and the text, where `text` is not what was promised."""
        if faults := await self._faults(text, judging):
            message = f"The finished answer breaks the {self.kind}: {faults}. The answer was: {text[:2000]}"
            raise InvalidOutput(message, param=self.param.partition(".")[0], violations=(faults,), raw=text)

    async def _faults(self, text: str, judging: Judging) -> str:
        if self.schema is not None:
            try:
                return "; ".join(str(fault) for fault in await judging.violations(self.schema, text))
            except UnsupportedSchema as error:
                return error.message.removesuffix(".")
        if self.kind == "choice":
            return "" if text in self.choices else "it is none of the choices"
        if self.kind == "regex":
            return "; ".join(fault.message for fault in compiled({"pattern": self.pattern}).judge(text))
        return "" if admits(lark_grammar(self.rules), text) else "the grammar does not derive it"


async def keep_arguments(plan: ToolPlan, calls: Mapping[int, tuple[str, str]], judging: Judging) -> None:
    """Raise InvalidOutput where the arguments of a finished call break the schema of its tool: see `enforceable` for what can."""
    schemas = {tool.name: tool.parameters for tool in plan.tools}
    for name, arguments in calls.values():
        if faults := await judging.violations(schemas[name], arguments):
            listed = "; ".join(str(fault) for fault in faults)
            message = f"The arguments of {name!r} break its schema: {listed}. They were: {arguments[:2000]}"
            raise InvalidOutput(message, param="tools", violations=(listed,), raw=f"{name}({arguments})")


def read_promise(body: Mapping[str, Any], *, room: int = ROOM) -> Promise | None:
    """Read `response_format` and `structured_outputs`; `room` as in `compile_schema`. Raises InvalidRequest (or a kind of it) naming what is wrong."""
    for name in body.keys() & RENAMED.keys():
        if body[name] is not None:
            message = f"The embedded model does not know `{name}`. Use {RENAMED[name]}."
            raise UnsupportedParameter(message, param=name)
    by_format = _by_format(body.get("response_format"), room)
    given = body.get(_FORM)
    if given is None:
        return by_format
    if by_format is not None:
        message = "'response_format' and 'structured_outputs' both say what the answer is to be: leave one out."
        raise InvalidRequest(message, param=_FORM)
    return _by_vllm(field.mapping(given, _FORM), room)


def _by_format(value: Any, room: int) -> Promise | None:
    if value is None:
        return None
    wanted = field.mapping(value, "response_format")
    kind = wanted.get("type")
    if kind == "text":
        return None
    if kind == "json_object":
        return _of_schema({"type": "object"}, "response_format", room)
    if kind != "json_schema":
        raise InvalidRequest("The type is text, json_object or json_schema.", param="response_format.type")
    given = field.mapping(wanted.get("json_schema"), "response_format.json_schema")
    where = "response_format.json_schema.schema"
    return _of_schema(field.mapping(given.get("schema", {"type": "object"}), where), where, room)


def _by_vllm(wanted: dict[str, Any], room: int) -> Promise:
    field.refuse_unknown(wanted, _KINDS, what=f"{_FORM}.", inert=_INERT)
    named = [name for name in _KINDS if wanted.get(name) not in (None, False)]
    if len(named) != 1:
        raise InvalidRequest(f"{_FORM!r} takes exactly one of {', '.join(_KINDS)}.", param=_FORM)
    name = named[0]
    value, where = wanted[name], f"{_FORM}.{name}"
    if name == "json":
        return _of_schema(_schema(value, where), where, room)
    if name == "json_object":
        field.boolean(wanted, name)
        return _of_schema({"type": "object"}, where, room)
    if name == "choice":
        return _of_choices(field.sequence(value, where), where)
    text = field.text(value, where)
    return _of_regex(text, where) if name == "regex" else _of_grammar(text, where)


def _schema(value: Any, where: str) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError) as exc:
            raise InvalidRequest(f"{where!r} is text that is no JSON.", param=where) from exc
    return field.mapping(value, where)


def _of_schema(schema: dict[str, Any], where: str, room: int) -> Promise:
    try:
        # The judge of the finished text is made before anything is generated: a schema without one is refused.
        compiled(schema)
        rules = f"answer: %json {compile_json(schema, room=room)}"
    except UnsupportedSchema as error:
        raise UnsupportedSchema(error.message, param=where) from error
    return Promise(kind="schema", rules=rules, param=where, schema=schema)


def _of_choices(values: list[Any], where: str) -> Promise:
    if not 1 <= len(values) <= MOST_CHOICES or not all(isinstance(value, str) and value for value in values):
        raise InvalidRequest(f"{where!r} takes 1 to {MOST_CHOICES} strings, none empty.", param=where)
    if sum(map(len, values)) > MOST_BYTES:
        raise InvalidRequest(f"The choices have more than {MOST_BYTES} characters.", param=where)
    listed = " | ".join(msgspec.json.encode(value).decode() for value in values)
    return _checked(Promise(kind="choice", rules=f"answer: {listed}", param=where, choices=tuple(values)))


def _of_regex(pattern: str, where: str) -> Promise:
    if not 1 <= len(pattern) <= MAX_PATTERN:
        raise InvalidRequest(f"A regular expression has 1 to {MAX_PATTERN} characters.", param=where)
    whole = f"^(?:{pattern})$"
    promise = Promise(kind="regex", rules=regex_rule(pattern), param=where, pattern=whole)
    try:
        compiled({"pattern": whole})
    except UnsupportedSchema as error:
        raise UnsupportedSchema(f"The regular expression cannot be used: {error.message}", param=where) from error
    return _checked(promise)


def _of_grammar(text: str, where: str) -> Promise:
    if not text.strip() or len(text) > MOST_BYTES:
        raise InvalidRequest(f"A grammar has 1 to {MOST_BYTES} characters.", param=where)
    try:
        inner = lark_of(text)
    except UnsupportedSchema as error:
        raise UnsupportedSchema(error.message, param=where) from error
    return _checked(Promise(kind="grammar", rules=f"answer: %lark {{\n{inner}\n}}", param=where))


def _checked(promise: Promise) -> Promise:
    try:
        lark_grammar(promise.rules)
    except UnsupportedSchema as error:
        raise UnsupportedSchema(error.message, param=promise.param) from error
    return promise
