"""What the Open Responses specification (2026-04-24) says of a response and of each event of a stream, as assertions in words of our own."""

import json

TEXT, NUMBER, FLAG, LIST, OBJECT, WHOLE = str, (int, float), bool, list, dict, int
NEVER_NULL = {
    "id": TEXT, "object": TEXT, "created_at": WHOLE, "status": TEXT, "model": TEXT, "output": LIST, "tools": LIST, "truncation": TEXT,
    "parallel_tool_calls": FLAG, "text": OBJECT, "top_p": NUMBER, "presence_penalty": NUMBER, "frequency_penalty": NUMBER,
    "top_logprobs": WHOLE, "temperature": NUMBER, "store": FLAG, "background": FLAG, "service_tier": TEXT, "metadata": OBJECT,
    "tool_choice": (str, dict),
}  # fmt: skip
MAY_BE_NULL = {
    "completed_at": WHOLE, "incomplete_details": OBJECT, "previous_response_id": TEXT, "instructions": TEXT, "error": OBJECT,
    "reasoning": OBJECT, "usage": OBJECT, "max_output_tokens": WHOLE, "max_tool_calls": WHOLE, "safety_identifier": TEXT,
    "prompt_cache_key": TEXT,
}  # fmt: skip
PARTS = {
    "output_text": {"text": TEXT, "annotations": LIST, "logprobs": LIST},
    "refusal": {"refusal": TEXT},
    "reasoning_text": {"text": TEXT},
}
ITEMS = {
    "message": {"id": TEXT, "status": TEXT, "role": TEXT, "content": LIST},
    "function_call": {"id": TEXT, "status": TEXT, "call_id": TEXT, "name": TEXT, "arguments": TEXT},
    "reasoning": {"id": TEXT, "summary": LIST},
}
PLACE = {"item_id": TEXT, "output_index": WHOLE}
EVENTS = {
    **{f"response.{end}": {"response": OBJECT} for end in ("created", "queued", "in_progress", "completed", "incomplete", "failed")},
    "response.output_item.added": {"output_index": WHOLE, "item": OBJECT},
    "response.output_item.done": {"output_index": WHOLE, "item": OBJECT},
    "response.content_part.added": {**PLACE, "content_index": WHOLE, "part": OBJECT},
    "response.content_part.done": {**PLACE, "content_index": WHOLE, "part": OBJECT},
    "response.output_text.delta": {**PLACE, "content_index": WHOLE, "delta": TEXT, "logprobs": LIST},
    "response.output_text.done": {**PLACE, "content_index": WHOLE, "text": TEXT, "logprobs": LIST},
    "response.function_call_arguments.delta": {**PLACE, "delta": TEXT},
    "response.function_call_arguments.done": {**PLACE, "arguments": TEXT},
}  # fmt: skip
ENDS = ("response.completed", "response.incomplete", "response.failed")


def fits(given, fields, *, nullable=False):
    """Every field is there, and of its type; a flag is no number."""
    for name, kind in fields.items():
        assert name in given, f"{name} is missing in {given}"
        value = given[name]
        if value is None:
            assert nullable, f"{name} is null in {given}"
            continue
        assert isinstance(value, kind), f"{name} is {value!r}"
        assert kind is FLAG or not isinstance(value, bool), f"{name} is {value!r}"


def sound_part(part):
    fits(part, PARTS[part["type"]])
    return part


def sound_item(item):
    fits(item, ITEMS[item["type"]])
    if "status" in item:
        assert item["status"] in ("in_progress", "completed", "incomplete")
    for part in item.get("content") or ():
        sound_part(part)
    return item


def sound_response(response):
    """A response as the specification has it, whatever its status."""
    fits(response, NEVER_NULL)
    fits(response, MAY_BE_NULL, nullable=True)
    assert response["object"] == "response"
    assert response["status"] in ("queued", "in_progress", "completed", "incomplete", "failed", "cancelled")
    assert response["text"]["format"]["type"]
    for item in response["output"]:
        sound_item(item)
    for tool in response["tools"]:
        fits(tool, {"type": TEXT, "name": TEXT})
        fits(tool, {"description": TEXT, "parameters": OBJECT, "strict": FLAG}, nullable=True)
    if (usage := response["usage"]) is not None:
        fits(usage, dict.fromkeys(("input_tokens", "output_tokens", "total_tokens"), WHOLE))
        fits(usage["input_tokens_details"], {"cached_tokens": WHOLE})
        fits(usage["output_tokens_details"], {"reasoning_tokens": WHOLE})
    return response


async def ask(http, **body):
    answer = await http.post("/v1/responses", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    return sound_response(answer.json())


async def listen(http, **body):
    """Read a stream, each event of which is as the specification has it; `event` and `type` are the same, numbers have no gap."""
    events = []
    async with http.stream("POST", "/v1/responses", json={**body, "stream": True}) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"].startswith("text/event-stream")
        name = ""
        async for line in answer.aiter_lines():
            if line.startswith("event:"):
                name = line[6:].strip()
            elif line.startswith("data:"):
                event = json.loads(line[5:])
                assert event["type"] == name
                events.append(event)
            else:
                assert line == "" or line.startswith(":"), "no field but event and data"
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    for event in events:
        fits(event, EVENTS[event["type"]])
        if "response" in event:
            sound_response(event["response"])
        if "part" in event:
            sound_part(event["part"])
    orderly(events)
    return events


def orderly(events):
    """Items and their parts are state machines: opened, filled, closed, in that order; nothing follows a response's end."""
    kinds = [event["type"] for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert [kind in ENDS for kind in kinds] == [False] * (len(kinds) - 1) + [True]
    items, parts, texts = {}, {}, {}
    for event in events:
        kind, index = event["type"], event.get("output_index")
        if kind == "response.output_item.added":
            assert index == len(items)
            assert event["item"]["status"] == "in_progress"
            items[index] = event["item"]["id"]
            continue
        if index is None:
            continue
        assert items[index] == event.get("item_id", event.get("item", {}).get("id")), event
        place = (index, event.get("content_index"))
        if kind == "response.content_part.added":
            parts[place], texts[place] = "open", ""
        elif kind == "response.output_text.delta":
            assert parts[place] == "open"
            texts[place] += event["delta"]
        elif kind == "response.output_text.done":
            assert texts[place] == event["text"]
        elif kind == "response.content_part.done":
            assert parts[place] == "open"
            parts[place] = "closed"
        elif kind == "response.output_item.done":
            assert all(state == "closed" for (where, _), state in parts.items() if where == index)
            sound_item(event["item"])
            items[index] = "closed"
    if kinds[-1] != "response.failed":
        assert set(items.values()) <= {"closed"}
        done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
        assert events[-1]["response"]["output"] == done
