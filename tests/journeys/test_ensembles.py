"""Cascades and votes over HTTP: official clients of three dialects, streaming and not, against upstreams that speak three wires.

The upstream is a second gateway that plays a script: a small model that is often wrong, larger ones, and a judge.
"""

import json
from contextlib import asynccontextmanager

import anthropic
import anyio
import httpx2
import openai
import pytest

from tests.journeys.running_gateway import running

SCRIPT = """
models:
  small:
    answers:
      - {when: {contains: refuse}, refuse: I would rather not., usage: {input: 10, output: 3}}
      - {when: {contains: as json}, say: "The city is Paris.", usage: {input: 10, output: 3}}
      - {when: {contains: unsure}, say: Perhaps Paris., logprob: -1.2, usage: {input: 10, output: 3}}
      - {when: {contains: judge}, say: London, usage: {input: 10, output: 3}}
      - {when: {contains: down}, fail: {status: 503, message: Gone.}}
      - {when: {contains: slowly}, say: one two three four five, pace: 0.2}
      - {when: {contains: stuck}, say: one two three, fail: {silent: true, after_deltas: 2}}
      - {say: Paris, logprob: -0.01, usage: {input: 10, output: 1}}
  large:
    answers:
      - {when: {contains: as json}, json: {city: Paris}, usage: {input: 20, output: 5}}
      - {when: {contains: down}, say: Paris, usage: {input: 20, output: 1}}
      - {when: {contains: stuck}, say: one two three, fail: {silent: true, after_deltas: 2}}
      - {when: {contains: differ}, say: Rome, usage: {input: 20, output: 1}}
      - {say: "Paris, of course.", usage: {input: 20, output: 4}}
  third:
    answers:
      - {when: {contains: down}, fail: {status: 503, message: Gone.}}
      - {when: {contains: stuck}, say: one two three, fail: {silent: true, after_deltas: 2}}
      - {when: {contains: differ}, say: rome., usage: {input: 30, output: 1}}
      - {say: PARIS, usage: {input: 30, output: 1}}
  judge:
    answers:
      - {when: {contains: "answer 1"}, say: '{"best": 2}', usage: {input: 50, output: 5}}
      - {when: {contains: London}, say: '{"score": 0.1}', usage: {input: 50, output: 5}}
      - {say: '{"score": 0.9}', usage: {input: 50, output: 5}}
"""
BACK = """
providers: {play: {kind: scripted, document: script.yaml}}
routing: {retry: {attempts: 1}, breaker: {failures: 10000, least: 1000000}}
models: {small: play/small, large: play/large, third: play/third, judge: play/judge}
"""
FRONT = """
server: {{keep_alive_interval: 0.2}}
database: {{kind: sqlite, path: data.db}}
access: {{bootstrap_key_file: first.key}}
providers:
  chat: {{kind: openai_compatible, base_url: "{url}/v1", apis: [chat]}}
  responses: {{kind: openai_compatible, base_url: "{url}/v1", apis: [responses]}}
  messages: {{kind: anthropic, base_url: "{url}", api_key: "env:BACK_KEY"}}
routing: {{breaker: {{failures: 10000, least: 1000000}}}}
models:
  cascade:
    targets: [{{provider: {small}, model: small}}, {{provider: {large}, model: large}}]
    on_unsupported: drop
    routing:
      strategy: cascade
      cascade:
        escalate_on: [refusal, schema_invalid, {sure}judge]
        judge: {{model: judge}}
  vote:
    targets: [{{provider: chat, model: small}}, {{provider: responses, model: large}}, {{provider: messages, model: third}}]
    routing: {{strategy: vote, retry: {{attempts: 1}}}}
  panel:
    targets: [{{provider: chat, model: small}}, {{provider: chat, model: large}}]
    routing: {{strategy: vote, vote: {{decide: judge, judge: {{model: judge}}}}}}
  judge: chat/judge
"""
FORM = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
KEY = {"BACK_KEY": "a-key-for-the-back"}
WIRES = ("chat", "responses", "messages")


