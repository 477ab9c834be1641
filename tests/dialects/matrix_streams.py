"""Upstreams' streams for the tests of the matrix: whole answers, cut into the events that each API would send."""

import json

HEAD = {
    "openai_chat": {"object": "chat.completion", "created": 1, "model": "m"},
    "openai_responses": {"object": "response", "created_at": 1, "model": "m", "error": None},
    "anthropic_messages": {"type": "message", "role": "assistant", "model": "m"},
}


def document(dialect, said):
    """Give the whole answer as the upstream sends it; `said` is what the corpus has of it."""
    return {**HEAD[dialect], **said}


def stream(dialect, said):
    """Give the same answer as server-sent events."""
    return {"openai_chat": _chat, "openai_responses": _responses, "anthropic_messages": _messages}[dialect](said)


def _halves(text):
    middle = len(text) // 2
    return [piece for piece in (text[:middle], text[middle:]) if piece]


def _sse(*events, named=True):
    return b"".join(
        (b"event: %b\n" % event["type"].encode() if named else b"") + b"data: %b\n\n" % json.dumps(event).encode()
        for event in events
    )


def _chat(said):
    head = {**HEAD["openai_chat"], "id": said["id"], "object": "chat.completion.chunk"}
    choice = said["choices"][0]
    message = choice["message"]
    deltas = [{"role": "assistant", "content": ""}]
    for field in ("reasoning_content", "content", "refusal"):
        deltas += [{field: piece} for piece in _halves(message.get(field) or "")]
    for index, call in enumerate(message.get("tool_calls") or ()):
        function = {"name": call["function"]["name"], "arguments": ""}
        deltas.append({"tool_calls": [{"index": index, "id": call["id"], "type": "function", "function": function}]})
        pieces = _halves(call["function"]["arguments"])
        deltas += [{"tool_calls": [{"index": index, "function": {"arguments": piece}}]} for piece in pieces]
    chunks = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    end = {name: value for name, value in choice.items() if name != "message"}
    chunks += [{**head, "choices": [{**end, "delta": {}}]}, {**head, "choices": [], "usage": said["usage"]}]
    return _sse(*chunks, named=False) + b"data: [DONE]\n\n"


_GROWING = {
    "text": ("text", "text_delta", "text"),
    "thinking": ("thinking", "thinking_delta", "thinking"),
    "tool_use": ("input", "input_json_delta", "partial_json"),
}


def _messages(said):
    start = {**document("anthropic_messages", said), "content": [], "stop_reason": None, "stop_sequence": None}
    start["usage"] = {**said["usage"], "output_tokens": 1}
    start["usage"].pop("output_tokens_details", None)
    events = [{"type": "message_start", "message": start}, {"type": "ping"}]
    for index, block in enumerate(said["content"]):
        field, kind, name = _GROWING[block["type"]]
        empty = {**block, field: {} if field == "input" else ""}
        if "signature" in block:
            empty["signature"] = ""
        events.append({"type": "content_block_start", "index": index, "content_block": empty})
        whole = json.dumps(block[field], separators=(",", ":")) if field == "input" else block[field]
        deltas = [{"type": kind, name: piece} for piece in _halves(whole)]
        if "signature" in block:
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    end = {"stop_reason": said["stop_reason"], "stop_sequence": said["stop_sequence"]}
    events += [{"type": "message_delta", "delta": end, "usage": said["usage"]}, {"type": "message_stop"}]
    return _sse(*events)


def _responses(said):
    whole = document("openai_responses", said)
    running = {**whole, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    events = [{"type": "response.created", "response": running}, {"type": "response.in_progress", "response": running}]
    for place, item in enumerate(said["output"]):
        events += _item(place, item)
    events.append({"type": f"response.{said['status']}", "response": whole})
    return _sse(*({**event, "sequence_number": number} for number, event in enumerate(events)))


def _item(place, item):
    where = {"output_index": place, "item_id": item["id"]}
    field = {"message": "content", "reasoning": "summary", "function_call": "arguments"}[item["type"]]
    empty = {**item, field: type(item[field])()}
    if "status" in item:
        empty["status"] = "in_progress"
    empty.pop("encrypted_content", None)
    yield {"type": "response.output_item.added", "output_index": place, "item": empty}
    if field == "arguments":
        for piece in _halves(item["arguments"]):
            yield {"type": "response.function_call_arguments.delta", **where, "delta": piece}
        done = {"name": item["name"], "arguments": item["arguments"]}
        yield {"type": "response.function_call_arguments.done", **where, **done}
    else:
        for number, part in enumerate(item[field]):
            yield from _part(where, number, part)
    yield {"type": "response.output_item.done", "output_index": place, "item": item}


def _part(where, number, part):
    kind = part["type"]
    if kind == "summary_text":
        at = {**where, "summary_index": number}
        added, name, field = "reasoning_summary_part", "reasoning_summary_text", "text"
    else:
        at = {**where, "content_index": number}
        added, name, field = "content_part", kind, "refusal" if kind == "refusal" else "text"
    more = {"logprobs": []} if kind == "output_text" else {}
    yield {"type": f"response.{added}.added", **at, "part": {**part, field: ""}}
    for piece in _halves(part[field]):
        yield {"type": f"response.{name}.delta", **at, "delta": piece, **more}
    yield {"type": f"response.{name}.done", **at, field: part[field], **more}
    yield {"type": f"response.{added}.done", **at, "part": part}
