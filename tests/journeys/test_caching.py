"""Answers from the cache, as the official clients see them: verbatim or translated, streamed or whole, each from the other's recording.

The upstream is a second gateway that plays a script; how often it was asked is in its records.
"""

import json

import anthropic
import anyio
import httpx2
import openai
import pytest

from tests.journeys.running_gateway import running

SCRIPT = """
models:
  talker:
    embedding_dimensions: 4
    answers:
      - {when: {contains: refuse}, refuse: I would rather not.}
      - {when: {contains: shorten}, say: Not the whole, finish: length}
      - {when: {contains: weather, turn: 0}, call: [{tool: get_weather, arguments: {city: Paris}}]}
      - {when: {contains: slowly}, say: "one two three", pace: 0.1, usage: {input: 3, output: 3}}
      - {when: {contains: break}, say: one two three four, fail: {broken: true, after_deltas: 2}}
      - {when: {contains: think}, think: A thought., signature: c2lnbmVk, say: So., usage: {input: 9, output: 2, reasoning: 3}}
      - {say: "You said: {input}", usage: {input: 5, cache_read: 6, output: 7}}
"""
BACK = """
providers: {play: {kind: scripted, document: script.yaml}}
models: {talker: play/talker}
"""
FRONT = """
providers:
  chat: {{kind: openai_compatible, base_url: "{url}/v1", apis: [chat]}}
  responses: {{kind: openai_compatible, base_url: "{url}/v1", apis: [responses]}}
  messages: {{kind: anthropic, base_url: "{url}", api_key: "env:BACK_KEY"}}
  several: {{kind: openai_compatible, base_url: "{url}/v1", apis: [chat, responses, messages, completions, embeddings]}}
routing: {{retry: {{attempts: 1}}, breaker: {{failures: 10000, least: 1000000}}}}
prices: {{talker: {{input: 1, output: 2, cache_read: 0.5, cache_write: 1}}}}
cache: {{models: exact}}
models:
  chat: {{targets: [{{provider: chat, model: talker}}], on_unsupported: drop}}
  responses: {{targets: [{{provider: responses, model: talker}}], on_unsupported: drop}}
  messages: {{targets: [{{provider: messages, model: talker}}], on_unsupported: drop}}
  several: {{targets: [{{provider: several, model: talker}}], cache: {{tools: true, pace: 0}}}}
  uncached: {{targets: [{{provider: several, model: talker}}], cache: off}}
"""
KEY = {"BACK_KEY": "a-key-for-the-back"}
MODELS = ("chat", "responses", "messages", "several")


class World:
    """A gateway with a cache in front of one that answers; `asked` counts what came through."""

    def __init__(self, front, back):
        self.front = front
        self.back = back
        self.openai = openai.AsyncOpenAI(base_url=f"{front.url}/v1", api_key="none", max_retries=0)
        self.anthropic = anthropic.AsyncAnthropic(base_url=front.url, api_key="none", max_retries=0)

    @property
    def asked(self):
        return len(self.back.records)

    def begin(self):
        self.front.forget()
        self.back.forget()

    async def post(self, path, body, headers=None):
        async with httpx2.AsyncClient(base_url=self.front.url, timeout=10) as http:
            return await http.post(path, json=body, headers=headers)


@pytest.fixture(scope="module")
async def shared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("back")
    (folder / "script.yaml").write_text(SCRIPT)
    async with (
        running(folder, BACK) as back,
        running(tmp_path_factory.mktemp("front"), FRONT.format(url=back.url), environ=KEY) as front,
    ):
        world = World(front, back)
        yield world
        await world.openai.close()
        await world.anthropic.close()


@pytest.fixture
def world(shared):
    shared.begin()
    return shared


async def chat(world, model, text, *, stream, **more):
    """Give the text, the id, the tokens and the status of an answer."""
    say = world.openai.chat.completions.with_raw_response.create
    messages = [{"role": "user", "content": text}]
    if not stream:
        raw = await say(model=model, messages=messages, **more)
        answer = raw.parse()
        return answer.choices[0].message.content, answer.id, answer.usage.total_tokens, raw.headers
    raw = await say(model=model, messages=messages, stream=True, stream_options={"include_usage": True}, **more)
    said, last = "", None
    async for last in raw.parse():
        said += "".join(choice.delta.content or "" for choice in last.choices)
    return said, last.id, last.usage.total_tokens, raw.headers


