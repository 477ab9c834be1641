"""Prices belong to a generation: a reload changes what calls cost from then on, without a restart."""

import msgspec
import pytest

from gateway.accounting.price import NANO
from gateway.agent_source import AgentSource
from gateway.api.identity.identities import Identities
from gateway.config.provider_settings import ScriptedSettings
from gateway.config.settings import ModelSettings, PriceSettings, Settings, TargetSettings
from gateway.core.call import Call
from gateway.core.caller import ANONYMOUS
from gateway.core.clock import SYSTEM_CLOCK
from gateway.dialects.openai_chat.decode_call import decode_call
from gateway.documents import open_sources
from gateway.live import Live
from gateway.pipeline.route import Surroundings

SCRIPT = "models: {m: {answers: [{say: hello, usage: {input: 1000000, output: 1000000}}]}}"
BODY = b'{"model": "chat", "messages": [{"role": "user", "content": "x"}]}'


@pytest.fixture
def settings(tmp_path):
    script = tmp_path / "script.yaml"
    script.write_text(SCRIPT)
    return Settings(
        providers={"up": ScriptedSettings(document=script)},
        models={"chat": ModelSettings(targets=(TargetSettings(provider="up", model="m"),))},
    )


async def test_a_reload_changes_what_calls_cost_from_then_on(settings, tmp_path):
    records = []
    priced = msgspec.structs.replace(settings, prices={"up/m": PriceSettings(input=1, output=2)})
    surroundings = Surroundings(take_record=records.append, cost=lambda target, usage: None, clock=SYSTEM_CLOCK)

    async def reread():
        return priced

    config = tmp_path / "switchgear.yaml"
    live = Live(
        settings,
        reread,
        surroundings,
        identities=Identities(),
        sources=open_sources(config, {}, AgentSource(config, {}), SYSTEM_CLOCK),
    )

    async def cost(generation):
        await generation.routes["chat"].responder(call(), ignore)
        assert records[-1].prices == generation.prices.version
        return records[-1].cost

    old = live.current()
    assert await cost(old) is None

    report = await live.reload("test")

    assert (report.status, report.restart) == ("applied", ())
    assert await cost(live.current()) == 3
    assert records[-1].cost_nano == 3 * NANO
    assert live.current().prices.version != old.prices.version
    assert await cost(old) is None


def call():
    fields = msgspec.json.decode(BODY)
    return Call(
        id="call_1", operation="generate", dialect="openai_chat", model="chat", stream=False, caller=ANONYMOUS, received=0.0,
        body=BODY, fields=fields, content=decode_call(fields),
    )  # fmt: skip


async def ignore(event):
    pass
