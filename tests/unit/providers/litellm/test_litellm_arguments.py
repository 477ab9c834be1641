"""What a client writes can never tell litellm where to send a key, or anything else beyond a chat request."""

import msgspec
import pytest

from gateway.config.provider_settings import LitellmSettings
from gateway.config.secret import Secret
from gateway.core.call import Call
from gateway.core.caller import ANONYMOUS
from gateway.core.errors import UnsupportedParameter
from gateway.core.target import Target
from gateway.dialects.openai_chat import OPENAI_CHAT
from gateway.dialects.openai_embeddings import OPENAI_EMBEDDINGS
from gateway.providers.litellm.arguments import CHAT, EMBED, arguments, fixed

TARGET = Target(provider="cohere", model="command-a")
PERMISSIVE = Target(provider="cohere", model="command-a", drop=True)


def a_call(dialect, **fields):
    fields = {"model": "m", **fields}
    return Call(
        id="c1",
        operation=dialect.operation,
        dialect=dialect.name,
        model="m",
        stream=False,
        caller=ANONYMOUS,
        received=0.0,
        body=msgspec.json.encode(fields),
        fields=fields,
        content=dialect.decode_call(fields),
    )


def chat(**fields):
    return a_call(OPENAI_CHAT, messages=[{"role": "user", "content": "hi"}], **fields)


@pytest.mark.parametrize(
    "name",
    [
        *("api_base", "base_url", "api_key", "custom_llm_provider", "mock_response", "fallbacks", "extra_headers"),
        *("num_retries", "timeout", "drop_params", "aws_region_name", "vertex_credentials", "callbacks", "client"),
    ],
)
def test_a_client_cannot_reach_litellms_own_switches(name):
    with pytest.raises(UnsupportedParameter) as caught:
        arguments(chat(**{name: "http://evil.test"}), TARGET, OPENAI_CHAT, CHAT)
    assert caught.value.param == name

    dropped = arguments(chat(**{name: "http://evil.test"}), PERMISSIVE, OPENAI_CHAT, CHAT)
    assert name not in dropped.values
    assert dropped.dropped == (name,)


def test_a_chat_request_goes_in_whole():
    asked = {"temperature": 0.5, "max_tokens": 7, "stop": ["x"], "seed": 1, "response_format": {"type": "json_object"}}
    given = arguments(chat(**asked), TARGET, OPENAI_CHAT, CHAT)

    assert given.values == {"messages": [{"role": "user", "content": "hi"}], **asked}
    assert given.dropped == ()


def test_the_form_of_vectors_is_not_the_upstreams_business():
    call = a_call(OPENAI_EMBEDDINGS, input=["a", "b"], dimensions=8, encoding_format="base64")
    given = arguments(call, TARGET, OPENAI_EMBEDDINGS, EMBED)

    assert given.values == {"input": ["a", "b"], "dimensions": 8}
    assert given.dropped == ()


def test_every_call_names_address_and_key_and_forbids_retries():
    key, secret = Secret("sk", source="env:K"), Secret("eu-1", source="env:R")
    settings = LitellmSettings(
        provider="bedrock", api_base="https://b.test", api_key=key, extra={"aws_region_name": secret, "api_base": "no"}
    )

    assert fixed(settings) == {
        "aws_region_name": "eu-1",
        "api_base": "https://b.test",
        "api_key": "sk",
        "num_retries": 0,
        "max_retries": 0,
        "drop_params": False,
    }
