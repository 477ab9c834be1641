"""The same request again and again on one connection: it is read and judged in fewer steps, and nobody can tell from what comes of it."""

import contextlib
import json
import re

import anyio
import anyio.lowlevel
import httpx2
import msgspec
import pytest

from gateway.api.door import Door
from tests.faults.faulty_upstream import APIS
from tests.journeys.one_write import OneWrite
from tests.journeys.running_gateway import running

SCRIPT = """
models:
  talker:
    answers:
      - {say: "You said: {input}", usage: {input: 50, output: 50}}
  other:
    answers:
      - {say: "Another said: {input}", usage: {input: 50, output: 50}}
"""
CONFIG = """
database: {kind: sqlite, path: data/x.db}
access: {bootstrap_key_file: data/first.key}
providers: {play: {kind: scripted, document: script.yaml}}
prices: {talker: {input: 1000, output: 1000, cache_read: 0, cache_write: 0}}
limits: {calls: {limit: 12, per: [key], match: {model: [rare]}}}
cache: {models: {mode: exact, pace: 0}}
models:
  talker: play/talker
  rare: play/talker
"""
FRONT = """
server: {{keys: ["env:FRONT_KEY"]}}
providers: {{up: {{kind: openai_compatible, base_url: "{url}/v1", api_key: "env:BACK_KEY", apis: [chat, messages, completions]}}}}
cache: {{models: {{mode: exact, pace: 0}}}}
models: {{talker: up/talker}}
"""
PATHS = {**APIS, "completions": "/v1/completions"}
_OWN = re.compile(rb"(chatcmpl-|cmpl-|msg_)[0-9a-f]{24}|(?<=\"created\":)\d+")


class World:
    def __init__(self, folder, gateway, http, key):
        self.folder = folder
        self.gateway = gateway
        self.http = http
        self.key = key

    async def ask(self, body, *, api="chat", key=None, **headers):
        given = {"authorization": f"Bearer {key or self.key}", "content-type": "application/json", **headers}
        return await self.http.post(PATHS[api], content=msgspec.json.encode(body), headers=given)

    async def told(self, *args, **more):
        return (await self.ask(*args, **more)).headers.get("x-switchgear-cache")

    async def make_key(self, name, **more):
        answer = await self.http.post(
            "/admin/keys", json={"name": name, **more}, headers={"authorization": f"Bearer {self.key}"}
        )
        return answer.json()

    async def change(self, before, after):
        path = self.folder / "switchgear.yaml"
        path.write_text(path.read_text().replace(before, after))
        await self.gateway.application.live.reload("test")

    @property
    def known(self):
        return list(self.gateway.application.live.current().bodies._known.values())


@contextlib.asynccontextmanager
async def one_connection(gateway):
    async with httpx2.AsyncClient(base_url=gateway.url, transport=OneWrite()) as http:
        yield http


@pytest.fixture
async def world(tmp_path):
    (tmp_path / "script.yaml").write_text(SCRIPT)
    async with running(tmp_path, CONFIG) as gateway, one_connection(gateway) as http:
        yield World(tmp_path, gateway, http, (tmp_path / "data/first.key").read_text().strip())


@pytest.fixture
async def verbatim(world, tmp_path_factory):
    """A gateway through which calls go as they came."""
    config, environ = FRONT.format(url=world.gateway.url), {"FRONT_KEY": "a-key", "BACK_KEY": world.key}
    folder = tmp_path_factory.mktemp("front")
    async with running(folder, config, environ=environ) as gateway, one_connection(gateway) as http:
        yield World(folder, gateway, http, "a-key")


def chat(text="hello", **more):
    return {"model": "talker", "messages": [{"role": "user", "content": text}], **more}


def bodies(stream):
    asks = {"stream": stream}
    return {
        "chat": chat(**asks),
        "messages": chat(max_tokens=100, **asks),
        "completions": {"model": "talker", "prompt": "hello", **asks},
    }


def plain(answer):
    return _OWN.sub(b"0", answer.content)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("api", ["chat", "messages", "completions"])
