"""Of answers as upstreams write them, which are whole: an end that nobody knows the meaning of is none that may be given again and again."""

import msgspec
import pytest

from gateway.core.events import Finished, Started, Verbatim
from gateway.pipeline.cached_recording import Recording
from tests.unit.pipeline.caching_doubles import TARGET, Heard, World


async def kept(dialect, *pieces, stream=False):
    call = msgspec.structs.replace(World().call(), dialect=dialect, stream=stream)
    recording = Recording(Heard(), 10_000)
    await recording(Started(id="", model="m", created=1, target=TARGET))
    for piece in pieces:
        await recording(Verbatim(piece))
    await recording(Finished())
    return recording.answer(call, {TARGET}) is not None


def document(fields):
    return msgspec.json.encode({"id": "1", "model": "m", "created": 1, **fields})


def chat(reason):
    return {"choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": reason}]}


def completions(*reasons):
    return {"choices": [{"index": at, "text": "hi", "finish_reason": one} for at, one in enumerate(reasons)]}


def messages(reason):
    text = {"type": "text", "text": "hi"}
    return {"type": "message", "role": "assistant", "content": [text], "stop_reason": reason, "usage": {}}


def response(status):
    text = {"type": "output_text", "text": "hi", "annotations": []}
    item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [text]}
    return {"object": "response", "status": status, "output": [item]}


@pytest.mark.parametrize(
    ("dialect", "fields"),
    [
        ("openai_chat", chat("stop")),
        ("openai_chat", chat("eos")),
        ("openai_completions", completions("stop")),
        ("openai_completions", completions("stop", "stop")),
        ("anthropic_messages", messages("end_turn")),
        ("openai_responses", response("completed")),
    ],
    ids=str,
)
async def test_what_says_that_it_ended_by_itself_is_kept(dialect, fields):
    assert await kept(dialect, document(fields))


@pytest.mark.parametrize(
    ("dialect", "fields"),
    [
        ("openai_chat", chat("error")),
        ("openai_chat", chat(None)),
        ("openai_completions", completions("abort")),
        ("openai_completions", completions("stop", "length")),
        ("openai_completions", completions("stop", None)),
        ("anthropic_messages", messages("a_reason_of_tomorrow")),
        ("anthropic_messages", messages(None)),
        ("openai_responses", response("queued")),
        ("openai_responses", response(None)),
    ],
    ids=str,
)
async def test_what_ends_in_a_way_that_nobody_knows_is_not(dialect, fields):
    assert not await kept(dialect, document(fields))


@pytest.mark.parametrize(("reason", "is_kept"), [("stop", True), ("abort", False), (None, False)])
async def test_the_same_holds_for_streams(reason, is_kept):
    chunks = [
        {"id": "1", "model": "m", "created": 1, "choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": why}]}
        for why in (None, reason)
    ]  # fmt: skip
    pieces = [b"data: " + msgspec.json.encode(chunk) + b"\n\n" for chunk in chunks]

    assert await kept("openai_chat", *pieces, b"data: [DONE]\n\n", stream=True) is is_kept
