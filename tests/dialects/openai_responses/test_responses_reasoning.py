"""Reasoning that another API vouches for survives a client that has never heard of it."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.answer import Answer
from gateway.core.errors import InvalidRequest
from gateway.core.events import Finished, Started
from gateway.core.items import Reasoning
from gateway.dialects.openai_responses import OPENAI_RESPONSES
from gateway.dialects.openai_responses.opaque import seal

STARTED = Started(id="msg_1", model="m", created=1, target="p/m")

SIGNED = Reasoning(text="Let me see.", signature="EqQBCkYIBxgC==", origin="anthropic_messages")
REDACTED = Reasoning(encrypted="EmwKAhgBEgy3", redacted=True, origin="anthropic_messages")
DETAILS = Reasoning(text="hm", origin="openai_chat", rest={"openai_chat": {"$details": [{"type": "reasoning.text"}]}})


def shown(reasoning, call):
    answer = Answer(started=STARTED, items=(reasoning,), finished=Finished())
    return json.loads(OPENAI_RESPONSES.encode_answer(answer, call))["output"][0]


def back(item):
    return OPENAI_RESPONSES.decode_call({"model": "m", "input": [item]}).items[0]


def same(one, other):
    facts = ("text", "signature", "encrypted", "redacted", "origin")
    others = ({k: v for k, v in item.rest.items() if k != "openai_responses"} for item in (one, other))
    return all(getattr(one, name) == getattr(other, name) for name in facts) and next(others) == next(others)


@pytest.mark.parametrize("reasoning", [SIGNED, REDACTED, DETAILS])
def test_reasoning_comes_back_with_what_its_origin_vouches_for(call_of, reasoning):
    item = shown(reasoning, call_of())

    assert item["encrypted_content"].startswith("sgr1.")
    assert same(back(item), reasoning)
    assert same(back({key: value for key, value in item.items() if key not in ("content", "id")}), reasoning)


@given(
    st.builds(
        Reasoning,
        text=st.text(),
        signature=st.text(),
        encrypted=st.none() | st.text(),
        redacted=st.booleans(),
        origin=st.just("x"),
    )
)
def test_any_text_and_signature_come_back(reasoning):
    assert same(back({"type": "reasoning", "summary": [], "encrypted_content": seal(reasoning)}), reasoning)


def test_encrypted_content_of_openai_is_byte_exact_in_both_directions(call_of):
    given_item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA+/=="}
    prompt = OPENAI_RESPONSES.decode_call({"model": "m", "input": [given_item]})

    assert prompt.items[0].origin == "openai_responses"
    assert OPENAI_RESPONSES.encode_call(prompt, model="m", stream=False, drop=False).body["input"] == [given_item]
    assert shown(prompt.items[0], call_of()) == given_item


def test_reasoning_in_the_clear_has_nothing_opaque(call_of):
    assert "encrypted_content" not in shown(Reasoning(text="hm"), call_of())


@pytest.mark.parametrize("data", ["!!", "AAAA", "bnVsbA"])
def test_a_changed_envelope_is_refused_by_its_path(data):
    with pytest.raises(InvalidRequest) as caught:
        back({"type": "reasoning", "summary": [], "encrypted_content": "sgr1." + data})

    assert caught.value.param == "input[0].encrypted_content"


def test_reasoning_of_another_origin_is_not_shown_to_this_upstream(call_of):
    prompt = OPENAI_RESPONSES.decode_call(
        {"model": "m", "input": [shown(SIGNED, call_of()), {"role": "user", "content": "x"}]}
    )

    encoded = OPENAI_RESPONSES.encode_call(prompt, model="m", stream=False, drop=False)

    assert encoded.body["input"] == [{"role": "user", "content": "x"}]
    assert encoded.dropped == ("reasoning",)
    assert b"EqQBCkYIBxgC" not in msgspec.json.encode(encoded.body)


def test_a_seal_of_another_gateway_is_wrapped_once_more_and_comes_back_whole(call_of):
    """Two gateways in a row: what the upstream gateway sealed is, for this one, opaque content of this API."""
    theirs = Reasoning(encrypted=seal(SIGNED), origin="openai_responses")

    item = shown(theirs, call_of())

    assert item["encrypted_content"] != theirs.encrypted
    assert same(back(item), theirs)
