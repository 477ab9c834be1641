"""The key: every field that an answer depends on makes another key, and how a body is written makes none. Issue 5, "Scope"."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cache.key import IGNORED, Depends, Keys, canonical
from gateway.core.call import Call, opened
from gateway.core.caller import Caller

DEPENDS = Depends(model="m", version="v1", revision="r", policy="p", prompt="1", indexes=("a@1",))
CALLER = Caller(id="key_1", kind="key", tenant="acme", user="user_1")
USER = {"role": "user", "content": "hello"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}

# Every request field that the APIs document, with two values that must not share an answer.
CHAT = {
    "model": ("m", "n"),
    "messages": ([USER], [{**USER, "content": "hello!"}]),
    "audio": ({"voice": "a"}, {"voice": "b"}),
    "frequency_penalty": (0, 0.1),
    "function_call": ("auto", "none"),
    "functions": ([{"name": "f"}], [{"name": "g"}]),
    "logit_bias": ({"1": 1}, {"1": 2}),
    "logprobs": (False, True),
    "max_completion_tokens": (10, 11),
    "max_tokens": (10, 11),
    "modalities": (["text"], ["text", "audio"]),
    "n": (1, 2),
    "parallel_tool_calls": (True, False),
    "prediction": ({"type": "content", "content": "a"}, {"type": "content", "content": "b"}),
    "presence_penalty": (0, -0.5),
    "reasoning_effort": ("low", "high"),
    "response_format": (SCHEMA, {"type": "json_object"}),
    "seed": (1, 2),
    "service_tier": ("auto", "flex"),
    "stop": (["a"], ["a", "b"]),
    "temperature": (0, 0.01),
    "tool_choice": ("auto", "required"),
    "tools": ([TOOL], [{**TOOL, "strict": True}]),
    "top_logprobs": (1, 2),
    "top_p": (1, 0.99),
    "verbosity": ("low", "high"),
    "web_search_options": ({}, {"search_context_size": "low"}),
    "top_k": (1, 2),
    "min_p": (0.1, 0.2),
    "repetition_penalty": (1, 1.1),
    "guided_json": ({"a": 1}, {"a": 2}),
    "structured_outputs": ({"regex": "a"}, {"regex": "b"}),
    "chat_template_kwargs": ({"thinking": True}, {"thinking": False}),
    "a_field_of_tomorrow": (1, 2),
}
RESPONSES = {
    "input": ("hello", "hello!"),
    "instructions": ("be short", "be long"),
    "background": (False, True),
    "conversation": ("a", "b"),
    "include": (["x"], ["y"]),
    "max_output_tokens": (10, 11),
    "max_tool_calls": (1, 2),
    "previous_response_id": ("a", "b"),
    "prompt": ({"id": "a", "version": "1"}, {"id": "a", "version": "2"}),
    "reasoning": ({"effort": "low"}, {"effort": "high"}),
    "text": ({"format": {"type": "text"}}, {"format": {"type": "json_object"}}),
    "truncation": ("auto", "disabled"),
}
MESSAGES = {
    "system": ("be short", [{"type": "text", "text": "be long"}]),
    "stop_sequences": (["a"], ["b"]),
    "thinking": ({"type": "enabled", "budget_tokens": 1024}, {"type": "enabled", "budget_tokens": 2048}),
    "container": ("a", "b"),
    "context_management": ({"edits": []}, {"edits": [1]}),
    "mcp_servers": ([], [{"url": "a"}]),
    "output_config": ({"effort": "low"}, {"effort": "high"}),
    "output_format": (SCHEMA, None),
}
OTHERS = {
    "best_of": (1, 2),
    "dimensions": (8, 16),
    "documents": (["a"], ["b"]),
    "echo": (False, True),
    "encoding_format": ("float", "base64"),
    "query": ("a", "b"),
    "return_documents": (True, False),
    "suffix": ("a", "b"),
    "top_n": (1, 2),
}
FIELDS = {**CHAT, **RESPONSES, **MESSAGES, **OTHERS}


def call(fields, **changes):
    made = {
        "id": "call_1", "operation": "generate", "dialect": "openai_chat", "model": "m", "stream": False, "caller": CALLER,
        "received": 0.0, "body": b"", "fields": fields,
    }  # fmt: skip
    return Call(**{**made, **changes})


def key(fields, depends=DEPENDS, sharing="tenant", namespace="", **changes):
    return Keys(depends, sharing).key(call(fields, **changes), fields, namespace)


@pytest.mark.parametrize("name", FIELDS)
def test_another_value_of_a_field_is_another_key(name):
    one, other = ({"model": "m", "messages": [USER], name: value} for value in FIELDS[name])

    assert key(one) != key(other)


@pytest.mark.parametrize("name", [name for name in FIELDS if name not in ("model", "messages")])
def test_a_field_that_is_there_is_another_key_than_one_that_is_not(name):
    without = {"model": "m", "messages": [USER]}

    assert key(without) != key({**without, name: FIELDS[name][0]})


@pytest.mark.parametrize("name", sorted(IGNORED))
def test_how_an_answer_travels_and_who_asks_makes_no_other_key(name):
    fields = {"model": "m", "messages": [USER]}

    assert key(fields) == key({**fields, name: "something"})


@pytest.mark.parametrize("name", Depends.__struct_fields__)
def test_what_a_models_answers_depend_on_is_in_the_key(name):
    fields = {"messages": [USER]}
    changed = ("a@2",) if name == "indexes" else "changed"

    assert key(fields) != key(fields, msgspec.structs.replace(DEPENDS, **{name: changed}))


@pytest.mark.parametrize(
    "changes",
    [
        {"dialect": "anthropic_messages"},
        {"operation": "embed"},
        {"headers": ((b"anthropic-beta", b"context-1m"),)},
        {"caller": msgspec.structs.replace(CALLER, tenant="globex")},
    ],
    ids=str,
)
def test_what_is_not_in_the_body_is_in_the_key(changes):
    assert key({"messages": [USER]}) != key({"messages": [USER]}, **changes)


def test_a_namespace_is_a_place_of_its_own():
    fields = {"messages": [USER]}

    assert len({key(fields), key(fields, namespace="a"), key(fields, namespace="b")}) == 3


@pytest.mark.parametrize("sharing", ["tenant", "key", "user"])
def test_tenants_never_share_whatever_else_is_the_same(sharing):
    """Two tenants whose keys and users have the same ids."""
    fields = {"messages": [USER], "user": "eve"}
    other = msgspec.structs.replace(CALLER, tenant="globex")

    assert key(fields, sharing=sharing) != key(fields, sharing=sharing, caller=other)


def test_the_scope_says_who_shares():
    fields = {"messages": [USER]}
    colleague = msgspec.structs.replace(CALLER, id="key_2", user="user_2")
    own_other_key = msgspec.structs.replace(CALLER, id="key_2")

    assert key(fields) == key(fields, caller=colleague)
    assert key(fields, sharing="key") != key(fields, sharing="key", caller=own_other_key)
    assert key(fields, sharing="user") == key(fields, sharing="user", caller=own_other_key)
    assert key(fields, sharing="user") != key(fields, sharing="user", caller=colleague)


@pytest.mark.parametrize(
    "said",
    [{"user": "%s"}, {"safety_identifier": "%s"}, {"metadata": {"user_id": "%s"}}],
    ids=lambda said: next(iter(said)),
)
def test_users_that_a_body_names_do_not_share_where_users_are_the_scope(said):
    """An application with one key that says for which of its users it asks."""
    ada, bob = (json.loads(json.dumps(said) % name) for name in ("ada", "bob"))
    nobodys = msgspec.structs.replace(CALLER, user="")

    assert key(ada, sharing="user", caller=nobodys) != key(bob, sharing="user", caller=nobodys)
    assert key(ada) == key(bob)


def test_nobodys_users_do_not_share_with_each_other():
    one, other = (msgspec.structs.replace(CALLER, id=name, user="") for name in ("key_1", "key_2"))

    assert key({"messages": [USER]}, sharing="user", caller=one) != key(
        {"messages": [USER]}, sharing="user", caller=other
    )


def test_a_user_who_is_called_like_a_key_does_not_share_with_it():
    fields = {"messages": [USER]}
    nobodys = msgspec.structs.replace(CALLER, user="")
    named = msgspec.structs.replace(CALLER, id="key_2", user="key:key_1")

    assert key(fields, sharing="user", caller=nobodys) != key(fields, sharing="user", caller=named)


def test_a_guarded_call_has_the_key_of_the_same_call():
    fields = {"messages": [USER]}
    keys = Keys(DEPENDS)

    assert keys.key(call(fields), fields) == keys.key(opened(call(fields)), fields)


def test_order_white_space_and_the_form_of_numbers_do_not_matter():
    one = json.loads('{"b": {"y": 1, "x": [1.0, {"q": 2.50}]}, "a": -0.0}')
    other = json.loads('{ "a":0,"b":{"x":[1,{"q":2.5}],"y":1.0} }')

    assert canonical(one) == canonical(other)


def test_numbers_that_differ_stay_different():
    assert canonical({"seed": 2**53}) != canonical({"seed": 2**53 + 1})
    assert canonical({"a": 1}) != canonical({"a": True})
    assert canonical({"a": "1.0"}) != canonical({"a": "1"})


def test_what_cannot_be_written_is_a_clear_error():
    with pytest.raises(ValueError, match="cannot be written"):
        canonical({"a": object()})


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
BODIES = st.dictionaries(st.text().filter(lambda name: name not in IGNORED), JSON, max_size=5)


@given(BODIES, st.randoms())
def test_a_body_written_anew_has_the_same_key(body, chance):
    def shuffled(value):
        if isinstance(value, dict):
            pairs = [(name, shuffled(each)) for name, each in value.items()]
            chance.shuffle(pairs)
            return dict(pairs)
        if isinstance(value, list):
            return [shuffled(each) for each in value]
        if isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        return value

    assert canonical(body) == canonical(json.loads(json.dumps(shuffled(body), indent=3)))


@given(BODIES, BODIES)
def test_other_bodies_have_other_keys(one, other):
    def plain(body):
        return json.dumps(body, sort_keys=True)

    def same(left, right):
        """As Python compares, but true is not 1."""
        if isinstance(left, bool) or isinstance(right, bool):
            return left is right
        if isinstance(left, dict) and isinstance(right, dict):
            return left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)
        if isinstance(left, list) and isinstance(right, list):
            return len(left) == len(right) and all(map(same, left, right))
        return left == right

    assert (key(one) == key(other)) == same(one, other), (plain(one), plain(other))


def test_parts_have_keys_of_their_own():
    keys = Keys(DEPENDS)
    whole = keys.key(call({}), {})

    assert len({whole, keys.part(whole, "a"), keys.part(whole, "b"), keys.part(keys.part(whole, "a"), "b")}) == 4
