"""Wire items to the hub's items: what a client sends as `input`, and what an upstream answers as `output`."""

from __future__ import annotations

from collections.abc import Callable

from gateway.core.errors import InvalidRequest
from gateway.core.items import Foreign, Item, Json, Message, Reasoning, Role, ToolCall, ToolResult
from gateway.dialects.openai_responses.opaque import unseal
from gateway.dialects.openai_responses.parts import decode_content
from gateway.dialects.openai_responses.reader import Reader, missing
from gateway.dialects.openai_responses.written import NAME, keep

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "assistant": "assistant",
}


def decode_item(value: Json, path: str) -> Item:
    """Read one item; one of an unknown type is kept whole. Raises InvalidRequest with the path of the fault."""
    reader = Reader(value, path)
    kind = reader.string("type")
    if kind == "item_reference" or (kind is None and "role" not in value and "id" in value):
        msg = f"`{path}` refers to a stored item; stored responses are not available."
        raise InvalidRequest(msg, param=path)
    if kind is None and "role" not in value:
        raise missing(f"{path}.type")
    decoder = _DECODERS.get(kind or "message")
    return Foreign(dialect=NAME, raw=value) if decoder is None else decoder(reader)


def _message(reader: Reader) -> Message:
    form: dict[str, Json] = {} if reader.take("type") else {"type": None}
    role = reader.choice("role", _ROLES)
    if role is None:
        raise missing(reader.at("role"))
    content = reader.take("content")
    if content is None:
        raise missing(reader.at("content"))
    if isinstance(content, str):
        form["content"] = "string"
    parts = decode_content(content, reader.at("content"))
    name = reader.string("id")
    return Message(role=_ROLES[role], parts=parts, id=name, rest=keep(reader.rest(), form))


def _call(reader: Reader) -> ToolCall:
    is_custom = reader.take("type") == "custom_tool_call"
    return ToolCall(
        call_id=reader.needed_string("call_id"),
        name=reader.needed_string("name"),
        arguments=reader.needed_string("input" if is_custom else "arguments"),
        kind="custom" if is_custom else "function",
        id=reader.string("id"),
        rest=keep(reader.rest()),
    )


def _result(reader: Reader) -> ToolResult:
    kind = reader.take("type")
    output = reader.take("output")
    if output is None:
        raise missing(reader.at("output"))
    return ToolResult(
        call_id=reader.needed_string("call_id"),
        parts=decode_content(output, reader.at("output")),
        kind="custom" if kind == "custom_tool_call_output" else "function",
        id=reader.string("id"),
        rest=keep(reader.rest(), {"output": "string"} if isinstance(output, str) else {"output": "list"}),
    )


def _reasoning(reader: Reader) -> Reasoning:
    reader.take("type")
    summary = tuple(part.needed_string("text") for part in reader.each("summary"))
    content = [part.needed_string("text") for part in reader.each("content")]
    form: dict[str, Json] = {}
    if len(content) > 1:
        form["content"] = [len(text) for text in content]
    elif reader.peek("content") == []:
        form["content"] = []
    encrypted = reader.string("encrypted_content")
    reasoning = Reasoning(
        text="".join(content),
        summary=summary,
        encrypted=encrypted,
        origin=None if encrypted is None else NAME,
        id=reader.string("id"),
        rest=keep(reader.rest(), form),
    )
    return unseal(reasoning, reader.at("encrypted_content"))


_DECODERS: dict[str, Callable[[Reader], Item]] = {
    "message": _message,
    "function_call": _call,
    "custom_tool_call": _call,
    "function_call_output": _result,
    "custom_tool_call_output": _result,
    "reasoning": _reasoning,
}


def decode_input(value: Json) -> tuple[Item, ...]:
    """Read `input`: a plain string is one message of the user."""
    if isinstance(value, str):
        text = decode_content(value, "input")
        return (Message(role="user", parts=text, rest=keep({}, {"input": "string"})),)
    reader = Reader({"input": value})
    return tuple(decode_item(item, f"input[{number}]") for number, item in enumerate(reader.array("input") or ()))


def instructions_message(text: str) -> Message:
    """Give the `instructions` of a call as the message that leads its items."""
    parts = decode_content(text, "instructions")
    return Message(role="system", parts=parts, rest=keep({}, {"field": "instructions"}))
