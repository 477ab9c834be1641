"""Requests for responses that come again byte for byte on one connection: what is to be kept is kept each time, and the rest is answered the short way."""

import json

import httpx2
import pytest

from gateway.api.inside import ask_as
from gateway.core.caller import Caller
from tests.journeys.one_write import OneWrite
from tests.journeys.responses_world import responses_world

CACHED = "runs: {poll: 0.1}\ncache: {models: {mode: exact, pace: 0}}"
HELLO = {"model": "talker", "input": "hello"}


@pytest.fixture
async def world(tmp_path):
    async with responses_world(tmp_path, runs=CACHED) as world:
        yield world


@pytest.fixture
async def http(world):
    async with httpx2.AsyncClient(base_url=world.gateway.url, transport=OneWrite()) as http:
        yield http


async def ask(world, http, body, *, key="ours"):
    headers = {"authorization": f"Bearer {world.keys[key]}", "content-type": "application/json"}
    return await http.post("/v1/responses", content=json.dumps(body).encode(), headers=headers)


def said(answer):
    return answer.json()["output"][0]["content"][0]["text"]


@pytest.mark.parametrize("before", [0, 3], ids=["new", "read-for-a-batch"])
@pytest.mark.parametrize("more", [{}, {"store": True}])
async def test_each_of_the_same_requests_is_a_response_of_its_own(world, http, more, before):
    """Although a batch, which keeps nothing, has read the very same bytes."""
    body = {**HELLO, **more}
    inside = ask_as(world.gateway.application.edge, None, Caller(id="a-batch", tenant="another"))
    for _ in range(before):
        assert (await inside("/v1/responses", json.dumps(body).encode())).status == 200
    ids = [(await ask(world, http, body)).json()["id"] for _ in range(5)]

    assert len(set(ids)) == 5
    assert [(await world.ours.responses.retrieve(name)).output_text for name in ids] == ["You said: hello"] * 5


async def test_what_is_not_to_be_kept_is_answered_from_the_cache(world, http):
    answers = [await ask(world, http, {**HELLO, "store": False}) for _ in range(5)]
    ids = [answer.json()["id"] for answer in answers]

    assert [answer.headers["x-switchgear-cache"] for answer in answers] == ["miss", *["exact"] * 4]
    assert [said(answer) for answer in answers] == ["You said: hello"] * 5
    assert (len(set(ids)), len(world.gateway.application.live.current().bodies._known)) == (5, 1)
    for name in ids:
        assert (await world.raw("GET", f"/v1/responses/{name}")).status_code == 404


async def test_the_same_words_in_a_conversation_are_another_turn_each_time(world, http):
    conversation = (await world.ours.conversations.create()).id
    body = {"model": "talker", "input": "count", "conversation": conversation}
    texts = [said(await ask(world, http, body)) for _ in range(3)]
    items = (await world.ours.conversations.items.list(conversation)).data

    assert (texts, len(items)) == (["first", "second", "third"], 6)


async def test_who_may_not_go_on_from_it_may_not_although_the_request_is_known(world, http):
    """Nothing is kept of it, which is no reason to look nowhere."""
    first = (await ask(world, http, HELLO)).json()["id"]
    body = {"model": "talker", "input": "and then?", "previous_response_id": first, "store": False}
    ours = [(await ask(world, http, body)).status_code for _ in range(4)]
    theirs = [await ask(world, http, body, key="theirs") for _ in range(3)]
    await world.raw("DELETE", f"/v1/responses/{first}")
    after = await ask(world, http, body)

    assert (ours, after.status_code) == ([200] * 4, 404)
    assert [(one.status_code, one.json()["error"]["param"]) for one in theirs] == [(404, "previous_response_id")] * 3


async def test_the_same_request_in_the_background_runs_each_time(world, http):
    ids = [(await ask(world, http, {**HELLO, "background": True})).json()["id"] for _ in range(4)]

    assert [(await world.ended(name)).status for name in ids] == ["completed"] * 4
    assert len(set(ids)) == 4
