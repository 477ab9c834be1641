"""Whatever arrives, from clients or upstreams: a clear error of ours or an answer, never another exception."""

import contextlib
import copy
import json
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.errors import InvalidRequest, SwitchgearError, UpstreamError
from gateway.dialects.anthropic_messages import ANTHROPIC_COUNT_TOKENS, ANTHROPIC_MESSAGES
from gateway.dialects.sse import SseParser

FIXTURES = Path(__file__).parents[1] / "fixtures/anthropic_messages"
REQUESTS = [json.loads(path.read_text()) for path in sorted((FIXTURES / "requests").glob("*.json"))]
ANSWERS = [json.loads(path.read_text()) for path in sorted((FIXTURES / "answers").glob("*.json"))]
STREAMS = [
    [json.loads(data) for _, data in SseParser().feed(path.read_bytes())]
    for path in sorted((FIXTURES / "streams").glob("*.sse"))
]

scalars = st.none() | st.booleans() | st.integers(-5, 2**70) | st.floats(allow_nan=False) | st.text(max_size=4)
anything = scalars | st.lists(scalars, max_size=2) | st.dictionaries(st.sampled_from(["type", "text", "a"]), scalars)


def places(value, found):
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        found.append((value, key))
        places(child, found)
    return found


@st.composite
def damaged(draw, documents):
    """One of the documents, with one or two values replaced or taken away."""
    document = copy.deepcopy(draw(st.sampled_from(documents)))
    for _ in range(draw(st.integers(1, 2))):
        if not (spots := places(document, [])):
            break
        parent, key = draw(st.sampled_from(spots))
        if draw(st.booleans()):
            parent[key] = draw(anything)
        else:
            del parent[key]
    return document


@given(damaged(REQUESTS))
@settings(max_examples=400, deadline=None)
def test_a_damaged_request_is_refused_with_a_400_or_translated(fields):
    for dialect in (ANTHROPIC_MESSAGES, ANTHROPIC_COUNT_TOKENS):
        try:
            content = dialect.decode_call(fields)
        except InvalidRequest:
            continue
        with contextlib.suppress(SwitchgearError):
            json.dumps(dialect.encode_call(content, model="m", stream=False, drop=False).body)


@given(damaged(ANSWERS))
@settings(max_examples=200, deadline=None)
def test_a_damaged_answer_is_a_broken_upstream_or_an_answer(fields):
    with contextlib.suppress(UpstreamError):
        ANTHROPIC_MESSAGES.decode_answer(fields)
    ANTHROPIC_MESSAGES.read_answer(json.dumps(fields).encode())


@given(damaged(STREAMS))
@settings(max_examples=300, deadline=None)
def test_a_damaged_stream_is_an_upstreams_error_or_an_answer(events):
    decoder = ANTHROPIC_MESSAGES.event_decoder()
    lines = [json.dumps(event).encode() for event in events]

    with contextlib.suppress(UpstreamError):
        for line in lines:
            decoder.feed("", line)
        decoder.finish()
    stream = b"".join(b"data: %b\n\n" % line for line in lines)
    ANTHROPIC_MESSAGES.read_stream(stream, stream)


@given(st.binary(max_size=60), st.integers(400, 599))
@settings(max_examples=200, deadline=None)
def test_any_bytes_make_an_error_that_can_be_told(body, status):
    error = ANTHROPIC_MESSAGES.read_error(status, body)

    assert error.message
    assert json.loads(ANTHROPIC_MESSAGES.encode_error(error))["type"] == "error"
