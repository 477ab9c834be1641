"""Encrypted and signed reasoning goes back to the account that made it, through a gateway with two: each refuses the other's."""

import json
from contextlib import asynccontextmanager

import httpx2
import pytest

from tests.contract.upstream_faulty_server import serving
from tests.faults.faulty_upstream import LAST_CHUNK, STREAM_HEAD, chunk, document
from tests.journeys.running_gateway import running

CONFIG = """
providers:
  left: {{kind: {kind}, base_url: "http://127.0.0.1:{left}{root}", api_key: "env:KEY"{apis}}}
  right: {{kind: {kind}, base_url: "http://127.0.0.1:{right}{root}", api_key: "env:KEY"{apis}}}
models:
  talk:
    targets: [{{provider: left, model: m}}, {{provider: right, model: m}}]
    routing: {{strategy: weighted, breaker: {{failures: 1000, share: 1, least: 1000}}}}
"""
DIALECTS = {
    "messages": ("anthropic", "", ""),
    "responses": ("openai_compatible", "/v1", ", apis: [responses]"),
}
PATHS = {"messages": "/v1/messages", "responses": "/v1/responses"}
REFUSALS = {
    "messages": "messages.1.content.0: Invalid `signature` in `thinking` block",
    "responses": "The encrypted content for item rs_1 could not be verified.",
}


def event(name, **fields):
    return f"event: {name}\ndata: {json.dumps({'type': name, **fields}, separators=(',', ':'))}\n\n".encode()


class Account:
    """A double of one account of a provider: it signs what it thinks, and refuses what it did not sign."""

    def __init__(self, name, api):
        self.name = name
        self.api = api
        self.asked = []
        self.made = 0
        self.down = False
        self.port = 0

    async def script(self, peer):
        while True:
            _, _, raw = (await peer.request()).partition(b"\r\n\r\n")
            body = json.loads(raw)
            self.asked.append(body)
            if self.down:
                await peer.send(document(b'{"error": {"message": "Down."}}', status=503))
                continue
            if any(self.name not in opaque for opaque in opaques(body)):
                refusal = {"type": "error", "error": {"type": "invalid_request_error", "message": REFUSALS[self.api]}}
                await peer.send(document(json.dumps(refusal).encode(), status=400))
                continue
            self.made += 1
            opaque = f"sig/{self.name}/{self.made:04}=="
            answer = message if self.api == "messages" else response
            if body.get("stream"):
                await peer.send(STREAM_HEAD)
                for each in (streamed_message if self.api == "messages" else streamed_response)(opaque):
                    await peer.send(chunk(each))
                await peer.send(LAST_CHUNK)
            else:
                await peer.send(document(json.dumps(answer(opaque)).encode()))


def opaques(body):
    for turn in body.get("messages", []):
        for block in turn["content"] if isinstance(turn["content"], list) else []:
            if block["type"] == "thinking":
                yield block["signature"]
    for item in body.get("input", []) if isinstance(body.get("input"), list) else []:
        if item.get("type") == "reasoning":
            yield item["encrypted_content"]


def message(opaque):
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "tool_use", "stop_sequence": None,
        "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": opaque},
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}},
        ],
        "usage": {"input_tokens": 3, "output_tokens": 4},
    }  # fmt: skip


