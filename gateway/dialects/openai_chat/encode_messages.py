"""Items -> messages of a request.

What the model said in one turn (reasoning, texts, calls) becomes one assistant message. A `tool` message takes text only: the
images and files of a tool's result follow, named, in a user message after the last result of that turn.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from gateway.core.errors import InvalidRequest
from gateway.core.items import Foreign, Item, Json, Message, Part, Reasoning, Refusal, Text, ToolCall, ToolResult
from gateway.dialects.openai_chat.names import NAME, TITLE
from gateway.dialects.openai_chat.parts import encode_content, encode_part
from gateway.dialects.openai_chat.reasoning import plain_text
from gateway.dialects.rest import Leftovers, note, own
from gateway.dialects.tool_choices import calls_left_out

Wire = dict[str, Json]

_OPENING = {"role", "reasoning_content", "reasoning", "reasoning_details"}
"""What an assistant message has before anything is said in it."""


def encode_messages(items: Sequence[Item], left: Leftovers) -> list[Wire]:
    """Translate `items`; what cannot go is judged by `left`. Raises InvalidRequest where nothing is left."""
    writer = _Writer(left, calls_left_out(items, NAME))
    for number, item in enumerate(items):
        writer.write(item, f"items[{number}]")
    messages = writer.finish()
    if not messages:
        msg = f"The {TITLE}, which would serve this call, needs at least one message."
        raise InvalidRequest(msg, param="messages")
    return messages


class _Writer:
    def __init__(self, left: Leftovers, unheard: Collection[str]) -> None:
        self._left = left
        self._unheard = unheard  # calls that were left out
        self._messages: list[Wire] = []
        self._turn: Wire | None = None  # the assistant message that is being put together
        self._shown: list[Wire] = []  # parts of tool results that a tool message cannot hold

    def write(self, item: Item, path: str) -> None:
        if isinstance(item, Foreign):
            self._left.alien("step", item, path)
            return
        if isinstance(item, ToolResult) and item.call_id in self._unheard:
            self._left.refuse(path)
            return
        if item.rest:
            self._left.foreign(item.rest, path + ".")
        if isinstance(item, Reasoning):
            self._reasoning(item)
        elif isinstance(item, ToolCall):
            self._call(item)
        elif isinstance(item, ToolResult):
            self._result(item, path)
        elif item.role == "assistant":
            self._assistant(item, path)
        else:
            self._end_turn()
            self._show()
            self._messages.append(_said(item, encode_content(item.parts, path + ".content", self._left)))

    def finish(self) -> list[Wire]:
        self._end_turn()
        self._show()
        return self._messages

    def _end_turn(self) -> None:
        if self._turn is None:
            return
        turn, self._turn = self._turn, None
        if len(turn) > 1:
            self._messages.append(turn)

    def _show(self) -> None:
        if self._shown:
            self._messages.append({"role": "user", "content": self._shown})
            self._shown = []

    def _open(self, *, anew: bool) -> Wire:
        """Give the turn's message; `anew` begins another one if something has been said in this one."""
        if anew and self._turn is not None and not self._turn.keys() <= _OPENING:
            self._end_turn()
        if self._turn is None:
            self._show()
            self._turn = {"role": "assistant"}
        return self._turn

    def _reasoning(self, item: Reasoning) -> None:
        if item.origin not in (None, NAME):
            self._left.hint("reasoning")
            return
        turn = self._open(anew=NAME in item.rest)
        fields: dict[str, str] | None = note(item.rest, NAME, "fields")
        if details := note(item.rest, NAME, "details"):
            turn.setdefault("reasoning_details", []).extend(details)
        elif fields is None:
            fields = {"reasoning_content": plain_text(item)}
        for name, text in (fields or {}).items():
            if text:
                turn[name] = turn.get(name, "") + text

    def _assistant(self, item: Message, path: str) -> None:
        turn = self._open(anew=self._turn is None or "tool_calls" not in self._turn or NAME in item.rest)
        refusals = [part for part in item.parts if isinstance(part, Refusal) and note(part.rest, NAME, "field")]
        parts = tuple(part for part in item.parts if part not in refusals)
        if refusals:
            turn["refusal"] = refusals[0].text
        if parts:
            content = encode_content(parts, path + ".content", self._left)
            turn["content"] = _joined(turn.get("content"), content)
        if item.name is not None:
            turn["name"] = item.name
        turn.update(own(item.rest, NAME))

    def _call(self, item: ToolCall) -> None:
        about = note(item.rest, NAME, "message")
        turn = self._open(anew=about is not None)
        if turn.keys() <= _OPENING:
            # Null is what the widest range of upstreams takes beside calls; a chat client decides for itself.
            turn.update({"content": None} if about is None else about)
        mine = own(item.rest, NAME)
        if note(item.rest, NAME, "function") is not None:
            turn["function_call"] = {"name": item.name, "arguments": item.arguments}
            return
        text = "arguments" if item.kind == "function" else "input"
        body = {"name": item.name, text: item.arguments, **mine.pop(item.kind, {})}
        turn.setdefault("tool_calls", []).append({"id": item.call_id, "type": item.kind, item.kind: body, **mine})

    def _result(self, item: ToolResult, path: str) -> None:
        self._end_turn()
        if item.is_error:
            self._left.hint("is_error")
        if (function := note(item.rest, NAME, "function")) is not None:
            content = encode_content(item.parts, path, self._left) if item.parts else None
            self._messages.append({"role": "function", "name": function, "content": content, **own(item.rest, NAME)})
            return
        parts = item.parts if NAME in item.rest else self._set_aside(item, path)
        content = encode_content(parts, path + ".content", self._left) if parts or NAME in item.rest else ""
        self._messages.append(
            {"role": "tool", "tool_call_id": item.call_id, "content": content, **own(item.rest, NAME)}
        )

    def _set_aside(self, item: ToolResult, path: str) -> tuple[Part, ...]:
        texts = tuple(part for part in item.parts if isinstance(part, Text) or NAME in part.rest)
        if len(texts) == len(item.parts):
            return item.parts
        self._shown.append({"type": "text", "text": f"What the tool call {item.call_id} returned besides text:"})
        for number, part in enumerate(item.parts):
            if part not in texts and (wire := encode_part(part, f"{path}.content[{number}]", self._left)):
                self._shown.append(wire)
        return texts or (Text(text="(The result follows in the next user message.)"),)


def _said(item: Message, content: Json) -> Wire:
    message: Wire = {"role": item.role, "content": content}
    if item.name is not None:
        message["name"] = item.name
    message.update(own(item.rest, NAME))
    return message


def _joined(before: Json, content: str | list[Wire]) -> str | list[Wire]:
    if not before:
        return content
    return _listed(before) + _listed(content)


def _listed(content: str | list[Wire]) -> list[Wire]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content
