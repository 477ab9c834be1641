"""What an upstream thought comes back to it, through clients of any API, and to nobody else."""

import json
from pathlib import Path

import pytest

from tests.dialects.matrix_answers import DIALECTS, heard, shown, streamed, whole

CASE = json.loads((Path(__file__).parent / "fixtures/matrix/answers/thinking.json").read_text())
OPAQUE = {"openai_responses": "gAAAAB+/==", "anthropic_messages": "EqQBCkYI+/=="}
DETAILS = [
    {"type": "reasoning.text", "text": "One and ", "format": "anthropic-claude-v1", "id": None, "index": 0},
    {"type": "reasoning.encrypted", "data": "Cig+/==", "format": "google-gemini-v1", "id": "tool_1", "index": 1},
]
PAIRS = [(upstream, client) for upstream in OPAQUE for client in DIALECTS]


def next_call(client, body):
    """Give the request in which a client sends the answer back, and asks on."""
    if client == "openai_chat":
        message = {name: value for name, value in body["choices"][0]["message"].items() if value is not None}
        return {
            "model": "m",
            "messages": [{"role": "user", "content": "?"}, message, {"role": "user", "content": "And?"}],
        }
    if client == "openai_responses":
        # Codex leaves out the ids of messages and thinking in the clear.
        output = [
            {k: v for k, v in item.items() if k not in ("status", "content") or item["type"] == "message"}
            for item in body["output"]
        ]
        return {"model": "m", "input": [{"role": "user", "content": "?"}, *output, {"role": "user", "content": "And?"}]}
    answer = {"role": "assistant", "content": body["content"]}
    messages = [{"role": "user", "content": "?"}, answer, {"role": "user", "content": "And?"}]
    return {"model": "m", "max_tokens": 9, "messages": messages}


def sent(client, body, upstream):
    content = DIALECTS[client].decode_call(next_call(client, body))
    return DIALECTS[upstream].encode_call(content, model="m", stream=False, drop=False)


def reasoning_in(upstream, body):
    """Give what an upstream of that API finds of its own reasoning in a request."""
    if upstream == "openai_responses":
        return [item for item in body["input"] if item.get("type") == "reasoning"]
    if upstream == "anthropic_messages":
        blocks = [
            block
            for message in body["messages"]
            if isinstance(message["content"], list)
            for block in message["content"]
        ]
        return [{k: v for k, v in block.items() if k != "citations"} for block in blocks if block["type"] == "thinking"]
    return [message["reasoning_details"] for message in body["messages"] if "reasoning_details" in message]


def original(upstream):
    said = CASE["said"][upstream]
    return said["output"][:1] if upstream == "openai_responses" else said["content"][:1]


def bodies(upstream, client, said):
    """Give the answer as the client has it from a document and from a stream."""
    yield shown(client, whole(upstream, said))
    yield streamed(client, heard(upstream, said))


@pytest.mark.parametrize(("upstream", "client"), PAIRS)
def test_sealed_reasoning_comes_back_to_its_origin_byte_for_byte(upstream, client):
    for body in bodies(upstream, client, CASE["said"][upstream]):
        encoded = sent(client, body, upstream)

        assert reasoning_in(upstream, encoded.body) == original(upstream)
        assert "reasoning" not in encoded.dropped


@pytest.mark.parametrize(("upstream", "client"), PAIRS)
def test_sealed_reasoning_reaches_no_other_api(upstream, client):
    for body in bodies(upstream, client, CASE["said"][upstream]):
        for other in DIALECTS.keys() - {upstream}:
            encoded = sent(client, body, other)

            assert OPAQUE[upstream] not in json.dumps(encoded.body)
            assert "sgr1." not in json.dumps(encoded.body)
            assert reasoning_in(other, encoded.body) == []
            assert "reasoning" in encoded.dropped


@pytest.mark.parametrize("client", DIALECTS)
def test_details_of_a_chat_upstream_come_back_to_chat_upstreams_as_they_were(client):
    """What OpenRouter passes on of other vendors' reasoning is bound to OpenRouter's accounts, not to ours."""
    said = json.loads(json.dumps(CASE["said"]["openai_chat"]))
    said["choices"][0]["message"]["reasoning_details"] = DETAILS
    body = shown(client, whole("openai_chat", said))

    assert reasoning_in("openai_chat", sent(client, body, "openai_chat").body) == [DETAILS]
    for other in OPAQUE:
        encoded = sent(client, body, other)
        assert "Cig+/==" not in json.dumps(encoded.body)
        assert reasoning_in(other, encoded.body) == []


@pytest.mark.parametrize("client", ["openai_chat", "anthropic_messages"])
def test_encrypted_reasoning_is_asked_for_where_a_client_of_another_api_speaks_of_reasoning(client):
    """Without it a Responses upstream that stores nothing would forget what it thought between two calls of tools."""
    asked = {
        "openai_chat": {"reasoning_effort": "low"},
        "anthropic_messages": {"max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 1024}},
    }[client]
    plain = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "?"}]}

    thinks, does_not = (
        DIALECTS["openai_responses"].encode_call(
            DIALECTS[client].decode_call(body), model="m", stream=False, drop=False
        )
        for body in ({**plain, **asked}, plain)
    )

    assert thinks.body["include"] == ["reasoning.encrypted_content"]
    assert "include" not in does_not.body
