"""What a call must not say to vLLM because it would be ignored, and what may be said to it beyond OpenAI's chat API."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from gateway.core.call import Call
from gateway.core.content import Prompt
from gateway.core.errors import UnsupportedParameter
from gateway.core.responder import Responder, Send
from gateway.providers.openai_shaped import with_top_k

RENAMED: Mapping[str, str] = {
    "guided_json": "structured_outputs: {json: …}, or response_format with a json_schema",
    "guided_json_object": "response_format: {type: json_object}",
    "guided_regex": "structured_outputs: {regex: …}",
    "guided_choice": "structured_outputs: {choice: […]}",
    "guided_grammar": "structured_outputs: {grammar: …}",
    "guided_whitespace_pattern": "structured_outputs: {…, whitespace_pattern: …}",
    "guided_decoding_backend": "the server's --structured-outputs-config",
}
"""Fields of older versions, and what replaced them. vLLM now ignores these, and answers unconstrained with a 200."""

_IGNORED = frozenset(RENAMED)


class Fitted:
    """A Responder: refuses what vLLM would ignore, and passes the call on."""

    def __init__(self, responder: Responder) -> None:
        self._responder = responder

    async def __call__(self, call: Call, send: Send) -> None:
        """Pass the call on. Raises UnsupportedParameter, whatever the route permits: unconstrained is another answer."""
        if not _IGNORED.isdisjoint(call.fields):
            raise _refusal(next(name for name in call.fields if name in _IGNORED))
        if isinstance(call.content, Prompt) and call.content.top_k is not None:
            call = msgspec.structs.replace(call, content=with_top_k(call.content))
        await self._responder(call, send)


def _refusal(name: str) -> UnsupportedParameter:
    msg = f"vLLM no longer knows `{name}` and would ignore it. Use {RENAMED[name]}."
    return UnsupportedParameter(msg, param=name)
