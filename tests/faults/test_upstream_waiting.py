"""A client hears that somebody is there, however long routing waits: for a second try, between tries, in the middle of a stream."""

import anyio
import httpx2
import pytest

from tests.faults.faulty_upstream import APIS, STREAM_HEAD, asked, chunk, faulty_upstream
from tests.faults.upstream_faults import refuse
from tests.journeys.running_gateway import running

CONFIG = """
server: {{keep_alive_interval: 0.1}}
providers:
  own: {{kind: openai_compatible, base_url: "{url}/v1", apis: [chat, responses, messages]}}
  chat: {{kind: openai_compatible, base_url: "{url}/v1", apis: [chat]}}
models:
  two: {{targets: [{{provider: own, model: first}}, {{provider: own, model: second}}]}}
  again: {{targets: [{{provider: own, model: first}}], routing: {{retry: {{budget: 1, base: 0.01}}}}}}
  verbatim: own/talker
  translated: {{targets: [{{provider: chat, model: talker}}], on_unsupported: drop}}
"""
ALIVE = ": keep-alive\n\n"
WAIT = 0.4
apis = pytest.mark.parametrize("api", ["chat", "responses", "messages"])


@pytest.fixture(scope="module")
async def upstream(tmp_path_factory):
    async with faulty_upstream(tmp_path_factory.mktemp("answers")) as upstream:
        yield upstream


@pytest.fixture
async def gateway(tmp_path, upstream):
    upstream.asked.clear()
    async with running(tmp_path, CONFIG.format(url=f"http://127.0.0.1:{upstream.port}")) as gateway:
        yield gateway


async def ask(gateway, api, model):
    async with httpx2.AsyncClient(base_url=gateway.url, timeout=10) as http:
        return (await http.post(APIS[api], json=asked(api, stream=True, model=model))).text


@apis
async def test_while_the_first_is_slow_to_fail_and_the_second_slow_to_begin(gateway, upstream, api):
    async def behave(peer, request):
        await anyio.sleep(WAIT)
        await (refuse(503) if b'"first"' in request.body else upstream.answer_well)(peer, request)

    upstream.behave = behave
    answer = await ask(gateway, api, "two")

    assert answer.startswith(ALIVE * 3)
    assert "five" in answer
    assert gateway.records[0].route == ("own/first", "own/second")


@apis
async def test_while_a_wait_between_two_tries_lasts(gateway, upstream, api):
    async def behave(peer, request):
        later = len(upstream.asked) > 1
        await (upstream.answer_well if later else refuse(429, headers=b"retry-after-ms: 600\r\n"))(peer, request)

    upstream.behave = behave
    answer = await ask(gateway, api, "again")

    assert answer.startswith(ALIVE * 3)
    assert "five" in answer


@apis
async def test_when_all_fail_after_that_the_stream_ends_with_the_error(gateway, upstream, api):
    """The status is gone by then."""

    async def behave(peer, request):
        await anyio.sleep(WAIT)
        await refuse(400, "Not with me.")(peer, request)

    upstream.behave = behave
    answer = await ask(gateway, api, "again")

    assert answer.startswith(ALIVE)
    assert "Not with me." in answer.rpartition("data: {")[2]


@apis
@pytest.mark.parametrize("model", ["verbatim", "translated"])
async def test_while_a_stream_stalls_in_the_middle(gateway, upstream, api, model):
    async def behave(peer, request):
        events = upstream.answers.events[request.api]
        half = next(number for number, event in enumerate(events) if b"two" in event)
        await peer.send(STREAM_HEAD + b"".join(chunk(event) for event in events[:half]))
        await anyio.sleep(WAIT)
        await peer.send(b"".join(chunk(event) for event in events[half:]) + b"0\r\n\r\n")

    upstream.behave = behave
    before, alive, after = (await ask(gateway, api, model)).partition(ALIVE * 2)

    assert alive
    assert "one" in before
    assert "five" in after
