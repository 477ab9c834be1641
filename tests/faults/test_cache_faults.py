"""The cache where things go wrong: clients that leave, upstreams that break off or are gone, reloads. Nothing half is ever kept."""

import json

import anyio
import httpx2
import pytest

from tests.contract.upstream_faulty_server import until
from tests.faults.faulty_upstream import APIS, LAST_CHUNK, STREAM_HEAD, asked, chunk, document, faulty_upstream
from tests.faults.upstream_faults import reset
from tests.journeys.running_gateway import running

CONFIG = """
providers:
  up: {{kind: openai_compatible, base_url: "http://127.0.0.1:{port}/v1", apis: [chat, responses]}}
routing: {{retry: {{attempts: 1}}, breaker: {{failures: 10000, least: 1000000}}}}
models:
  talker: {{targets: [{{provider: up, model: talker}}], cache: {{ttl: {ttl}, jitter: 0, pace: 0, stale_if_error: 100}}}}
  laddered:
    targets: [{{provider: up, model: talker}}]
    cache: {{ttl: {ttl}, jitter: 0, stale_if_error: 100}}
    routing: {{degrade: [stale, {{static: "Come back."}}]}}
  renewed: {{targets: [{{provider: up, model: talker}}], cache: {{ttl: {ttl}, jitter: 0, stale_while_revalidate: 100}}}}
"""


@pytest.fixture(scope="module")
async def shared_upstream(tmp_path_factory):
    async with faulty_upstream(tmp_path_factory.mktemp("answers")) as upstream:
        yield upstream


@pytest.fixture
def upstream(shared_upstream):
    shared_upstream.behave = shared_upstream.answer_well
    shared_upstream.asked.clear()
    return shared_upstream


class World:
    def __init__(self, gateway, upstream, http):
        self.gateway = gateway
        self.upstream = upstream
        self.http = http

    async def ask(self, text="hello", *, api="chat", stream=False, model="talker"):
        body = asked(api, stream=stream, text=text, model=model)
        if api == "responses":
            body["store"] = False  # what the upstream keeps is not for the cache to give again
        return await self.http.post(APIS[api], json=body)

    async def told(self, *args, **more):
        answer = await self.ask(*args, **more)
        assert answer.status_code == 200, answer.text
        return answer.headers["x-switchgear-cache"]

    @property
    def kept(self):
        return self.gateway.application.caching.store.held().entries


@pytest.fixture
async def world(tmp_path, upstream):
    config = CONFIG.format(port=upstream.port, ttl=1000)
    async with running(tmp_path, config) as gateway, httpx2.AsyncClient(base_url=gateway.url, timeout=10) as http:
        yield World(gateway, upstream, http)


@pytest.fixture
async def aged(tmp_path, upstream):
    """Answers are old after a twentieth of a second."""
    config = CONFIG.format(port=upstream.port, ttl=0.05)
    async with running(tmp_path, config) as gateway, httpx2.AsyncClient(base_url=gateway.url, timeout=10) as http:
        yield World(gateway, upstream, http)


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize("events", [1, 3, -3])
async def test_a_stream_that_breaks_off_is_never_given_again(world, api, events):
    """At its beginning, in the middle, before what says how it ended. (Chat's end mark alone may be missing: the answer is whole then.)"""

    async def break_off(peer, request):
        whole = world.upstream.answers.events[request.api]
        await peer.send(STREAM_HEAD + b"".join(chunk(event) for event in whole[:events]))
        await reset(peer)

    world.upstream.behave = break_off
    with_fault = await world.ask(api=api, stream=True)
    world.upstream.behave = world.upstream.answer_well

    assert world.kept == 0
    assert await world.told(api=api, stream=True) == "miss"
    assert await world.told(api=api, stream=True) == "exact"
    assert "error" in with_fault.text


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize("wish", [{"mode": "write"}, None], ids=str)
async def test_no_upstream_sees_what_was_asked_of_the_cache(world, api, wish):
    """Every other byte of the values is what the client wrote."""
    body = asked(api, stream=False)
    sent = b'{"cache": %b, "seed": 1.50e1, ' % json.dumps(wish).encode() + json.dumps(body).encode()[1:]
    answer = await world.http.post(APIS[api], content=sent, headers={"content-type": "application/json"})
    (seen,) = world.upstream.asked

    assert answer.status_code == 200
    assert b"cache" not in seen.body
    assert b'"seed":1.50e1' in seen.body
    assert json.loads(seen.body) == {**body, "seed": 15.0}


