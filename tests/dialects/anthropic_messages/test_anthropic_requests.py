"""Requests from the wire to the hub and back; the truth is the `anthropic` package's types."""

import json
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from anthropic.types import message_count_tokens_params, message_create_params
from anthropic.types.beta import message_count_tokens_params as beta_count_tokens_params
from anthropic.types.beta import message_create_params as beta_message_create_params
from pydantic import TypeAdapter

from gateway.core.content import FunctionTool, Prompt
from gateway.core.errors import InvalidRequest
from gateway.core.items import Foreign, Message, Reasoning, ToolCall, ToolResult
from gateway.dialects.anthropic_messages import ANTHROPIC_COUNT_TOKENS, ANTHROPIC_MESSAGES

REQUESTS = sorted((Path(__file__).parents[1] / "fixtures/anthropic_messages/requests").glob("*.json"))

MINIMAL: dict[str, Any] = {"model": "m", "max_tokens": 8, "messages": [{"role": "user", "content": "hi"}]}


def round_trip(fields, dialect=ANTHROPIC_MESSAGES):
    prompt = dialect.decode_call(fields)
    encoded = dialect.encode_call(prompt, model=fields["model"], stream=bool(fields.get("stream")), drop=False)
    assert encoded.dropped == ()
    return encoded.body


@pytest.mark.parametrize("path", REQUESTS, ids=lambda path: path.stem)
def test_a_golden_request_goes_round_and_comes_back_equal(path):
    fields = json.loads(path.read_text())

    assert round_trip(fields) == fields


@pytest.mark.parametrize("path", REQUESTS, ids=lambda path: path.stem)
def test_the_same_request_gives_the_same_bytes_each_time(path):
    fields = json.loads(path.read_text())

    assert json.dumps(round_trip(fields)) == json.dumps(round_trip(fields))


EXAMPLES: dict[str, Any] = {
    "billing_policy": {"type": "organization"},
    "cache_control": {"type": "ephemeral", "ttl": "1h"},
    "compaction": {"type": "auto"},
    "container": {"id": "c", "skills": []},
    "context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]},
    "diagnostics": {"previous_message_id": "msg_1"},
    "fallback_credit_token": "t",
    "fallbacks": [{"model": "n"}],
    "inference_geo": "eu",
    "max_tokens": 12,
    "mcp_servers": [{"type": "url", "name": "a", "url": "https://example.org"}],
    "messages": [{"role": "user", "content": "hi"}],
    "metadata": {"user_id": "u"},
    "model": "m",
    "output_config": {"effort": "max", "format": {"type": "json_schema", "schema": {"type": "object"}}},
    "output_format": {"type": "json_schema", "schema": {"type": "object"}},
    "service_tier": "standard_only",
    "speed": "fast",
    "stop_sequences": ["a", "b"],
    "stream": True,
    "system": [{"type": "text", "text": "s"}],
    "temperature": 0.5,
    "thinking": {"type": "between_tools"},
    "thread": {"type": "create"},
    "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
    "tools": [{"name": "f", "input_schema": {"type": "object"}, "defer_loading": True}],
    "top_k": 3,
    "top_p": 0.5,
    "betas": ["context-1m-2025-08-07"],
    "user_profile_id": "p",
    "workspace_id": "w",
}

CREATE_FIELDS = (
    set(get_type_hints(message_create_params.MessageCreateParamsStreaming))
    | set(get_type_hints(beta_message_create_params.MessageCreateParamsStreaming))
    | {"temperature", "top_k", "top_p", "output_format"}
)
COUNT_FIELDS = set(get_type_hints(message_count_tokens_params.MessageCountTokensParams)) | set(
    get_type_hints(beta_count_tokens_params.MessageCountTokensParams)
)


@pytest.mark.parametrize("name", sorted(CREATE_FIELDS))
def test_every_field_of_the_package_is_accepted_and_written_back(name):
    assert name in EXAMPLES, "the package has a new field: give it an example"
    fields = {**MINIMAL, name: EXAMPLES[name]}

    assert round_trip(fields) == fields


@pytest.mark.parametrize("name", sorted(CREATE_FIELDS - {"model", "messages", "max_tokens", "betas", "workspace_id"}))
def test_null_for_any_optional_field_stands_for_absent_and_survives(name):
    fields = {**MINIMAL, name: None}

    assert round_trip(fields) == fields


@pytest.mark.parametrize("name", sorted(COUNT_FIELDS))
def test_every_field_of_count_tokens_is_accepted_and_written_back(name):
    fields = {"model": "m", "messages": MINIMAL["messages"], name: EXAMPLES[name]}

    assert round_trip(fields, ANTHROPIC_COUNT_TOKENS) == fields


