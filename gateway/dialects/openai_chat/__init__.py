"""The Chat Completions API: the dialect that most clients and most upstreams speak."""

from gateway.dialects.openai_chat.dialect import OPENAI_CHAT
from gateway.dialects.openai_chat.outcome import strip_usage_chunk

__all__ = ["OPENAI_CHAT", "strip_usage_chunk"]
