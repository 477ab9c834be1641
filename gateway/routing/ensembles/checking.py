"""What an answer can fail with when it is looked at: it refuses, is empty or cut, is not in form, or is not sure of itself. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import msgspec

from gateway.config.ensemble_settings import Check
from gateway.core.answer import Answer
from gateway.core.content import FunctionTool, Prompt
from gateway.core.items import Foreign, Item, Json, Message, Refusal, Text, ToolCall
from gateway.routing.ensembles.held import marks_of


class Allows(Protocol):
    """Says whether a schema allows a document; None where that cannot be said."""

    def __call__(self, schema: Mapping[str, Json], document: Json) -> bool | None:
        """Look."""
        ...


class Checked(msgspec.Struct, frozen=True):
    """What came of the checks: the one that failed and what it saw, or nothing; and those that could not be made, with the reason."""

    failed: str = ""
    skipped: tuple[str, ...] = ()


def check(
    answer: Answer, prompt: Prompt, checks: Sequence[Check], *, allows: Allows | None, confidence: float
) -> Checked:
    """Make the checks that need nobody else, the cheap ones first. Without `allows` no schema is looked at."""
    skipped: list[str] = []
    for name in ("refusal", "empty", "length"):
        if name in checks and (said := _PLAIN[name](answer)):
            return Checked(f"{name}: {said}")
    for name, found in (
        ("tool_call_invalid", _bad_call(answer, prompt, allows) if "tool_call_invalid" in checks else None),
        ("schema_invalid", _bad_text(answer, prompt, allows) if "schema_invalid" in checks else None),
        ("low_confidence", _unsure(answer, confidence) if "low_confidence" in checks else None),
    ):
        if found is None:
            continue
        bad, said = found
        if bad:
            return Checked(f"{name}: {said}", tuple(skipped))
        skipped.append(f"{name} ({said})")
    return Checked("", tuple(skipped))


def text_of(items: Sequence[Item]) -> str:
    """Give all that messages say, in order."""
    return "\n".join(
        part.text for item in items if isinstance(item, Message) for part in item.parts if isinstance(part, Text)
    )


def unfenced(text: str) -> str:
    """Give a text without the code fence that models like to put around JSON."""
    stripped = text.strip()
    if not (stripped.startswith("```") and stripped.endswith("```") and "\n" in stripped):
        return stripped
    return stripped[stripped.index("\n") + 1 : -3].strip()


def _refusal(answer: Answer) -> str:
    if answer.finished.reason in ("refusal", "content_filter"):
        return f"it ended with {answer.finished.reason}"
    refused = any(
        isinstance(part, Refusal) for item in answer.items if isinstance(item, Message) for part in item.parts
    )
    return "it refuses in words" if refused else ""


def _empty(answer: Answer) -> str:
    says = any(
        isinstance(item, (ToolCall, Foreign))
        or (isinstance(item, Message) and any(not isinstance(part, Text) or part.text.strip() for part in item.parts))
        for item in answer.items
    )
    return "" if says else "it says nothing"


def _length(answer: Answer) -> str:
    return "it was cut at its bound" if answer.finished.reason == "length" else ""


_PLAIN = {"refusal": _refusal, "empty": _empty, "length": _length}

Found = tuple[bool, str] | None
"""(True, what is wrong), (False, why that could not be looked at), or None where all is well."""


def _bad_call(answer: Answer, prompt: Prompt, allows: Allows | None) -> Found:
    tools = {tool.name: tool for tool in prompt.tools if isinstance(tool, FunctionTool)}
    named = {*tools, *(getattr(tool, "name", "") for tool in prompt.tools)}
    unusable = False
    for item in answer.items:
        if not isinstance(item, ToolCall):
            continue
        if item.name not in named:
            return True, "it calls a tool that there is not"
        if item.kind != "function":
            continue
        try:
            arguments = msgspec.json.decode(item.arguments or "{}")
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return True, "arguments of a tool call are not JSON"
        if not isinstance(arguments, dict):
            return True, "arguments of a tool call are no object"
        schema = tools[item.name].parameters if item.name in tools else None
        allowed = True if schema is None or allows is None else allows(schema, arguments)
        if allowed is False:
            return True, "arguments of a tool call are not what its schema allows"
        unusable = unusable or allowed is None
    return (False, "a tool's schema cannot be used") if unusable else None


def _bad_text(answer: Answer, prompt: Prompt, allows: Allows | None) -> Found:
    """Look at the last message of each choice, unless tools are called before there is an answer."""
    output = prompt.output
    if output is None or output.kind == "text" or any(isinstance(item, ToolCall) for item in answer.items):
        return None
    texts = list(_last_texts(answer.items)) or [""]
    for text in texts:
        try:
            document = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return True, "it is not JSON"
        if output.kind == "json_object":
            if not isinstance(document, dict):
                return True, "it is no JSON object"
        elif output.schema is not None and allows is not None:
            allowed = allows(output.schema, document)
            if allowed is None:
                return False, "the schema cannot be used"
            if not allowed:
                return True, "it is not what the schema allows"
    return None


def _last_texts(items: Sequence[Item]) -> Iterator[str]:
    last = {_choice(item): item for item in items if isinstance(item, Message)}
    for item in last.values():
        yield "".join(part.text for part in item.parts if isinstance(part, Text))


def _choice(item: Message) -> int:
    """Which of several answers an item belongs to, as its dialect notes it."""
    return next((own["$choice"] for own in item.rest.values() if isinstance(own, dict) and "$choice" in own), 0)


def _unsure(answer: Answer, confidence: float) -> Found:
    marks = [mark for mark in marks_of(answer) if not math.isnan(mark)]
    if not marks:
        return False, "the target told no log probabilities"
    # The geometric mean of the probabilities; servers write -9999 or -inf for nothing at all.
    sure = math.exp(max(sum(max(mark, -9999.0) for mark in marks) / len(marks), -700.0))
    return (True, f"{sure:.2f} is less than {confidence:g}") if sure < confidence else None
