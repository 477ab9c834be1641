"""Every model is reachable through every chat dialect: each official client against each kind of upstream, verbatim or not.

The upstream is a second gateway that plays a script; what it was asked is in its records, and in what it answers.
"""

import json

import anthropic
import openai
import pytest

from tests.journeys.running_gateway import running

SCRIPT = """
models:
  talker:
    answers:
      - when: {contains: weather, turn: 0}
        say: Let me see.
        call:
          - {tool: get_weather, arguments: {city: Paris}}
          - {tool: get_weather, arguments: {city: Rome}}
      - {when: {after_tool: get_weather}, say: "It is {tool_result}."}
      - {when: {contains: think}, think: A thought., signature: c2lnbmVk, say: So., usage: {input: 9, cache_read: 4, output: 2, reasoning: 3}}
      - {when: {contains: shorten}, say: Not the whole, finish: length}
      - {when: {contains: status429}, fail: {status: 429, message: Slow down., retry_after: 7}}
      - {when: {contains: status404}, fail: {status: 404, message: No such model here.}}
      - {when: {contains: break}, say: one two three four, pace: 0.02, fail: {broken: true, after_deltas: 2, message: The line broke.}}
      - {say: "You said: {input}", usage: {input: 5, cache_read: 6, output: 7}}
"""
BACK = """
providers: {play: {kind: scripted, document: script.yaml}}
routing: {retry: {attempts: 1}, breaker: {failures: 10000, least: 1000000}}
models: {talker: play/talker}
"""
FRONT = """
providers:
  chat: {{kind: openai_compatible, base_url: "{url}/v1", apis: [chat]}}
  responses: {{kind: openai_compatible, base_url: "{url}/v1", apis: [responses]}}
  messages: {{kind: anthropic, base_url: "{url}", api_key: "env:BACK_KEY"}}
routing: {{retry: {{attempts: 1}}, breaker: {{failures: 10000, least: 1000000}}}}
models:
  chat: {{targets: [{{provider: chat, model: talker}}], on_unsupported: drop}}
  responses: {{targets: [{{provider: responses, model: talker}}], on_unsupported: drop}}
  messages: {{targets: [{{provider: messages, model: talker}}], on_unsupported: drop}}
"""
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
KEY = {"BACK_KEY": "a-key-for-the-back"}


class Told:
    """What a client made of an answer, whatever its dialect."""

    def __init__(self, text, calls, reason, tokens):
        self.text = text
        self.calls = calls
        self.reason = reason
        self.tokens = tokens


class Chat:
    """The openai client through /v1/chat/completions."""

    errors = (openai.RateLimitError, openai.NotFoundError, openai.APIError)

    def __init__(self, gateway):
        self.client = openai.AsyncOpenAI(
            api_key="none", base_url=f"{gateway.url}/v1", max_retries=0, _strict_response_validation=True
        )
        self.tools = [
            {
                "type": "function",
                "function": {
                    "name": "get_weather",
                    "description": "Weather.",
                    "parameters": PARAMETERS,
                },
            }
        ]

    async def ask(self, model, turns, *, stream):
        create = self.client.chat.completions
        if not stream:
            answer = await create.create(model=model, messages=turns, tools=self.tools)
        else:
            options = {"include_usage": True}
            async with create.stream(model=model, messages=turns, tools=self.tools, stream_options=options) as events:
                try:
                    async for _ in events:
                        pass
                    answer = await events.get_final_completion()
                except openai.LengthFinishReasonError as error:  # the helper's way to say so
                    answer = error.completion
        [choice] = answer.choices
        calls = [(call.id, call.function.name, call.function.arguments) for call in choice.message.tool_calls or ()]
        self.said = choice.message.to_dict()
        tokens = (answer.usage.prompt_tokens, answer.usage.completion_tokens)
        return Told(choice.message.content, calls, choice.finish_reason, tokens)

    def results(self, calls, text):
        return [self.said, *({"role": "tool", "tool_call_id": call[0], "content": text} for call in calls)]


