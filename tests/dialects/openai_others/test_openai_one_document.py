"""Embeddings, moderations and rankings: requests go round, answers are what the official client expects."""

import base64
import struct

import msgspec
import pytest
from openai.types import CreateEmbeddingResponse, ModerationCreateResponse

from gateway.core.answer import AnswerBuilder, replay
from gateway.core.call import Call
from gateway.core.caller import ANONYMOUS
from gateway.core.content import Prompt
from gateway.core.errors import InvalidRequest, UpstreamBroken, UpstreamRefused
from gateway.core.events import Embeddings, Ranking
from gateway.core.usage import Usage
from gateway.dialects.openai_embeddings import OPENAI_EMBEDDINGS
from gateway.dialects.openai_moderations import OPENAI_MODERATIONS
from gateway.dialects.rerank import RERANK

DIALECTS = [OPENAI_EMBEDDINGS, OPENAI_MODERATIONS, RERANK]


def call(**fields):
    return Call(
        id="1",
        operation="embed",
        dialect="x",
        model="m",
        stream=False,
        caller=ANONYMOUS,
        received=0.0,
        body=b"",
        fields=fields,
    )


REQUESTS = [
    (OPENAI_EMBEDDINGS, {"input": "x"}),
    (OPENAI_EMBEDDINGS, {"input": ["x"]}),
    (OPENAI_EMBEDDINGS, {"input": ["x", "y"], "dimensions": 8, "encoding_format": "base64", "user": "u"}),
    (OPENAI_EMBEDDINGS, {"input": [1, 2], "dimensions": None}),
    (OPENAI_EMBEDDINGS, {"input": [[1, 2], [3]], "truncate_prompt_tokens": 5}),
    (OPENAI_MODERATIONS, {"input": "x"}),
    (OPENAI_MODERATIONS, {"input": [{"type": "text", "text": "x"}], "future": 1}),
    (RERANK, {"query": "q", "documents": ["a", "b"]}),
    (RERANK, {"query": "q", "documents": ["a", {"text": "b"}], "top_n": 1, "return_documents": True, "priority": 1}),
    (RERANK, {"query": "q", "documents": ["a"], "return_documents": False, "top_n": None}),
]


@pytest.mark.parametrize(("dialect", "request_"), REQUESTS)
def test_a_request_comes_back_key_for_key(dialect, request_):
    fields = {"model": "m", **request_}

    assert dialect.encode_call(dialect.decode_call(fields), model="m", stream=False, drop=False).body == fields


@pytest.mark.parametrize(
    ("dialect", "request_", "param"),
    [
        (OPENAI_EMBEDDINGS, {}, "input"),
        (OPENAI_EMBEDDINGS, {"input": []}, "input"),
        (OPENAI_EMBEDDINGS, {"input": None}, "input"),
        (OPENAI_EMBEDDINGS, {"input": ["x", 1]}, "input"),
        (OPENAI_EMBEDDINGS, {"input": [["x"]]}, "input[0][0]"),
        (OPENAI_EMBEDDINGS, {"input": "x", "encoding_format": "hex"}, "encoding_format"),
        (OPENAI_EMBEDDINGS, {"input": "x", "dimensions": 0}, "dimensions"),
        (OPENAI_EMBEDDINGS, {"input": "x", "dimensions": "8"}, "dimensions"),
        (OPENAI_MODERATIONS, {"input": []}, "input"),
        (OPENAI_MODERATIONS, {"input": 5}, "input"),
        (RERANK, {"documents": ["a"]}, "query"),
        (RERANK, {"query": "q", "documents": []}, "documents"),
        (RERANK, {"query": "q", "documents": [5]}, "documents[0]"),
        (RERANK, {"query": "q", "documents": [{"image": "x"}]}, "documents[0].text"),
        (RERANK, {"query": "q", "documents": ["a"], "top_n": -1}, "top_n"),
    ],
)
def test_a_fault_is_named(dialect, request_, param):
    with pytest.raises(InvalidRequest) as caught:
        dialect.decode_call({"model": "m", **request_})

    assert caught.value.param == param


