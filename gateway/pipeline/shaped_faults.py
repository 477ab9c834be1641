"""What is wrong with an answer that is to have a form. An answer that was cut short or refused is no success, so nothing is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from gateway.core.events import Finished
from gateway.core.items import Item, Json, Message, Refusal, Text, ToolCall
from gateway.dialects.openai_chat.wire import choice_of
from gateway.pipeline.shaped_wish import OBJECT, Wish

_UNFINISHED: Final = frozenset({"length", "content_filter", "pause"})
_CHAT: Final = "openai_chat"
MOST_FAULTS: Final = 8


class Judge(Protocol):
    """Says what is wrong with a text. Gives at most a few sentences, none for a document that is valid by the schema."""

    async def __call__(self, schema: Mapping[str, Json], text: str) -> Sequence[str]:
        """Judge."""
        ...


class Spoken(msgspec.Struct, kw_only=True):
    """What one of the choices of an answer says, and why it ended."""

    reason: str
    texts: list[str] = []
    refusals: list[str] = []
    calls: list[ToolCall] = []

    @property
    def text(self) -> str:
        """All of its text."""
        return "".join(self.texts)

    @property
    def unfinished(self) -> bool:
        """Whether it was cut short, or refused: nobody takes it for a success then."""
        if self.refusals:
            return self.reason in _UNFINISHED or not self.text.strip()
        return self.reason in _UNFINISHED or self.reason == "refusal"


def spoken(items: Iterable[Item], finished: Finished) -> dict[int, Spoken]:
    """Give what the choices of an answer say, by their numbers."""
    reasons: Mapping[str, str] = (finished.detail.get(_CHAT) or {}).get("reasons") or {}
    found: dict[int, Spoken] = {}

    def choice(number: int) -> Spoken:
        reason = reasons.get(str(number), finished.reason)
        return found.get(number) or found.setdefault(number, Spoken(reason=reason, texts=[], refusals=[], calls=[]))

    # One that says nothing has an end all the same.
    for name in reasons:
        choice(int(name))
    for item in items:
        one = choice(choice_of(item))
        if isinstance(item, ToolCall):
            one.calls.append(item)
        elif isinstance(item, Message):
            one.texts += [part.text for part in item.parts if isinstance(part, Text) and part.text]
            one.refusals += [part.text for part in item.parts if isinstance(part, Refusal) and part.text]
    return found or {0: Spoken(reason=finished.reason)}


async def faults_in(said: Mapping[int, Spoken], wish: Wish, judge: Judge) -> list[str]:
    """Say what is wrong with an answer; nothing where it has its form, or is no finished one."""
    found: list[str] = []
    for number, one in sorted(said.items()):
        if one.unfinished and (one.reason != "pause" or wish.pauses):
            continue
        where = f"choice {number}: " if len(said) > 1 else ""
        found += [where + fault for fault in await _faults(one, wish, judge)]
    return found[:MOST_FAULTS]


async def _faults(one: Spoken, wish: Wish, judge: Judge) -> list[str]:
    found: list[str] = []
    for call in one.calls:
        found += await faults_of_call(call, wish, judge)
    if (wish.output is None and wish.words is None) or found:
        return found
    if one.calls and (one.reason == "tool_calls" or not one.text.strip()):
        return []  # what it says beside its calls is not the answer yet
    if len(one.texts) > 1:
        return [f"the answer is {len(one.texts)} texts, not one"]
    if wish.words is not None:
        return list(await judge(wish.words, msgspec.json.encode(one.text).decode()))
    if not one.text.strip():
        return ["the answer is empty"]
    return list(await judge(wish.schema, one.text))


async def faults_of_call(call: ToolCall, wish: Wish, judge: Judge) -> list[str]:
    """Say what is wrong with a tool call: it names no tool that was offered, or its arguments are not what a strict tool takes."""
    if wish.offered is not None and call.name not in wish.offered:
        return [f"a tool is called that was not offered: {call.name[:100]!r}"]
    schema = wish.strict.get(call.name)
    if schema is None:
        return []
    if call.kind != "function":
        return [free_text(call.name)]
    faults = await judge(schema or OBJECT, call.arguments)
    return [f"arguments of {call.name}: {fault}" for fault in faults]


def free_text(name: str) -> str:
    """Say that a strict tool is called with a text that is free."""
    return f"{name[:100]!r} takes arguments, and is called with a free text"


def raw_of(said: Mapping[int, Spoken]) -> str:
    """Give what was said, tool calls included."""
    return "\n".join([part for _, one in sorted(said.items()) for part in (*one.texts, *map(_call, one.calls))])


def cut(text: str, most: int) -> str:
    """Give the beginning of a text, at most so many bytes of UTF-8."""
    if len(text) * 4 <= most:
        return text
    return text[:most].encode("utf-8", "replace")[:most].decode("utf-8", "ignore")


def _call(call: ToolCall) -> str:
    return f"{call.name}({call.arguments})"