class Responses:
    """The openai client through /v1/responses."""

    errors = Chat.errors

    def __init__(self, gateway):
        self.client = Chat(gateway).client
        self.tools = [
            {
                "type": "function",
                "name": "get_weather",
                "description": "Weather.",
                "parameters": PARAMETERS,
            }
        ]

    async def ask(self, model, turns, *, stream):
        if not stream:
            answer = await self.client.responses.create(model=model, input=turns, tools=self.tools)
        else:
            events = [
                event
                async for event in await self.client.responses.create(
                    model=model, input=turns, tools=self.tools, stream=True
                )
            ]
            assert [event.sequence_number for event in events] == list(range(len(events)))
            answer = events[-1].response
        calls = [(item.call_id, item.name, item.arguments) for item in answer.output if item.type == "function_call"]
        self.said = [item.to_dict() for item in answer.output]
        reason = answer.incomplete_details.reason if answer.incomplete_details else answer.status
        tokens = (answer.usage.input_tokens, answer.usage.output_tokens) if answer.usage else None
        return Told(answer.output_text, calls, reason, tokens)

    def results(self, calls, text):
        return [*self.said, *({"type": "function_call_output", "call_id": call[0], "output": text} for call in calls)]


class Messages:
    """The anthropic client through /v1/messages."""

    errors = (anthropic.RateLimitError, anthropic.NotFoundError, anthropic.APIError)

    def __init__(self, gateway):
        self.client = anthropic.AsyncAnthropic(
            api_key="none", base_url=gateway.url, max_retries=0, _strict_response_validation=True
        )
        self.tools = [{"name": "get_weather", "description": "Weather.", "input_schema": PARAMETERS}]

    async def ask(self, model, turns, *, stream):
        asked = {"model": model, "messages": turns, "tools": self.tools, "max_tokens": 1000}
        if not stream:
            answer = await self.client.messages.create(**asked)
        else:
            async with self.client.messages.stream(**asked) as events:
                async for _ in events:
                    pass
                answer = await events.get_final_message()
        text = "".join(block.text for block in answer.content if block.type == "text")
        calls = [
            (block.id, block.name, json.dumps(block.input, separators=(",", ":")))
            for block in answer.content
            if block.type == "tool_use"
        ]
        self.content = answer.content
        self.said = {"role": "assistant", "content": [block.to_dict() for block in answer.content]}
        usage = answer.usage
        read = usage.input_tokens + (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
        return Told(text, calls, answer.stop_reason, (read, usage.output_tokens))

    def results(self, calls, text):
        blocks = [{"type": "tool_result", "tool_use_id": call[0], "content": text} for call in calls]
        return [self.said, {"role": "user", "content": blocks}]


REASONS = {
    Chat: {"calls": "tool_calls", "length": "length", "stop": "stop"},
    Responses: {"calls": "completed", "length": "max_output_tokens", "stop": "completed"},
    Messages: {"calls": "tool_use", "length": "max_tokens", "stop": "end_turn"},
}


@pytest.fixture(scope="module")
async def both_gateways(tmp_path_factory):
    back_folder, front_folder = tmp_path_factory.mktemp("back"), tmp_path_factory.mktemp("front")
    (back_folder / "script.yaml").write_text(SCRIPT)
    async with (
        running(back_folder, BACK) as back,
        running(front_folder, FRONT.format(url=back.url), environ=KEY) as front,
    ):
        front.back = back
        yield front


@pytest.fixture
def front(both_gateways):
    both_gateways.forget()
    both_gateways.back.forget()
    return both_gateways


@pytest.fixture(params=[Chat, Responses, Messages], ids=lambda made: made.__name__)
async def client(request, front):
    client = request.param(front)
    yield client
    await client.client.close()


upstreams = pytest.mark.parametrize("model", ["chat", "responses", "messages"])
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


def user(text):
    return {"role": "user", "content": text}


@upstreams
@both_ways
async def test_text_and_usage_come_through(front, client, model, stream):
    told = await client.ask(model, [user("hello")], stream=stream)

    assert told.text == "You said: hello"
    assert told.calls == []
    assert told.reason == REASONS[type(client)]["stop"]
    assert told.tokens == (11, 7)
    [record] = front.records
    [behind] = front.back.records
    assert (record.status, record.error, record.provider, record.served) == (200, None, model, "talker")
    assert (record.usage.input_total, record.usage.cache_read, record.usage.output_total) == (11, 6, 7)
    assert behind.stream == stream
    assert front.idle


@upstreams
@both_ways
async def test_parallel_tool_calls_come_through_and_their_results_go_back(client, model, stream):
    first = await client.ask(model, [user("weather?")], stream=stream)
    second = await client.ask(model, [user("weather?"), *client.results(first.calls, "sunny")], stream=stream)

    assert first.text == "Let me see."
    assert [(name, given) for _, name, given in first.calls] == [
        ("get_weather", '{"city":"Paris"}'),
        ("get_weather", '{"city":"Rome"}'),
    ]
    assert len({call_id for call_id, _, _ in first.calls}) == 2
    assert first.reason == REASONS[type(client)]["calls"]
    assert second.text == "It is sunny."


@upstreams
@both_ways
async def test_an_answer_cut_at_its_limit_says_so(client, model, stream):
    told = await client.ask(model, [user("shorten")], stream=stream)

    assert (told.text, told.reason) == ("Not the whole", REASONS[type(client)]["length"])


@upstreams
@both_ways
async def test_a_refusal_of_the_upstream_keeps_message_and_retry_after(front, client, model, stream):
    busy, missing, _ = client.errors
    with pytest.raises(busy, match=r"Slow down\.") as caught:
        await client.ask(model, [user("status429")], stream=stream)
    with pytest.raises(missing, match="No such model here"):
        await client.ask(model, [user("status404")], stream=stream)

    assert caught.value.response.headers["retry-after"] == "7"
    assert [(record.status, record.provider) for record in front.records] == [(429, model), (404, model)]
    assert front.idle


@upstreams
async def test_a_stream_that_breaks_upstream_tells_the_client(front, client, model):
    if isinstance(client, Responses):  # its client hands on what the last event says
        assert (await client.ask(model, [user("break")], stream=True)).reason == "failed"
    else:
        with pytest.raises(client.errors[-1], match="The line broke"):
            await client.ask(model, [user("break")], stream=True)

    [record] = front.records
    assert record.error is not None
    assert record.usage.output >= 2
    assert front.idle


@upstreams
@both_ways
async def test_thinking_comes_through_and_can_be_sent_back(front, model, stream):
    client = Messages(front)
    async with client.client:
        told = await client.ask(model, [user("think")], stream=stream)
        thoughts = [block.thinking for block in client.content if block.type == "thinking"]
        again = await client.ask(model, [user("think"), client.said, user("hello")], stream=stream)

    assert told.text == "So."
    assert told.tokens == (13, 5)
    assert thoughts == ["A thought."]
    assert again.text == "You said: hello"


@both_ways
async def test_native_thinking_keeps_its_signature_byte_for_byte(front, stream):
    client = Messages(front)
    async with client.client:
        await client.ask("messages", [user("think")], stream=stream)

    [thought, _] = client.content
    assert (thought.thinking, thought.signature) == ("A thought.", "c2lnbmVk")


async def test_tokens_are_counted_for_every_upstream(front):
    async with Messages(front).client as client:
        counts = [
            (await client.messages.count_tokens(model=model, messages=[user("one two three")])).input_tokens
            for model in ("messages", "chat", "responses")
        ]

    assert min(counts) >= 3
