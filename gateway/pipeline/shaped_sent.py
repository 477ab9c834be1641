"""What goes out of a form: schemas as the target's strict mode takes them, and what makes its answer the one that was asked for again.

What a target does not enforce is judged afterwards by the schema as it was asked for, so nothing is lost by lowering.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal, Protocol, runtime_checkable

import msgspec

from gateway.core.content import FunctionTool, OutputFormat, Prompt, Tool
from gateway.core.errors import UnsupportedSchema
from gateway.core.items import Item, Message, Part, Text, ToolCall
from gateway.schemas.lowering import anthropic, openai_strict, vllm
from gateway.schemas.lowering.kept import Kept
from gateway.schemas.lowering.lowered import Lower, Lowered
from gateway.schemas.lowering.subset import MOST_VISITS

Strictness = Literal["openai", "anthropic", "vllm"]

_LOWER: Final[Mapping[Strictness, Lower]] = {
    "anthropic": Kept(anthropic.lower),
    "openai": Kept(openai_strict.lower),
    "vllm": vllm.lower,
}

_MOST_EFFORT: Final = 3 * MOST_VISITS
"""For all tools of a call together."""


@runtime_checkable
class HasStrictMode(Protocol):
    """A provider whose strict mode takes a subset of JSON Schema."""

    strictness: Strictness | None


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt as it goes out. `text` and `tools` undo in an answer what its schemas were changed to."""

    prompt: Prompt
    text: Lowered | None = None
    tools: Mapping[str, Lowered] = {}

    @property
    def restores(self) -> bool:
        """Whether an answer has to be changed, so that nothing of it can go out before it is whole."""
        return self.text is not None or bool(self.tools)

    def restored(self, items: Iterable[Item]) -> tuple[Item, ...]:
        """Give an answer as it was asked for. What is no JSON stays as it is: the judge says so."""
        return tuple(map(self._restored, items))

    def _restored(self, item: Item) -> Item:
        if isinstance(item, Message) and self.text is not None:
            return msgspec.structs.replace(item, parts=tuple(_part(part, self.text) for part in item.parts))
        if isinstance(item, ToolCall) and item.name in self.tools:
            return msgspec.structs.replace(item, arguments=_text(item.arguments, self.tools[item.name]))
        return item


def sent(prompt: Prompt, strictness: Strictness | None, *, stream: bool) -> Sent:
    """Lower the schemas of a prompt. Raises UnsupportedSchema where the target has no other way to take that of the text."""
    if strictness is None:
        return Sent(prompt=prompt)
    lower = _LOWER[strictness]
    tools: list[Tool] = []
    restoring: dict[str, Lowered] = {}
    effort = 0
    for tool in prompt.tools:
        if not isinstance(tool, FunctionTool) or not tool.strict:
            tools.append(tool)
            continue
        if effort > _MOST_EFFORT:
            # Nobody else's call waits longer for these: the arguments are judged afterwards all the same.
            tools.append(msgspec.structs.replace(tool, strict=False))
            continue
        made, lowered = _tool(tool, lower)
        effort += MOST_VISITS if lowered is None else lowered.effort
        if lowered is not None and lowered.restores:
            restoring[made.name] = lowered
        tools.append(made)
    output, text = _output(prompt.output, strictness, stream=stream)
    return Sent(prompt=msgspec.structs.replace(prompt, output=output, tools=tuple(tools)), text=text, tools=restoring)


def _output(
    output: OutputFormat | None, strictness: Strictness, *, stream: bool
) -> tuple[OutputFormat | None, Lowered | None]:
    if output is None or not output.schema:
        return output, None
    lax = strictness == "openai" and not output.strict
    try:
        lowered = _LOWER[strictness](output.schema)
    except UnsupportedSchema:
        if strictness != "openai":
            raise
        return msgspec.structs.replace(output, strict=False), None
    if lax and (output.strict is False or (stream and lowered.restores)):
        # Who did not ask for strictness sees the answer grow rather than be made whole here.
        return output, None
    strict = True if strictness == "openai" else output.strict
    made = msgspec.structs.replace(output, schema=lowered.schema, strict=strict)
    return made, lowered if lowered.restores else None


def _tool(tool: FunctionTool, lower: Lower) -> tuple[FunctionTool, Lowered | None]:
    """Lower a tool's schema; one that strict mode cannot say goes out as that of a tool which is not strict."""
    if not tool.parameters:
        return tool, None
    try:
        lowered = lower(tool.parameters)
    except UnsupportedSchema:
        return msgspec.structs.replace(tool, strict=False), None
    if lowered.wrapped:
        return msgspec.structs.replace(tool, strict=False), None
    return msgspec.structs.replace(tool, parameters=lowered.schema), lowered


def _part(part: Part, lowered: Lowered) -> Part:
    if not isinstance(part, Text) or not part.text.strip():
        return part
    text = _text(part.text, lowered)
    return part if text == part.text else msgspec.structs.replace(part, text=text, logprobs=None)


def _text(text: str, lowered: Lowered) -> str:
    try:
        value = msgspec.json.decode(text)
        restored = lowered.restore(value)
        return text if restored == value else msgspec.json.encode(restored).decode()
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return text
