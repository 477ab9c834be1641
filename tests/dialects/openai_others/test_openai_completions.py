"""The legacy completions API: requests go round, streams are what the official client expects."""

import json
import typing

import msgspec
import pytest
from openai.types import Completion, completion_create_params

from gateway.core.answer import AnswerBuilder
from gateway.core.call import Call
from gateway.core.caller import ANONYMOUS
from gateway.core.content import Prompt
from gateway.core.errors import InvalidRequest, UnsupportedParameter, UpstreamBroken, UpstreamRefused
from gateway.core.items import Message, Text
from gateway.core.usage import Usage
from gateway.dialects.openai_chat import OPENAI_CHAT
from gateway.dialects.openai_completions import OPENAI_COMPLETIONS
from gateway.dialects.sse import SseParser

STREAM = (
    b'data: {"id":"cmpl-1","object":"text_completion","created":1,"model":"m","choices":[{"index":0,"text":"He","logprobs":'
    b'{"tokens":["He"],"token_logprobs":[-0.5],"top_logprobs":[{"He":-0.5}],"text_offset":[0]},"finish_reason":null}]}\n\n'
    b'data: {"id":"cmpl-1","choices":[{"index":1,"text":"B","logprobs":null,"finish_reason":null}]}\n\n'
    b'data: {"id":"cmpl-1","choices":[{"index":0,"text":"y","logprobs":{"tokens":["y"],"token_logprobs":[-1],'
    b'"top_logprobs":null,"text_offset":[2]},"finish_reason":"length"},{"index":1,"text":"","finish_reason":"stop"}]}\n\n'
    b'data: {"id":"cmpl-1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}\n\n'
    b"data: [DONE]\n\n"
)


def call(**fields):
    return Call(
        id="1",
        operation="generate",
        dialect="openai_completions",
        model="m",
        stream=True,
        caller=ANONYMOUS,
        received=0.0,
        body=b"",
        fields=fields,
    )


def decode(data):
    parser, decoder, events = SseParser(), OPENAI_COMPLETIONS.event_decoder(), []
    for name, piece in parser.feed(data):
        events += decoder.feed(name, piece)
    return events + list(decoder.finish())


def encode(events, **fields):
    encoder = OPENAI_COMPLETIONS.event_encoder(call(**fields))
    return b"".join(encoder.encode(event) for event in events)


def chunks_of(data):
    return [json.loads(each) for _, each in SseParser().feed(data) if each != b"[DONE]"]


REQUESTS = [
    {"prompt": "x"},
    {"prompt": ["x"]},
    {"prompt": ["x", "y"]},
    {"prompt": [1, 2]},
    {"prompt": [[1, 2], [3]]},
    {"prompt": "x", "stop": "a", "max_tokens": 5, "logprobs": 2, "temperature": 0},
    {"prompt": "x", "stop": ["a"], "echo": True, "suffix": "s", "best_of": 2, "n": 2, "logit_bias": {"1": 1}},
    {"prompt": "x", "temperature": None, "seed": 3, "future": {"a": 1}, "stream": False, "user": "u"},
]


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_request_comes_back_key_for_key(request_):
    fields = {"model": "m", **request_}

    body = OPENAI_COMPLETIONS.encode_call(
        OPENAI_COMPLETIONS.decode_call(fields), model="m", stream=False, drop=False
    ).body

    assert body == fields


def test_every_field_of_the_official_client_is_known():
    hints = typing.get_type_hints(completion_create_params.CompletionCreateParamsBase)
    for name in hints.keys() - {"model"}:
        with pytest.raises(InvalidRequest) as caught:
            OPENAI_COMPLETIONS.decode_call(
                {"model": "m", "prompt": "x", name: {"a": []} if name != "stream_options" else 5}
            )
        assert caught.value.param.split(".")[0] == name


def test_a_text_reaches_a_chat_upstream_as_what_a_user_said():
    prompt = OPENAI_COMPLETIONS.decode_call({"model": "m", "prompt": "x", "max_tokens": 5, "echo": False})

    body = OPENAI_CHAT.encode_call(prompt, model="m", stream=False, drop=False).body

    assert body == {"model": "m", "messages": [{"role": "user", "content": "x"}], "max_completion_tokens": 5}


@pytest.mark.parametrize(("field", "value"), [("prompt", ["x", "y"]), ("suffix", "s"), ("echo", True), ("best_of", 2)])
def test_what_a_chat_upstream_cannot_do_is_refused(field, value):
    prompt = OPENAI_COMPLETIONS.decode_call({"model": "m", "prompt": "x", field: value})

    with pytest.raises(UnsupportedParameter) as caught:
        OPENAI_CHAT.encode_call(prompt, model="m", stream=False, drop=False)

    assert caught.value.param == field


def test_a_conversation_is_refused():
    prompt = Prompt(items=(Message(role="user", parts=(Text(text="x"),)),))

    with pytest.raises(UnsupportedParameter):
        OPENAI_COMPLETIONS.encode_call(prompt, model="m", stream=False, drop=False)


def test_a_stream_goes_round():
    events = decode(STREAM)
    again = encode(events, stream_options={"include_usage": True})

    assert events[-1].usage == Usage(input=3, output=2)
    assert encode(decode(again), stream_options={"include_usage": True}) == again
    assert again.endswith(b"data: [DONE]\n\n")
    texts = {0: "", 1: ""}
    for chunk in chunks_of(again):
        Completion.model_validate(
            {**chunk, "choices": [{**c, "finish_reason": "stop"} for c in chunk["choices"]]}, strict=True
        )
        for choice in chunk["choices"]:
            texts[choice["index"]] += choice["text"]
    assert texts == {0: "Hey", 1: "B"}


def test_a_whole_answer_goes_round():
    builder = AnswerBuilder()
    for event in decode(STREAM):
        builder.add(event)

    document = OPENAI_COMPLETIONS.encode_answer(builder.answer(), call())

    completion = Completion.model_validate_json(document, strict=True)
    assert [(c.text, c.finish_reason) for c in completion.choices] == [("Hey", "length"), ("B", "stop")]
    assert completion.choices[0].logprobs.tokens == ["He", "y"]
    assert completion.choices[0].logprobs.text_offset == [0, 2]
    again = OPENAI_COMPLETIONS.decode_answer(msgspec.json.decode(document))
    assert OPENAI_COMPLETIONS.encode_answer(again, call()) == document


def test_broken_and_refused_answers_are_told_apart():
    with pytest.raises(UpstreamBroken):
        decode(STREAM[:200])
    with pytest.raises(UpstreamBroken):
        OPENAI_COMPLETIONS.decode_answer({})
    with pytest.raises(UpstreamRefused):
        decode(b'data: {"error":{"message":"x"}}\n\n')