async def test_a_document_that_is_cut_off_is_never_given_again(world):
    async def cut(peer, request):
        whole = document(world.upstream.answers.documents[request.api])
        await peer.send(whole[:-20])
        await reset(peer)

    world.upstream.behave = cut
    assert (await world.ask()).status_code == 502
    world.upstream.behave = world.upstream.answer_well

    assert world.kept == 0
    assert await world.told() == "miss"


async def test_an_answer_whose_client_has_left_is_not_kept_and_others_have_their_own(world):
    """The one that is asked leaves in the middle of its stream; two others wait for it, and are answered."""
    reached, go_on = anyio.Event(), anyio.Event()

    async def slowly(peer, request):
        events = world.upstream.answers.events[request.api]
        await peer.send(STREAM_HEAD + b"".join(chunk(event) for event in events[:3]))
        reached.set()
        await go_on.wait()
        await peer.send(b"".join(chunk(event) for event in events[3:]) + LAST_CHUNK)

    world.upstream.behave = slowly
    answers = []

    async def stay():
        answers.append(await world.ask(stream=True))

    async with anyio.create_task_group() as tasks:
        leaving = anyio.CancelScope()

        async def leave():
            with leaving:
                async with world.http.stream("POST", APIS["chat"], json=asked("chat", stream=True)) as answer:
                    async for _ in answer.aiter_bytes():
                        pass

        tasks.start_soon(leave)
        with anyio.fail_after(5):
            await reached.wait()
        tasks.start_soon(stay)
        tasks.start_soon(stay)
        await until(lambda: len(world.gateway.application.edge.in_progress) == 3)
        world.upstream.behave = world.upstream.answer_well
        leaving.cancel()
        await until(lambda: len(answers) == 2)
        go_on.set()

    assert len(world.upstream.asked) == 2
    assert sorted(answer.headers["x-switchgear-cache"] for answer in answers) == ["exact", "miss"]
    assert all(b"five" in answer.content and answer.content.endswith(b"data: [DONE]\n\n") for answer in answers)
    await until(lambda: world.gateway.idle)
    statuses = [record.status for record in world.gateway.records]
    assert sorted(statuses) == [200, 200, 499]
    assert world.kept == 1


@pytest.mark.parametrize("status", [500, 503, 429, 401])
async def test_an_old_answer_stands_in_for_an_upstream_that_fails(aged, status):
    """RFC 5861, stale-if-error. The record says what failed, and that nothing was paid."""
    await aged.ask(stream=True)
    await anyio.sleep(0.1)

    async def failing(peer, request):
        await peer.send(document(b'{"error": {"message": "no"}}', status=status))

    aged.upstream.behave = failing
    document_answer, streamed = await aged.ask(), await aged.ask(stream=True)

    assert document_answer.json()["choices"][0]["message"]["content"] == "one two three four five"
    assert b"[DONE]" in streamed.content
    for answer in (document_answer, streamed):
        assert answer.headers["x-switchgear-cache"] == "stale"
        assert answer.headers["x-switchgear-degraded"] == "stale"
    record = aged.gateway.records[-1]
    assert (record.status, record.cache, record.degraded, record.cost_nano) == (200, "stale", "stale", 0)
    assert record.error
    assert record.saved.total == 16


