"""Beside the calls, a vLLM server is watched: its load is known, its adapters are kept, its absence hurts nobody."""

import msgspec
import pytest

from gateway.config.provider_settings import VllmSettings
from gateway.config.secret import Secret
from gateway.core.answer import AnswerBuilder
from gateway.core.call import Call
from gateway.core.caller import ANONYMOUS
from gateway.core.errors import UpstreamRefused
from gateway.core.events import TokenCount
from gateway.core.target import Target
from gateway.dialects.anthropic_messages import ANTHROPIC_COUNT_TOKENS, ANTHROPIC_MESSAGES
from gateway.providers.vllm.provider import VllmProvider

ASKED = {"model": "smol", "messages": [{"role": "user", "content": "Say hi"}]}


def a_call(dialect, fields=None, **more):
    fields = fields or {**ASKED, "max_tokens": 8}
    return Call(
        id="c1",
        operation=dialect.operation,
        dialect=dialect.name,
        model=fields["model"],
        stream=False,
        caller=ANONYMOUS,
        received=0.0,
        body=msgspec.json.encode(fields),
        fields=fields,
        content=dialect.decode_call(fields),
        **more,
    )


async def answer_of(provider, call, model="smol"):
    builder = AnswerBuilder()

    async def send(event):
        builder.add(event)

    await provider.responder(Target(provider="gpu", model=model))(call, send)
    return builder.answer()


async def test_the_load_is_read_again_and_again(stand_in, opened):
    async with opened() as provider:
        await stand_in.looked()

        load = provider.load()
        assert (load.running, load.waiting, load.kv_cache_usage) == (1, 2, 0.5)
        assert provider.health("smol").state == "ready"


async def test_a_server_that_cannot_be_read_has_no_load_and_is_answered_for_all_the_same(stand_in, opened):
    async with opened() as provider:
        await stand_in.looked()
        stand_in.broken = True
        await stand_in.looked()
        health = provider.health("smol")

        assert provider.load() is None
        assert health.state == "failed"
        assert "broken" in health.detail
        assert (await answer_of(provider, a_call(ANTHROPIC_MESSAGES))).items

        stand_in.broken = False
        await stand_in.looked()
        assert provider.health("smol").state == "ready"


async def test_no_load_is_read_where_the_settings_say_so(opened):
    async with opened(load_interval=0) as provider:
        assert provider.load() is None
        assert provider.health("smol").state == "ready"


async def test_tokens_are_counted_by_the_server_s_own_template(stand_in, opened):
    tool = {"name": "weather", "input_schema": {"type": "object", "properties": {}}}
    async with opened() as provider:
        counted = await answer_of(
            provider, a_call(ANTHROPIC_COUNT_TOKENS, {**ASKED, "system": "Be kind.", "tools": [tool]})
        )

    (asked,) = [body for what, body in stand_in.asked if what == "tokenize"]
    assert counted.result == TokenCount(input_tokens=32)
    assert [message["role"] for message in asked["messages"]] == ["system", "user"]
    assert asked["tools"][0]["function"]["name"] == "weather"
    assert set(asked) == {"model", "messages", "tools"}


async def test_anthropic_calls_are_translated_unless_the_apis_name_messages():
    translating = VllmProvider("gpu", VllmSettings())
    native = VllmProvider("gpu", VllmSettings(apis=("chat", "messages")))

    for dialect in (ANTHROPIC_MESSAGES.name, ANTHROPIC_COUNT_TOKENS.name):
        assert not translating.relays(dialect)
        assert native.relays(dialect)
    assert translating.serves("count_tokens")


async def test_adapters_are_loaded_at_the_start_and_after_the_server_forgot_them(stand_in, opened):
    async with opened(lora={"poet": "/adapters/poet"}) as provider:
        await stand_in.looked()
        assert stand_in.adapters == {"poet": "/adapters/poet"}

        stand_in.adapters.clear()
        await stand_in.looked()
        assert stand_in.adapters == {"poet": "/adapters/poet"}
        assert provider.health("poet").state == "ready"
    assert stand_in.adapters == {}


async def test_an_adapter_that_somebody_replaced_is_not_taken_away(stand_in, opened):
    async with opened(lora={"poet": "/adapters/poet"}, load_interval=0.02) as provider:
        await stand_in.looked()
        provider._watch.cancel()
        stand_in.adapters["poet"] = "/adapters/better-poet"
    assert stand_in.adapters == {"poet": "/adapters/better-poet"}


@pytest.mark.parametrize(
    ("path", "takes", "reason"),
    [
        ("/missing", True, "No adapter found for /missing"),
        ("/adapters/poet", False, "VLLM_ALLOW_RUNTIME_LORA_UPDATING"),
    ],
)
async def test_calls_for_an_adapter_that_is_not_there_say_why(stand_in, opened, path, takes, reason):
    stand_in.takes_adapters = takes
    async with opened(lora={"poet": path}) as provider:
        await stand_in.looked()
        with pytest.raises(UpstreamRefused) as caught:
            await answer_of(provider, a_call(ANTHROPIC_MESSAGES), model="poet")

        assert caught.value.status == 503
        assert reason in caught.value.message
        assert reason in provider.health("poet").detail
        assert provider.health("smol").state == "ready"
        assert (await answer_of(provider, a_call(ANTHROPIC_MESSAGES))).items


async def test_the_key_goes_with_every_question(stand_in, opened):
    async with opened(lora={"poet": "/p"}, api_key=Secret("k1", source="env:K")):
        await stand_in.looked()

    assert {headers["authorization"] for what, headers in stand_in.asked if what == "models"} == {"Bearer k1"}
