"""A provider tells what of a call it cannot carry: nothing where the call goes out as it came, else what the API that it speaks has no place for."""

import pytest

from gateway.config.provider_settings import (
    AnthropicSettings,
    EmbeddedSettings,
    LitellmSettings,
    OpenAISettings,
    VllmSettings,
)
from gateway.config.secret import Secret
from gateway.core.call import Call, opened
from gateway.core.caller import ANONYMOUS
from gateway.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from gateway.dialects.openai_chat import OPENAI_CHAT
from gateway.providers.anthropic import AnthropicProvider
from gateway.providers.embedded.provider import EmbeddedProvider
from gateway.providers.litellm.provider import LitellmProvider
from gateway.providers.openai import OpenAIProvider
from gateway.providers.provider import TellsLoss
from gateway.providers.vllm.provider import VllmProvider

KEY = Secret("a-key-of-a-test", source="env:KEY")


def providers():
    url = "http://10.0.0.1/v1"
    return {
        "chat": OpenAIProvider("p", OpenAISettings(kind="openai_compatible", base_url=url, apis=("chat",))),
        "responses": OpenAIProvider("p", OpenAISettings(kind="openai_compatible", base_url=url, apis=("responses",))),
        "messages": AnthropicProvider("p", AnthropicSettings(api_key=KEY)),
        "vllm": VllmProvider("p", VllmSettings(base_url=url)),
        "embedded": EmbeddedProvider("p", EmbeddedSettings()),
        "litellm": LitellmProvider("p", LitellmSettings(provider="bedrock", api_base=url)),
    }


def call(dialect, **fields):
    fields = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}], **fields}
    return Call(
        id="call_1", operation="generate", dialect=dialect.name, model="m", stream=True, caller=ANONYMOUS, received=0.0, body=b"{}",
        fields=fields, content=dialect.decode_call(fields),
    )  # fmt: skip


CHAT = {"seed": 1, "stop": "x", "n": 2}


@pytest.mark.parametrize(
    ("name", "asked", "lost"),
    [
        ("chat", call(OPENAI_CHAT, **CHAT), set()),
        ("responses", call(OPENAI_CHAT, **CHAT), {"seed", "stop", "n"}),
        ("messages", call(OPENAI_CHAT, **CHAT), {"seed", "n"}),
        ("messages", opened(call(OPENAI_CHAT, **CHAT)), {"seed", "n"}),
        ("vllm", call(OPENAI_CHAT, **CHAT), set()),
        ("embedded", call(OPENAI_CHAT, **CHAT), set()),
        ("litellm", call(OPENAI_CHAT, **CHAT), set()),
        ("chat", call(ANTHROPIC_MESSAGES, top_k=3), {"top_k"}),
        ("messages", call(ANTHROPIC_MESSAGES, top_k=3), set()),
        ("vllm", call(ANTHROPIC_MESSAGES, top_k=3), set()),
        ("embedded", call(ANTHROPIC_MESSAGES, top_k=3, mcp_servers=[{"type": "url"}]), {"mcp_servers"}),
        ("litellm", call(ANTHROPIC_MESSAGES, top_k=3), {"top_k"}),
    ],
)  # fmt: skip
async def test_what_a_provider_cannot_carry(name, asked, lost):
    every = providers()
    provider = every[name]

    assert isinstance(provider, TellsLoss)
    assert set(provider.loses(asked)) == lost
    for one in every.values():
        await one.aclose()
