"""The official anthropic client, strict, against a script and against an upstream of its own kind."""

import json

import anthropic
import pytest

from tests.contract.upstream_faulty_server import serving
from tests.faults.faulty_upstream import document
from tests.journeys.running_gateway import running

SCRIPT = """
models:
  talker:
    answers:
      - {when: {contains: think}, think: Let me think., signature: c2lnbmVk, say: So., usage: {input: 3, cache_read: 2, cache_write: 4, output: 5}}
      - {when: {contains: weather, turn: 0}, say: Let me see., call: [{tool: get_weather, arguments: {city: Paris}}]}
      - {when: {after_tool: get_weather}, say: "It is {tool_result}."}
      - {when: {contains: refuse}, refuse: I would rather not.}
      - {when: {contains: status400}, fail: {status: 400, message: Too odd.}}
      - {when: {contains: status429}, fail: {status: 429, message: Slow down., retry_after: 7}}
      - {when: {contains: status500}, fail: {status: 500, message: Oh no.}}
      - {when: {contains: status529}, fail: {status: 529, message: Busy.}}
      - {when: {contains: break}, say: one two three, fail: {broken: true, after_deltas: 1, message: The line broke.}}
      - {say: "You said: {input}"}
"""
CONFIG = """
server: {{keys: ["env:GATE_KEY"]}}
providers:
  play: {{kind: scripted, document: script.yaml}}
  claude: {{kind: anthropic, base_url: "{url}", api_key: "env:CLAUDE_KEY", beta: [operator-beta]}}
models:
  talker: play/talker
  claude: claude/claude-real-name
"""
ENV = {"GATE_KEY": "a-key-of-the-gate", "CLAUDE_KEY": "a-key-of-the-vendor"}
TOOLS = [{"name": "get_weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}]
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-real-name",
    "content": [
        {"type": "thinking", "thinking": "Hm.", "signature": "EqQBCgIYAhIM+/=="},
        {"type": "redacted_thinking", "data": "opaque=="},
        {"type": "text", "text": "So."},
    ],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 9},
}


class Vendor:
    """A double of Anthropic: always the same message; it keeps what it was asked."""

    def __init__(self):
        self.asked = []

    async def script(self, peer):
        while True:
            self.asked.append(await peer.request())
            await peer.send(document(json.dumps(MESSAGE).encode(), headers=b"request-id: req_1\r\n"))


@pytest.fixture
async def vendor():
    vendor = Vendor()
    async with serving(vendor.script) as server:
        vendor.url = f"http://127.0.0.1:{server.port}"
        yield vendor


@pytest.fixture
async def gateway(tmp_path, vendor):
    (tmp_path / "script.yaml").write_text(SCRIPT)
    async with running(tmp_path, CONFIG.format(url=vendor.url), environ=ENV) as gateway:
        yield gateway


@pytest.fixture
async def client(gateway):
    async with anthropic.AsyncAnthropic(
        api_key=ENV["GATE_KEY"], base_url=gateway.url, max_retries=0, _strict_response_validation=True
    ) as client:
        yield client