async def responses(world, model, text, *, stream, store=False):
    ask = world.openai.responses.with_raw_response.create
    if not stream:
        raw = await ask(model=model, input=text, store=store)
        answer = raw.parse()
    else:
        raw = await ask(model=model, input=text, stream=True, store=store)
        answer = None
        async for event in raw.parse():
            answer = event.response if event.type == "response.completed" else answer
    return answer.output_text, answer.id, answer.usage.total_tokens, raw.headers


async def messages(world, model, text, *, stream):
    asked = {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": text}]}
    if not stream:
        raw = await world.anthropic.messages.with_raw_response.create(**asked)
        answer, headers = await raw.parse(), raw.headers
    else:
        async with world.anthropic.messages.stream(**asked) as streaming:
            answer, headers = await streaming.get_final_message(), streaming.response.headers
    usage = answer.usage
    total = usage.input_tokens + (usage.cache_read_input_tokens or 0) + usage.output_tokens
    return answer.content[-1].text, answer.id, total, headers


CLIENTS = {"chat": chat, "responses": responses, "messages": messages}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("dialect", CLIENTS)
@pytest.mark.parametrize(("first", "second"), [(False, False), (False, True), (True, False), (True, True)])
async def test_the_second_of_two_equal_calls_is_answered_from_the_cache(world, model, dialect, first, second):
    ask, text = CLIENTS[dialect], f"Hello {model} {dialect} {first} {second}"
    said, one, tokens, headers = await ask(world, model, text, stream=first)
    again, other, tokens_again, hit = await ask(world, model, text, stream=second)

    assert said == again == f"You said: {text}"
    assert (headers["x-switchgear-cache"], hit["x-switchgear-cache"]) == ("miss", "exact")
    assert headers["x-switchgear-cache-entry"] == hit["x-switchgear-cache-entry"]
    assert "age" not in headers
    assert int(hit["age"]) >= 0
    assert one != other, "an answer's id is its own"
    assert tokens == tokens_again == 18
    assert world.asked == 1


@pytest.mark.parametrize(
    ("model", "told"),
    [("several", ["bypass; store"] * 2), ("responses", ["bypass; store"] * 2), ("chat", ["miss", "exact"])],
)
async def test_what_an_upstream_keeps_to_go_on_from_is_not_answered_from_the_cache(world, model, told):
    """It keeps responses unless it is told not to; where the call is written anew for another API nothing is kept anywhere."""
    asked = [await responses(world, model, f"Go on? {model}", stream=False, store=openai.omit) for _ in range(2)]

    assert [headers["x-switchgear-cache"] for *_, headers in asked] == told


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_from_the_cache_costs_nothing_and_says_what_it_saved(world, stream):
    for _ in range(2):
        await chat(world, "chat", f"What does it cost? {stream}", stream=stream)
    first, second = world.front.records

    assert (first.cache, first.cost_nano, first.saved, first.route) == ("miss", 22000, None, ("chat/talker",))
    assert (second.cache, second.cost_nano, second.usage.total, second.route) == ("exact", 0, 0, ())
    assert (second.saved.total, second.saved_nano) == (18, 22000)
    assert second.cache_entry == first.cache_entry
    assert (second.provider, second.served, second.known_model) == ("chat", "talker", "chat")
    async with httpx2.AsyncClient(base_url=world.front.url) as http:
        metrics = (await http.get("/metrics")).text
    assert 'switchgear_cache_calls_total{model="chat",status="exact"}' in metrics
    assert 'switchgear_cache_tokens_saved_total{model="chat"}' in metrics
    assert 'switchgear_cache_dollars_saved_total{model="chat"}' in metrics


async def test_completions_are_cached_too(world):
    asked = {"model": "several", "prompt": "Once"}
    texts = [await world.openai.completions.create(**asked) for _ in range(2)]

    assert texts[0].choices[0].text == texts[1].choices[0].text
    assert texts[0].id != texts[1].id
    assert world.asked == 1


async def test_thinking_comes_back_with_its_signature(world):
    asked = {"model": "messages", "max_tokens": 9, "messages": [{"role": "user", "content": "think"}]}
    first, second = [await world.anthropic.messages.create(**asked) for _ in range(2)]

    assert first.content == second.content
    assert [block.type for block in second.content] == ["thinking", "text"]
    assert second.content[0].signature == "c2lnbmVk"
    assert world.asked == 1


@pytest.mark.parametrize("text", ["please refuse", "please shorten", "the weather"])
@pytest.mark.parametrize("stream", [False, True])
async def test_what_was_refused_cut_short_or_is_a_deed_is_asked_again(world, text, stream):
    for _ in range(2):
        body = {"model": "several", "messages": [{"role": "user", "content": text}], "stream": stream}
        answer = await world.post("/v1/chat/completions", body)
        assert answer.headers["x-switchgear-cache"] == "miss"

    assert world.asked == 2


async def test_what_broke_off_is_asked_again(world):
    for _ in range(2):
        with pytest.raises((openai.APIError, httpx2.RemoteProtocolError)):
            await chat(world, "chat", "please break", stream=True)

    assert world.asked == 2


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"temperature": 1.5}, "temperature"),
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]}, "tools"),
        ({"cache": {"mode": "off"}}, "off"),
    ],
    ids=str,
)
async def test_what_is_not_cached_says_why(world, more, why):
    body = {"model": "chat", "messages": [{"role": "user", "content": f"Hi {why}"}], **more}
    answers = [await world.post("/v1/chat/completions", body) for _ in range(2)]

    assert [answer.headers["x-switchgear-cache"] for answer in answers] == [f"bypass; {why}"] * 2
    assert [record.cache_why for record in world.front.records] == [why, why]


