"""Chooses the answer of a script that fits a call. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import msgspec

from gateway.core.items import Item, Message, Part, Refusal, Text, ToolCall, ToolResult
from gateway.providers.scripted.document import ScriptedAnswer, When


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """What a script can look at: the last user text, the last tool result, its tool's name, the number of answers, and each tool's last result.

    `begun` is how the answer begins already, where the caller has said so.
    """

    user: str
    tool_result: str | None
    tool: str | None
    turn: int
    begun: str = ""
    results: dict[str, str] = {}


def situation(items: Sequence[Item]) -> Situation:
    """Read the situation off a conversation."""
    last = items[-1] if items else None
    if isinstance(last, Message) and last.role == "assistant":
        # The beginning of this answer, and no answer of its own.
        return msgspec.structs.replace(situation(items[:-1]), begun=_text(last.parts))
    user, result, tool, turn = "", None, None, 0
    names: dict[str, str] = {}
    results: dict[str, str] = {}
    answering = False
    for item in items:
        assistant = isinstance(item, ToolCall) or (isinstance(item, Message) and item.role == "assistant")
        turn += assistant and not answering
        answering = assistant
        if isinstance(item, ToolCall):
            names[item.call_id] = item.name
        elif isinstance(item, ToolResult):
            result, tool = _text(item.parts), names.get(item.call_id)
            results[tool or ""] = result
        elif isinstance(item, Message) and item.role == "user":
            user, result, tool = _text(item.parts), None, None
    return Situation(user=user, tool_result=result, tool=tool, turn=turn, results=results)


def fitting(answers: Iterable[ScriptedAnswer], now: Situation) -> list[ScriptedAnswer]:
    """Give the answers that fit, in the script's order."""
    return [answer for answer in answers if _fits(answer.when, now)]


def _fits(when: When, now: Situation) -> bool:
    result = now.tool_result
    return (
        (when.contains is None or when.contains.lower() in now.user.lower())
        and (when.matches is None or re.search(when.matches, now.user) is not None)
        and (when.tool_result is None or (result is not None and when.tool_result.lower() in result.lower()))
        and (when.after_tool is None or when.after_tool == now.tool)
        and (when.turn is None or when.turn == now.turn)
    )


def _text(parts: Iterable[Part]) -> str:
    return " ".join(part.text for part in parts if isinstance(part, (Text, Refusal)))
