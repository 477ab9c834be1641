"""The hub's items to wire items: as `input` for an upstream, and as `output` for a client."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.items import Foreign, Item, Json, Message, Part, Reasoning, Refusal, Text, ToolCall, ToolResult
from gateway.dialects.openai_responses.opaque import seal
from gateway.dialects.openai_responses.parts import encode_parts, known_annotations
from gateway.dialects.openai_responses.written import NAME, TITLE, came_from_here, own_fields, own_form
from gateway.dialects.rest import Leftovers


def encode_item(item: Item, number: int, left: Leftovers) -> Json:
    """Write one item of an upstream's `input`; None where it must be left out. `number` is its place in the prompt."""
    path = f"input[{number}]"
    if isinstance(item, Foreign):
        if item.dialect == NAME:
            return item.raw
        left.alien("step", item, path)
        return None
    if isinstance(item, Reasoning):
        return _reasoning_for_upstream(item, left)
    left.foreign(item.rest, path + ".")
    if item.cache is not None:
        left.hint("cache_control")
    if isinstance(item, Message):
        return _message(item, number, left)
    if isinstance(item, ToolCall):
        return {**own_fields(item.rest), **_tool_call(item), **_own_id(item)}
    return _result(item, path, left)


def _message(item: Message, number: int, left: Leftovers) -> dict[str, Json]:
    if item.name is not None:
        left.hint("name")
    form, here = own_form(item.rest), came_from_here(item.rest)
    fields: dict[str, Json] = {} if "type" in form or form.get("input") else {"type": "message"}
    fields["role"] = item.role
    if _as_string(item, form, here=here):
        fields["content"] = "".join(part.text for part in item.parts if isinstance(part, Text))
    else:
        said_by_model = item.role == "assistant"
        fields["content"] = encode_parts(item.parts, left, f"input[{number}].content", said_by_model=said_by_model)
        if said_by_model and not here:
            # A list of the model's own parts is an output message, of which id and status are part.
            fields.update(id=f"msg_{number}", status="completed")
    return {**own_fields(item.rest), **fields, **_own_id(item)}


def _as_string(item: Message, form: dict[str, Json], *, here: bool) -> bool:
    if not _is_one_plain_text(item.parts):
        return False
    # Strict upstreams take what the model said only as a string, unless it has the id and the status of an output message.
    return bool(form.get("content") or form.get("input")) if here else item.role == "assistant"


def _is_one_plain_text(parts: Sequence[Part]) -> bool:
    if len(parts) != 1 or not isinstance(parts[0], Text):
        return False
    part = parts[0]
    return part.cache is None and not part.annotations and not part.rest


def _own_id(item: Message | ToolCall | ToolResult) -> dict[str, Json]:
    """Give the id where it is this wire's: other APIs' ids mean nothing here, and OpenAI refuses their prefixes."""
    return {"id": item.id} if item.id is not None and came_from_here(item.rest) else {}


def _tool_call(item: ToolCall) -> dict[str, Json]:
    if item.kind == "custom":
        return {"type": "custom_tool_call", "call_id": item.call_id, "name": item.name, "input": item.arguments}
    return {"type": "function_call", "call_id": item.call_id, "name": item.name, "arguments": item.arguments}


def _result(item: ToolResult, path: str, left: Leftovers) -> dict[str, Json]:
    if item.is_error:
        left.hint("is_error")
    return {**own_fields(item.rest), **_written_result(item, left, path), **_own_id(item)}


def _written_result(item: ToolResult, left: Leftovers, path: str) -> dict[str, Json]:
    kind = "custom_tool_call_output" if item.kind == "custom" else "function_call_output"
    output: Json
    if not item.parts and own_form(item.rest).get("output") != "list":
        output = ""
    elif _is_one_plain_text(item.parts) and own_form(item.rest).get("output") != "list":
        output = "".join(part.text for part in item.parts if isinstance(part, Text))
    else:
        output = encode_parts(item.parts, left, f"{path}.output")
    return {"type": kind, "call_id": item.call_id, "output": output}


def _reasoning_for_upstream(item: Reasoning, left: Leftovers) -> Json:
    if not _is_own(item):
        # Nobody but its origin can use it, and an upstream refuses reasoning that it did not make.
        left.hint("reasoning")
        return None
    identity = {} if item.id is None else {"id": item.id}
    return {**own_fields(item.rest), **identity, **_reasoning(item), **_encrypted(item.encrypted)}


def _is_own(item: Reasoning) -> bool:
    """Whether an upstream of this API can use it: it made it, and there is more than a digest, or its own client sent it."""
    if came_from_here(item.rest):
        return item.origin in (None, NAME)
    return item.origin == NAME and bool(item.encrypted or item.text)


def _encrypted(content: str | None) -> dict[str, Json]:
    return {} if content is None else {"encrypted_content": content}


def _reasoning(item: Reasoning) -> dict[str, Json]:
    fields: dict[str, Json] = {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": text} for text in item.summary],
    }
    lengths = own_form(item.rest).get("content")
    texts = _cut(item.text, lengths) if lengths else [item.text]
    if item.text:
        fields["content"] = [{"type": "reasoning_text", "text": text} for text in texts]
    elif lengths == []:
        fields["content"] = []
    return fields


def _cut(text: str, lengths: list[int]) -> list[str]:
    if sum(lengths) != len(text):
        return [text]
    pieces, start = [], 0
    for length in lengths:
        pieces.append(text[start : start + length])
        start += length
    return pieces


def item_prefix(item: Item) -> str:
    """Give the prefix that ids of such items have."""
    if isinstance(item, Message):
        return "msg_"
    if isinstance(item, Reasoning):
        return "rs_"
    if isinstance(item, ToolResult):
        return "fco_"
    return "ctc_" if isinstance(item, ToolCall) and item.kind == "custom" else "fc_"


def output_item(item: Item, name: str, status: str) -> dict[str, Json] | None:
    """Write one item of an answer for a client, with `name` for its id; None where this API has no form for it."""
    if isinstance(item, Foreign):
        return item.raw if item.dialect == NAME else None
    if isinstance(item, Reasoning):
        return {"id": name, **_reasoning(item), **_encrypted(seal(item))}
    kept = {key: value for key, value in own_fields(item.rest).items() if key != "status" and value is not None}
    if isinstance(item, Message):
        content = [part for part in map(output_part, item.parts) if part is not None]
        return {**kept, "id": name, "type": "message", "status": status, "role": "assistant", "content": content}
    if isinstance(item, ToolCall):
        return {**kept, "id": name, **_tool_call(item), "status": status}
    return {**kept, "id": name, **_written_result(item, Leftovers(NAME, TITLE, drop=True), "output"), "status": status}


def output_part(part: Part) -> dict[str, Json] | None:
    """Write one part of the model's message for a client; None where this API has no form for it."""
    if isinstance(part, Refusal):
        return {"type": "refusal", "refusal": part.text}
    if not isinstance(part, Text):
        return None
    return {
        "type": "output_text",
        "text": part.text,
        "annotations": known_annotations(part.annotations),
        "logprobs": list(part.logprobs or ()),
    }
