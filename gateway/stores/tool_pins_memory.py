"""Pins in this process's memory, for who has no database: after a restart every server is seen for the first time again."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.stores.tool_pins import Pin


class PinsInMemory:
    """A PinStore that forgets when the process ends."""

    def __init__(self) -> None:
        self._pins: dict[tuple[str, str], Pin] = {}

    async def of_server(self, server: str) -> Sequence[Pin]:
        """Give the pins of a server, by name."""
        found = [pin for (of, _), pin in self._pins.items() if of == server]
        return sorted(found, key=lambda pin: pin.tool)

    async def add(self, pins: Sequence[Pin]) -> None:
        """Keep pins of tools that have none yet."""
        for pin in pins:
            self._pins.setdefault((pin.server, pin.tool), pin)

    async def replace(self, pin: Pin, *, before: str) -> bool:
        """Put a pin in the place of the one with the definition `before`."""
        kept = self._pins.get((pin.server, pin.tool))
        if before != ("" if kept is None else kept.definition):
            return False
        self._pins[pin.server, pin.tool] = pin
        return True

    async def remove(self, server: str, tool: str) -> bool:
        """Forget a pin."""
        return self._pins.pop((server, tool), None) is not None
