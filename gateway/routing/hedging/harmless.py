"""Whether a call may be made twice at once: only what leaves nothing behind at a provider, and makes it do nothing. Pure.

What is not known to be harmless is taken to be none. It is read from the call's own fields, in whichever dialect it came.
"""

from __future__ import annotations

from typing import Final

from gateway.core.call import Call
from gateway.core.items import Json

_CALLED_BY_CLIENT: Final = frozenset({"function", "custom"})
"""Tools that the client runs. What else there is (searches, code, MCP, computers) may be run by the provider."""
_RUN_BY_PROVIDER: Final = frozenset(
    {
        "background", "container", "conversation", "data_sources", "mcp_servers", "plugins", "previous_response_id",
        "search_parameters", "web_search_options",
    }
)  # fmt: skip
"""Fields that make the provider act, or keep and use state."""
_RESPONSES: Final = "openai_responses"


def is_harmless(call: Call) -> bool:
    """Whether asking two targets does no more than costing twice."""
    if call.operation != "generate":
        return True
    fields = call.fields
    if not fields:
        return False  # a guardrail has rewritten it, and nobody can tell any more
    if call.dialect == _RESPONSES:
        # This API keeps a response unless it is told not to, and both would be kept; and a prompt kept there may have any tools.
        if fields.get("store") is not False or fields.get("prompt") is not None:
            return False
    elif fields.get("store"):
        return False
    for name in _RUN_BY_PROVIDER & fields.keys():
        if fields[name] not in (None, False):
            return False
    tools = fields.get("tools")
    return not tools or (isinstance(tools, list) and all(_is_clients(tool) for tool in tools))


def _is_clients(tool: Json) -> bool:
    if not isinstance(tool, dict):
        return False
    # Anthropic's own tools have a type, a client's need none.
    return tool.get("type", "function") in _CALLED_BY_CLIENT
