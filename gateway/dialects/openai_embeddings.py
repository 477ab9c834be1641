"""OpenAI's embeddings API. Vectors travel as numbers or as base64 of little-endian float32."""

from __future__ import annotations

import base64
import sys
from array import array

import msgspec

from gateway.core.answer import Answer
from gateway.core.call import Call
from gateway.core.content import Content, EmbeddingInput, Operation
from gateway.core.errors import InvalidRequest, UpstreamBroken
from gateway.core.events import Embeddings, Finished
from gateway.core.items import Json
from gateway.core.usage import Usage
from gateway.dialects.dialect import Dialect, EncodedCall, Outcome
from gateway.dialects.one_document import OneDocument, results_of, started
from gateway.dialects.openai_chat.usage import decode_usage
from gateway.dialects.rest import Leftovers, note, own
from gateway.dialects.shapes import check

NAME = "openai_embeddings"
_HUB_FIELDS = {"model", "input", "dimensions", "user"}


class _Body(msgspec.Struct):
    model: str
    input: str | list[str | int | list[int]]
    dimensions: int | None = None
    encoding_format: str | None = None
    user: str | None = None


class OpenAIEmbeddings(OneDocument):
    """`POST /v1/embeddings`. Implements Dialect."""

    name: str = NAME
    operation: Operation = "embed"
    title: str = "Embeddings API"

    def decode_call(self, fields: dict[str, Json]) -> Content:
        """Request body -> EmbeddingInput. Raises InvalidRequest."""
        body = check(fields, _Body)
        if body.encoding_format not in (None, "float", "base64"):
            msg = "Expected 'float' or 'base64': `encoding_format`."
            raise InvalidRequest(msg, param="encoding_format")
        if body.dimensions is not None and body.dimensions < 1:
            msg = "`dimensions` must be at least 1."
            raise InvalidRequest(msg, param="dimensions")
        rest = {name: value for name, value in fields.items() if name not in _HUB_FIELDS or value is None}
        inputs = _inputs(body.input)
        if isinstance(body.input, str) or isinstance(body.input[0], int):
            rest["$single"] = True
        return EmbeddingInput(inputs=inputs, dimensions=body.dimensions, user=body.user, rest={NAME: rest})

    def encode_call(self, content: Content, *, model: str, stream: bool, drop: bool) -> EncodedCall:
        """EmbeddingInput -> request body."""
        if not isinstance(content, EmbeddingInput):
            raise self.wrong_content(content)
        left = Leftovers(NAME, self.title, drop=drop)
        left.foreign(content.rest)
        single = note(content.rest, NAME, "single") and len(content.inputs) == 1
        inputs = [each if isinstance(each, str) else list(each) for each in content.inputs]
        body: dict[str, Json] = {"model": model, "input": inputs[0] if single else inputs}
        if content.dimensions is not None:
            body["dimensions"] = content.dimensions
        if content.user is not None:
            body["user"] = content.user
        return EncodedCall(body={**body, **own(content.rest, NAME)}, dropped=left.dropped)

    def read_answer(self, body: bytes) -> Outcome:
        """Usage of a whole answer; one without any embedding is none."""
        found = super().read_answer(body)
        if b'"data":[]' in body or b'"data": []' in body:
            return Outcome(usage=found.usage, complete=False, error=found.error)
        return found

    def decode_answer(self, fields: dict[str, Json]) -> Answer:
        """`list` of embeddings -> Answer. Raises UpstreamBroken."""
        data = results_of(fields, "data")
        if not data:
            msg = "The upstream's answer has no embeddings."
            raise UpstreamBroken(msg)
        if all(isinstance(each.get("index"), int) for each in data):
            data = sorted(data, key=lambda each: each["index"])
        vectors = tuple(_vector(each.get("embedding")) for each in data)
        return Answer(
            started=started(fields),
            result=Embeddings(vectors=vectors),
            finished=Finished(usage=decode_usage(fields.get("usage"))),
        )

    def encode_answer(self, answer: Answer, call: Call) -> bytes:
        """Answer -> `list` of embeddings, in the form that the call asks for."""
        vectors = answer.result.vectors if isinstance(answer.result, Embeddings) else ()
        as_base64 = call.fields.get("encoding_format") == "base64"
        tokens = (answer.finished.usage or Usage()).input_total
        document = {
            "object": "list",
            "data": [
                {"object": "embedding", "index": number, "embedding": _base64(vector) if as_base64 else vector}
                for number, vector in enumerate(vectors)
            ],
            "model": answer.started.model or call.model,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
        return msgspec.json.encode(document)


def _inputs(value: str | list[str | int | list[int]]) -> tuple[str | tuple[int, ...], ...]:
    if isinstance(value, str):
        return (value,)
    if not value:
        msg = "`input` must not be empty."
        raise InvalidRequest(msg, param="input")
    kinds = {type(each) for each in value}
    if len(kinds) > 1:
        msg = "`input` must hold only texts, only token ids or only lists of token ids."
        raise InvalidRequest(msg, param="input")
    if kinds == {int}:
        return (tuple(value),)  # type: ignore[arg-type]  # all are integers
    return tuple(tuple(each) if isinstance(each, list) else each for each in value)  # type: ignore[misc]  # no integers


def _vector(value: Json) -> tuple[float, ...]:
    try:
        if isinstance(value, str):
            return tuple(_floats(base64.b64decode(value, validate=True)))
        return tuple(map(float, value))
    except (ValueError, TypeError) as exc:
        msg = "The upstream's answer holds an embedding that is neither numbers nor base64 of float32."
        raise UpstreamBroken(msg) from exc


def _floats(data: bytes) -> array[float]:
    numbers = array("f", data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _base64(vector: tuple[float, ...]) -> str:
    numbers = array("f", vector)
    if sys.byteorder == "big":
        numbers.byteswap()
    return base64.b64encode(numbers.tobytes()).decode()


OPENAI_EMBEDDINGS: Dialect = OpenAIEmbeddings()
