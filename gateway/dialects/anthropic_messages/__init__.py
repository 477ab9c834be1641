"""Anthropic's Messages API and its token counting, as of the `anthropic` package 2.11. Pure translation, no I/O."""

from __future__ import annotations

from gateway.dialects.anthropic_messages.dialects import AnthropicCountTokens, AnthropicMessages
from gateway.dialects.dialect import Dialect

ANTHROPIC_MESSAGES: Dialect = AnthropicMessages()
ANTHROPIC_COUNT_TOKENS: Dialect = AnthropicCountTokens()

__all__ = ["ANTHROPIC_COUNT_TOKENS", "ANTHROPIC_MESSAGES"]
