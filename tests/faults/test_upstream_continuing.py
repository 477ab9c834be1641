"""Through a real gateway: a stream dies in the middle, another target goes on with it, and official clients see one answer."""

import json

import anyio
import httpx2
import pytest
from anthropic import AsyncAnthropic
from openai import APIError, AsyncOpenAI

from tests.contract.upstream_faulty_server import until
from tests.faults.faulty_upstream import APIS, LAST_CHUNK, STREAM_HEAD, asked, chunk, faulty_upstream
from tests.faults.upstream_faults import refuse
from tests.journeys.running_gateway import running

CONFIG = """
database: {{kind: sqlite, path: data/switchgear.db}}
ledger: {{spool: data/spool}}
server: {{keep_alive_interval: {keep_alive}}}
providers:
  gpu: {{kind: vllm, base_url: "{url}/v1", load_interval: 0, timeouts: {{idle: 0.3}}}}
  claude: {{kind: anthropic, base_url: "{url}", api_key: "env:BACK_KEY"}}
routing: {{breaker: {{failures: 10000, least: 1000000}}, retry: {{attempts: 1}}}}
models:
  talk: {{targets: [{{provider: gpu, model: first}}, {{provider: gpu, model: second}}], routing: {{continuation: {{}}}}}}
  mixed:
    targets: [{{provider: gpu, model: first}}, {{provider: claude, model: claude-sonnet-4-5}}]
    routing: {{continuation: {{}}}}
    on_unsupported: drop
  plain: {{targets: [{{provider: gpu, model: first}}, {{provider: gpu, model: second}}]}}
prices: {{first: {{input: 1, output: 2}}, second: {{input: 10, output: 20}}}}
"""
KEY = {"BACK_KEY": "a-key-for-the-back"}
WHOLE = "one two three four five"
BROKEN_AFTER = ("one", " two")
GENERATING = ("chat", "responses", "messages")


def said_in(event):
    """The text of an upstream's event."""
    data = event.partition(b"data: ")[2]
    if not data.startswith(b"{"):
        return ""
    fields = json.loads(data)
    choice = (fields.get("choices") or [{}])[0]
    delta = choice.get("delta") or fields.get("delta") or ""
    return delta if isinstance(delta, str) else delta.get("content") or delta.get("text") or ""


def beginning(upstream, api):
    events = upstream.answers.events[api]
    last = next(number for number, event in enumerate(events) if said_in(event) == BROKEN_AFTER[-1])
    return b"".join(chunk(event) for event in events[: last + 1])


def rest(upstream, api):
    return [event for event in upstream.answers.events[api] if said_in(event) not in BROKEN_AFTER]


async def reset(peer):
    await anyio.sleep(0.05)
    peer.reset()


async def error_event(peer):
    await peer.send(chunk(b'data: {"error": {"message": "Gave up.", "code": 500}}\n\n') + LAST_CHUNK)


async def stall(peer):
    await peer.left()


async def end_early(peer):
    await peer.send(LAST_CHUNK)


class Breaking:
    """The first model breaks off in the middle, as `end` says; others go on where it did. Of `pause` seconds is the way there."""

    def __init__(self, upstream, end=reset, *, pause=0.0, second=None):
        self._upstream = upstream
        self._end = end
        self._pause = pause
        self._second = second

    async def __call__(self, peer, request):
        if json.loads(request.body)["model"] == "first":
            await peer.send(STREAM_HEAD + beginning(self._upstream, request.api))
            await self._end(peer)
        elif self._second is not None:
            await self._second(peer, request)
        else:
            await anyio.sleep(self._pause)
            await peer.send(STREAM_HEAD)
            for event in rest(self._upstream, request.api):
                await peer.send(chunk(event))
            await peer.send(LAST_CHUNK)


@pytest.fixture(scope="module")
async def upstream(tmp_path_factory):
    async with faulty_upstream(tmp_path_factory.mktemp("answers")) as upstream:
        yield upstream


@pytest.fixture(scope="module")
async def shared_gateway(tmp_path_factory, upstream):
    config = CONFIG.format(url=f"http://127.0.0.1:{upstream.port}", keep_alive=15)
    async with running(tmp_path_factory.mktemp("gateway"), config, environ=KEY) as gateway:
        yield gateway


@pytest.fixture
def gateway(shared_gateway, upstream):
    shared_gateway.forget()
    upstream.asked.clear()
    return shared_gateway


async def ask(gateway, api, model):
    async with httpx2.AsyncClient(base_url=gateway.url, timeout=10) as http:
        return await http.post(APIS[api], json=asked(api, stream=True, model=model))


