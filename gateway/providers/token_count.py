"""How upstreams count the tokens of a conversation: vLLM's `/tokenize` (the embedded models have it too), and OpenAI's own count.

Only the provider's half of a dialect: no client speaks these APIs to Switchgear.
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
from gateway.dialects.openai_responses import OPENAI_RESPONSES


class Counting(OneDocument):
    """An API that counts tokens. Implements the provider's half of Dialect.

    The conversation is encoded in the dialect `as_in`, of which only the fields `counted` decide which tokens go in; `answer`
    is the answer's field that has the number.
    """

    operation: Operation = "count_tokens"

    def __init__(self, name: str, as_in: Dialect, counted: tuple[str, ...], answer: str) -> None:
        self.name = name
        self.title = f"token count {name}"
        self._as_in = as_in
        self._counted = counted
        self._answer = answer

    def decode_call(self, fields: dict[str, Json]) -> Content:
        """No client speaks this. Raises InternalError."""
        raise InternalError

    def encode_answer(self, answer: Answer, call: Call) -> bytes:
        """No client speaks this. Raises InternalError."""
        raise InternalError

    def encode_call(self, content: Content, *, model: str, stream: bool, drop: bool) -> EncodedCall:
        """Prompt -> the part of a request that is tokens. Raises UnsupportedParameter as the encoding dialect does."""
        del stream  # a count has none
        whole = self._as_in.encode_call(content, model=model, stream=False, drop=drop)
        body = {name: whole.body[name] for name in self._counted if name in whole.body}
        return EncodedCall(body=body, dropped=whole.dropped)

    def decode_answer(self, fields: dict[str, Json]) -> Answer:
        """The number -> Answer. Raises UpstreamBroken."""
        count = fields.get(self._answer)
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise UpstreamBroken(f"The upstream's answer to a request to count tokens has no `{self._answer}`.")
        started = Started(id="", model="", created=0, target="")
        return Answer(started=started, result=TokenCount(input_tokens=count), finished=Finished())


TOKENIZE: Dialect = Counting(
    "vllm_tokenize", OPENAI_CHAT, ("model", "messages", "tools", "chat_template_kwargs"), "count"
)
INPUT_TOKENS: Dialect = Counting(
    "openai_input_tokens",
    OPENAI_RESPONSES,
    (
        "model",
        "input",
        "instructions",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "text",
        "reasoning",
        "truncation",
    ),
    "input_tokens",
)
