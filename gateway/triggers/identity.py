"""In whose name a trigger's runs act, and what bounds one. Pure."""

from __future__ import annotations

from typing import Final

from gateway.config.trigger_settings import TriggerSettings
from gateway.core.caller import Caller
from gateway.stores.runs import Limits

_NANO: Final = 1_000_000_000


def caller_of(name: str, settings: TriggerSettings) -> Caller:
    """Give the caller that policies, limits and the ledger see. It has no administrative role, and no key."""
    own = settings.run_as
    return Caller(
        id=f"trigger:{name}",
        kind="trigger",
        tenant=own.tenant,
        team=own.team,
        user=own.user or f"trigger:{name}",
        groups=own.groups,
        tags=(*own.tags.items(), ("trigger", name)),
        tools=own.tools,
    )


def limits_of(settings: TriggerSettings) -> Limits:
    """Give what one run may use."""
    own = settings.limits
    return Limits(
        steps=own.steps,
        tool_calls=own.tool_calls,
        tokens=own.tokens,
        nano=None if own.cost is None else round(own.cost * _NANO),
        seconds=own.seconds,
    )
