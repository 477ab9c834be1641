"""The client's half of OpenAI's count of a response's input: `POST /v1/responses/input_tokens`. What providers need of it is theirs."""

from __future__ import annotations

from typing import NoReturn

import msgspec

from gateway.core.answer import Answer
from gateway.core.call import Call
from gateway.core.content import Content, Operation
from gateway.core.errors import InternalError, UnsupportedParameter
from gateway.core.events import TokenCount
from gateway.core.items import Json
from gateway.dialects.dialect import Dialect, EncodedCall
from gateway.dialects.one_document import OneDocument
from gateway.dialects.openai_responses.decode_call import decode_prompt

NAME = "openai_responses_input_tokens"


class InputTokens(OneDocument):
    """Its answer is one number; it has no stream."""

    name = NAME
    title = "count of input tokens"
    operation: Operation = "count_tokens"

    def decode_call(self, fields: dict[str, Json]) -> Content:
        """Check a request body and translate it to a Prompt. Raises InvalidRequest with `param`."""
        if fields.get("stream"):
            msg = "Counting tokens gives one number and has no stream: `stream`."
            raise UnsupportedParameter(msg, param="stream")
        return decode_prompt(fields)

    def encode_answer(self, answer: Answer, call: Call) -> bytes:
        """Give the number as the API does."""
        if not isinstance(answer.result, TokenCount):
            raise InternalError
        return msgspec.json.encode({"object": "response.input_tokens", "input_tokens": answer.result.input_tokens})

    def encode_call(self, content: Content, *, model: str, stream: bool, drop: bool) -> EncodedCall:
        """No upstream is asked in this. Raises InternalError."""
        raise InternalError

    def decode_answer(self, fields: dict[str, Json]) -> NoReturn:
        """No upstream answers in this. Raises InternalError."""
        raise InternalError


INPUT_TOKENS: Dialect = InputTokens()
