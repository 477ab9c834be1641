"""The Chat Completions dialect, put together from its parts."""

from __future__ import annotations

from gateway.core.answer import Answer
from gateway.core.call import Call
from gateway.core.content import Content, Operation, Prompt
from gateway.core.errors import InvalidRequest
from gateway.core.items import Json
from gateway.dialects.dialect import Dialect, EncodedCall
from gateway.dialects.openai_chat import answers
from gateway.dialects.openai_chat.decode_call import decode_call
from gateway.dialects.openai_chat.encode_call import encode_call
from gateway.dialects.openai_chat.names import NAME, TITLE
from gateway.dialects.openai_chat.shaped import ChatShaped
from gateway.dialects.openai_chat.stream_decode import ChatEventDecoder
from gateway.dialects.openai_chat.stream_encode import ChatEventEncoder


class OpenAIChat(ChatShaped):
    """`POST /v1/chat/completions`. Implements Dialect."""

    name: str = NAME
    operation: Operation = "generate"

    def decode_call(self, fields: dict[str, Json]) -> Content:
        """Request body -> Prompt."""
        return decode_call(fields)

    def encode_call(self, content: Content, *, model: str, stream: bool, drop: bool) -> EncodedCall:
        """Prompt -> request body. When streaming, usage is always asked for."""
        if not isinstance(content, Prompt):
            msg = f"The {TITLE} generates text; it cannot serve {type(content).__name__}."
            raise InvalidRequest(msg)
        return encode_call(content, model=model, stream=stream, drop=drop)

    def decode_answer(self, fields: dict[str, Json]) -> Answer:
        """`chat.completion` -> Answer."""
        return answers.decode_answer(fields)

    def encode_answer(self, answer: Answer, call: Call) -> bytes:
        """Answer -> `chat.completion`."""
        return answers.encode_answer(answer, call)

    def event_decoder(self) -> ChatEventDecoder:
        """A decoder for one stream."""
        return ChatEventDecoder()

    def event_encoder(self, call: Call) -> ChatEventEncoder:
        """An encoder for one stream."""
        return ChatEventEncoder(call)


OPENAI_CHAT: Dialect = OpenAIChat()
