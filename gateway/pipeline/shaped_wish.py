"""Which form a call's answer is to have: what the caller asked for, read off its body (cheaply) and off its prompt. It judges nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from gateway.core.call import Call
from gateway.core.content import Content, CustomTool, FunctionTool, OutputFormat, Prompt
from gateway.core.items import Json
from gateway.core.target import FORMS
from gateway.dialects.dialect import Dialect
from gateway.pipeline.shaped_forms import COMPLETIONS, EXTENSION
from gateway.routing.fitness import FORMATS

OBJECT: Final[Mapping[str, Json]] = {"type": "object"}

_RESPONSES: Final = "openai_responses"
_STORED: Final = ("previous_response_id", "conversation")
_PAUSING: Final = "anthropic_messages"
_OUTPUTS: Final[Mapping[str, str]] = {
    "openai_chat": "response_format",
    "openai_responses": "text.format",
    "anthropic_messages": "output_config.format",
}
_SCHEMAS: Final[Mapping[str, str]] = {
    "openai_chat": "response_format.json_schema.schema",
    COMPLETIONS: "response_format.json_schema.schema",
}
_PARAMETERS: Final[Mapping[str, str]] = {"openai_chat": "function.parameters", "anthropic_messages": "input_schema"}


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """The form that was asked for: of the answer's text, and of the arguments of strict tools, by their names.

    `output` is None where a text may be anything. `offered` are the tools that may be called, None where nobody can tell.
    `words` is the schema of a text that is no JSON (vLLM's `choice` and `regex`), as that of a JSON string. `pauses` says that the caller's API tells an answer that only pauses from a finished one.
    """

    output: OutputFormat | None
    strict: Mapping[str, Mapping[str, Json]]
    offered: frozenset[str] | None
    pauses: bool = False
    words: Mapping[str, Json] | None = None

    @property
    def schema(self) -> Mapping[str, Json]:
        """The schema of the text."""
        if self.output is None:
            return {}
        return OBJECT if self.output.kind == "json_object" else self.output.schema or {}


def asks_for_form(fields: Mapping[str, Any]) -> bool:
    """Whether a body asks for a form of the answer, or for strict arguments. Cheap: most bodies have no such field at all."""
    for name in FORMATS:
        if name in fields and _is_form(fields[name]):
            return True
    if isinstance(fields.get(EXTENSION), dict):
        return True
    tools = fields.get("tools")
    return isinstance(tools, list) and any(map(_is_strict, tools))


def decode_formed(dialect: Dialect, fields: dict[str, Json]) -> Content:
    """Decode a call whose targets speak its dialect: what refers to their own stores is theirs, as if it had gone out as it came."""
    stored = (
        {name: fields[name] for name in _STORED if fields.get(name) is not None} if dialect.name == _RESPONSES else {}
    )
    content = dialect.decode_call({name: value for name, value in fields.items() if name not in stored})
    if not stored or not isinstance(content, Prompt):
        return content
    rest = {**content.rest, _RESPONSES: {**content.rest.get(_RESPONSES, {}), **stored}}
    return msgspec.structs.replace(content, rest=rest)


def wish_of(call: Call) -> Wish | None:
    """Give the form that an answer to a call is to have; None where it is free, and where nobody looked inside the call."""
    prompt = call.content
    if not isinstance(prompt, Prompt) or call.operation != "generate":
        return None
    output = prompt.output if prompt.output is not None and prompt.output.kind in FORMS else None
    strict = {
        tool.name: tool.parameters or {} for tool in prompt.tools if isinstance(tool, FunctionTool) and tool.strict
    }
    words = None
    if output is None and call.dialect == COMPLETIONS:
        output = _beside_prompt(call.fields.get("response_format"))
    if output is None and isinstance(extension := call.fields.get(EXTENSION), dict):
        output, words = _extended(extension)
    if output is None and words is None and not strict:
        return None
    return Wish(output=output, strict=strict, offered=_offered(prompt), pauses=call.dialect == _PAUSING, words=words)


def schemas_of(call: Call) -> Iterator[tuple[str, Mapping[str, Json]]]:
    """Yield the schemas that a call's answer is to be judged by, each with the path of the parameter that it stands in."""
    wish, prompt = wish_of(call), call.content
    if wish is None or not isinstance(prompt, Prompt):
        return
    dialect = call.dialect
    if output_param(call) == EXTENSION:
        if wish.output is not None and wish.output.schema is not None:
            yield f"{EXTENSION}.json", wish.output.schema
        if wish.words is not None:
            yield EXTENSION, wish.words
    elif wish.output is not None and wish.output.schema is not None:
        yield _SCHEMAS.get(dialect, f"{output_param(call)}.schema"), wish.output.schema
    for number, tool in enumerate(prompt.tools):
        if isinstance(tool, FunctionTool) and tool.strict and tool.parameters:
            yield f"tools[{number}].{_PARAMETERS.get(dialect, 'parameters')}", tool.parameters


def param_of(call: Call, wish: Wish) -> str:
    """Give the parameter in which a caller asks for a form: of the text, or else of tools' arguments."""
    return "tools" if wish.output is None and wish.words is None else output_param(call)


def output_param(call: Call) -> str:
    """Give the parameter in which a caller asks for the form of a text."""
    dialect = call.dialect
    output = call.content.output if isinstance(call.content, Prompt) else None
    if (output is None or output.kind not in FORMS) and isinstance(call.fields.get(EXTENSION), dict):
        return EXTENSION
    if dialect == "anthropic_messages" and "output_format" in call.fields:
        return "output_format"
    return _OUTPUTS.get(dialect, "response_format")


def _offered(prompt: Prompt) -> frozenset[str] | None:
    names: set[str] = set()
    for tool in prompt.tools:
        if not isinstance(tool, (FunctionTool, CustomTool)):
            return None
        names.add(tool.name)
    return frozenset(names)


def _beside_prompt(value: Any) -> OutputFormat | None:
    """Give the form that vLLM's completions take, in the words of Chat Completions: OpenAI's have none."""
    kind = value.get("type") if isinstance(value, dict) else None
    if kind == "json_object":
        return OutputFormat(kind="json_object")
    told = value.get("json_schema") if kind == "json_schema" else None
    return OutputFormat(kind="json_schema", schema=told.get("schema") or {}) if isinstance(told, dict) else None


def _extended(extension: Mapping[str, Any]) -> tuple[OutputFormat | None, Mapping[str, Json] | None]:
    """Give the form that vLLM's extension asks for: of JSON, or of other text. What only a grammar says is not judged here."""
    schema, choice, regex = (extension.get(name) for name in ("json", "choice", "regex"))
    if isinstance(schema, str):
        try:
            schema = msgspec.json.decode(schema)
        except (msgspec.DecodeError, RecursionError):
            return None, None
    if isinstance(schema, dict):
        return OutputFormat(kind="json_schema", schema=schema), None
    if extension.get("json_object") is True:
        return OutputFormat(kind="json_object"), None
    if isinstance(choice, list) and choice:
        return None, {"enum": choice}
    return None, {"type": "string", "pattern": f"^(?:{regex})$"} if isinstance(regex, str) else None


def _is_form(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    inner = value.get("format")
    kinds = (value.get("type"), inner.get("type") if isinstance(inner, dict) else None)
    return any(isinstance(kind, str) and kind in FORMS for kind in kinds)


def _is_strict(tool: Any) -> bool:
    if not isinstance(tool, dict):
        return False
    function = tool.get("function")
    return bool(tool.get("strict")) or (isinstance(function, dict) and bool(function.get("strict")))
