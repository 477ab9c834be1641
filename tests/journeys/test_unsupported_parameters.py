"""What a target's API lacks is done here where that was asked for, for official clients, streamed or not, and the answer and its record say so.

The upstreams are a second gateway that plays a script, reached through each API.
"""

import anthropic
import openai
import pytest

from tests.journeys.running_gateway import running

SCRIPT = """
models:
  talker:
    answers:
      - {when: {contains: fenced}, say: "```json\\n{\\"a\\": 1}\\n```", usage: {input: 5, output: 7}}
      - {when: {contains: count}, say: "one two STOP three", usage: {input: 5, output: 7}}
      - {say: "You said: {input}", usage: {input: 5, output: 7}}
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
models:
  responses: {{targets: [{{provider: responses, model: talker}}], on_unsupported: emulate}}
  messages: {{targets: [{{provider: messages, model: talker}}], on_unsupported: emulate}}
  plain: {{targets: [{{provider: chat, model: talker, abilities: {{without: [system, stop], json_schema: false}}}}], on_unsupported: emulate}}
  renamed: {{targets: [{{provider: chat, model: talker, abilities: {{without: [max_tokens]}}}}], on_unsupported: drop}}
  strict: {{targets: [{{provider: chat, model: talker, abilities: {{without: [seed, stop]}}}}]}}
  exact: {{targets: [{{provider: messages, model: talker}}]}}
  both:
    targets: [{{provider: messages, model: talker}}, {{provider: chat, model: talker}}]
  rules:
    targets: [{{provider: messages, model: talker, name: first}}, {{provider: chat, model: talker, name: second}}]
    routing: {{strategy: rules, rules: [{{when: language == "de", use: [second]}}]}}
"""
KEY = {"BACK_KEY": "a-key-for-the-back"}


@pytest.fixture
async def front(tmp_path):
    (tmp_path / "back").mkdir()
    (tmp_path / "front").mkdir()
    (tmp_path / "back" / "script.yaml").write_text(SCRIPT)
    async with (
        running(tmp_path / "back", BACK, environ=KEY) as back,
        running(tmp_path / "front", FRONT.format(url=back.url), environ=KEY) as front,
    ):
        yield front


@pytest.fixture
async def chat(front):
    async with openai.AsyncOpenAI(api_key="none", base_url=f"{front.url}/v1", max_retries=0) as client:
        yield client.chat.completions


def user(text):
    return [{"role": "user", "content": text}]


async def test_several_answers_from_an_api_that_gives_one(front, chat):
    raw = await chat.with_raw_response.create(model="messages", messages=user("hi"), n=3)
    answer = raw.parse()

    assert [(one.index, one.message.content) for one in answer.choices] == [(n, "You said: hi") for n in range(3)]
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (15, 21)
    assert raw.headers["x-switchgear-emulated"] == "n"
    (record,) = front.records
    assert (record.emulated, record.usage.output) == (("n",), 21)


async def test_several_answers_as_a_stream(chat):
    texts = {}
    async for chunk in await chat.create(model="messages", messages=user("hi"), n=2, stream=True):
        for one in chunk.choices:
            texts[one.index] = texts.get(one.index, "") + (one.delta.content or "")

    assert texts == {0: "You said: hi", 1: "You said: hi"}


@pytest.mark.parametrize("stream", [True, False])
async def test_stop_sequences_over_an_api_that_has_none(chat, stream):
    answer = await chat.create(model="responses", messages=user("count"), stop="STOP", stream=stream)
    text = (
        "".join([chunk.choices[0].delta.content or "" async for chunk in answer if chunk.choices])
        if stream
        else answer.choices[0].message.content
    )

    assert text == "one two "


async def test_stop_sequences_of_the_other_dialect(front):
    async with anthropic.AsyncAnthropic(api_key="none", base_url=front.url, max_retries=0) as client:
        answer = await client.messages.create(
            model="responses", messages=user("count"), max_tokens=50, stop_sequences=["STOP"]
        )

    assert (answer.content[0].text, answer.stop_reason, answer.stop_sequence) == ("one two ", "stop_sequence", "STOP")


async def test_json_over_an_api_that_promises_none(chat):
    raw = await chat.with_raw_response.create(
        model="messages", messages=user("fenced"), response_format={"type": "json_object"}
    )

    assert raw.parse().choices[0].message.content == '{"a": 1}'
    assert raw.headers["x-switchgear-emulated"] == "json_object"


async def test_what_the_operator_knows_to_be_lacking_is_emulated_in_the_targets_own_dialect(chat):
    raw = await chat.with_raw_response.create(
        model="plain", messages=[{"role": "system", "content": "Be brief."}, *user("count")], stop=["STOP"]
    )

    assert raw.parse().choices[0].message.content == "one two "
    assert raw.headers["x-switchgear-emulated"] == "system, stop"


async def test_a_limit_goes_out_by_the_name_that_the_target_takes(chat):
    raw = await chat.with_raw_response.create(model="renamed", messages=user("hi"), max_tokens=99)

    assert raw.parse().choices[0].message.content == "You said: hi"
    assert raw.headers["x-switchgear-emulated"] == "max_tokens"
    assert "x-switchgear-dropped" not in raw.headers


async def test_what_cannot_be_emulated_is_refused(chat):
    with pytest.raises(openai.BadRequestError) as caught:
        await chat.create(model="messages", messages=user("hi"), seed=1)
    assert caught.value.body["param"] == "seed"

    with pytest.raises(openai.BadRequestError) as caught:
        await chat.create(model="strict", messages=user("hi"), seed=1)
    assert caught.value.body["code"] == "unsupported_parameter"


@pytest.mark.parametrize(
    ("model", "asked", "permit"),
    [
        ("exact", {"n": 2}, "drop, or emulate"),
        ("exact", {"seed": 1}, "drop"),
        ("strict", {"stop": ["x"]}, "drop, or emulate"),
        ("strict", {"seed": 1}, "drop"),
        ("messages", {"seed": 1}, "drop"),
    ],
)
async def test_a_refusal_says_what_would_permit_the_parameter(chat, model, asked, permit):
    with pytest.raises(openai.BadRequestError) as caught:
        await chat.create(model=model, messages=user("hi"), **asked)

    assert f"(on_unsupported: {permit})" in caught.value.body["message"]


async def test_a_target_that_carries_the_parameter_is_chosen(front, chat):
    raw = await chat.with_raw_response.create(model="both", messages=user("hi"), seed=1)

    assert raw.headers["x-switchgear-target"] == "chat/talker"
    (record,) = front.records
    assert [(one.target, one.verdict, one.why) for one in record.decision.considered] == [
        ("chat/talker", "chosen", ""),
        ("messages/talker", "unfit", "it does not take seed"),
    ]


async def test_rules_choose_and_the_record_says_which(front, chat):
    raw = await chat.with_raw_response.create(model="rules", messages=user("Wie geht es dir, und was machst du?"))

    assert raw.headers["x-switchgear-target"] == "chat/talker"
    (record,) = front.records
    assert record.decision.considered[0].why == 'rule 1: language == "de"'
