"""Conversation: turns OpenAI's chat messages into what a plain chat template knows: system, user and assistant texts. Pure.

Tools have no place in such a template, so calls become text as the model writes them, results become text of the user, and
the tools' description joins the system prompt.
"""

from __future__ import annotations

import json
from typing import Any

from gateway.core.errors import InvalidRequest, UnsupportedParameter
from gateway.providers.embedded import request_fields as field
from gateway.providers.embedded.tool_calls import ToolPlan, call_text, described

Message = dict[str, Any]

_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "user"}


def read_messages(value: Any, tools: ToolPlan | None) -> list[Message]:
    """Give the messages for the model's template. Raises InvalidRequest naming the message and field at fault."""
    given = field.sequence(value, "messages")
    if not given:
        raise InvalidRequest("'messages' is empty.", param="messages")
    messages: list[Message] = []
    for number, item in enumerate(given):
        where = f"messages[{number}]"
        message = _message(field.mapping(item, where), where)
        # Several results stand in one turn: many templates insist that user and assistant alternate.
        if item.get("role") == "tool" and messages and given[number - 1].get("role") == "tool":
            messages[-1] = {"role": "user", "content": f"{messages[-1]['content']}\n{message['content']}"}
        else:
            messages.append(message)
    return messages if tools is None else _with_tools(messages, tools)


def _with_tools(messages: list[Message], tools: ToolPlan) -> list[Message]:
    words = described(tools)
    if messages[0]["role"] == "system":
        first = {"role": "system", "content": f"{messages[0]['content']}\n\n{words}"}
        return [first, *messages[1:]]
    return [{"role": "system", "content": words}, *messages]


def _message(message: dict[str, Any], where: str) -> Message:
    role = message.get("role")
    if role not in _ROLES:
        raise InvalidRequest(f"The role {str(role)[:40]!r} is not known.", param=f"{where}.role")
    accepted = {
        "assistant": ("role", "content", "tool_calls"),
        "tool": ("role", "content", "tool_call_id"),
    }.get(role, ("role", "content"))
    # A name is a hint, says the reference; no template has a place for it.
    field.refuse_unknown(message, (*accepted, "name"), what=f"{where}.")
    calls = field.sequence(message.get("tool_calls") or [], f"{where}.tool_calls")
    content = message.get("content")
    if content is None and not calls:
        raise InvalidRequest("A message needs content.", param=f"{where}.content")
    text = "" if content is None else _text(content, f"{where}.content")
    if role == "tool":
        text = f"<tool_response>\n{text}\n</tool_response>"
    text += "".join(_call(call, f"{where}.tool_calls[{number}]") for number, call in enumerate(calls))
    return {"role": _ROLES[role], "content": text}


def _text(content: Any, where: str) -> str:
    if isinstance(content, str):
        return content
    texts = []
    for number, item in enumerate(field.sequence(content, where)):
        part = field.mapping(item, f"{where}[{number}]")
        kind = part.get("type")
        if kind not in ("text", "refusal"):
            message = f"The embedded model reads text only, not {str(kind)[:40]!r}."
            raise UnsupportedParameter(message, param=f"{where}[{number}].type")
        texts.append(field.text(part.get(kind), f"{where}[{number}].{kind}"))
    return "\n".join(texts)


def _call(value: Any, where: str) -> str:
    call = field.mapping(value, where)
    if call.get("type", "function") != "function":
        raise UnsupportedParameter("Only function calls are known.", param=f"{where}.type")
    function = field.mapping(call.get("function"), f"{where}.function")
    name = field.text(function.get("name"), f"{where}.function.name")
    arguments = field.text(function.get("arguments"), f"{where}.function.arguments")
    try:
        json.loads(arguments)
    except (ValueError, RecursionError) as exc:
        raise InvalidRequest("The arguments are not JSON.", param=f"{where}.function.arguments") from exc
    return call_text(name, arguments)