@pytest.mark.parametrize(
    ("headers", "statuses"),
    [
        ({"cache-control": "no-store"}, ["bypass; off", "miss"]),
        ({"cache-control": "no-cache"}, ["miss; write", "exact"]),
        ({"x-switchgear-cache-mode": "off"}, ["bypass; off", "miss"]),
        ({"x-switchgear-cache-mode": "read"}, ["miss", "miss"]),
        ({"x-switchgear-cache-mode": "write"}, ["miss; write", "exact"]),
        ({"x-switchgear-cache-namespace": "apart"}, ["miss", "miss"]),
    ],
    ids=str,
)
async def test_callers_say_by_header_what_they_want_of_the_cache(world, headers, statuses):
    """The wish is the first call's alone; what came of it shows in the second."""
    body = {"model": "chat", "messages": [{"role": "user", "content": f"wish {headers}"}]}
    found = [await world.post("/v1/chat/completions", body, given) for given in (headers, None)]

    assert [answer.headers["x-switchgear-cache"] for answer in found] == statuses


@pytest.mark.parametrize(
    ("path", "content"),
    [("/v1/chat/completions", "messages"), ("/v1/responses", "input"), ("/v1/messages", "messages")],
)
@pytest.mark.parametrize("model", ["chat", "several", "uncached"])
async def test_the_body_says_it_in_every_dialect_and_no_upstream_sees_it(world, path, content, model):
    body = {"model": model, content: [{"role": "user", "content": f"body {path}"}], "max_tokens": 50}
    if content == "input":
        body |= {"max_output_tokens": body.pop("max_tokens"), "store": False}
    first = await world.post(path, {**body, "cache": {"mode": "write", "namespace": "of-mine", "ttl": 60}})
    second = await world.post(path, {"cache": {"namespace": "of-mine"}, **body})
    third = await world.post(path, body)

    assert [answer.status_code for answer in (first, second, third)] == [200, 200, 200]
    if model == "uncached":
        assert all("x-switchgear-cache" not in answer.headers for answer in (first, second, third))
    else:
        found = [answer.headers["x-switchgear-cache"] for answer in (first, second, third)]
        assert found == ["miss; write", "exact", "miss"]


async def test_a_wish_that_makes_no_sense_is_refused_in_the_callers_dialect(world):
    asked = {"max_tokens": 5, "messages": [{"role": "user", "content": "x"}], "model": "uncached"}
    with pytest.raises(openai.BadRequestError) as refused:
        await chat(world, "chat", "x", stream=False, extra_body={"cache": {"ttl": "soon"}})
    with pytest.raises(anthropic.BadRequestError) as other:
        await world.anthropic.messages.create(**asked, extra_headers={"x-switchgear-cache-mode": "maybe"})

    assert refused.value.body["param"] == "cache.ttl"
    assert "x-switchgear-cache-mode" in str(other.value)
    assert world.asked == 0


