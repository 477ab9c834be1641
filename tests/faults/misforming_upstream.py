"""A double of an upstream that answers in the real wire formats with whatever text it is told, and what its callers make of the answers."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import jsonschema
import msgspec

from tests.contract.upstream_faulty_server import Peer, serving
from tests.faults.faulty_upstream import APIS, LAST_CHUNK, STREAM_HEAD, chunk, document

SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "minLength": 2},
        "people": {"type": "integer", "minimum": 0, "multipleOf": 100},
        "tags": {"type": "array", "items": {"enum": ["big", "old", "wet"]}, "uniqueItems": True},
    },
    "required": ["city", "people"],
    "additionalProperties": False,
}
GOOD = '{"city": "Paris", "people": 2100000, "tags": ["big", "old"]}'


class Saying(msgspec.Struct, frozen=True, kw_only=True):
    """What the upstream says: texts, each in a message of its own, and calls (name, arguments)."""

    texts: tuple[str, ...] = ()
    calls: tuple[tuple[str, str], ...] = ()
    cut: bool = False


class MisformingUpstream:
    """Says `saying`, in turn; where a tool has to be called, a text becomes its arguments."""

    def __init__(self) -> None:
        self.sayings: list[Saying] = []
        self.asked: list[dict] = []
        self.url = ""

    async def script(self, peer: Peer) -> None:
        while True:
            raw = await peer.request()
            head, _, body = raw.partition(b"\r\n\r\n")
            path = head.split(b" ", 2)[1].decode()
            api = next(api for api, known in APIS.items() if path == known)
            asked = json.loads(body)
            self.asked.append(asked)
            saying = self.sayings.pop(0) if len(self.sayings) > 1 else self.sayings[0]
            named = forced_tool(api, asked)
            if named is not None and not saying.calls:
                saying = Saying(calls=tuple((named, text) for text in saying.texts), cut=saying.cut)
            if not asked.get("stream"):
                await peer.send(document(json.dumps(DOCUMENTS[api](saying)).encode()))
                continue
            await peer.send(STREAM_HEAD)
            for event in STREAMS[api](saying):
                await peer.send(chunk(event))
            await peer.send(LAST_CHUNK)


def forced_tool(api: str, asked: dict) -> str | None:
    """The tool that has to be called, if there is one."""
    choice = asked.get("tool_choice")
    if not isinstance(choice, dict):
        return None
    return choice["function"]["name"] if api == "chat" else choice.get("name")


@asynccontextmanager
async def misforming() -> AsyncIterator[MisformingUpstream]:
    """Run the double."""
    upstream = MisformingUpstream()
    async with serving(upstream.script) as server:
        upstream.url = f"http://127.0.0.1:{server.port}"
        yield upstream


def pieces(text: str) -> list[str]:
    return [text[at : at + 7] for at in range(0, len(text), 7)]


def sse(value: dict, name: str = "") -> bytes:
    event = f"event: {name}\n" if name else ""
    return f"{event}data: {json.dumps(value)}\n\n".encode()


def chat_document(saying: Saying) -> dict:
    message = {"role": "assistant", "content": "".join(saying.texts) or None}
    if saying.calls:
        message["tool_calls"] = [
            {"id": f"call_{at}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for at, (name, arguments) in enumerate(saying.calls)
        ]
    finish = "length" if saying.cut else "tool_calls" if saying.calls else "stop"
    return {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "talker",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16},
    }  # fmt: skip


def chat_stream(saying: Saying) -> list[bytes]:
    def one(delta: dict, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return sse(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion.chunk",
                "created": 1,
                "model": "talker",
                "choices": [choice],
            }
        )

    events = [one({"role": "assistant"})]
    events += [one({"content": piece}) for text in saying.texts for piece in pieces(text)]
    for at, (name, arguments) in enumerate(saying.calls):
        begun = {"index": at, "id": f"call_{at}", "type": "function", "function": {"name": name, "arguments": ""}}
        events.append(one({"tool_calls": [begun]}))
        events += [
            one({"tool_calls": [{"index": at, "function": {"arguments": piece}}]}) for piece in pieces(arguments)
        ]
    events.append(one({}, "length" if saying.cut else "tool_calls" if saying.calls else "stop"))
    return [*events, b"data: [DONE]\n\n"]


def response_items(saying: Saying) -> list[dict]:
    said = [
        {
            "id": f"msg_{at}", "type": "message", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": text, "annotations": []}],
        }
        for at, text in enumerate(saying.texts)
    ]  # fmt: skip
    called = [
        {
            "id": f"fc_{at}",
            "type": "function_call",
            "call_id": f"call_{at}",
            "name": name,
            "arguments": arguments,
            "status": "completed",
        }
        for at, (name, arguments) in enumerate(saying.calls)
    ]
    return [*said, *called]


def response_document(saying: Saying) -> dict:
    status = "incomplete" if saying.cut else "completed"
    return {
        "id": "resp_1", "object": "response", "created_at": 1, "model": "talker", "status": status, "output": response_items(saying),
        "incomplete_details": {"reason": "max_output_tokens"} if saying.cut else None, "error": None,
        "usage": {
            "input_tokens": 11, "output_tokens": 5, "total_tokens": 16,
            "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0},
        },
    }  # fmt: skip


def response_stream(saying: Saying) -> list[bytes]:
    whole = response_document(saying)
    values: list[dict] = [{"type": "response.created", "response": {**whole, "status": "in_progress", "output": []}}]
    for at, item in enumerate(whole["output"]):
        where = {"output_index": at, "item_id": item["id"]}
        if item["type"] == "message":
            text = item["content"][0]["text"]
            values.append(
                {
                    "type": "response.output_item.added",
                    "output_index": at,
                    "item": {**item, "content": [], "status": "in_progress"},
                }
            )
            part = {"type": "output_text", "text": "", "annotations": []}
            values.append({"type": "response.content_part.added", **where, "content_index": 0, "part": part})
            values += [
                {"type": "response.output_text.delta", **where, "content_index": 0, "delta": piece}
                for piece in pieces(text)
            ]
            values.append({"type": "response.output_text.done", **where, "content_index": 0, "text": text})
            values.append(
                {"type": "response.content_part.done", **where, "content_index": 0, "part": {**part, "text": text}}
            )
        else:
            values.append(
                {
                    "type": "response.output_item.added",
                    "output_index": at,
                    "item": {**item, "arguments": "", "status": "in_progress"},
                }
            )
            values += [
                {"type": "response.function_call_arguments.delta", **where, "delta": piece}
                for piece in pieces(item["arguments"])
            ]
            values.append({"type": "response.function_call_arguments.done", **where, "arguments": item["arguments"]})
        values.append({"type": "response.output_item.done", "output_index": at, "item": item})
    values.append({"type": f"response.{whole['status']}", "response": whole})
    return [sse({**value, "sequence_number": number}, value["type"]) for number, value in enumerate(values)]


def message_document(saying: Saying) -> dict:
    blocks: list[dict] = [{"type": "text", "text": text} for text in saying.texts]
    for at, (name, arguments) in enumerate(saying.calls):
        try:
            put_in = json.loads(arguments)
        except (ValueError, RecursionError):
            put_in = arguments
        blocks.append({"type": "tool_use", "id": f"toolu_{at}", "name": name, "input": put_in})
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "talker", "content": blocks, "stop_sequence": None,
        "stop_reason": "max_tokens" if saying.cut else "tool_use" if saying.calls else "end_turn",
        "usage": {"input_tokens": 11, "output_tokens": 5},
    }  # fmt: skip


def message_stream(saying: Saying) -> list[bytes]:
    whole = message_document(saying)
    values: list[dict] = [{"type": "message_start", "message": {**whole, "content": [], "stop_reason": None}}]
    deltas = [("text", "text_delta", "text", text) for text in saying.texts]
    deltas += [("tool_use", "input_json_delta", "partial_json", arguments) for _, arguments in saying.calls]
    for at, (block, (kind, delta, field, text)) in enumerate(zip(whole["content"], deltas, strict=True)):
        begun = {**block, "text": ""} if kind == "text" else {**block, "input": {}}
        values.append({"type": "content_block_start", "index": at, "content_block": begun})
        values += [
            {"type": "content_block_delta", "index": at, "delta": {"type": delta, field: piece}}
            for piece in pieces(text)
        ]
        values.append({"type": "content_block_stop", "index": at})
    values.append(
        {
            "type": "message_delta",
            "delta": {"stop_reason": whole["stop_reason"], "stop_sequence": None},
            "usage": {"output_tokens": 5},
        }
    )
    values.append({"type": "message_stop"})
    return [sse(value, value["type"]) for value in values]


DOCUMENTS = {"chat": chat_document, "responses": response_document, "messages": message_document}
STREAMS = {"chat": chat_stream, "responses": response_stream, "messages": message_stream}


def asking(api: str, model: str, *, stream: bool, schema: dict | None = SCHEMA, tools: bool = False) -> dict:
    """A request that asks for a form: of the text, or of the arguments of a strict tool."""
    body: dict = {"model": model, "stream": stream}
    form = {"type": "json_schema", "name": "place", "schema": schema, "strict": True}
    function = {"name": "look_up", "strict": True}
    if api == "responses":
        body["input"] = "Where?"
        return (
            {**body, "tools": [{"type": "function", **function, "parameters": schema}]}
            if tools
            else {**body, "text": {"format": form}}
        )
    body["messages"] = [{"role": "user", "content": "Where?"}]
    if api == "messages":
        body["max_tokens"] = 100
        if tools:
            return {**body, "tools": [{**function, "input_schema": schema}]}
        return {**body, "output_config": {"format": {"type": "json_schema", "schema": schema}}}
    if tools:
        return {**body, "tools": [{"type": "function", "function": {**function, "parameters": schema}}]}
    inner = {name: value for name, value in form.items() if name != "type"}
    return {**body, "response_format": {"type": "json_schema", "json_schema": inner}}


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller got: texts and arguments of calls, whether it is a finished success, or the error."""

    texts: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    finished: bool = False
    error: dict | None = None


