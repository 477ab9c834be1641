"""Every model is reachable through every chat dialect: what is asked in one reaches an upstream that speaks another.

Each case of `fixtures/matrix/requests` is one request, written in every dialect that can say it (`asked`). Asked in dialect A,
it reaches an upstream of dialect B as it would have been asked in B, but for what `sent` names under "A > B": fields that are
`changed` (null: absent), what is `refused` unless the target permits to drop it, and what is `dropped`.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming
from pydantic import TypeAdapter

from gateway.core.errors import InvalidRequest, UnsupportedParameter
from gateway.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from gateway.dialects.openai_chat import OPENAI_CHAT
from gateway.dialects.openai_completions import OPENAI_COMPLETIONS
from gateway.dialects.openai_responses import OPENAI_RESPONSES

DIALECTS = {d.name: d for d in (OPENAI_CHAT, OPENAI_RESPONSES, ANTHROPIC_MESSAGES, OPENAI_COMPLETIONS)}
OFFICIAL = {
    "openai_chat": TypeAdapter(CompletionCreateParamsNonStreaming),
    "openai_responses": TypeAdapter(ResponseCreateParamsNonStreaming),
    "anthropic_messages": TypeAdapter(MessageCreateParamsNonStreaming),
}
CASES = {
    path.stem: json.loads(path.read_text()) for path in Path(__file__).parent.glob("fixtures/matrix/requests/*.json")
}
PAIRS = [
    pytest.param(case, client, upstream, id=f"{name}: {client} > {upstream}")
    for name, case in sorted(CASES.items())
    for client in case["asked"]
    for upstream in case["asked"]
    if upstream in OFFICIAL
]


def crossed(body, client, upstream, *, drop):
    content = DIALECTS[client].decode_call(body)
    return DIALECTS[upstream].encode_call(content, model="m", stream=False, drop=drop)


def holds(value):
    """Read all of a validated value: pydantic checks what is iterable only when it is read."""
    if isinstance(value, Mapping):
        for element in value.values():
            holds(element)
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
        for element in value:
            holds(element)


@pytest.mark.parametrize(("case", "client", "upstream"), PAIRS)
def test_a_request_reaches_every_upstream_as_it_would_have_been_asked_there(case, client, upstream):
    different = case["sent"].get(f"{client} > {upstream}", {})
    expected = {**case["asked"][upstream], **different.get("changed", {})}

    if "refused" in different:
        with pytest.raises(UnsupportedParameter) as caught:
            crossed(case["asked"][client], client, upstream, drop=False)
        assert caught.value.param == different["refused"]
    sent = crossed(case["asked"][client], client, upstream, drop="refused" in different)

    assert sent.body == {name: value for name, value in expected.items() if value is not None}
    assert list(sent.dropped) == different.get("dropped", [])


@pytest.mark.parametrize(("case", "client", "upstream"), PAIRS)
def test_what_reaches_an_upstream_is_what_its_official_client_would_send(case, client, upstream):
    sent = crossed(case["asked"][client], client, upstream, drop=True)

    holds(OFFICIAL[upstream].validate_python(sent.body))


@pytest.mark.parametrize(("case", "client", "upstream"), PAIRS)
def test_what_was_sealed_by_one_api_never_reaches_another(case, client, upstream):
    sealed = {
        "anthropic_messages": ("EqQBCkYI+/==", "EmwKAhgB+/=="),
        "openai_responses": ("gAAAAB+/==",),
        "openai_chat": ("EqQB+/==",),
    }

    text = json.dumps(crossed(case["asked"][client], client, upstream, drop=True).body)

    asked = json.dumps(case["asked"][client])
    for origin, secrets in sealed.items():
        for secret in secrets:
            assert (secret in text) == (secret in asked and origin == upstream)


@pytest.mark.parametrize("upstream", OFFICIAL)
def test_several_prompts_of_the_completions_api_are_no_conversation(upstream):
    body = {"model": "m", "prompt": ["One", "Two"]}

    with pytest.raises(UnsupportedParameter):
        crossed(body, "openai_completions", upstream, drop=False)
    with pytest.raises(InvalidRequest):
        crossed(body, "openai_completions", upstream, drop=True)


@pytest.mark.parametrize("upstream", OFFICIAL)
def test_a_choice_of_a_tool_that_was_left_out_is_left_out_too(upstream):
    body = {"model": "m", "input": "Hi", "tools": [{"type": "x_search"}], "tool_choice": "required"}

    sent = crossed(body, "openai_responses", upstream, drop=True)

    assert ("tool_choice" in sent.body) == (upstream == "openai_responses")
    assert ("tool_choice" in sent.dropped) == (upstream != "openai_responses")


@pytest.mark.parametrize("upstream", ["openai_chat", "openai_responses"])
def test_a_form_of_tool_choice_that_only_anthropic_knows_is_refused_elsewhere(upstream):
    tool = {"name": "f", "input_schema": {"type": "object"}}
    choice = {"type": "tool", "name": "f", "retries": 2}
    body = {
        "model": "m",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "x"}],
        "tools": [tool],
        "tool_choice": choice,
    }

    with pytest.raises(UnsupportedParameter) as caught:
        crossed(body, "anthropic_messages", upstream, drop=False)

    assert caught.value.param == "tool_choice"
    assert crossed(body, "anthropic_messages", "anthropic_messages", drop=False).body == body
