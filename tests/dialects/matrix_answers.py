"""Answers for the tests of the matrix: from an upstream's bytes to what the official client of another API makes of them."""

import json

from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message, RawMessageStreamEvent
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from gateway.core.answer import AnswerBuilder, replay
from gateway.core.call import Call
from gateway.core.caller import ANONYMOUS
from gateway.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from gateway.dialects.openai_chat import OPENAI_CHAT
from gateway.dialects.openai_responses import OPENAI_RESPONSES
from gateway.dialects.sse import SseParser
from tests.dialects.matrix_streams import document, stream

DIALECTS = {d.name: d for d in (OPENAI_CHAT, OPENAI_RESPONSES, ANTHROPIC_MESSAGES)}
WHOLE = {"openai_chat": ChatCompletion, "openai_responses": Response, "anthropic_messages": Message}
EVENTS = {
    "openai_chat": TypeAdapter(ChatCompletionChunk),
    "openai_responses": TypeAdapter(ResponseStreamEvent),
    "anthropic_messages": TypeAdapter(RawMessageStreamEvent),
}


def call_of(client):
    """Give the call of a client of that dialect."""
    return Call(
        id="call_0",
        operation="generate",
        dialect=client,
        model="m",
        stream=True,
        caller=ANONYMOUS,
        received=0.0,
        body=b"",
        fields={"model": "m", "stream_options": {"include_usage": True}} if client == "openai_chat" else {"model": "m"},
    )


def heard(upstream, said):
    """Give the events of an upstream's stream."""
    decoder = DIALECTS[upstream].event_decoder()
    events = []
    for name, data in SseParser().feed(stream(upstream, said)):
        events += decoder.feed(name, data)
    return [*events, *decoder.finish()]


def whole(upstream, said):
    """Give an upstream's whole answer as the hub has it."""
    return DIALECTS[upstream].decode_answer(document(upstream, said))


def folded(events):
    """Give the answer that events add up to."""
    builder = AnswerBuilder()
    for event in events:
        builder.add(event)
    return builder.answer()


def shown(client, answer):
    """Give the document for a client, checked against the official type."""
    body = json.loads(DIALECTS[client].encode_answer(answer, call_of(client)))
    WHOLE[client].model_validate(body)
    return body


def streamed(client, events):
    """Give what the official accumulator makes of the stream for a client; each event is checked against its type."""
    encoder = DIALECTS[client].event_encoder(call_of(client))
    data = b"".join(encoder.encode(event) for event in events)
    parsed = [json.loads(body) for _, body in SseParser().feed(data) if body != b"[DONE]"]
    checked = [EVENTS[client].validate_python(event) for event in parsed]
    if client == "openai_chat":
        state = ChatCompletionStreamState()
        for chunk in checked:
            state.handle_chunk(chunk)
        return json.loads(state.current_completion_snapshot.to_json(exclude_unset=False))
    if client == "openai_responses":
        assert [event["sequence_number"] for event in parsed] == list(range(len(parsed)))
        return parsed[-1]["response"]
    message, buffers = None, {}
    for event in checked:
        message = accumulate_event(event=event, current_snapshot=message, json_bufs=buffers)
    return json.loads(message.to_json(exclude_unset=False))


def essence(client, body):
    """Give what an answer says, without its frame: as the corpus has it."""
    names = {
        "openai_chat": ("id", "choices", "usage"),
        "openai_responses": ("id", "status", "incomplete_details", "output", "usage"),
        "anthropic_messages": ("id", "content", "stop_reason", "stop_sequence", "usage"),
    }
    return _plain({name: body[name] for name in names[client]})


_NOT_SAID = {
    "choice": ("stop_reason",),
    "function": ("index",),
    "message": ("id",),
    "reasoning": ("id",),
    "function_call": ("id",),
}
"""Names that items are given here, what the accumulators add, and vLLM's own word in a choice."""


def _plain(value):
    """Leave out nulls, items' ids, and what sealed texts hold."""
    if isinstance(value, dict):
        kept = {name: _plain(element) for name, element in value.items() if element is not None}
        for name in _NOT_SAID.get("choice" if "finish_reason" in value else value.get("type"), ()):
            kept.pop(name, None)
        return kept
    if isinstance(value, list):
        return [_plain(element) for element in value]
    return "sgr1.…" if isinstance(value, str) and value.startswith("sgr1.") else value


def again(answer):
    """Give the answer's events as they are made from a document."""
    return list(replay(answer))
