"""Conversations that cross between the Anthropic and the chat completions dialects, both ways, streaming and not."""

import json
from pathlib import Path

import pytest

from gateway.core.answer import AnswerBuilder, replay
from gateway.core.call import Call
from gateway.core.caller import ANONYMOUS
from gateway.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from gateway.dialects.openai_chat import OPENAI_CHAT
from gateway.dialects.sse import SseParser

FIXTURES = Path(__file__).parents[1] / "fixtures/anthropic_messages"
CHAT_REQUEST = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Weather in Bern and Thun?"},
        {
            "role": "assistant",
            "content": "Looking.",
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Bern"}'}},
                {"id": "b", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Thun"}'}},
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "sun"},
        {"role": "tool", "tool_call_id": "b", "content": "rain"},
    ],
    "tools": [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}],
    "tool_choice": "auto",
    "parallel_tool_calls": False,
    "max_completion_tokens": 50,
    "temperature": 0.5,
    "user": "u",
}


def call(dialect):
    return Call(
        id="c1",
        operation="generate",
        dialect=dialect.name,
        model="m",
        stream=True,
        caller=ANONYMOUS,
        received=0.0,
        body=b"",
        fields={},
    )


def crossed(fields, first, second):
    content = first.decode_call(fields)
    return second.encode_call(content, model=fields["model"], stream=False, drop=False)


def test_a_chat_request_crosses_to_anthropic_and_back():
    there = crossed(CHAT_REQUEST, OPENAI_CHAT, ANTHROPIC_MESSAGES)
    back = crossed(there.body, ANTHROPIC_MESSAGES, OPENAI_CHAT)

    assert there.dropped == back.dropped == ()
    assert there.body["system"] == "Be brief."
    assert [message["role"] for message in there.body["messages"]] == ["user", "assistant", "user"]
    assert back.body == CHAT_REQUEST


def test_claude_code_can_speak_to_a_chat_upstream_where_leftovers_may_be_dropped():
    fields = json.loads((FIXTURES / "requests/claude_code.json").read_text())
    content = ANTHROPIC_MESSAGES.decode_call(fields)

    encoded = OPENAI_CHAT.encode_call(content, model="m", stream=True, drop=True)

    roles = [message["role"] for message in encoded.body["messages"]]
    assert roles[:5] == ["system", "user", "assistant", "tool", "tool"]
    assert [tool["function"]["name"] for tool in encoded.body["tools"]] == ["Bash", "Read", "TodoWrite"]
    assert encoded.body["user"] == fields["metadata"]["user_id"]
    assert "context_management" in encoded.dropped


def fold(dialect, stream):
    decoder, builder = dialect.event_decoder(), AnswerBuilder()
    parser = SseParser()
    events = [event for name, data in parser.feed(stream) for event in decoder.feed(name, data)]
    for event in [*events, *decoder.finish()]:
        builder.add(event)
    return builder.answer(), [*events]


CHAT_CHUNKS = [
    {"reasoning_content": "Two "},
    {"reasoning_content": "cities."},
    {"content": "Look"},
    {"content": "ing."},
    {"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "weather", "arguments": ""}}]},
    {
        "tool_calls": [
            {"index": 1, "id": "b", "type": "function", "function": {"name": "weather", "arguments": '{"city'}}
        ]
    },
    {"tool_calls": [{"index": 0, "function": {"arguments": '{"city":"Bern"}'}}]},
    {"tool_calls": [{"index": 1, "function": {"arguments": '":"Thun"}'}}]},
]


def chat_stream():
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    chunks = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in CHAT_CHUNKS]
    end = {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}
    usage = {**head, "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}}
    return b"".join(b"data: %b\n\n" % json.dumps(c).encode() for c in [*chunks, end, usage]) + b"data: [DONE]\n\n"


def test_a_chat_stream_with_interleaved_calls_and_thinking_reads_well_for_an_anthropic_client():
    decoder, encoder = OPENAI_CHAT.event_decoder(), ANTHROPIC_MESSAGES.event_encoder(call(ANTHROPIC_MESSAGES))
    out = b""
    for name, data in SseParser().feed(chat_stream()):
        for event in decoder.feed(name, data):
            out += encoder.encode(event)
    for event in decoder.finish():
        out += encoder.encode(event)

    answer, _ = fold(ANTHROPIC_MESSAGES, out)
    thinking, words, first, second = answer.items
    assert thinking.text == "Two cities."
    assert words.parts[0].text == "Looking."
    assert [json.loads(item.arguments) for item in (first, second)] == [{"city": "Bern"}, {"city": "Thun"}]
    assert answer.finished.reason == "tool_calls"
    assert (answer.finished.usage.input, answer.finished.usage.output_total) == (9, 5)


@pytest.mark.parametrize("name", ["thinking_and_tools", "stop_sequence", "search_with_citations"])
def test_an_anthropic_stream_reads_well_for_a_chat_client(name):
    answer, _ = fold(ANTHROPIC_MESSAGES, (FIXTURES / f"streams/{name}.sse").read_bytes())
    encoder = OPENAI_CHAT.event_encoder(call(OPENAI_CHAT))

    seen, _ = fold(OPENAI_CHAT, b"".join(encoder.encode(event) for event in replay(answer)))

    def said(items):
        return "".join(part.text for item in items for part in getattr(item, "parts", ()))

    def called(items):
        return [(i.call_id, i.name, json.loads(i.arguments)) for i in items if hasattr(i, "arguments")]

    assert said(seen.items) == said(answer.items)
    assert called(seen.items) == called(answer.items)


def test_signed_thinking_survives_a_turn_through_a_chat_client():
    answer, _ = fold(ANTHROPIC_MESSAGES, (FIXTURES / "streams/thinking_and_tools.sse").read_bytes())
    message = json.loads(OPENAI_CHAT.encode_answer(answer, call(OPENAI_CHAT)))["choices"][0]["message"]
    results = [{"role": "tool", "tool_call_id": made["id"], "content": "ok"} for made in message["tool_calls"]]
    fields = {"model": "m", "messages": [{"role": "user", "content": "go"}, message, *results]}

    wire = crossed(fields, OPENAI_CHAT, ANTHROPIC_MESSAGES)

    content = wire.body["messages"][1]["content"]
    assert content[0] == {
        "type": "thinking",
        "thinking": "Two calls … at once. 🤔",
        "signature": "EqQBCkYIBxgC+/==",
    }
    assert content[1] == {"type": "redacted_thinking", "data": "EmwKAhgB"}
    assert "reasoning" not in wire.dropped