class World:
    """The gateway under test, and its first key."""

    def __init__(self, front, key):
        self.front = front
        self.key = key
        self.openai = openai.AsyncOpenAI(api_key=key, base_url=f"{front.url}/v1", max_retries=0)
        self.anthropic = anthropic.AsyncAnthropic(api_key=key, base_url=front.url, max_retries=0)
        self.http = httpx2.AsyncClient(base_url=front.url, headers={"authorization": f"Bearer {key}"})

    async def record(self):
        """The one record that a call of ours has made."""
        with anyio.fail_after(5):
            while not self.front.records:
                await anyio.sleep(0.01)
        (record,) = self.front.records
        return record

    async def rows(self, calls):
        """The ledger's rows, once those of so many calls are there."""
        with anyio.fail_after(10):
            while True:
                answer = (await self.http.get("/admin/calls", params={"limit": 100})).json()
                if len([row for row in answer["data"] if row["kind"] == "call"]) >= calls:
                    return answer["data"]
                await anyio.sleep(0.05)


class Worlds:
    """Gateways with a small and a large target on certain wires."""

    def __init__(self, folder):
        self.folder = folder

    def open(self, small="chat", large="chat"):
        return _world(self.folder, small, large)


@pytest.fixture
def worlds(tmp_path):
    return Worlds(tmp_path)


@asynccontextmanager
async def _world(folder, small, large):
    behind = folder / "back"
    behind.mkdir()
    (behind / "script.yaml").write_text(SCRIPT)
    async with running(behind, BACK) as back:
        sure = "" if small == "messages" else "low_confidence, "
        config = FRONT.format(url=back.url, small=small, large=large, sure=sure)
        async with running(folder, config, environ=KEY) as front:
            world = World(front, (folder / "first.key").read_text().strip())
            async with world.openai, world.anthropic, world.http:
                yield world


async def chat(world, model, text, *, stream, **more):
    asked = {"model": model, "messages": [{"role": "user", "content": text}], **more}
    if not stream:
        answer = await world.openai.chat.completions.create(**asked)
        return answer.choices[0].message.content
    pieces = [
        chunk.choices[0].delta.content
        async for chunk in await world.openai.chat.completions.create(**asked, stream=True)
        if chunk.choices
    ]
    return "".join(piece or "" for piece in pieces)


async def responses(world, model, text, *, stream):
    if not stream:
        return (await world.openai.responses.create(model=model, input=text)).output_text
    events = [event async for event in await world.openai.responses.create(model=model, input=text, stream=True)]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    return events[-1].response.output_text


