"""What is left of tools and their use when a target cannot take all of them. It writes nothing: dialects do."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from gateway.core.content import ToolChoice
from gateway.core.items import Foreign, Item
from gateway.dialects.rest import Leftovers


def choice_among(choice: ToolChoice | None, names: Collection[str], left: Leftovers) -> ToolChoice | None:
    """Give the choice as far as it makes sense with the tools `names`, which are those that the target gets.

    Without tools upstreams refuse even `auto`, which then says nothing. What has to be called and is not there is refused.
    """
    if choice is None or choice.raw is not None:
        return choice
    if choice.mode == "named" and choice.names[0] not in names:
        left.refuse("tool_choice", f"A `tool_choice` of {choice.names[0]!r}, which is not among the tools,")
        return None
    if not names:
        if choice.mode == "required":
            left.refuse("tool_choice", "A `tool_choice` of 'required' without tools")
        return None
    return choice


def calls_left_out(items: Sequence[Item], dialect: str) -> frozenset[str]:
    """Give the ids of calls that `dialect` cannot express: where they are left out, so must be their results."""
    foreign = (item.raw.get("call_id") for item in items if isinstance(item, Foreign) and item.dialect != dialect)
    return frozenset(identity for identity in foreign if isinstance(identity, str))