def heard_document(api: str, status: int, body: bytes) -> Heard:
    """Read a whole answer as a client does."""
    value = json.loads(body)
    if status != 200:
        return Heard(error=value["error"])
    if api == "chat":
        choice = value["choices"][0]
        message = choice["message"]
        calls = tuple(call["function"]["arguments"] for call in message.get("tool_calls", ()))
        texts = () if message["content"] is None else (message["content"],)
        return Heard(texts=texts, calls=calls, finished=choice["finish_reason"] in ("stop", "tool_calls"))
    if api == "responses":
        return _response(value)
    texts = tuple(block["text"] for block in value["content"] if block["type"] == "text")
    calls = tuple(json.dumps(block["input"]) for block in value["content"] if block["type"] == "tool_use")
    return Heard(texts=texts, calls=calls, finished=value["stop_reason"] in ("end_turn", "tool_use", "stop_sequence"))


def _response(value: dict) -> Heard:
    texts = tuple(part["text"] for item in value["output"] if item["type"] == "message" for part in item["content"])
    calls = tuple(item["arguments"] for item in value["output"] if item["type"] == "function_call")
    return Heard(texts=texts, calls=calls, finished=value["status"] == "completed", error=value.get("error"))


def heard_stream(api: str, body: bytes) -> Heard:
    """Read a stream as a client does: what came in pieces, and how it ended."""
    events = [
        json.loads(line[6:])
        for line in body.decode().split("\n")
        if line.startswith("data: ") and line != "data: [DONE]"
    ]
    if api == "chat":
        return _chat_stream(events)
    if api == "responses":
        last = events[-1]
        return Heard(error=last) if last["type"] == "error" else _response(last["response"])
    if events[-1]["type"] == "error":
        return Heard(error=events[-1]["error"])
    blocks: dict[int, list[str]] = {}
    kinds: dict[int, str] = {}
    for event in events:
        if event["type"] == "content_block_start":
            kinds[event["index"]] = event["content_block"]["type"]
        elif event["type"] == "content_block_delta":
            delta = event["delta"]
            blocks.setdefault(event["index"], []).append(delta.get("text") or delta.get("partial_json") or "")
    reason = next(event["delta"]["stop_reason"] for event in events if event["type"] == "message_delta")
    joined = {at: "".join(blocks.get(at, [])) for at in kinds}
    return Heard(
        texts=tuple(joined[at] for at, kind in kinds.items() if kind == "text"),
        calls=tuple(joined[at] for at, kind in kinds.items() if kind == "tool_use"),
        finished=events[-1]["type"] == "message_stop" and reason != "max_tokens",
    )


def _chat_stream(events: list[dict]) -> Heard:
    if "error" in events[-1]:
        return Heard(error=events[-1]["error"])
    text, calls, finish = "", {}, None
    for event in events:
        for choice in event["choices"]:
            text += choice["delta"].get("content") or ""
            for call in choice["delta"].get("tool_calls", ()):
                calls[call["index"]] = calls.get(call["index"], "") + call["function"].get("arguments", "")
            finish = choice["finish_reason"] or finish
    return Heard(texts=(text,) if text else (), calls=tuple(calls.values()), finished=finish in ("stop", "tool_calls"))


def is_valid(text: str) -> bool:
    """Judge as the harshest client would: another validator than the gateway's, no double names, no NaN, no infinity."""

    def pairs(found: list) -> dict:
        if len({name for name, _ in found}) < len(found):
            raise ValueError("a name stands twice")
        return dict(found)

    def refuse(word: str) -> None:
        raise ValueError(word)

    try:
        value = json.loads(text, object_pairs_hook=pairs, parse_constant=refuse)
    except (ValueError, RecursionError):
        return False
    return not list(jsonschema.Draft202012Validator(SCHEMA).iter_errors(value))
