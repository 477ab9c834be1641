"""How many tokens a conversation has, by vLLM's `/tokenize`: it applies the model's own chat template and counts.

Only the provider's half of a dialect: no client speaks this API to Switchgear.
"""

from __future__ import annotations

from gateway.core.answer import Answer
from gateway.core.call import Call
from gateway.core.content import Content, Operation
from gateway.core.errors import InternalError, UpstreamBroken
from gateway.core.events import Finished, Started, TokenCount
from gateway.core.items import Json
from gateway.dialects.dialect import Dialect, EncodedCall
from gateway.dialects.one_document import OneDocument
from gateway.dialects.openai_chat import OPENAI_CHAT

# Of a chat request, what decides which tokens go in; the rest decides what comes out, which nobody counts here.
_COUNTED = ("model", "messages", "tools", "chat_template_kwargs")


class VllmTokenize(OneDocument):
    """`POST /tokenize`. Implements the provider's half of Dialect."""

    name: str = "vllm_tokenize"
    operation: Operation = "count_tokens"
    title: str = "token count of vLLM"

    def decode_call(self, fields: dict[str, Json]) -> Content:
        """No client speaks this. Raises InternalError."""
        raise InternalError

    def encode_answer(self, answer: Answer, call: Call) -> bytes:
        """No client speaks this. Raises InternalError."""
        raise InternalError

    def encode_call(self, content: Content, *, model: str, stream: bool, drop: bool) -> EncodedCall:
        """Prompt -> the part of a chat request that is tokens. Raises UnsupportedParameter as the chat dialect does."""
        del stream  # a count has none
        chat = OPENAI_CHAT.encode_call(content, model=model, stream=False, drop=drop)
        body = {name: chat.body[name] for name in _COUNTED if name in chat.body}
        return EncodedCall(body=body, dropped=chat.dropped)

    def decode_answer(self, fields: dict[str, Json]) -> Answer:
        """`{"count": n}` -> Answer. Raises UpstreamBroken."""
        count = fields.get("count")
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise UpstreamBroken("vLLM's answer to a request to tokenize has no `count`.")
        started = Started(id="", model="", created=0, target="")
        return Answer(started=started, result=TokenCount(input_tokens=count), finished=Finished())


VLLM_TOKENIZE: Dialect = VllmTokenize()