async def test_an_upstream_that_is_gone_is_stood_in_for_too(tmp_path, aged):
    """The process is not there any more; nor is it a fault of the request."""
    await aged.ask()
    await anyio.sleep(0.1)

    async def gone(peer, request):
        await reset(peer)

    aged.upstream.behave = gone
    assert await aged.told() == "stale"
    refused = await aged.ask("something else")
    assert refused.status_code == 502


async def test_the_ladder_gives_an_old_answer_before_a_text_that_was_ready(aged):
    await aged.ask(model="laddered")
    await anyio.sleep(0.1)

    async def failing(peer, request):
        await peer.send(document(b'{"error": {"message": "no"}}', status=500))

    aged.upstream.behave = failing
    known, unknown = await aged.ask(model="laddered"), await aged.ask("something else", model="laddered")

    assert known.json()["choices"][0]["message"]["content"] == "one two three four five"
    assert (known.headers["x-switchgear-degraded"], known.headers["x-switchgear-cache"]) == ("stale", "stale")
    assert unknown.json()["choices"][0]["message"]["content"] == "Come back."
    assert (unknown.headers["x-switchgear-degraded"], unknown.headers["x-switchgear-cache"]) == ("static", "miss")


async def test_an_old_answer_is_made_anew_beside_the_call_with_a_record_of_its_own(aged):
    await aged.ask(model="renewed")
    await anyio.sleep(0.1)
    aged.gateway.forget()
    told = await aged.told(model="renewed")
    await until(lambda: len(aged.upstream.asked) == 2)
    await until(lambda: aged.gateway.idle)

    assert told == "stale"
    made = [record for record in aged.gateway.records if record.cache == "miss"]
    assert [record.usage.total for record in made] == [16]
    assert {record.cache for record in aged.gateway.records} == {"stale", "miss"}


async def test_a_reload_keeps_answers_and_a_changed_model_finds_none(tmp_path, upstream):
    config = CONFIG.format(port=upstream.port, ttl=1000)
    changed = config.replace(
        "model: talker}], cache: {ttl: 1000, jitter: 0, pace: 0",
        "model: talker-2}], cache: {ttl: 1000, jitter: 0, pace: 0",
    )
    slower = config.replace("apis: [chat, responses]", "apis: [chat, responses], timeouts: {total: 55}")
    async with running(tmp_path, config) as gateway, httpx2.AsyncClient(base_url=gateway.url, timeout=10) as http:
        world = World(gateway, upstream, http)

        async def reload(text):
            (tmp_path / "switchgear.yaml").write_text(text)
            report = await gateway.application.live.reload("test")
            assert report.status == "applied"

        told = [await world.told()]
        for text in (slower, changed, config):
            await reload(text)
            told.append(await world.told())

    assert told == ["miss", "exact", "miss", "exact"]
    assert [json.loads(request.body)["model"] for request in upstream.asked] == ["talker", "talker-2"]


async def test_what_was_kept_of_one_version_is_never_given_for_another(tmp_path, upstream):
    config = f"""
providers:
  up: {{kind: openai_compatible, base_url: "http://127.0.0.1:{upstream.port}/v1", apis: [chat]}}
models:
  talker:
    versions: {{one: {{targets: [{{provider: up, model: talker}}]}}, two: {{targets: [{{provider: up, model: talker}}]}}}}
    active: ACTIVE
    cache: exact
"""
    async with (
        running(tmp_path, config.replace("ACTIVE", "one")) as gateway,
        httpx2.AsyncClient(base_url=gateway.url, timeout=10) as http,
    ):
        world = World(gateway, upstream, http)
        first = [await world.ask() for _ in range(2)]
        (tmp_path / "switchgear.yaml").write_text(config.replace("ACTIVE", "two"))
        await gateway.application.live.reload("test")
        second = [await world.ask() for _ in range(2)]

    told = [answer.headers["x-switchgear-cache"] for answer in (*first, *second)]
    assert told == ["miss", "exact", "miss", "exact"]
    assert [answer.headers["x-switchgear-version"] for answer in (*first, *second)] == ["one", "one", "two", "two"]
