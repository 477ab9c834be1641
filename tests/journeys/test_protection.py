"""Data protection as its users meet it: two gateways, the official clients, and what each side got to see."""

import json
from contextlib import asynccontextmanager

import anthropic
import httpx2
import openai
import pytest

from tests.journeys.running_gateway import running

CLOUD = """
models:
  talker:
    answers:
      - {when: {contains: cut}, say: "You said: {input}", deltas: 60}
      - {say: "You said: {input}"}
"""
INNER = """
providers: {script: {kind: scripted, document: script.yaml}}
models: {talker: script/talker}
"""
HOUSE = """
models:
  talker: {answers: [{say: "It stays here: {input}"}]}
"""
OUTER = """
providers:
  cloud: {kind: openai_compatible, base_url: "CLOUD/v1", api_key: "env:CLOUD_KEY"}
  house: {kind: scripted, document: house.yaml}
models:
  talker: cloud/talker
  first: {targets: [{provider: cloud, model: talker}, {provider: house, model: talker}]}
  bare: house/talker
  checked: house/talker
protection:
  redact:
    leaving:
      match: {providers: [cloud]}
      find:
        - {kinds: [contact], action: placeholder}
        - {kinds: [secrets], action: block}
  guardrails:
    shape: {kind: schema, document: shape.json, when: output, match: {models: [checked]}}
"""
MAIL = "jane.doe@example.com"
PASSWORD = "password=Canary-hunter2!"


@asynccontextmanager
async def both(folder):
    """Run the gateway under test before another one, which is the hosted provider."""
    for name in ("cloud", "house"):
        (folder / name).mkdir()
    (folder / "cloud/script.yaml").write_text(CLOUD)
    (folder / "house/house.yaml").write_text(HOUSE)
    (folder / "house/shape.json").write_text('{"type": "object"}')
    async with running(folder / "cloud", INNER) as cloud:
        config = OUTER.replace("CLOUD/v1", f"{cloud.url}/v1")
        async with running(folder / "house", config, environ={"CLOUD_KEY": "k"}) as house:
            yield cloud, house


@pytest.fixture
async def gateways(tmp_path):
    async with both(tmp_path) as gateways:
        yield gateways


def openai_client(gateway):
    return openai.AsyncOpenAI(api_key="none", base_url=f"{gateway.url}/v1", max_retries=0, timeout=10)


def user(text):
    return [{"role": "user", "content": text}]


@pytest.mark.parametrize("asked", ["one piece", "cut into many"])
async def test_a_hosted_model_sees_a_placeholder_and_the_caller_the_value(gateways, asked):
    _, house = gateways
    text = f"{asked} {MAIL} and {MAIL}"
    async with openai_client(house) as client:
        whole = await client.chat.completions.create(model="talker", messages=user(text))
        stream = await client.chat.completions.create(model="talker", messages=user(text), stream=True)
        heard = "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])
        answer = await client.responses.create(model="talker", input=text)
        events = [
            event.delta
            async for event in await client.responses.create(model="talker", input=text, stream=True)
            if event.type == "response.output_text.delta"
        ]
    async with anthropic.AsyncAnthropic(api_key="none", base_url=house.url, max_retries=0) as messages:
        message = await messages.messages.create(model="talker", max_tokens=99, messages=user(text))
    expected = f"You said: {text}"

    assert whole.choices[0].message.content == expected
    assert (heard, answer.output_text, "".join(events), message.content[0].text) == (expected,) * 4
    assert {record.found for record in house.records} == {(("email", 2),)}


async def test_what_the_hosted_model_saw_holds_no_value(gateways):
    cloud, _ = gateways
    seen = []
    inner = cloud.application.edge.current().routes["talker"]

    class Looking:
        def __getattr__(self, name):
            return getattr(inner, name)

        async def responder(self, call, send):
            seen.append(call.body)
            await inner.responder(call, send)

    cloud.application.live.current().routes["talker"] = Looking()
    async with openai_client(gateways[1]) as client:
        await client.chat.completions.create(model="talker", messages=user(f"write to {MAIL}"))

    (body,) = seen
    assert json.loads(body)["messages"][-1]["content"] == "write to ⟦EMAIL_1⟧"
    assert MAIL.encode() not in body


async def test_what_must_not_leave_is_answered_at_home_or_not_at_all(gateways):
    cloud, house = gateways
    async with openai_client(house) as client:
        with pytest.raises(openai.BadRequestError) as refused:
            await client.chat.completions.create(model="talker", messages=user(PASSWORD))
        stayed = await client.chat.completions.create(model="first", messages=user(PASSWORD))
    blocked, at_home = house.records

    assert (refused.value.code, refused.value.param) == ("content_blocked", "messages[0].content")
    assert "Canary" not in str(refused.value)
    assert stayed.choices[0].message.content == f"It stays here: {PASSWORD}"
    assert cloud.records == []
    assert (blocked.status, blocked.error, blocked.usage) == (400, "content_blocked", None)
    assert (at_home.status, at_home.route) == (200, ("cloud/talker", "house/talker"))


async def test_what_was_said_stands_in_no_log_metric_or_record(gateways, capfd):
    _, house = gateways
    async with openai_client(house) as client:
        await client.chat.completions.create(model="talker", messages=user(MAIL))
        with pytest.raises(openai.BadRequestError):
            await client.chat.completions.create(model="talker", messages=user(PASSWORD))
    async with httpx2.AsyncClient(base_url=house.url) as plain:
        metrics = (await plain.get("/metrics")).text
    written = repr(house.records) + metrics + "".join(capfd.readouterr())

    assert 'switchgear_protection_found_total{kind="email"} 1' in metrics
    assert "Canary" not in written
    assert MAIL not in written


async def test_a_route_that_nothing_looks_into_stays_a_relay(gateways):
    _, house = gateways
    routes = house.application.live.current().routes

    assert [routes[name].opened for name in ("talker", "first", "bare", "checked")] == [True, True, False, True]


async def test_a_schema_that_changes_on_disk_is_in_force_after_a_reload(gateways, tmp_path):
    _, house = gateways
    async with openai_client(house) as client:

        async def reason():
            answer = await client.chat.completions.create(model="checked", messages=user("x"))
            return answer.choices[0].finish_reason

        assert await reason() == "content_filter"
        (tmp_path / "house/shape.json").write_text("true")
        assert (await house.application.live.reload("test")).status == "applied"
        assert await reason() == "content_filter"  # still no JSON
        (tmp_path / "house/shape.json").write_text('{"type": 7}')
        report = await house.application.live.reload("test")
        assert (report.status, [fault.path for fault in report.faults]) == (
            "refused", ["protection.guardrails.shape.document"],
        )  # fmt: skip


async def test_a_guardrail_that_asks_a_model_which_moderates_nothing_is_refused(tmp_path):
    (tmp_path / "s.yaml").write_text(HOUSE)
    config = """
providers: {s: {kind: scripted, document: s.yaml}}
models: {talker: s/talker}
protection: {guardrails: {m: {kind: moderation, model: talker}}}
"""
    async with running(tmp_path, config.partition("protection")[0]) as gateway:
        (tmp_path / "switchgear.yaml").write_text(config)
        report = await gateway.application.live.reload("test")

    assert [str(fault) for fault in report.faults] == [
        "protection.guardrails.m.model: no target of the model 'talker' does moderations"
    ]