def test_vectors_are_read_as_numbers_and_as_base64():
    packed = base64.b64encode(struct.pack("<3f", 0.5, -1.25, 3.0)).decode()
    fields = {
        "model": "e",
        "data": [{"index": 1, "embedding": packed}, {"index": 0, "embedding": [1, 2.5, 3]}],
        "usage": {"prompt_tokens": 4, "total_tokens": 4},
    }

    answer = OPENAI_EMBEDDINGS.decode_answer(fields)

    assert answer.result == Embeddings(vectors=((1.0, 2.5, 3.0), (0.5, -1.25, 3.0)))
    assert answer.finished.usage == Usage(input=4)


def test_vectors_are_written_in_the_form_that_was_asked_for():
    answer = OPENAI_EMBEDDINGS.decode_answer({"data": [{"index": 0, "embedding": [0.5, -1.25]}]})

    floats = OPENAI_EMBEDDINGS.encode_answer(answer, call())
    packed = msgspec.json.decode(OPENAI_EMBEDDINGS.encode_answer(answer, call(encoding_format="base64")))

    response = CreateEmbeddingResponse.model_validate_json(floats, strict=True)
    assert response.data[0].embedding == [0.5, -1.25]
    assert struct.unpack("<2f", base64.b64decode(packed["data"][0]["embedding"])) == (0.5, -1.25)


def test_moderations_keep_their_judgements():
    categories = {"harassment": True}
    fields = {"id": "modr-1", "model": "omni", "results": [{"flagged": True, "categories": categories, "new": 1}]}

    document = OPENAI_MODERATIONS.encode_answer(OPENAI_MODERATIONS.decode_answer(fields), call())

    assert msgspec.json.decode(document) == fields
    assert ModerationCreateResponse.model_construct(**msgspec.json.decode(document)).results[0].flagged


def test_rankings_come_best_first_and_bring_documents_only_when_asked():
    fields = {
        "id": "r",
        "model": "m",
        "usage": {"total_tokens": 9},
        "results": [
            {"index": 0, "relevance_score": 0.1},
            {"index": 1, "relevance_score": 0.9, "document": {"text": "b"}},
        ],
    }

    answer = RERANK.decode_answer(fields)
    bare = msgspec.json.decode(RERANK.encode_answer(answer, call(documents=["a", "b"])))
    full = msgspec.json.decode(RERANK.encode_answer(answer, call(documents=["a", "b"], top_n=1, return_documents=True)))

    assert answer.result == Ranking(results=((1, 0.9), (0, 0.1)))
    assert bare["results"] == [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}]
    assert full["results"] == [{"index": 1, "relevance_score": 0.9, "document": {"text": "b"}}]
    assert full["usage"] == {"total_tokens": 9}


def test_a_result_survives_the_way_through_events():
    answer = RERANK.decode_answer({"results": [{"index": 0, "relevance_score": 1}]})
    builder = AnswerBuilder()
    for event in replay(answer):
        builder.add(event)

    assert builder.answer() == answer


@pytest.mark.parametrize("dialect", DIALECTS)
def test_broken_and_refused_answers_are_told_apart(dialect):
    with pytest.raises(UpstreamBroken):
        dialect.decode_answer({})
    with pytest.raises(UpstreamBroken):
        dialect.decode_answer({"data": [5], "results": [5]})
    with pytest.raises(UpstreamRefused):
        dialect.decode_answer({"error": {"message": "x", "code": 503}})
    assert dialect.read_error(500, b"x").message.endswith("x")
    assert b'"error"' in dialect.encode_error(InvalidRequest("x"))


@pytest.mark.parametrize("bad", ["!!", "AAA=", [None], 5, ["x"]])
def test_an_embedding_that_is_neither_form_is_broken(bad):
    with pytest.raises(UpstreamBroken):
        OPENAI_EMBEDDINGS.decode_answer({"data": [{"index": 0, "embedding": bad}]})


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_does_not_stream_says_so(dialect):
    with pytest.raises(InvalidRequest):
        dialect.event_encoder(call())
    with pytest.raises(InvalidRequest):
        dialect.encode_call(Prompt(items=()), model="m", stream=False, drop=False)