@pytest.mark.parametrize("end", [reset, error_event, end_early, stall])
@pytest.mark.parametrize("api", GENERATING)
async def test_another_target_goes_on_and_the_record_says_so(gateway, upstream, api, end):
    upstream.behave = Breaking(upstream, end)
    answer = await ask(gateway, api, "talk")

    assert "".join(said_in(event) for event in answer.content.split(b"\n\n")) == WHOLE
    assert answer.text.count(": continued by gpu/second\n\n") == 1
    assert "error" not in answer.text.replace('"error":null', "")
    first, second = [json.loads(request.body) for request in upstream.asked]
    assert "continue_final_message" not in first
    assert (second["continue_final_message"], second["add_generation_prompt"]) == (True, False)
    assert second["messages"][-1] == {"role": "assistant", "content": "one two"}
    [record] = gateway.records
    assert (record.status, record.error, record.served) == (200, None, "second")
    assert (record.continued, record.route) == (("gpu/second",), ("gpu/first", "gpu/second"))
    assert (record.usage.input, record.usage.output) == (11, 5)
    assert record.cost_nano == 11 * 10_000 + 5 * 20_000
    [beside] = record.beside
    assert (beside.target, beside.why, beside.usage.estimated) == ("gpu/first", "continuation", True)
    assert beside.usage.output >= 2
    assert {one.target: one.why for one in record.decision.considered}[
        "gpu/second"
    ] == "went on where gpu/first broke off"


async def test_official_clients_see_one_answer(gateway, upstream):
    upstream.behave = Breaking(upstream)
    openai = AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="unused", max_retries=0)
    anthropic = AsyncAnthropic(base_url=gateway.url, api_key="unused", max_retries=0)
    said = [{"role": "user", "content": "hello"}]
    async with openai, anthropic:
        async with openai.chat.completions.stream(model="talk", messages=said) as stream:
            chat = await stream.get_final_completion()
        async with openai.responses.stream(model="talk", input="hello") as stream:
            response = await stream.get_final_response()
        async with anthropic.messages.stream(model="talk", messages=said, max_tokens=100) as stream:
            message = await stream.get_final_message()

    assert chat.choices[0].message.content == WHOLE
    assert chat.choices[0].finish_reason == "stop"
    assert response.output_text == WHOLE
    assert len(response.output) == 1
    assert [block.text for block in message.content] == [WHOLE]
    assert message.stop_reason == "end_turn"


@pytest.mark.parametrize("api", GENERATING)
async def test_a_target_of_another_dialect_goes_on(gateway, upstream, api):
    upstream.behave = Breaking(upstream)
    answer = await ask(gateway, api, "mixed")

    assert ": continued by claude/claude-sonnet-4-5" in answer.text
    second = json.loads(upstream.asked[1].body)
    assert upstream.asked[1].api == "messages"
    assert second["messages"][-1] == {"role": "assistant", "content": "one two"}
    assert "continue_final_message" not in second
    [record] = gateway.records
    assert (record.provider, record.continued) == ("claude", ("claude/claude-sonnet-4-5",))


@pytest.mark.parametrize("api", GENERATING)
async def test_when_nobody_can_go_on_the_error_is_as_ever(gateway, upstream, api):
    upstream.behave = Breaking(upstream, second=refuse(400, "no prefill"))
    answer = await ask(gateway, api, "talk")

    assert "continued" not in answer.text
    assert "no prefill" not in answer.text
    assert {"chat": "upstream_broken", "responses": "response.failed", "messages": "api_error"}[api] in answer.text
    [record] = gateway.records
    assert (record.error, record.continued, record.beside) == ("upstream_broken", (), ())
    assert (record.served, record.usage.estimated) == ("first", True)


async def test_without_the_setting_nobody_goes_on(gateway, upstream):
    upstream.behave = Breaking(upstream)
    openai = AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="unused", max_retries=0)
    said = [{"role": "user", "content": "hello"}]
    async with openai:
        stream = await openai.chat.completions.create(model="plain", messages=said, stream=True)
        with pytest.raises(APIError):
            [event async for event in stream]

    assert len(upstream.asked) == 1


@pytest.mark.parametrize("api", GENERATING)
async def test_a_client_hears_that_somebody_is_there_while_another_begins(tmp_path, upstream, api):
    upstream.behave = Breaking(upstream, pause=0.5)
    config = CONFIG.format(url=f"http://127.0.0.1:{upstream.port}", keep_alive=0.1)
    async with running(tmp_path, config, environ=KEY) as gateway:
        answer = await ask(gateway, api, "talk")

    between, _, after = answer.text.partition(": continued by")
    assert between.rstrip().endswith(": keep-alive")
    assert "five" in after


async def test_a_client_that_leaves_between_is_accounted_for_once(gateway, upstream):
    async def never(peer, request):
        await peer.left()

    upstream.behave = Breaking(upstream, second=never)
    body = json.dumps(asked("chat", stream=True, model="talk")).encode()
    client = await anyio.connect_tcp("127.0.0.1", gateway.port)
    head = f"POST {APIS['chat']} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    await client.send(head.encode() + body)
    await until(lambda: len(upstream.asked) == 2)
    await client.aclose()

    await until(lambda: gateway.idle)
    [record] = gateway.records
    assert (record.error, record.served, record.continued, record.beside) == ("client_left", "first", (), ())
    assert record.usage.output >= 2


async def test_metrics_count_it(gateway, upstream):
    upstream.behave = Breaking(upstream)
    await ask(gateway, "chat", "talk")
    async with httpx2.AsyncClient(base_url=gateway.url, timeout=5) as http:
        metrics = (await http.get("/metrics")).text

    assert 'switchgear_continuations_total{target="gpu/second",outcome="finished"}' in metrics
