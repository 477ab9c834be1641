"""The two dialects of the Anthropic API as objects: messages, and counting their tokens."""

from __future__ import annotations

import msgspec

from gateway.core.answer import Answer
from gateway.core.call import Call
from gateway.core.content import Content, Operation, Prompt
from gateway.core.errors import InternalError, SwitchgearError, UnsupportedParameter, UpstreamBroken
from gateway.core.events import Finished, Started, TokenCount
from gateway.core.items import Json
from gateway.dialects.anthropic_messages.answers import decode_message, encode_message
from gateway.dialects.anthropic_messages.call_decode import decode_message_call, decode_prompt
from gateway.dialects.anthropic_messages.call_encode import encode_count_call, encode_message_call
from gateway.dialects.anthropic_messages.errors import encode_error, read_error
from gateway.dialects.anthropic_messages.names import NAME, TITLE
from gateway.dialects.anthropic_messages.outcome import read_message, read_message_stream
from gateway.dialects.anthropic_messages.stream_decode import AnthropicEventDecoder
from gateway.dialects.anthropic_messages.stream_encode import AnthropicEventEncoder
from gateway.dialects.dialect import EncodedCall, EventDecoder, EventEncoder, Outcome

Raw = dict[str, Json]

_encode = msgspec.json.Encoder().encode


class AnthropicMessages:
    """`POST /v1/messages` (a Dialect)."""

    name = NAME
    operation: Operation = "generate"

    def decode_call(self, fields: Raw) -> Content:
        """Check a request body and translate it to a Prompt. Raises InvalidRequest with `param`."""
        return decode_message_call(fields)

    def encode_answer(self, answer: Answer, call: Call) -> bytes:
        """Give the message document."""
        return encode_message(answer, call)

    def event_encoder(self, call: Call) -> EventEncoder:
        """Give an encoder for one streamed answer."""
        return AnthropicEventEncoder(call)

    def encode_error(self, error: SwitchgearError) -> bytes:
        """Give the error document."""
        return encode_error(error)

    def encode_call(self, content: Content, *, model: str, stream: bool, drop: bool) -> EncodedCall:
        """Give the request for an Anthropic upstream. Raises UnsupportedParameter."""
        return encode_message_call(_prompt(content), model=model, stream=stream, drop=drop)

    def decode_answer(self, fields: Raw) -> Answer:
        """Translate an upstream's message. Raises UpstreamBroken, or UpstreamRefused for an error document."""
        return decode_message(fields)

    def event_decoder(self) -> EventDecoder:
        """Give a decoder for one streamed answer."""
        return AnthropicEventDecoder()

    def read_answer(self, body: bytes) -> Outcome:
        """Read usage and finish reason off a message's bytes."""
        return read_message(body)

    def read_stream(self, head: bytes, tail: bytes) -> Outcome:
        """Read usage, finish reason and completeness off a stream's first and last bytes."""
        return read_message_stream(head, tail)

    def says_nothing(self, data: bytes) -> bool:
        """A message that began is something: the model may have nothing to say."""
        del data
        return False

    def read_error(self, status: int, body: bytes) -> SwitchgearError:
        """Translate an upstream's error answer."""
        return read_error(status, body)


class AnthropicCountTokens:
    """`POST /v1/messages/count_tokens` (a Dialect). Its answer is one number; it has no stream."""

    name = "anthropic_count_tokens"
    operation: Operation = "count_tokens"

    def decode_call(self, fields: Raw) -> Content:
        """Check a request body and translate it to a Prompt. Raises InvalidRequest with `param`."""
        if fields.get("stream"):
            raise _no_stream()
        return decode_prompt(fields)

    def encode_answer(self, answer: Answer, call: Call) -> bytes:
        """Give `{"input_tokens": n}`."""
        if not isinstance(answer.result, TokenCount):
            raise InternalError
        return _encode({"input_tokens": answer.result.input_tokens})

    def event_encoder(self, call: Call) -> EventEncoder:
        """There is none: raises UnsupportedParameter for `stream`."""
        raise _no_stream()

    def encode_error(self, error: SwitchgearError) -> bytes:
        """Give the error document."""
        return encode_error(error)

    def encode_call(self, content: Content, *, model: str, stream: bool, drop: bool) -> EncodedCall:
        """Give the request for an Anthropic upstream. Raises UnsupportedParameter."""
        if stream:
            raise _no_stream()
        return encode_count_call(_prompt(content), model=model, drop=drop)

    def decode_answer(self, fields: Raw) -> Answer:
        """Translate an upstream's number. Raises UpstreamBroken."""
        count = fields.get("input_tokens")
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            msg = "The upstream's answer has no `input_tokens`."
            raise UpstreamBroken(msg)
        return Answer(
            started=Started(id="", model="", created=0, target=""),
            result=TokenCount(input_tokens=count),
            finished=Finished(),
        )

    def event_decoder(self) -> EventDecoder:
        """There is none: raises UnsupportedParameter for `stream`."""
        raise _no_stream()

    def read_answer(self, body: bytes) -> Outcome:
        """Nothing was generated, so nothing was used."""
        return Outcome()

    def read_stream(self, head: bytes, tail: bytes) -> Outcome:
        """Nothing was generated, so nothing was used."""
        return Outcome()

    def says_nothing(self, data: bytes) -> bool:
        """There are no streams."""
        del data
        return False

    def read_error(self, status: int, body: bytes) -> SwitchgearError:
        """Translate an upstream's error answer."""
        return read_error(status, body)


def _prompt(content: Content) -> Prompt:
    if not isinstance(content, Prompt):
        msg = f"The {TITLE} takes prompts only."
        raise UnsupportedParameter(msg)
    return content


def _no_stream() -> UnsupportedParameter:
    return UnsupportedParameter("Counting tokens gives one number and has no stream: `stream`.", param="stream")
