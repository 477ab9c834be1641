"""The names that the conditions of rules may use, and of what kind each is. What they are for a call, routing knows."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.core.expression import Kind

RULE_NAMES: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "api": "text",
        "caller": "text",
        "complexity": "number",
        "end_user": "text",
        "groups": "texts",
        "has_audio": "flag",
        "has_documents": "flag",
        "has_images": "flag",
        "has_tools": "flag",
        "hour": "number",
        "language": "text",
        "max_tokens": "number",
        "minute": "number",
        "model": "text",
        "operation": "text",
        "reasoning_effort": "text",
        "session": "text",
        "stream": "flag",
        "tags": "tags",
        "team": "text",
        "temperature": "number",
        "tenant": "text",
        "text": "text",
        "tokens": "number",
        "tools": "texts",
        "turns": "number",
        "user": "text",
        "wants_json": "flag",
        "wants_schema": "flag",
        "weekday": "text",
    }
)
