"""Messages of a request -> items."""

from __future__ import annotations

import msgspec

from gateway.core.errors import InvalidRequest
from gateway.core.items import Item, Json, Message, Part, Refusal, ToolCall, ToolResult
from gateway.dialects.openai_chat.names import NAME, rest_of
from gateway.dialects.openai_chat.parts import decode_content
from gateway.dialects.openai_chat.reasoning import decode_reasoning
from gateway.dialects.openai_chat.shapes import MESSAGES
from gateway.dialects.rest import EMPTY, HINTS, extras
from gateway.dialects.shapes import check

_ASSISTANT_FIELDS = {
    *("role", "content", "name", "refusal", "tool_calls", "function_call"),
    *("reasoning_content", "reasoning", "reasoning_details"),
}


def decode_messages(messages: list[dict[str, Json]]) -> tuple[Item, ...]:
    """Translate `messages`. Raises InvalidRequest with the path of the fault."""
    reader = _Reader()
    for number, raw in enumerate(messages):
        reader.read(raw, f"messages[{number}]")
    return tuple(reader.items)


class _Reader:
    def __init__(self) -> None:
        self.items: list[Item] = []
        self._custom: set[str] = set()
        self._function_calls = 0

    def read(self, raw: dict[str, Json], path: str) -> None:
        role = raw.get("role")
        if not isinstance(role, str) or role not in MESSAGES:
            msg = f"Expected one of {', '.join(map(repr, MESSAGES))}: `{path}.role`."
            raise InvalidRequest(msg, param=f"{path}.role")
        check(raw, MESSAGES[role], path)
        if role == "assistant":
            self._assistant(raw, path)
        elif role == "tool":
            self._tool(raw, path)
        elif role == "function":
            self._function(raw)
        else:
            self.items.append(
                Message(
                    role=role,  # type: ignore[arg-type]  # one of MESSAGES, and not one of the three above
                    parts=decode_content(raw["content"], path + ".content"),
                    name=raw.get("name"),
                    rest=rest_of(extras(raw, {"role", "content", "name"})),
                )
            )

    def _tool(self, raw: dict[str, Json], path: str) -> None:
        call_id = raw["tool_call_id"]
        self.items.append(
            ToolResult(
                call_id=call_id,
                parts=decode_content(raw["content"], path + ".content"),
                kind="custom" if call_id in self._custom else "function",
                rest=rest_of(extras(raw, {"role", "content", "tool_call_id"})),
            )
        )

    def _function(self, raw: dict[str, Json]) -> None:
        content = raw["content"]
        self.items.append(
            ToolResult(
                call_id=self._function_call_id(raw["name"]),
                parts=() if content is None else decode_content(content, ""),
                rest={NAME: {"$function": raw["name"], **extras(raw, {"role", "name", "content"})}},
            )
        )

    def _function_call_id(self, name: str) -> str:
        return f"call_{name}_{self._function_calls}"

    def _assistant(self, raw: dict[str, Json], path: str) -> None:
        self.items += decode_reasoning(raw)
        calls = self._calls(raw)
        rest = _message_rest(raw)
        parts = _assistant_parts(raw, path)
        if parts or not calls or raw.get("name") is not None or _is_loud(rest):
            self.items.append(Message(role="assistant", parts=parts, name=raw.get("name"), rest=rest_of(rest)))
        else:
            # An empty message would mean something to other APIs, so what it said about itself rides on the first call.
            mine = {**calls[0].rest.get(NAME, {}), "$message": rest}
            calls[0] = msgspec.structs.replace(calls[0], rest={NAME: mine})
        self.items += calls

    def _calls(self, raw: dict[str, Json]) -> list[ToolCall]:
        calls = [self._call(call) for call in raw.get("tool_calls") or ()]
        if function := raw.get("function_call"):
            self._function_calls += 1
            calls.append(
                ToolCall(
                    call_id=self._function_call_id(function["name"]),
                    name=function["name"],
                    arguments=function["arguments"],
                    rest={NAME: {"$function": function["name"]}},
                )
            )
        return calls

    def _call(self, raw: dict[str, Json]) -> ToolCall:
        kind = raw["type"]
        body = raw[kind]
        text = "arguments" if kind == "function" else "input"
        rest = extras(raw, {"id", "type", kind})
        if nested := extras(body, {"name", text}):
            rest[kind] = nested
        if kind == "custom":
            self._custom.add(raw["id"])
        return ToolCall(call_id=raw["id"], name=body["name"], arguments=body[text], kind=kind, rest=rest_of(rest))


def _assistant_parts(raw: dict[str, Json], path: str) -> tuple[Part, ...]:
    content = raw.get("content")
    parts: tuple[Part, ...] = ()
    if content or (content == "" and not raw.get("tool_calls") and not raw.get("function_call")):
        parts = decode_content(content, path + ".content")
    if raw.get("refusal"):
        parts += (Refusal(text=raw["refusal"], rest={NAME: {"$field": True}}),)
    return parts


def _message_rest(raw: dict[str, Json]) -> dict[str, Json]:
    """Give the unknown fields, and the known ones that are there but empty: they go back as they came."""
    return {name: value for name, value in raw.items() if name not in _ASSISTANT_FIELDS or value in EMPTY}


def _is_loud(rest: dict[str, Json]) -> bool:
    """Whether a field asks for something that another API would have to refuse."""
    return any(value not in EMPTY and name not in HINTS[NAME] for name, value in rest.items())
