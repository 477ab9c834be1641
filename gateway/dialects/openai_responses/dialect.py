"""The Responses API as one instance of the dialects' protocol."""

from __future__ import annotations

from gateway.core.answer import Answer
from gateway.core.call import Call
from gateway.core.content import Content, Operation, Prompt
from gateway.core.errors import InvalidRequest, SwitchgearError
from gateway.core.items import Json
from gateway.dialects import openai_errors
from gateway.dialects.dialect import Dialect, EncodedCall, EventDecoder, EventEncoder, Outcome
from gateway.dialects.openai_responses.answers import decode_document, encode_document
from gateway.dialects.openai_responses.decode_call import decode_prompt
from gateway.dialects.openai_responses.encode_call import encode_prompt
from gateway.dialects.openai_responses.outcomes import read_document, read_tail
from gateway.dialects.openai_responses.stream_decode import ResponsesEventDecoder
from gateway.dialects.openai_responses.stream_encode import ResponsesEventEncoder
from gateway.dialects.openai_responses.written import NAME, TITLE


class OpenAIResponses:
    """`POST /v1/responses`, stateless. Source: OpenAI's API reference and the Open Responses specification, 2026."""

    name = NAME
    operation: Operation = "generate"

    def decode_call(self, fields: dict[str, Json]) -> Content:
        """Check and translate a request body. Raises InvalidRequest with `param` set to the path of the fault."""
        return decode_prompt(fields)

    def encode_answer(self, answer: Answer, call: Call) -> bytes:
        """Give the Response for a whole answer."""
        return encode_document(answer, call)

    def event_encoder(self, call: Call) -> EventEncoder:
        """Give an encoder for one streamed answer to `call`."""
        return ResponsesEventEncoder(call)

    def encode_error(self, error: SwitchgearError) -> bytes:
        """Give the JSON document for an error."""
        return openai_errors.encode_error(error)

    def encode_call(self, content: Content, *, model: str, stream: bool, drop: bool) -> EncodedCall:
        """Translate a prompt for an upstream. Raises UnsupportedParameter, or names the loss when `drop` permits it."""
        if not isinstance(content, Prompt):
            msg = f"The {TITLE} only generates."
            raise InvalidRequest(msg)
        return encode_prompt(content, model=model, stream=stream, drop=drop)

    def decode_answer(self, fields: dict[str, Json]) -> Answer:
        """Translate an upstream's Response. Raises UpstreamRefused for a failed one, UpstreamBroken for what is none."""
        return decode_document(fields)

    def event_decoder(self) -> EventDecoder:
        """Give a decoder for one streamed answer."""
        return ResponsesEventDecoder()

    def read_answer(self, body: bytes) -> Outcome:
        """Read usage and finish reason off a whole answer's bytes. Never raises."""
        return read_document(body)

    def read_stream(self, head: bytes, tail: bytes) -> Outcome:
        """The same for a stream: everything is in its last event, of which a part is enough."""
        del head
        return read_tail(tail)

    def says_nothing(self, data: bytes) -> bool:
        """A response that exists is something, however empty it then is."""
        del data
        return False

    def read_error(self, status: int, body: bytes) -> SwitchgearError:
        """Translate an upstream's error answer. Never raises."""
        return openai_errors.read_error(status, body)


OPENAI_RESPONSES: Dialect = OpenAIResponses()