@pytest.mark.parametrize("through", ["world", "verbatim"])
async def test_a_body_that_came_before_is_answered_as_it_was_the_first_time(world, verbatim, through, api, stream):
    world = {"world": world, "verbatim": verbatim}[through]
    first, *others = [await world.ask(bodies(stream)[api], api=api) for _ in range(6)]

    assert [answer.headers["x-switchgear-cache"] for answer in (first, *others)] == ["miss", *["exact"] * 5]
    assert len({answer.headers["x-switchgear-call-id"] for answer in (first, *others)}) == 6
    for answer in others:
        assert answer.status_code == first.status_code
        assert set(answer.headers) == {*first.headers, "age"}
        assert answer.headers["x-switchgear-call-id"].removeprefix("call_") in answer.text
    assert len({plain(answer) for answer in others}) == 1
    if not stream:
        assert msgspec.json.decode(plain(first)) == msgspec.json.decode(plain(others[0]))
    assert len(world.known) == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_what_came_before_is_answered_at_once(verbatim, monkeypatch, stream):
    """The first two requests are waited for: one to see its head and one to know its body."""
    waited, receive = [], Door._receive

    def note(self, *args):
        waited.append(args)
        return receive(self, *args)

    monkeypatch.setattr(Door, "_receive", note)
    told = [await verbatim.told(chat(stream=stream)) for _ in range(6)]

    assert told == ["miss", *["exact"] * 5]
    assert len(waited) == 2 + 1, "two here, and the upstream's one"


@pytest.mark.parametrize("stream", [False, True])
async def test_hits_have_records_that_differ_in_what_is_theirs_alone(verbatim, stream):
    answers = [await verbatim.ask(chat(stream=stream, temperature=0.0)) for _ in range(6)]
    _, *hits = verbatim.gateway.records
    first, *others = [msgspec.to_builtins(record) for record in hits]

    assert [one["id"] for one in (first, *others)] == [one.headers["x-switchgear-call-id"] for one in answers[1:]]
    assert first["cache"] == "exact"
    assert first["parameters"] == {"temperature": 0.0}
    for one in others:
        assert {name for name in one if one[name] != first[name]} <= {"id", "started_at", "duration", "first_token"}
        assert 0 < one["first_token"] <= one["duration"] < 5
        assert one["started_at"] >= first["started_at"]


async def test_a_traced_hit_has_its_trace_in_its_record(verbatim):
    traces = [f"00-{number:032x}-{number:016x}-01" for number in range(1, 6)]
    for trace in traces:
        await verbatim.ask(chat(), traceparent=trace)

    assert [record.trace for record in verbatim.gateway.records] == traces


async def test_a_known_body_is_each_callers_own(world):
    """Callers of a tenant share answers; another tenant has its own."""
    mate = (await world.make_key("mate"))["key"]
    tenant = await world.http.post(
        "/admin/tenants", json={"name": "B"}, headers={"authorization": f"Bearer {world.key}"}
    )
    stranger = (await world.make_key("stranger", tenant=tenant.json()["id"]))["key"]
    for _ in range(3):
        await world.ask(chat())
    told = [[await world.told(chat(), key=key) for _ in range(3)] for key in (mate, stranger)]
    callers = [record.caller for record in world.gateway.records]

    assert told == [["exact"] * 3, ["miss", "exact", "exact"]]
    assert [callers.count(caller) for caller in dict.fromkeys(callers)] == [3, 3, 3]
    assert len({record.tenant for record in world.gateway.records}) == 2


async def test_a_revoked_key_is_refused_although_all_that_it_sends_is_known(world):
    made = await world.make_key("short")
    before = [(await world.ask(chat(), key=made["key"])).status_code for _ in range(4)]
    await world.http.post(f"/admin/keys/{made['id']}/revoke", headers={"authorization": f"Bearer {world.key}"})
    after = [await world.ask(chat(), key=made["key"]) for _ in range(2)]

    assert before == [200] * 4
    assert [(answer.status_code, answer.json()["error"]["code"]) for answer in after] == [(401, "revoked_api_key")] * 2


