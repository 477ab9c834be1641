"""Endurance: what the chat child does not put up with: an engine that takes memory without end, or falls silent over a grammar.

What a grammar costs is tried elsewhere first (`compiling`), and the engine bounds the work of each step by itself. This is the last line:
a process that is held up all the same ends, and its supervisor starts it again.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import anyio

MEMORY = 2 * 1024**3
"""Bytes that may be taken after loading, by all slots and grammars together."""
SILENCE = 30
"""Seconds without an event of the engine while it decodes by a grammar; a batch of a prompt takes less on slow machines too."""
_TICK = 1.0


def bound_memory(more: int = MEMORY) -> None:
    """Let this process take `more` bytes of data than it has now: beyond that it dies, and not the machine. Where /proc tells what it has."""
    with suppress(OSError):
        lines = Path("/proc/self/status").read_text().splitlines()
        taken = next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:")), None)
        if taken is not None:
            resource.setrlimit(resource.RLIMIT_DATA, (taken + more, taken + more))


def _die() -> None:
    # Not an orderly end: the thread that all answers come from does not come back.
    os.write(2, b"\nfatal: a grammar held up the model for too long\n")
    os._exit(1)


class Vigil:
    """Watches the engine while it decodes by a grammar. Counted in its own waking seconds: a stopped machine is no silent engine."""

    def __init__(self, *, silence: int = SILENCE, tick: float = _TICK, end: Callable[[], None] = _die) -> None:
        self._silence = silence
        self._tick = tick
        self._end = end
        self._constrained: set[object] = set()
        self._quiet = 0

    def heard(self) -> None:
        """Note an event of the engine. Any thread may call."""
        self._quiet = 0

    @contextmanager
    def over(self, *, constrained: bool) -> Iterator[None]:
        """Watch while a generation runs, if it is a constrained one."""
        running = object()
        self.heard()
        if constrained:
            self._constrained.add(running)
        try:
            yield
        finally:
            self._constrained.discard(running)

    async def keep(self) -> None:
        """Watch until cancelled."""
        while True:
            await anyio.sleep(self._tick)
            self._quiet = self._quiet + 1 if self._constrained else 0
            if self._quiet > self._silence:
                self._end()