async def messages(world, model, text, *, stream):
    asked = {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": text}]}
    if not stream:
        answer = await world.anthropic.messages.create(**asked)
        return "".join(block.text for block in answer.content)
    async with world.anthropic.messages.stream(**asked) as events:
        return await events.get_final_text()


CLIENTS = {"chat": chat, "responses": responses, "messages": messages}


@pytest.mark.parametrize("wire", WIRES)
async def test_every_client_gets_the_small_answer_where_it_passes_and_else_the_large_one(worlds, wire):
    async with worlds.open(small=wire, large=wire) as world:
        for client in CLIENTS.values():
            for stream in (False, True):
                world.front.forget()
                assert await client(world, "cascade", "Which city?", stream=stream) == "Paris"
                record = await world.record()
                assert (record.served, record.route, record.error) == ("small", (f"{wire}/small",), None)
                assert (record.usage.input, record.usage.output) == (10, 1)
                assert [(one.target, one.why) for one in record.beside] == [("chat/judge", "judge")]

                world.front.forget()
                assert await client(world, "cascade", "Please refuse", stream=stream) == "Paris, of course."
                record = await world.record()
                assert (record.served, record.route) == ("large", (f"{wire}/small", f"{wire}/large"))
                assert (record.usage.input, record.usage.output) == (20, 4)
                assert [(one.target, one.why, one.usage.total) for one in record.beside] == [
                    (f"{wire}/small", "cascade", 13)
                ]
                assert [one.verdict for one in record.decision.considered] == ["escalated", "chosen"]


async def test_a_promised_form_is_kept_in_three_dialects(worlds):
    async with worlds.open() as world:
        form = {"type": "json_schema", "json_schema": {"name": "city", "schema": FORM, "strict": True}}
        assert json.loads(await chat(world, "cascade", "Say it as json", stream=False, response_format=form)) == {
            "city": "Paris"
        }
        text = {"format": {"type": "json_schema", "name": "city", "schema": FORM, "strict": True}}
        answer = await world.openai.responses.create(model="cascade", input="Say it as json", text=text)
        assert json.loads(answer.output_text) == {"city": "Paris"}
        answer = await world.anthropic.messages.create(
            model="cascade",
            max_tokens=100,
            messages=[{"role": "user", "content": "Say it as json"}],
            output_config={"format": {"type": "json_schema", "schema": FORM}},
        )
        assert json.loads(answer.content[0].text) == {"city": "Paris"}

        whys = [record.decision.considered[0].why for record in world.front.records]
        # The target's own stage finds it before the cascade would: what has not its form is no answer that could be kept.
        assert whys == ["invalid_output"] * 3


@pytest.mark.parametrize("wire", ["chat", "responses"])
async def test_doubt_escalates_and_log_probabilities_stay_here(worlds, wire):
    async with worlds.open(small=wire) as world:
        assert await chat(world, "cascade", "You are unsure", stream=False) == "Paris, of course."
        assert (await world.record()).decision.considered[0].why == "low_confidence: 0.30 is less than 0.8"

        answer = await world.openai.chat.completions.create(
            model="cascade", messages=[{"role": "user", "content": "Which city?"}]
        )
        assert answer.choices[0].logprobs is None
        answer = await world.openai.chat.completions.create(
            model="cascade", messages=[{"role": "user", "content": "Which city?"}], logprobs=True
        )
        assert answer.choices[0].logprobs.content[0].logprob == -0.01


async def test_a_judge_is_asked_in_the_name_of_the_call_and_has_no_record_of_its_own(worlds):
    async with worlds.open() as world:
        assert await chat(world, "cascade", "Let the judge decide", stream=True) == "Paris, of course."

        record = await world.record()
        assert record.decision.considered[0].why == "judge: 0.1 is less than 0.7"
        assert [(one.target, one.why) for one in record.beside] == [("chat/judge", "judge"), ("chat/small", "cascade")]
        rows = await world.rows(1)
        assert sorted(row["kind"] for row in rows) == ["call", "cascade", "judge"]
        (call,) = [row for row in rows if row["kind"] == "call"]
        assert {row["parent"] for row in rows if row["kind"] != "call"} == {call["id"]}


async def test_an_upstream_that_is_down_escalates(worlds):
    async with worlds.open() as world:
        assert await chat(world, "cascade", "You are down", stream=True) == "Paris"

        record = await world.record()
        assert record.decision.considered[0].verdict == "failed"
        assert record.beside == ()


async def test_a_held_stream_is_kept_alive(worlds):
    async with worlds.open() as world:
        body = {"model": "cascade", "stream": True, "messages": [{"role": "user", "content": "Count slowly"}]}
        async with world.http.stream("POST", "/v1/chat/completions", json=body) as answer:
            text = "".join([piece async for piece in answer.aiter_text()])

        before, _, after = text.partition("data:")
        assert before.count(":") >= 2
        assert "one" in after


@pytest.mark.parametrize("model", ["cascade", "vote"])
async def test_a_client_that_leaves_ends_every_upstream_and_is_accounted_for(worlds, model):
    async with worlds.open() as world:
        body = {"model": model, "stream": True, "messages": [{"role": "user", "content": "Get stuck"}]}
        async with world.http.stream("POST", "/v1/chat/completions", json=body) as answer:
            async for _ in answer.aiter_text():
                break  # a comment

        record = await world.record()
        assert (record.status, record.error) == (499, "client_left")
        # No answer of a vote is the call's own before it has won.
        assert (record.usage is not None) == (model == "cascade")
        assert all(
            usage.estimated for usage in (record.usage, *[one.usage for one in record.beside]) if usage is not None
        )
        used = {"cascade": [], "vote": ["chat/small", "responses/large", "messages/third"]}[model]
        assert [one.target for one in record.beside] == used
        assert [one.in_flight for one in world.front.application.conditions] == [0] * 5
        rows = await world.rows(1)
        assert sorted(row["kind"] for row in rows) == ["call"] + ["vote"] * len(used)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("client", CLIENTS)
async def test_a_vote_is_decided_by_the_majority(worlds, client, stream):
    async with worlds.open() as world:
        assert await CLIENTS[client](world, "vote", "Which city?", stream=stream) == "Paris"
        record = await world.record()
        assert record.served == "small"
        assert {one.target: one.verdict for one in record.decision.considered} == {
            "chat/small": "won", "responses/large": "lost", "messages/third": "lost"
        }  # fmt: skip
        assert [one.why for one in record.beside] == ["vote", "vote"]

        world.front.forget()
        assert await CLIENTS[client](world, "vote", "Let them differ", stream=stream) == "Rome"
        assert (await world.record()).served == "large"


async def test_a_vote_without_a_quorum_is_an_error_of_its_own_status(worlds):
    async with worlds.open() as world:
        with pytest.raises(openai.APIStatusError) as caught:
            await chat(world, "vote", "You are down", stream=True)

        assert caught.value.status_code == 503
        record = await world.record()
        assert record.status == 503
        assert [one.target for one in record.beside] == ["responses/large"]


async def test_a_panel_is_decided_by_its_judge(worlds):
    async with worlds.open() as world:
        assert await chat(world, "panel", "Which city?", stream=False) in ("Paris", "Paris, of course.")

        record = await world.record()
        assert sorted(one.why for one in record.beside) == ["judge", "vote"]


async def test_explain_says_what_would_be_asked_and_what_for(worlds):
    async with worlds.open() as world:
        body = {"model": "cascade", "messages": [{"role": "user", "content": "Which city?"}]}
        said = (await world.http.post("/v1/route/explain", json=body)).json()
        assert [(one["target"], one["verdict"]) for one in said["considered"]] == [
            ("chat/small", "chosen"), ("chat/large", "next")
        ]  # fmt: skip
        assert said["considered"][0]["why"].endswith("refusal, schema_invalid, low_confidence, judge")

        said = (await world.http.post("/v1/route/explain", json={**body, "model": "vote"})).json()
        assert [one["verdict"] for one in said["considered"]] == ["chosen"] * 3

        tools = [{"type": "web_search"}]
        asked = {"model": "vote", "input": "Which city?", "tools": tools}
        said = (await world.http.post("/v1/route/explain", params={"api": "responses"}, json=asked)).json()
        assert [(one["target"], one["verdict"]) for one in said["considered"]] == [
            ("responses/large", "chosen"), ("chat/small", "unfit"), ("messages/third", "unfit")
        ]  # fmt: skip
        assert said["considered"][0]["why"] == "asked alone: it has tools that the provider runs"


async def test_metrics_count_what_became_of_each_target(worlds):
    async with worlds.open() as world:
        await chat(world, "cascade", "Which city?", stream=False)
        await chat(world, "cascade", "Please refuse", stream=False)
        await chat(world, "vote", "Which city?", stream=False)
        assert len(world.front.records) == 3
        told = (await world.http.get("/metrics")).text

        assert 'switchgear_cascade_total{model="cascade",target="chat/small",outcome="answered"} 1' in told
        assert 'switchgear_cascade_total{model="cascade",target="chat/small",outcome="refusal"} 1' in told
        assert 'switchgear_cascade_total{model="cascade",target="chat/large",outcome="answered"} 1' in told
        assert 'switchgear_votes_total{model="vote",target="chat/small",outcome="won"} 1' in told
        assert 'switchgear_votes_total{model="vote",target="messages/third",outcome="lost"} 1' in told
