"""The handlers of all that MCP clients have here besides tools, by the names under which the official library takes them."""

from __future__ import annotations

from typing import Any

from gateway.api.mcp.completions import Completions
from gateway.api.mcp.listening import Listening
from gateway.api.mcp.offering import McpOffers
from gateway.api.mcp.prompts import Prompts
from gateway.api.mcp.resources import Resources
from gateway.tools.changes import Changes


def more_handlers(offers: McpOffers, changes: Changes) -> dict[str, Any]:
    """Give the handlers."""
    resources, prompts = Resources(offers), Prompts(offers)
    return {
        "on_list_resources": resources.list,
        "on_list_resource_templates": resources.templates,
        "on_read_resource": resources.read,
        "on_list_prompts": prompts.list,
        "on_get_prompt": prompts.get,
        "on_completion": Completions(offers),
        "on_subscriptions_listen": Listening(changes, offers),
    }
