"""What the admin API takes is closed and bounded: nothing unknown, nothing endless, nothing that writes into a log or a terminal."""

from typing import Annotated

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from gateway.api.admin_shapes import Body, Id, Name, Patterns, Tags, decode_body, decode_query
from gateway.core.errors import InvalidRequest


class Inner(Body):
    limit: Annotated[int, Meta(ge=1)]


class Made(Body):
    name: Name
    models: Patterns = msgspec.field(default_factory=list)
    tags: Tags = msgspec.field(default_factory=dict)
    team: Id | None = None
    inner: list[Inner] = msgspec.field(default_factory=list)


class Asked(Body):
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    dry_run: bool = False
    team: Id | None = None


@pytest.mark.parametrize(
    ("body", "param", "said"),
    [
        (b'{"name": "a", "modells": []}', "modells", "Did you mean 'models'?"),
        (b'{"name": "a", "zzz": 1}', "zzz", "Known here: name, models, tags, team, inner."),
        (b'{"name": "a", "inner": [{"limit": 1, "more": 2}]}', "inner[0].more", "no field 'more'"),
        (b"{}", "name", "Missing required parameter"),
        (b'{"name": 5}', "name", "must be a string"),
        (b'{"name": ""}', "name", "at least 1 characters"),
        (b'{"name": "  "}', "name", "blank"),
        (b'{"name": "a\\nb"}', "name", "not allowed"),
        (b'{"name": "a\\u001b[2J"}', "name", "not allowed"),
        (b'{"name": "a\\u202eb"}', "name", "not allowed"),
        (b'{"name": "%s"}' % (b"x" * 201), "name", "at most 200 characters"),
        (b'{"name": "a", "models": [%s]}' % b",".join([b'"m"'] * 201), "models", "at most 200 entries"),
        (b'{"name": "a", "team": "../x y"}', "team", "not allowed"),
        (b'{"name": "a", "inner": [{"limit": 0}]}', "inner[0].limit", "at least 1"),
        (b'{"name": "a", "name": "b"}', "name", "more than once"),
        (b"[]", None, "must be a JSON object"),
    ],
)
def test_a_body_that_does_not_fit_is_refused_with_the_field_and_the_reason(body, param, said):
    with pytest.raises(InvalidRequest) as refused:
        decode_body(body, Made)

    assert refused.value.param == param
    assert said in refused.value.message
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (b"limt=5", "Did you mean 'limit'?"),
        (b"limit=0", "at least 1"),
        (b"limit=x", "whole number"),
        (b"limit=1&limit=2", "more than once"),
        (b"team=%ff", "not well-formed"),
        (b"limit", "not well-formed"),
        (b"&".join(b"a%d=1" % number for number in range(60)), "not well-formed"),
        (b"team=a%0d%0ab", "not allowed"),
    ],
)
def test_a_query_string_is_as_strict_as_a_body(query, said):
    with pytest.raises(InvalidRequest) as refused:
        decode_query(query, Asked)

    assert said in refused.value.message


def test_a_query_string_says_numbers_and_booleans_as_text():
    assert decode_query(b"limit=7&dry_run=true&team=t%2B1", Asked) == Asked(limit=7, dry_run=True, team="t+1")
    assert decode_query(b"", Asked) == Asked()


def answered(read):
    """Whether it was taken; what is not an InvalidRequest goes on."""
    try:
        read()
    except InvalidRequest:
        return False
    return True


@given(st.binary(max_size=200))
def test_a_query_string_of_any_bytes_is_taken_or_refused(query):
    assert answered(lambda: decode_query(query, Asked)) in (True, False)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(),
    lambda inner: st.dictionaries(
        st.sampled_from(["name", "models", "tags", "team", "inner", "other"]) | st.text(), inner
    ),
)


@given(VALUES)
def test_a_body_of_any_shape_is_taken_or_refused(value):
    assert answered(lambda: decode_body(msgspec.json.encode(value), Made)) in (True, False)
