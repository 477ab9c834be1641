"""The Responses API, both ways: the richest of the public dialects, and the one that the hub is shaped after."""

from __future__ import annotations

from gateway.dialects.openai_responses.dialect import OPENAI_RESPONSES

__all__ = ["OPENAI_RESPONSES"]
