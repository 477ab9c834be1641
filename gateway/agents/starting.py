"""Waits for servers of tools that have just begun, so that a run does not go another way because it came a moment too early. It makes no plan itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import anyio

from gateway.agents.plan import Plan
from gateway.tools.hub import Hub

_PAUSE: Final = 0.25


async def patient(
    hub: Hub,
    again: Callable[[], Awaitable[Plan | None]],
    seconds: float,
    *,
    made: Plan | None = None,
    lost: bool = False,
) -> Plan | None:
    """Give the plan that `again` makes, `made` where there is one already, when the servers that it lacks have started; after so many seconds, as it is.

    One that is down or has failed is not waited for, but by who takes a run over (`lost`): what it has lost may be back in a moment.
    """
    plan = made or await again()
    waits = lost
    with anyio.move_on_after(seconds):
        while plan is not None and (lacking := [each.server for each in plan.listed if each.error]):
            starting = any(_is_starting(hub, server) for server in lacking)
            if not (starting or waits):
                break
            waits = starting or lost
            await anyio.sleep(_PAUSE)
            if not starting:
                plan = await again()
    return plan


def _is_starting(hub: Hub, server: str) -> bool:
    info = hub.server(server)
    return info is not None and info.state == "starting"