def streamed_message(opaque):
    half = len(opaque) // 2
    head = {**message(opaque), "content": [], "stop_reason": None}
    yield event("message_start", message=head)
    yield event("content_block_start", index=0, content_block={"type": "thinking", "thinking": "", "signature": ""})
    yield event("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "Hm."})
    # In two pieces, as the API allows.
    yield event("content_block_delta", index=0, delta={"type": "signature_delta", "signature": opaque[:half]})
    yield event("content_block_delta", index=0, delta={"type": "signature_delta", "signature": opaque[half:]})
    yield event("content_block_stop", index=0)
    yield event(
        "content_block_start", index=1, content_block={"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
    )
    yield event("content_block_stop", index=1)
    yield event("message_delta", delta={"stop_reason": "tool_use", "stop_sequence": None}, usage={"output_tokens": 4})
    yield event("message_stop")


def response(opaque):
    return {
        "id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "m", "error": None,
        "output": [
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": opaque},
            {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}", "status": "completed"},
        ],
        "usage": {
            "input_tokens": 3, "output_tokens": 4, "total_tokens": 7, "input_tokens_details": {"cached_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 1},
        },
    }  # fmt: skip


def streamed_response(opaque):
    whole = response(opaque)
    yield event("response.created", sequence_number=0, response={**whole, "status": "in_progress", "output": []})
    for number, item in enumerate(whole["output"]):
        yield event("response.output_item.added", sequence_number=1, output_index=number, item=item)
        yield event("response.output_item.done", sequence_number=2, output_index=number, item=item)
    yield event("response.completed", sequence_number=3, response=whole)


def first(api, *, stream):
    if api == "messages":
        asked = {"max_tokens": 100, "thinking": {"type": "enabled", "budget_tokens": 1024}, "messages": []}
        asked["messages"] = [{"role": "user", "content": "Hello"}]
    else:
        asked = {
            "store": False,
            "include": ["reasoning.encrypted_content"],
            "input": [{"role": "user", "content": "Hello"}],
        }
    return {"model": "talk", "stream": stream, **asked}


def following(api, asked, opaque):
    if api == "messages":
        turns = [
            {"role": "assistant", "content": message(opaque)["content"]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "done"}]},
        ]
        return {**asked, "messages": [*asked["messages"], *turns]}
    result = {"type": "function_call_output", "call_id": "call_1", "output": "done"}
    return {**asked, "input": [*asked["input"], *response(opaque)["output"], result]}


class World:
    def __init__(self, api, accounts, gateway, http):
        self.api = api
        self.accounts = accounts
        self.gateway = gateway
        self.http = http

    async def ask(self, body):
        answer = await self.http.post(PATHS[self.api], json=body)
        return answer, answer.headers.get("x-switchgear-target", "/").partition("/")[0]

    def forget(self):
        self.gateway.application.live._surroundings.origins._known.clear()

    def made_last(self, name):
        account = self.accounts[name]
        return f"sig/{name}/{account.made:04}=="


@asynccontextmanager
async def world_of(folder, api):
    accounts = {name: Account(name, api) for name in ("left", "right")}
    kind, root, apis = DIALECTS[api]
    async with serving(accounts["left"].script) as left, serving(accounts["right"].script) as right:
        config = CONFIG.format(left=left.port, right=right.port, kind=kind, root=root, apis=apis)
        async with (
            running(folder, config, environ={"KEY": "k"}) as gateway,
            httpx2.AsyncClient(base_url=gateway.url, timeout=10) as http,
        ):
            yield World(api, accounts, gateway, http)


@pytest.fixture(params=["messages", "responses"])
async def world(request, tmp_path):
    async with world_of(tmp_path, request.param) as world:
        yield world


@pytest.mark.parametrize("stream", [False, True])
async def test_reasoning_goes_back_to_the_account_that_made_it(world, stream):
    asked = first(world.api, stream=stream)
    for _ in range(3):
        _, maker = await world.ask(asked)
        turn = following(world.api, asked, world.made_last(maker))
        answers = [await world.ask(turn) for _ in range(4)]

        assert [(answer.status_code, target) for answer, target in answers] == [(200, maker)] * 4
        assert "x-switchgear-dropped" not in answers[0][0].headers
    record = world.gateway.records[-1]
    assert record.decision.considered[0].why == f"the call holds reasoning that {maker}/m made"


@pytest.mark.parametrize("stream", [False, True])
async def test_where_that_account_is_down_the_other_answers_without_it_and_says_so(world, stream):
    asked = first(world.api, stream=stream)
    _, maker = await world.ask(asked)
    opaque = world.made_last(maker)
    world.accounts[maker].down = True
    answer, target = await world.ask(following(world.api, asked, opaque))

    assert (answer.status_code, target != maker) == (200, True)
    dropped = {"messages": "messages[1], thinking", "responses": "input[1]"}[world.api]
    assert answer.headers["x-switchgear-dropped"] == dropped
    seen = world.accounts[target].asked[-1]
    assert opaque not in json.dumps(seen)
    assert "fc_1" not in json.dumps(seen)
    assert "thinking" not in seen
    assert world.gateway.records[-1].dropped == tuple(dropped.split(", "))


async def test_reasoning_of_unknown_origin_is_tried_and_then_left_out(world):
    asked = first(world.api, stream=False)
    _, maker = await world.ask(asked)
    turn = following(world.api, asked, world.made_last(maker))
    world.forget()
    answers = []
    for _ in range(2):
        answers.append(await world.ask(turn))
        world.forget()

    assert [answer.status_code for answer, _ in answers] == [200, 200]
    assert {target for _, target in answers} == {"left", "right"}
    assert ["x-switchgear-dropped" in answer.headers for answer, target in answers] == [
        target != maker for _, target in answers
    ]


async def test_who_accepted_it_is_remembered(world):
    asked = first(world.api, stream=False)
    _, maker = await world.ask(asked)
    turn = following(world.api, asked, world.made_last(maker))
    world.forget()
    for _ in range(2):
        await world.ask(turn)

    assert [(await world.ask(turn))[1] for _ in range(3)] == [maker] * 3


async def test_explain_says_where_reasoning_goes_and_why(world):
    asked = first(world.api, stream=False)
    _, maker = await world.ask(asked)
    turn = following(world.api, asked, world.made_last(maker))
    explained = (await world.http.post(f"/v1/route/explain?api={world.api}", json=turn)).json()["considered"][0]

    assert (explained["target"], explained["why"]) == (f"{maker}/m", f"the call holds reasoning that {maker}/m made")


async def test_calls_without_reasoning_go_by_weight_as_ever(world):
    asked = first(world.api, stream=False)
    asked.pop("thinking", None)
    asked.pop("include", None)
    targets = [(await world.ask(asked))[1] for _ in range(4)]

    assert sorted(targets) == ["left", "left", "right", "right"]
    assert len(world.gateway.application.live._surroundings.origins) == 0


async def test_clients_of_another_api_keep_it_too(tmp_path):
    async with world_of(tmp_path, "messages") as world:
        asked = {"model": "talk", "store": False, "include": ["reasoning.encrypted_content"], "input": "Hello"}
        asked["reasoning"] = {"effort": "high"}
        begun = await world.http.post("/v1/responses", json=asked)
        output = begun.json()["output"]
        turn = {"role": "user", "content": "Hello"}
        result = {"type": "function_call_output", "call_id": output[-1]["call_id"], "output": "done"}
        asked["input"] = [turn, *output, result]
        maker = begun.headers["x-switchgear-target"]
        answers = [await world.http.post("/v1/responses", json=asked) for _ in range(4)]

        assert [(answer.status_code, answer.headers["x-switchgear-target"]) for answer in answers] == [(200, maker)] * 4
        assert list(opaques(world.accounts[maker.partition("/")[0]].asked[-1])) == [
            f"sig/{maker.partition('/')[0]}/0001=="
        ]

        world.accounts[maker.partition("/")[0]].down = True
        moved = await world.http.post("/v1/responses", json=asked)
        assert moved.status_code == 200
        assert "input[1]" in moved.headers["x-switchgear-dropped"]