async def test_calls_that_are_alike_at_the_same_time_are_asked_once(world):
    answers = []

    async def ask(number):
        answers.append(await chat(world, "chat", "Say it slowly", stream=bool(number % 2)))

    async with anyio.create_task_group() as tasks:
        for number in range(12):
            tasks.start_soon(ask, number)

    assert {said for said, *_ in answers} == {"one two three"}
    assert len({name for _, name, *_ in answers}) == 12
    assert sorted(answer[-1]["x-switchgear-cache"] for answer in answers) == ["exact"] * 11 + ["miss"]
    assert world.asked == 1
    assert sum(record.usage.total for record in world.front.records) == 6


@pytest.mark.parametrize("stream", [False, True])
async def test_a_record_of_a_stream_that_was_not_asked_for_usage_still_has_it(world, stream):
    """The client of the first call asks for no usage; that of the second gets it."""
    body = {"model": "chat", "messages": [{"role": "user", "content": f"usage {stream}"}], "stream": True}
    first = await world.post("/v1/chat/completions", body)
    _, _, tokens, headers = await chat(world, "chat", f"usage {stream}", stream=stream)

    assert '"usage":{' not in first.text
    assert (tokens, headers["x-switchgear-cache"]) == (18, "exact")


async def test_a_model_without_a_cache_says_nothing_of_one(world):
    for _ in range(2):
        answer = await world.post(
            "/v1/chat/completions", {"model": "uncached", "messages": [{"role": "user", "content": "x"}]}
        )

    assert not [name for name in answer.headers if "cache" in name]
    assert [record.cache for record in world.front.records] == ["", ""]
    assert world.asked == 2


async def test_a_stream_from_the_cache_is_one_that_any_reader_understands(world):
    """The bytes are those of the dialect: events, and the end mark."""
    body = {"model": "several", "messages": [{"role": "user", "content": "as bytes"}], "stream": True}
    first, second = [await world.post("/v1/chat/completions", body) for _ in range(2)]
    chunks = [json.loads(line[6:]) for line in second.text.splitlines() if line.startswith("data: {")]

    assert second.headers["content-type"] == first.headers["content-type"]
    assert second.text.endswith("data: [DONE]\n\n")
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


async def test_embeddings_are_cached_text_by_text(world):
    """Of four texts two are known: the upstream is asked for the others, each once, and all come back in their order."""
    embed = world.openai.embeddings.with_raw_response.create
    known = (await embed(model="several", input=["one", "three"])).parse()
    world.begin()
    raw = await embed(model="several", input=["one", "two", "three", "four", "two"])
    mixed = raw.parse()
    alone = [(await embed(model="several", input=text)) for text in ("two", "four", "one")]

    assert raw.headers["x-switchgear-cache"] == "miss; 2 of 4 known"
    assert [each.index for each in mixed.data] == [0, 1, 2, 3, 4]
    assert [mixed.data[0].embedding, mixed.data[2].embedding] == [each.embedding for each in known.data]
    assert [each.parse().data[0].embedding for each in alone] == [mixed.data[place].embedding for place in (1, 3, 0)]
    assert [each.headers["x-switchgear-cache"] for each in alone] == ["exact"] * 3
    assert mixed.data[1].embedding == mixed.data[4].embedding != mixed.data[3].embedding
    assert world.asked == 1
    assert world.front.records[0].usage.total == world.back.records[0].usage.total, "what is known is not counted again"
    assert world.front.records[0].saved.total > 0
    assert [record.usage.total for record in world.front.records[1:]] == [0, 0, 0]


async def test_what_embeddings_depend_on_is_in_their_keys(world):
    embed = world.openai.embeddings.create
    for more in ({}, {"dimensions": 4}, {"encoding_format": "float"}, {"encoding_format": "base64"}):
        for _ in range(2):
            await embed(model="several", input="the same", **more)
    await embed(model="several", input=[[1, 2], [3]])
    await embed(model="several", input=[3])
    await embed(model="several", input="[3]")

    assert world.asked == 5
