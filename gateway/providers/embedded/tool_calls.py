"""Tool calls for a model that was not taught any: described in words, forced into form by a grammar, read back piece by piece.

The grammar makes every call well formed and its arguments obey the tool's schema. Whether it is the right call, no grammar
can say: SmolLM2-135M chooses the right tool once or twice in ten. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from gateway.core.errors import UnsupportedSchema
from gateway.core.ids import new_id
from gateway.providers.embedded.room import ROOM
from gateway.providers.embedded.structured import compile_json, lark_grammar

Mode = Literal["auto", "required"]

OPEN = "<tool_call>"
CLOSE = "}</tool_call>"
MOST_CALLS = 4
_HEAD = re.compile(r'<tool_call>\{"name": "([^"]+)", "arguments": ')


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A function that the model may call; `where` is its place in the request, for errors."""

    name: str
    description: str
    parameters: dict[str, Any]
    where: str


class ToolPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The tools that may be called, whether one must be, and whether several may be called in one answer."""

    tools: tuple[Tool, ...]
    mode: Mode
    parallel: bool


def described(plan: ToolPlan) -> str:
    """Give the words for the system prompt. Short: reading a prompt is the slowest part of a small model on a CPU."""
    listed = "\n".join(
        msgspec.json.encode(
            {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
        ).decode()
        for tool in plan.tools
    )
    otherwise = "Otherwise answer in plain text." if plan.mode == "auto" else "Answer with a function call."
    form = f'{OPEN}{{"name": "...", "arguments": {{...}}}}</tool_call>'
    return f"You can call these functions:\n{listed}\nTo call one, write {form}. {otherwise}"


def call_text(name: str, arguments: str) -> str:
    """Give an earlier call as the model would have written it."""
    return f'{OPEN}{{"name": "{name}", "arguments": {arguments}{CLOSE}'


def grammar(plan: ToolPlan, *, document: str | None = None, end: int | None = None, room: int = ROOM) -> str:
    """Give the grammar of an answer: calls, or (mode auto) plain text, or `document` (the JSON text of a schema) instead of text.

    `end` and `room` as in `compile_schema`. Raises UnsupportedSchema whose `param` names the tool's parameters.
    """
    rules = ["answer: calls" if plan.mode == "required" else "answer: plain | calls"]
    if plan.mode == "auto":
        # The first character tells text from a call, so a stream knows at once which of the two it is.
        rules.append(f"plain: %json {document}" if document else "plain: /(?s:[^<].*)/")
    rules.append(f"calls: call{{1,{MOST_CALLS}}}" if plan.parallel else "calls: call")
    rules.append("call: " + " | ".join(f"call_{number}" for number in range(len(plan.tools))))
    for number, tool in enumerate(plan.tools):
        head = _quoted(f'{OPEN}{{"name": "{tool.name}", "arguments": ')
        rules.append(f"call_{number}: {head} arguments_{number} {_quoted(CLOSE)}")
        try:
            rules.append(f"arguments_{number}: %json {compile_json(tool.parameters, room=room)}")
        except UnsupportedSchema as error:
            raise UnsupportedSchema(error.message, param=f"{tool.where}.parameters") from error
    return lark_grammar("\n".join(rules), end=end)


def _quoted(literal: str) -> str:
    return msgspec.json.encode(literal).decode()


class CallPiece(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of call number `index`: its start (id and name), or a fragment of its arguments."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""


class CallReader:
    """Reads the calls of one answer as its text arrives. The grammar vouches for the form; this only finds the borders."""

    def __init__(self) -> None:
        self._buffer = ""
        self._arguments: _JsonEnd | None = None
        self._started = 0
        self.finished = 0

    def feed(self, text: str) -> Sequence[CallPiece]:
        """Give the pieces that `text` completes."""
        self._buffer += text
        pieces: list[CallPiece] = []
        while self._step(pieces):
            pass
        return pieces

    def _step(self, pieces: list[CallPiece]) -> bool:
        index = self._started - 1
        if self._arguments is not None:
            end = self._arguments.find(self._buffer)
            fragment, self._buffer = self._buffer[:end], self._buffer[end:]
            if fragment:
                pieces.append(CallPiece(index=index, arguments=fragment))
            if not self._arguments.over:
                return False
            self._arguments = None
        if self._started > self.finished:
            if len(self._buffer) < len(CLOSE):
                return False
            self._buffer = self._buffer[len(CLOSE) :]
            self.finished += 1
        head = _HEAD.match(self._buffer)
        if head is None:
            return False
        self._buffer = self._buffer[head.end() :]
        self._arguments = _JsonEnd()
        self._started += 1
        pieces.append(CallPiece(index=index + 1, id=new_id("call_"), name=head[1]))
        return True


class _JsonEnd:
    """Finds where a JSON object ends in text that arrives in pieces: brackets inside strings do not count."""

    def __init__(self) -> None:
        self.over = False
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def find(self, text: str) -> int:
        """Give how much of `text` belongs to the object."""
        for position, character in enumerate(text):
            if self._in_string:
                self._read_in_string(character)
                continue
            if character == '"':
                self._in_string = True
            elif character in "{[":
                self._depth += 1
            elif character in "}]":
                self._depth -= 1
                if self._depth == 0:
                    self.over = True
                    return position + 1
        return len(text)

    def _read_in_string(self, character: str) -> None:
        if self._escaped:
            self._escaped = False
        elif character == "\\":
            self._escaped = True
        elif character == '"':
            self._in_string = False