def test_all_fields_at_once_go_round():
    fields = {name: EXAMPLES[name] for name in CREATE_FIELDS - {"output_format"}}

    assert round_trip(fields) == fields


def test_what_we_send_is_what_the_package_would_send():
    fields = json.loads(next(path for path in REQUESTS if path.stem == "claude_code").read_text())

    TypeAdapter(message_create_params.MessageCreateParamsStreaming).validate_python(round_trip(fields))


def test_claude_code_decodes_to_items_that_other_apis_understand():
    fields = json.loads(next(path for path in REQUESTS if path.stem == "claude_code").read_text())

    prompt = ANTHROPIC_MESSAGES.decode_call(fields)

    assert isinstance(prompt, Prompt)
    assert [type(item).__name__ for item in prompt.items] == [
        *("Message", "Message", "Reasoning", "Reasoning", "Message", "ToolCall", "ToolCall"),
        *("ToolResult", "ToolResult", "Message", "Message", "Message"),
    ]
    assert prompt.items[0].parts[0].cache == {"type": "ephemeral"}
    assert prompt.user == "user_0a1b_account__session_2c3d"
    assert [type(tool) for tool in prompt.tools] == [FunctionTool, FunctionTool, Foreign, FunctionTool]
    thinking = prompt.items[2]
    assert isinstance(thinking, Reasoning)
    assert (thinking.signature, thinking.origin) == ("EqQBCkYIBxgCKkDk+/==", "anthropic_messages")
    assert isinstance(prompt.items[5], ToolCall)
    assert json.loads(prompt.items[5].arguments) == {"command": "ls -la", "timeout": 5.5}
    assert isinstance(prompt.items[8], ToolResult)
    assert prompt.items[8].is_error
    assert isinstance(prompt.items[11], Message)


FAULTS = [
    ({"max_tokens": None}, "max_tokens"),
    ({"max_tokens": "8"}, "max_tokens"),
    ({"max_tokens": True}, "max_tokens"),
    ({"max_tokens": -1}, "max_tokens"),
    ({"messages": []}, "messages"),
    ({"messages": "hi"}, "messages"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [{"role": "tool", "content": ""}]}, "messages[0].role"),
    ({"messages": [{"role": "user", "content": [{"text": "a"}]}]}, "messages[0].content[0].type"),
    ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
    ({"messages": [{"role": "user", "content": [{"type": "text", "text": 5}]}]}, "messages[0].content[0].text"),
    ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages[0].content[0].source"),
    (
        {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "url"}}]}]},
        "messages[0].content[0].source.url",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]}]},
        "messages[0].content[0].type",
    ),
    (
        {"messages": [{"role": "assistant", "content": [{"type": "tool_result", "tool_use_id": "a"}]}]},
        "messages[0].content[0].type",
    ),
    (
        {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": "x"}]}]},
        "messages[0].content[0].input",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": [{}]}]}]},
        "messages[0].content[0].content[0].type",
    ),
    ({"system": 5}, "system"),
    ({"system": [{"type": "image", "source": {"type": "url", "url": "u"}}]}, "system[0].type"),
    ({"temperature": 1.1}, "temperature"),
    ({"temperature": "hot"}, "temperature"),
    ({"top_p": 2}, "top_p"),
    ({"top_k": 1.5}, "top_k"),
    ({"stop_sequences": "x"}, "stop_sequences"),
    ({"stop_sequences": [1]}, "stop_sequences[0]"),
    ({"stream": 1}, "stream"),
    ({"tools": [{"name": "f"}]}, "tools[0].input_schema"),
    ({"tools": [{"name": "f", "input_schema": []}]}, "tools[0].input_schema"),
    ({"tools": [{"type": 7}]}, "tools[0].type"),
    ({"tool_choice": "auto"}, "tool_choice"),
    ({"tool_choice": {"type": "some"}}, "tool_choice.type"),
    ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
    ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
    ({"thinking": {}}, "thinking.type"),
    ({"metadata": {"user_id": 5}}, "metadata.user_id"),
    ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema"),
    ({"output_config": {"effort": 5}}, "output_config.effort"),
    ({"model": 5}, "model"),
]


@pytest.mark.parametrize(("change", "param"), FAULTS, ids=lambda value: value if isinstance(value, str) else "")
def test_a_fault_is_a_400_that_names_the_field(change, param):
    with pytest.raises(InvalidRequest) as caught:
        ANTHROPIC_MESSAGES.decode_call({**MINIMAL, **change})

    assert caught.value.param == param
    assert param in caught.value.message
