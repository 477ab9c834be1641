"""Which calls may be answered by several targets at once: those that leave nothing behind. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gateway.core.call import Call
from gateway.core.content import Prompt
from gateway.core.items import Foreign, Json

_TOOLS: Final = ("mcp_servers", "plugins", "search_parameters", "web_search_options")
"""Fields that have the upstream run a tool although none is listed."""
_STATE: Final = ("background", "container", "conversation", "previous_response_id", "prompt")
"""Fields that speak of what a provider keeps."""
_STORING: Final = "openai_responses"
_COMPLETIONS: Final = "openai_completions"


def unsuitable(call: Call) -> str:
    """Say why a call goes to one target alone; nothing where it may go to several."""
    prompt = call.content
    if call.operation != "generate" or not isinstance(prompt, Prompt):
        return "only what generates is answered by several"
    if call.dialect == _COMPLETIONS:
        return "raw completions cannot be translated"
    if any(isinstance(tool, Foreign) for tool in prompt.tools) or _names(prompt, _TOOLS):
        return "it has tools that the provider runs"
    if _names(prompt, _STATE) or prompt.rest.get(_STORING, {}).get("store") is True:
        return "the provider keeps its state"
    return ""


def _names(prompt: Prompt, fields: tuple[str, ...]) -> bool:
    return any(asked is not None and asked is not False and asked != [] for asked in _values(prompt, fields))


def _values(prompt: Prompt, fields: tuple[str, ...]) -> Iterator[Json]:
    for own in prompt.rest.values():
        for name in fields:
            yield own.get(name)
