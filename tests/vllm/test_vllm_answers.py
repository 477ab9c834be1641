"""Every public API answers from a real vLLM, streaming and not, with vLLM's own token counts."""

import pytest

pytestmark = pytest.mark.vllm

HI = [{"role": "user", "content": "Say hi"}]
PROMPT_TOKENS = 32  # of HI, by the model's template


def test_chat_is_answered_with_exact_usage(gateway):
    answer = gateway.openai().chat.completions.create(model="smol", messages=HI, max_tokens=6, temperature=0)

    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "length"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (PROMPT_TOKENS, 6)


def test_a_chat_stream_ends_with_exact_usage_when_it_is_asked_for(gateway):
    client = gateway.openai()
    asked = {"model": "smol", "messages": HI, "max_tokens": 6, "temperature": 0}
    chunks = list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    silent = list(client.chat.completions.create(**asked, stream=True))
    whole = client.chat.completions.create(**asked)

    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (PROMPT_TOKENS, 6)
    # Usage is always asked for, to be recorded, but shown only to who asked.
    assert all(chunk.usage is None and chunk.choices for chunk in silent)


def test_responses_are_answered(gateway):
    client = gateway.openai()
    answer = client.responses.create(model="smol", input="Say hi", max_output_tokens=6)
    events = list(client.responses.create(model="smol", input="Say hi", max_output_tokens=6, stream=True))

    assert answer.output_text
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (PROMPT_TOKENS, 6)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].response.usage.output_tokens == 6


@pytest.mark.parametrize("model", ["smol", "smol-native"])
def test_messages_are_answered_translated_and_natively(gateway, model):
    client = gateway.anthropic()
    answer = client.messages.create(model=model, messages=HI, max_tokens=6, extra_body={"top_k": 20})
    with client.messages.stream(model=model, messages=HI, max_tokens=6) as stream:
        streamed = stream.get_final_message()

    for each in (answer, streamed):
        assert each.content[0].text
        assert each.stop_reason == "max_tokens"
        assert (each.usage.input_tokens, each.usage.output_tokens) == (PROMPT_TOKENS, 6)


def test_a_stop_sequence_is_named(gateway):
    answer = gateway.anthropic().messages.create(
        model="smol", messages=HI, max_tokens=40, stop_sequences=["a", "e", "i", "o"]
    )

    assert answer.stop_reason == "stop_sequence"
    assert answer.stop_sequence in ("a", "e", "i", "o")


def test_completions_are_answered(gateway):
    client = gateway.openai()
    answer = client.completions.create(model="smol", prompt="One, two, three,", max_tokens=5, temperature=0)
    chunks = list(
        client.completions.create(model="smol", prompt="One, two, three,", max_tokens=5, temperature=0, stream=True)
    )

    assert answer.choices[0].text == "".join(chunk.choices[0].text for chunk in chunks)
    assert answer.usage.completion_tokens == 5


@pytest.mark.parametrize("model", ["smol", "smol-native"])
def test_a_count_is_what_an_answer_is_billed(gateway, model):
    asked = {"model": model, "messages": HI, "system": "You are a pirate."}
    counted = gateway.anthropic().messages.count_tokens(**asked)
    answer = gateway.anthropic().messages.create(**asked, max_tokens=1)

    assert counted.input_tokens == answer.usage.input_tokens
