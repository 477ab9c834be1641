"""Knowledge bases for MCP clients: which the section `mcp` and the caller's rights leave, and calls that name them. It searches nothing."""

from __future__ import annotations

from typing import Any

from gateway.agents.knowledge_tools import SEARCH, knowledge_tools
from gateway.api.mcp.desk import Offer
from gateway.config.agent_checks import near
from gateway.config.knowledge_settings import MOST_PASSAGES
from gateway.core.caller import Caller
from gateway.core.tools import Tool


def tools_for(offer: Offer, caller: Caller) -> tuple[Tool, Tool]:
    """Give the tools as a caller is shown them: with the bases that there are for him."""
    return knowledge_tools(offer.knowledge, dict.fromkeys(offer.bases(caller), MOST_PASSAGES))


def bound(offer: Offer, caller: Caller, tool: str, arguments: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Give the arguments of a call with its bases written out, and what is wrong with those that it names, if anything is.

    The call is made by what it says, and judged by that; a form that does not fit at all is for who checks it.
    """
    known = offer.bases(caller)
    if tool == SEARCH and arguments.get("bases") is None:
        return {**arguments, "bases": known}, ""
    said = arguments.get("bases") if tool == SEARCH else [arguments.get("base")]
    for name in said if isinstance(said, list) else ():
        if isinstance(name, str) and name not in known:
            return arguments, f"There is no knowledge base {name[:32]!r} here{near(name, known)}"
    return arguments, ""
