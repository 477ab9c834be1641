"""What vLLM would ignore is refused by name, and what it knows beyond OpenAI's API reaches it."""

import msgspec
import pytest

from gateway.core.call import Call
from gateway.core.caller import ANONYMOUS
from gateway.core.content import Prompt
from gateway.core.errors import UnsupportedParameter
from gateway.core.items import Message, Text
from gateway.dialects.openai_chat import OPENAI_CHAT
from gateway.providers.vllm.fields import RENAMED, Fitted


def call(fields, content=None):
    body = msgspec.json.encode(fields)
    return Call(
        id="c1",
        operation="generate",
        dialect="openai_chat",
        model="m",
        stream=False,
        caller=ANONYMOUS,
        received=0.0,
        body=body,
        fields=fields,
        content=content,
    )


class Upstream:
    def __init__(self):
        self.calls = []

    async def __call__(self, call, send):
        self.calls.append(call)


async def no_one(event):
    raise AssertionError(event)


@pytest.mark.parametrize("name", sorted(RENAMED))
async def test_an_old_constraint_is_refused_and_its_new_name_told(name):
    upstream = Upstream()
    with pytest.raises(UnsupportedParameter) as caught:
        await Fitted(upstream)(call({"model": "m", name: {}}), no_one)

    assert caught.value.status == 400
    assert caught.value.param == name
    assert RENAMED[name] in caught.value.message
    assert upstream.calls == []


async def test_structured_outputs_go_out_as_they_came():
    upstream = Upstream()
    asked = call({"model": "m", "structured_outputs": {"choice": ["red", "blue"]}})
    await Fitted(upstream)(asked, no_one)

    assert upstream.calls == [asked]


async def test_top_k_of_another_dialect_reaches_the_chat_api_of_vllm():
    upstream = Upstream()
    prompt = Prompt(items=(Message(role="user", parts=(Text(text="hi"),)),), top_k=40)
    await Fitted(upstream)(call({"model": "m", "top_k": 40}, prompt), no_one)

    encoded = OPENAI_CHAT.encode_call(upstream.calls[0].content, model="m", stream=False, drop=False)
    assert encoded.body["top_k"] == 40
    assert encoded.dropped == ()
