"""Whatever a target says, in every API, streamed or whole, on every step of the ladder: a finished answer is valid, or there is a clear error."""

import random

import httpx2
import pytest

from tests.faults.misforming_upstream import (
    APIS,
    GOOD,
    Saying,
    asking,
    heard_document,
    heard_stream,
    is_valid,
    misforming,
)
from tests.journeys.running_gateway import running

CONFIG = """
logging: {{calls: false}}
routing: {{breaker: {{failures: 10000, least: 1000000}}, retry: {{attempts: 1}}}}
providers:
  chat: {{kind: openai_compatible, base_url: "{url}/v1", apis: [chat]}}
  responses: {{kind: openai_compatible, base_url: "{url}/v1", apis: [responses]}}
  messages: {{kind: anthropic, base_url: "{url}", api_key: "env:KEY"}}
  openai: {{kind: openai, base_url: "{url}/v1", api_key: "env:KEY", apis: [chat, responses]}}
  gpu: {{kind: vllm, base_url: "{url}/v1", load_interval: 0}}
models:
  chat: chat/talker
  responses: responses/talker
  messages: messages/talker
  vllm: gpu/talker
  openai: openai/talker
  tool: {{targets: [{{provider: chat, model: talker, abilities: {{json_schema: false}}}}]}}
  tool-messages: {{targets: [{{provider: messages, model: talker, abilities: {{json_schema: false}}}}]}}
  prompt: {{targets: [{{provider: chat, model: talker, abilities: {{json_schema: false, tools: false}}}}]}}
"""
MODELS = ("chat", "responses", "messages", "vllm", "openai", "tool", "tool-messages", "prompt")
TEXTS = (
    "", " ", "\n", "Paris", GOOD[:-1], GOOD[1:], GOOD[:20], GOOD + GOOD, GOOD + "}", GOOD + " so", "so " + GOOD, f"```json\n{GOOD}\n```",
    f"```json\n{GOOD}", f"{GOOD}\n```", f"[{GOOD}]", "[]", "{}", "null", "1", '"a"', "true", "NaN", "-", "{", "[", '"', "\ufeff" + GOOD,
    '{"city": "Paris", "people": "2100000"}', '{"city": "Paris"}', '{"city": "Paris", "people": 2100000, "more": 1}',
    '{"city": "Paris", "city": "Rome", "people": 100}', '{"city": "Paris", "people": NaN}', '{"city": "Paris", "people": 1e999}',
    '{"city": "Paris", "people": 150}', '{"city": "Paris", "people": -100}', '{"city": "P", "people": 100}',
    '{"city": "Paris", "people": 100, "tags": ["big", "big"]}', '{"city": "Paris", "people": 100, "tags": ["dry"]}',
    '{"city": "Paris", "people": 100,}', "{'city': 'Paris', 'people': 100}", '{"city": "Paris", "people": True}', '{city: "Paris", people: 100}',
    '{"city": "Pa\nris", "people": 100}', '{"city": "\\ud800x", "people": 100}', '{"city": "\\uZZZZ", "people": 100}', "[" * 3000,
    '{"city": ' * 500, f"First {GOOD}, then {GOOD}", "<think>Hm.</think>" + GOOD, '{"city": "Paris", "people": 0100}',
    '{"city": "Paris", "people": 100.0}', '// so\n{"city": "Paris", "people": 100}', GOOD.replace(" ", "\t"), GOOD.replace(": ", ":\r\n"),
)  # fmt: skip


def mutated(chance: random.Random) -> str:
    """A good answer with a few characters gone, doubled, exchanged or put in."""
    text = list(GOOD)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(text))
        put = chance.choice('{}[]",:\\ \n0a-.é`')
        text[at : at + chance.choice((0, 1, 1, 3))] = chance.choice(("", put, put + put))
    return "".join(text)


def sayings() -> list[Saying]:
    """Everything that the target is made to say."""
    chance = random.Random(5)
    texts = (GOOD, *TEXTS, *(mutated(chance) for _ in range(30)))
    return [
        *(Saying(texts=(text,)) for text in texts),
        *(Saying(texts=(text,), cut=True) for text in (GOOD[:15], GOOD, "so")),
        Saying(), Saying(texts=(GOOD, GOOD)), Saying(texts=(GOOD[:9], GOOD[9:])), Saying(texts=("So:", GOOD)),
        Saying(calls=(("look_up", GOOD),)), Saying(calls=(("other", GOOD),)), Saying(texts=(GOOD,), calls=(("other", "{}"),)),
        Saying(calls=(("place", GOOD), ("place", GOOD))), Saying(calls=(("look_up", GOOD), ("look_up", '{"city": 1}'))),
    ]  # fmt: skip


@pytest.fixture
async def world(tmp_path):
    async with (
        misforming() as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url), environ={"KEY": "k"}) as gateway,
        httpx2.AsyncClient(base_url=gateway.url, timeout=20) as http,
    ):
        yield upstream, gateway, http


async def ask(http, api, model, *, stream, tools=False):
    answer = await http.post(APIS[api], json=asking(api, model, stream=stream, tools=tools))
    if stream and answer.status_code == 200:
        return answer, heard_stream(api, answer.content)
    return answer, heard_document(api, answer.status_code, answer.content)


def complaint(answer, heard):
    """What is wrong with what a caller got; None where it is a valid answer, a clear error, or told as cut short."""
    if heard.error is not None:
        if answer.status_code == 502 and heard.error["code"] == "upstream_broken":
            return None  # not even the target's API
        if heard.error["code"] != "invalid_output" or not heard.error["violations"] or "raw" not in heard.error:
            return f"no clear error: {answer.status_code} {heard.error}"
        return None if answer.status_code in (200, 422) else f"status {answer.status_code}"
    if not heard.finished:
        return None
    judged = heard.calls or heard.texts
    if not judged or not all(map(is_valid, judged)) or (not heard.calls and len(judged) > 1):
        return f"invalid success: {heard}"
    return None


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("model", MODELS)
async def test_a_finished_answer_is_valid_or_a_clear_error(world, model, stream):
    upstream, _, http = world
    found, valid = [], 0
    for number, saying in enumerate(sayings()):
        upstream.sayings = [saying]
        api = ("chat", "responses", "messages")[number % 3] if number > 12 else None
        for each in (api,) if api else ("chat", "responses", "messages"):
            answer, heard = await ask(http, each, model, stream=stream)
            if heard.calls:
                found.append((each, saying, "a call that nobody offered"))
            if why := complaint(answer, heard):
                found.append((each, saying, why))
            valid += heard.finished and heard.error is None

    assert found == []
    assert valid >= 5
    assert upstream.asked


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("model", ["chat", "responses", "messages", "vllm", "openai"])
async def test_strict_arguments_are_valid_or_there_is_a_clear_error(world, model, stream):
    upstream, _, http = world
    chance = random.Random(7)
    texts = (GOOD, *TEXTS, *(mutated(chance) for _ in range(10)))
    said = [Saying(calls=(("look_up", text),)) for text in texts]
    said += [Saying(calls=(("other", GOOD),)), Saying(calls=(("look_up", GOOD), ("look_up", "{}")))]
    found, valid = [], 0
    for number, saying in enumerate(said):
        upstream.sayings = [saying]
        api = ("chat", "responses", "messages")[number % 3]
        answer, heard = await ask(http, api, model, stream=stream, tools=True)
        if why := complaint(answer, heard):
            found.append((api, saying, why))
        valid += heard.finished and heard.error is None and bool(heard.calls)

    assert found == []
    assert valid >= 1