async def test_what_a_key_may_no_longer_use_is_refused_although_it_is_known(world):
    made = await world.make_key("narrow")
    admin = {"authorization": f"Bearer {world.key}"}
    before = [(await world.ask(chat(), key=made["key"])).status_code for _ in range(4)]
    await world.http.patch(f"/admin/keys/{made['id']}", json={"models": ["rare"]}, headers=admin)
    after = [(await world.ask(chat(), key=made["key"])).status_code for _ in range(2)]

    assert (before, after) == ([200] * 4, [403] * 2)


async def test_what_one_key_has_made_known_another_may_use_only_by_its_own_rights(world):
    narrow = (await world.make_key("narrow", models=["rare"]))["key"]
    for _ in range(4):
        await world.ask(chat())
    refused = [(await world.ask(chat(), key=narrow)).status_code for _ in range(3)]

    assert refused == [403] * 3


async def test_a_budget_that_is_made_later_holds_for_what_is_known(world):
    for _ in range(4):
        await world.ask(chat())
    budget = {"name": "few", "count": "requests", "limit": 2, "per": ["key"]}
    await world.http.post("/admin/budgets", json=budget, headers={"authorization": f"Bearer {world.key}"})
    with anyio.fail_after(10):
        while (answer := await world.ask(chat())).status_code == 200:
            await anyio.lowlevel.checkpoint()

    assert answer.json()["error"]["code"] == "rate_limit_exceeded"
    assert (await world.ask(chat())).status_code == 429


async def test_a_limit_ends_hits_as_it_ends_all_calls(world):
    statuses = [(await world.ask({**chat(), "model": "rare"})).status_code for _ in range(15)]
    refused = world.gateway.records[-3:]

    assert statuses == [200] * 12 + [429] * 3
    assert [record.error for record in refused] == ["rate_limit_exceeded"] * 3


async def test_a_reload_forgets_what_was_known(world):
    for _ in range(4):
        await world.ask(chat())
    await world.change("talker: play/talker", "talker: play/other")
    answers = [await world.ask(chat()) for _ in range(4)]

    assert [answer.headers["x-switchgear-cache"] for answer in answers] == ["miss", *["exact"] * 3]
    assert all("Another said" in answer.text for answer in answers)

    await world.change("  talker: play/other\n", "")
    gone = await world.ask(chat())

    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "model_not_found")


async def test_what_is_removed_is_not_given_to_who_is_known(world):
    for _ in range(4):
        await world.ask(chat())
    await world.http.delete("/admin/cache?model=talker", headers={"authorization": f"Bearer {world.key}"})

    assert [await world.told(chat()) for _ in range(3)] == ["miss", "exact", "exact"]


async def test_what_is_asked_of_the_cache_is_asked_for_once(world):
    """By a header for the same body, or in the body, which is then never known."""
    for _ in range(4):
        await world.ask(chat())
    told = [await world.told(chat(), **{"cache-control": "no-cache"}), await world.told(chat())]
    inside = [await world.told(chat(cache={"mode": "off"})) for _ in range(4)]

    assert told == ["miss; write", "exact"]
    assert all(each.startswith("bypass") for each in inside)
    assert len(world.known) == 1


@pytest.mark.parametrize("through", ["world", "verbatim"])
async def test_nothing_changes_what_a_known_body_says(world, verbatim, through):
    """What many calls share, none may write into: whatever they go through."""
    world = {"world": world, "verbatim": verbatim}[through]
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    asked = [
        chat("one", stop=["x"], metadata={"a": "b"}),
        chat("two", tools=[tool], temperature=1.5),  # is not cached: goes to the upstream each time
        chat("three", stream=True, stream_options={"include_usage": True}),
        chat("four", response_format={"type": "json_object"}, temperature=1.5),
    ]
    for body in asked:
        for _ in range(4):
            await world.ask(body)

    said = {json.dumps(known.fields, sort_keys=True) for known in world.known}
    assert said == {json.dumps(body, sort_keys=True) for body in asked}
