"""Where tools come from: the hub of one application, put together. It does none of its work."""

from __future__ import annotations

from gateway.config import Settings, read_environment
from gateway.core.clock import Clock
from gateway.schemas.worker import Judging
from gateway.stores.tool_pins import PinStore
from gateway.stores.tool_pins_memory import PinsInMemory
from gateway.tools.server_hub import ServerHub


def open_tools(settings: Settings, pins: PinStore | None, judging: Judging, clock: Clock) -> ServerHub:
    """Put it together; nothing is connected yet. Without a store, what was accepted is known until the process ends."""
    hub = ServerHub(pins=pins or PinsInMemory(), judging=judging, clock=clock, environment=read_environment())
    hub.configure(settings.tools)
    return hub