def ask(text, *more, model="talker"):
    return {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": text}, *more]}


async def test_a_message_says_what_it_used_in_separate_buckets(client, gateway):
    message = await client.messages.create(**ask("think"), thinking={"type": "enabled", "budget_tokens": 1024})

    assert [(block.type, getattr(block, "signature", None)) for block in message.content] == [
        ("thinking", "c2lnbmVk"),
        ("text", None),
    ]
    usage = message.usage
    assert (
        usage.input_tokens,
        usage.cache_read_input_tokens,
        usage.cache_creation_input_tokens,
        usage.output_tokens,
    ) == (3, 2, 4, 5)
    assert gateway.records[0].usage.total == 14


async def test_a_streamed_message_adds_up_and_has_one_block_open_at_a_time(client):
    open_block = None
    async with client.messages.stream(**ask("think"), thinking={"type": "enabled", "budget_tokens": 1024}) as stream:
        async for event in stream:
            if event.type == "content_block_start":
                assert open_block is None
                open_block = event.index
            elif event.type == "content_block_stop":
                assert open_block == event.index
                open_block = None
        message = await stream.get_final_message()

    assert open_block is None
    assert message.content[0].signature == "c2lnbmVk"
    assert message.content[1].text == "So."
    assert message.usage.output_tokens == 5


@pytest.mark.parametrize("stream", [False, True])
async def test_a_tool_is_called_and_its_result_taken(client, stream):
    if stream:
        async with client.messages.stream(**ask("weather?"), tools=TOOLS) as events:
            first = await events.get_final_message()
    else:
        first = await client.messages.create(**ask("weather?"), tools=TOOLS)
    [_, call] = first.content
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}]}
    said = {"role": "assistant", "content": [block.to_dict() for block in first.content]}
    second = await client.messages.create(**ask("weather?", said, result), tools=TOOLS)

    assert (first.stop_reason, call.input) == ("tool_use", {"city": "Paris"})
    assert second.content[0].text == "It is sunny."


async def test_a_refusal_stops_as_one(client):
    assert (await client.messages.create(**ask("refuse"))).stop_reason == "refusal"


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("status400", anthropic.BadRequestError, "Too odd."),
        ("status429", anthropic.RateLimitError, "Slow down."),
        ("status500", anthropic.InternalServerError, "Oh no."),
        ("status529", anthropic.InternalServerError, "Busy."),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_refusal_of_the_upstream_is_the_clients_own_exception(client, text, kind, message, stream):
    with pytest.raises(kind, match=message) as caught:
        await client.messages.create(**ask(text), stream=stream)

    assert caught.value.body["type"] == "error"
    assert text != "status429" or caught.value.response.headers["retry-after"] == "7"


async def test_a_stream_that_breaks_raises_in_the_client(client):
    stream = await client.messages.create(**ask("break"), stream=True)
    with pytest.raises(anthropic.APIStatusError, match="The line broke"):
        [event async for event in stream]


async def test_a_wrong_key_and_an_unknown_model_are_the_clients_own_exceptions(client):
    with pytest.raises(anthropic.AuthenticationError):
        await client.with_options(api_key="wrong").messages.create(**ask("x"))
    with pytest.raises(anthropic.NotFoundError, match="talker"):
        await client.messages.create(**ask("x", model="talkre"))


async def test_tokens_are_counted_and_models_listed(client):
    counted = await client.messages.count_tokens(model="talker", messages=ask("one two")["messages"])
    listed = [model.id async for model in client.models.list()]

    assert counted.input_tokens >= 2
    assert listed == ["talker", "claude"]
    assert (await client.models.retrieve("claude")).display_name == "claude"


async def test_what_goes_to_anthropic_is_what_the_client_wrote_and_comes_back_untouched(client, vendor):
    first = await client.messages.with_raw_response.create(
        **ask("hi", model="claude"), extra_headers={"anthropic-beta": "client-beta"}
    )
    message = await first.parse()
    said = {"role": "assistant", "content": [block.to_dict() for block in message.content]}
    await client.messages.create(**ask("hi", said, {"role": "user", "content": "go on"}, model="claude"))

    head, _, body = vendor.asked[0].partition(b"\r\n\r\n")
    assert json.loads(body) == {**ask("hi"), "model": "claude-real-name"}
    assert b"x-api-key: a-key-of-the-vendor" in head
    assert b"a-key-of-the-gate" not in vendor.asked[0]
    assert b"anthropic-beta: operator-beta,client-beta" in head
    assert first.headers["request-id"] == "req_1"
    assert message.to_dict() == MESSAGE
    again = json.loads(vendor.asked[1].partition(b"\r\n\r\n")[2])
    assert again["messages"][1]["content"] == MESSAGE["content"]
