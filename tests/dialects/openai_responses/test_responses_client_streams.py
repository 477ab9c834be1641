"""Streams to clients: the official client's types and its accumulator are the judges of the state machine."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai._types import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from gateway.core.answer import Answer, replay, skeleton
from gateway.core.errors import ContextLengthExceeded, InternalError, RateLimited, UpstreamBroken
from gateway.core.events import (
    ArgumentsDelta,
    Finished,
    ItemFinished,
    ItemStarted,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
)
from gateway.core.items import Foreign, Image, Message, Reasoning, Refusal, Text, ToolCall, ToolResult
from gateway.core.usage import Usage
from gateway.dialects.openai_responses import OPENAI_RESPONSES
from gateway.dialects.sse import SseParser

EVENT = TypeAdapter(ResponseStreamEvent)
STARTED = Started(id="chatcmpl-abc", model="m", created=1755800000, target="p/m")
FINISHED = Finished(usage=Usage(input=5, cache_read=3, cache_write=2, output=7, reasoning=4))
TERMINAL = {"response.completed", "response.incomplete", "response.failed", "error"}


def said(text: str, **more: Any) -> Message:
    return Message(role="assistant", parts=(Text(text=text, **more),))


def parsed(data: bytes) -> list[dict[str, Any]]:
    """Cut the stream, check the frame of each event and its type, give the documents."""
    documents = []
    for name, body in SseParser().feed(data):
        document = json.loads(body)
        assert name == document["type"]
        strict = json.loads(body)
        if strict.get("response", {}).get("error"):
            strict["response"]["error"]["code"] = "server_error"  # the package's list is shorter than OpenAI's own
        EVENT.validate_python(strict, strict=True)
        documents.append(document)
    assert [document["sequence_number"] for document in documents] == list(range(len(documents)))
    return documents


def accumulated(documents: list[dict[str, Any]]):
    """Give what the official client makes of the stream."""
    state: ResponseStreamState[Any] = ResponseStreamState(input_tools=omit, text_format=omit)
    for document in documents:
        state.handle_event(EVENT.validate_python(document))
    return state._completed_response


@pytest.fixture
def encoded(call_of):
    def encode(events, request=None) -> bytes:
        encoder = OPENAI_RESPONSES.event_encoder(call_of(request))
        return b"".join(encoder.encode(event) for event in events)

    return encode


@pytest.fixture
def streamed(encoded):
    return lambda *items, finished=FINISHED, request=None: parsed(
        encoded(replay(Answer(started=STARTED, items=items, finished=finished)), request)
    )


def kinds(documents):
    return [document["type"].removeprefix("response.") for document in documents]


def test_a_text_is_streamed_in_the_order_that_the_api_promises(encoded):
    message = said("Hello")
    documents = parsed(
        encoded(
            [
                STARTED,
                ItemStarted(index=0, item=skeleton(message)),
                TextDelta(index=0, text="Hel"),
                TextDelta(index=0, text='"lo\u2028'),
                ItemFinished(index=0, item=message),
                FINISHED,
            ]
        )
    )

    assert kinds(documents) == [
        "created", "in_progress", "output_item.added", "content_part.added", "output_text.delta", "output_text.delta",
        "output_text.done", "content_part.done", "output_item.done", "completed",
    ]  # fmt: skip
    assert [document["delta"] for document in documents if "delta" in document] == ["Hel", '"lo\u2028']
    assert documents[4] == {
        "type": "response.output_text.delta",
        "sequence_number": 4,
        "item_id": "msg_abc_0",
        "output_index": 0,
        "content_index": 0,
        "delta": "Hel",
        "logprobs": [],
    }
    final = documents[-1]["response"]
    assert final["id"] == "resp_abc"
    assert final["output"] == [documents[-2]["item"]]
    assert final["usage"] == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
        "output_tokens": 11,
        "output_tokens_details": {"reasoning_tokens": 4},
        "total_tokens": 21,
    }


def test_reasoning_and_calls_are_streamed_in_the_order_that_the_api_promises(streamed):
    documents = streamed(
        Reasoning(summary=("One", "Two"), text="Deep"),
        ToolCall(call_id="c1", name="f", arguments='{"a":1}'),
        ToolCall(call_id="c2", name="g", arguments="free", kind="custom"),
    )

    assert kinds(documents)[2:] == [
        "output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta",
        "reasoning_summary_part.added", "reasoning_summary_text.delta", "content_part.added", "reasoning_text.delta",
        "reasoning_summary_text.done", "reasoning_summary_part.done", "reasoning_summary_text.done",
        "reasoning_summary_part.done", "reasoning_text.done", "content_part.done", "output_item.done",
        "output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done",
        "output_item.added", "custom_tool_call_input.delta", "custom_tool_call_input.done", "output_item.done",
        "completed",
    ]  # fmt: skip
    ids = [item["id"] for item in documents[-1]["response"]["output"]]
    assert ids == ["rs_abc_0", "fc_abc_1", "ctc_abc_2"]


def test_the_official_client_accumulates_what_was_said(streamed):
    response = accumulated(streamed(said("Hello"), ToolCall(call_id="c1", name="f", arguments="{}")))

    assert response is not None
    assert response.output_text == "Hello"
    assert response.output[1].name == "f"


def test_the_request_is_echoed_and_what_strict_clients_want_is_there(streamed, fixtures):
    request = json.loads((fixtures / "requests" / "codex.json").read_bytes())
    response = streamed(said("x"), request=request)[-1]["response"]

    for name in ("instructions", "tool_choice", "parallel_tool_calls", "prompt_cache_key"):
        assert response[name] == request[name]
    assert response["text"] == {"format": {"type": "text"}, "verbosity": "low"}
    assert response["store"] is False
    for name in (
        "presence_penalty", "frequency_penalty", "top_logprobs", "temperature", "top_p", "truncation", "service_tier",
        "background", "tools", "tool_choice",
    ):  # fmt: skip
        assert response[name] is not None
    for tool in response["tools"]:
        assert tool["type"] != "function" or {"strict", "description", "parameters"} <= tool.keys()


@pytest.mark.parametrize(("reason", "why"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_a_cut_off_answer_is_incomplete_and_so_is_its_last_item(streamed, reason, why):
    """Clients run a call as soon as it is completed: half a call must not look so."""
    call = ToolCall(call_id="c", name="rm", arguments='{"path":"/tm')
    documents = streamed(said("x"), call, finished=Finished(reason=reason))

    assert documents[-1]["type"] == "response.incomplete"
    assert documents[-1]["response"]["incomplete_details"] == {"reason": why}
    assert [item["status"] for item in documents[-1]["response"]["output"]] == ["completed", "incomplete"]
    assert [d["item"]["status"] for d in documents if d["type"].endswith("item.done")] == ["completed", "incomplete"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UpstreamBroken("It broke."), "server_error"),
        (RateLimited("It broke."), "rate_limit_exceeded"),
        (ContextLengthExceeded("It broke."), "context_length_exceeded"),
        (InternalError("It broke."), "server_error"),
    ],
)
def test_an_error_ends_the_stream_as_a_failed_response(call_of, error, code):
    encoder = OPENAI_RESPONSES.event_encoder(call_of())
    events = [STARTED, ItemStarted(index=0, item=said("")), TextDelta(index=0, text="Hel")]
    documents = parsed(b"".join(map(encoder.encode, events)) + encoder.error(error) + encoder.error(error))

    assert documents[-1]["type"] == "response.failed"
    assert documents[-1]["response"]["status"] == "failed"
    assert documents[-1]["response"]["error"] == {"code": code, "message": "It broke."}


def test_an_error_before_the_response_began_is_an_error_event(call_of):
    (document,) = parsed(OPENAI_RESPONSES.event_encoder(call_of()).error(UpstreamBroken("It broke.", param="model")))

    assert document == {
        "type": "error",
        "sequence_number": 0,
        "code": "server_error",
        "message": "It broke.",
        "param": "model",
    }


def test_ids_of_this_api_are_kept_and_those_of_others_are_not(streamed):
    mine = Message(role="assistant", parts=(), id="msg_up")
    documents = streamed(mine, ToolCall(call_id="c", name="f", arguments="{}", id="toolu_1"), Reasoning(id="rs_up"))

    assert [item["id"] for item in documents[-1]["response"]["output"]] == ["msg_up", "fc_abc_1", "rs_up"]


def test_citations_of_other_dialects_are_brought_into_form_or_left_out(streamed):
    chat = {"type": "url_citation", "url_citation": {"start_index": 0, "end_index": 1, "title": "t", "url": "u"}}
    documents = streamed(said("x", annotations=(chat, {"type": "char_location"})))

    flat = {"type": "url_citation", "start_index": 0, "end_index": 1, "title": "t", "url": "u"}
    assert documents[-1]["response"]["output"][0]["content"][0]["annotations"] == [flat]
    assert [d["annotation"] for d in documents if "annotation" in d] == [flat]


def test_what_this_api_has_no_form_for_leaves_no_gap(streamed):
    documents = streamed(
        Foreign(dialect="anthropic_messages", raw={"type": "server_tool_use"}),
        Message(role="assistant", parts=(Image(url="u"), Text(text="x"))),
        Foreign(dialect="openai_responses", raw={"type": "compaction", "id": "cmp_1", "encrypted_content": "x"}),
        ToolResult(call_id="c", parts=(Text(text="y"),)),
    )

    assert [item["type"] for item in documents[-1]["response"]["output"]] == [
        "message", "compaction", "function_call_output",
    ]  # fmt: skip
    assert {document["output_index"] for document in documents if "output_index" in document} == {0, 1, 2}


def test_a_whole_answer_is_the_final_response_of_its_stream(streamed, call_of):
    answer = Answer(
        started=STARTED,
        items=(Reasoning(text="hm", signature="s", origin="anthropic_messages"), said("Hello")),
        finished=FINISHED,
    )

    whole = json.loads(OPENAI_RESPONSES.encode_answer(answer, call_of()))

    Response.model_validate(whole, strict=True)
    assert whole == streamed(*answer.items)[-1]["response"]


@pytest.mark.parametrize("name", ["openai_text", "openai_tools", "vllm_reasoning", "without_deltas", "refusal"])
def test_an_upstreams_stream_comes_through_translation_with_the_same_output(decoded, encoded, fixtures, name):
    data = (fixtures / "streams" / f"{name}.sse").read_bytes()
    final = json.loads(data.replace(b"\r", b"").strip().rpartition(b"\ndata: ")[2])["response"]

    response = parsed(encoded(decoded(data)))[-1]["response"]

    assert [_essence(item) for item in response["output"]] == [_essence(item) for item in final["output"]]
    assert response["usage"]["total_tokens"] == final["usage"]["total_tokens"]
    assert response["id"] == final["id"]


def _essence(item: dict[str, Any]) -> dict[str, Any]:
    text = [part.get("text", part.get("refusal")) for part in item.get("content") or ()]
    kept = ("type", "name", "arguments", "input", "call_id", "encrypted_content", "action")
    return {name: item[name] for name in kept if item.get(name)} | {"text": text, "summary": item.get("summary", [])}


TEXTS = st.text(min_size=1, max_size=8)
PARTS = st.one_of(TEXTS.map(lambda t: Text(text=t)), TEXTS.map(lambda t: Refusal(text=t)))
ITEMS = st.one_of(
    st.lists(PARTS, max_size=3).map(lambda parts: Message(role="assistant", parts=tuple(parts))),
    st.builds(Reasoning, text=st.text(max_size=8), summary=st.lists(TEXTS, max_size=3).map(tuple)),
    st.builds(
        ToolCall,
        call_id=st.uuids().map(str),
        name=st.just("f"),
        arguments=st.text(max_size=12),
        kind=st.sampled_from(["function", "custom"]),
    ),
)


@st.composite
def streams(draw):
    """Items with their deltas cut anywhere, overlapping each other; ends of parts in order."""
    waiting = []
    for index, item in enumerate(draw(st.lists(ITEMS, max_size=4))):
        deltas = list(replay(Answer(started=STARTED, items=(item,), finished=FINISHED)))[1:-1]
        pieces = []
        for event in deltas:
            pieces.extend(_cut(draw, msgspec.structs.replace(event, index=index)))
        waiting.append(pieces)
    events, open_items = [], []
    while waiting or open_items:
        if waiting and (not open_items or draw(st.booleans())):
            open_items.append(waiting.pop(0))
            events.append(open_items[-1].pop(0))
            continue
        pieces = draw(st.sampled_from(open_items))
        events.append(pieces.pop(0))
        if not pieces:
            open_items.remove(pieces)
    finished = draw(st.sampled_from([FINISHED, Finished(reason="length"), Finished(reason="tool_calls")]))
    return [STARTED, *events, finished]


def _cut(draw, event):
    if not isinstance(event, (TextDelta, RefusalDelta, ReasoningDelta, ArgumentsDelta)) or draw(st.booleans()):
        return [event]
    place = draw(st.integers(0, len(event.text)))
    texts = (event.text[:place], event.text[place:])
    return [msgspec.structs.replace(event, text=text) for text in texts]


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=streams())
def test_whatever_the_order_a_stream_keeps_its_invariants(encoded, events):
    """Gapless numbers; added before delta before done; one terminal; deltas add up; ids hold; the client accumulates it."""
    documents = parsed(encoded(events))

    names = [document["type"] for document in documents]
    assert names[:2] == ["response.created", "response.in_progress"]
    assert [name for name in names if name in TERMINAL] == names[-1:]
    final = documents[-1]["response"]["output"]
    for place, item in enumerate(final):
        mine = [document for document in documents if document.get("output_index") == place]
        assert mine[0]["type"] == "response.output_item.added"
        assert mine[-1]["type"] == "response.output_item.done"
        assert mine[-1]["item"] == item
        assert {d.get("item_id", item["id"]) for d in mine} == {mine[0]["item"]["id"]} == {item["id"]}
        _check_parts(mine[1:-1])
    ends = [event.item for event in events if isinstance(event, ItemFinished)]
    assert len(final) == len(ends)
    if names[-1] == "response.completed":
        response = accumulated(documents)
        assert response is not None
        assert [item.type for item in response.output] == [item["type"] for item in final]


def _check_parts(documents):
    opened: dict[Any, str] = {}
    closed = set()
    for document in documents:
        part = (
            document["type"].startswith("response.reasoning_summary"),
            document.get("content_index"),
            document.get("summary_index"),
        )
        kind = document["type"].rpartition(".")[2]
        assert part not in closed
        if document["type"].endswith("part.added"):
            assert part not in opened
            opened[part] = ""
        elif kind == "delta":
            opened.setdefault(part, "") if part == (False, None, None) else None
            opened[part] += document["delta"]
        elif document["type"].endswith("part.done"):
            closed.add(part)
        elif kind == "done":
            whole = next(document[name] for name in ("text", "refusal", "arguments", "input") if name in document)
            assert opened.get(part, "") == whole
    assert closed == {part for part in opened if part != (False, None, None)}


def test_sequence_numbers_hold_across_the_fast_path(encoded):
    message = said("ab" * 500)
    deltas = [TextDelta(index=0, text="ab") for _ in range(500)]

    documents = parsed(
        encoded(
            [
                STARTED,
                ItemStarted(index=0, item=skeleton(message)),
                *deltas,
                ItemFinished(index=0, item=message),
                FINISHED,
            ]
        )
    )

    assert all(later["sequence_number"] == earlier["sequence_number"] + 1 for earlier, later in pairwise(documents))
