"""Estimates how many tokens a prompt has, for upstreams that cannot be asked. The answer says that it is an estimate.

The rule is OpenAI's published one for English text, four characters a token, with the usual few tokens a message; other
languages and code have more. Whoever needs the exact number asks a model whose provider counts.
"""

from __future__ import annotations

import time

import msgspec

from gateway.core.call import Call
from gateway.core.content import Prompt
from gateway.core.errors import InternalError
from gateway.core.events import Finished, Started, TokenCount
from gateway.core.items import Foreign, Image, Message, Part, Reasoning, Refusal, Text, ToolCall, ToolResult
from gateway.core.responder import Send
from gateway.core.target import Target

CHARACTERS_A_TOKEN = 4
TOKENS_A_MESSAGE = 4
TOKENS_AN_IMAGE = 765  # OpenAI's figure for 1024 x 1024 in high detail
ESTIMATED = (b"x-switchgear-estimated", b"true")


class TokenEstimate:
    """A Responder for token counts, without an upstream."""

    def __init__(self, target: Target) -> None:
        self._target = target

    async def __call__(self, call: Call, send: Send) -> None:
        """Answer with the estimate, and a header that says so."""
        if not isinstance(call.content, Prompt):
            raise InternalError
        target = self._target.name
        await send(Started(id=call.id, model=call.model, created=int(time.time()), target=target, headers=(ESTIMATED,)))
        await send(TokenCount(input_tokens=estimate(call.content)))
        await send(Finished())


def estimate(prompt: Prompt) -> int:
    """Give the estimated number of tokens of a prompt, tools included."""
    characters = sum(len(msgspec.json.encode(tool)) for tool in prompt.tools)
    tokens = 0
    for item in prompt.items:
        tokens += TOKENS_A_MESSAGE
        if isinstance(item, (Message, ToolResult)):
            characters += sum(_characters(part) for part in item.parts)
            tokens += TOKENS_AN_IMAGE * sum(isinstance(part, Image) for part in item.parts)
        elif isinstance(item, ToolCall):
            characters += len(item.name) + len(item.arguments)
        elif isinstance(item, Reasoning):
            characters += len(item.text) + sum(map(len, item.summary))
        elif isinstance(item, Foreign):
            characters += len(msgspec.json.encode(item.raw))
    return tokens + -(-characters // CHARACTERS_A_TOKEN)


def _characters(part: Part) -> int:
    return len(part.text) if isinstance(part, (Text, Refusal)) else 0
