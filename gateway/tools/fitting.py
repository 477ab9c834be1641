"""Holds the policies against the definitions of the tools that may be called, whenever either is new: the operator is to know before a call fails.

It decides nothing: a call that a policy cannot be evaluated for is refused when it is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import anyio
import anyio.to_thread
import structlog

from gateway.config.faults import Fault
from gateway.core.tools import Tool

log = structlog.get_logger()


class Policies(Protocol):
    """The policies of a generation."""

    def misfits(self, called: Tool) -> tuple[Fault, ...]:
        """Give those that could err for what a tool's definition says of its arguments."""
        ...


class Fitting:
    """Knows which policies do not fit which tools. `tools` gives those that may be called now; `run` does the work, in one event loop."""

    def __init__(self, tools: Callable[[], Sequence[Tool]]) -> None:
        self._tools = tools
        self._policies: Policies | None = None
        self._found: dict[tuple[str, str], tuple[Fault, ...]] = {}
        self._changed = anyio.Event()

    def hold(self, policies: Policies | None) -> None:
        """From now on these are the policies in force; None where there are none."""
        self._policies, self._found = policies, {}
        self.look()

    def look(self) -> None:
        """There may be new tools, or tools that are defined otherwise now."""
        self._changed.set()

    def of(self, tool: Tool) -> Sequence[Fault]:
        """Give the policies that do not fit a tool, as far as that is known yet."""
        return self._found.get((tool.id, tool.definition), ())

    async def run(self) -> None:
        """Look whenever something is new, until cancelled."""
        while True:
            self._changed = anyio.Event()
            await self._look()
            await self._changed.wait()

    async def _look(self) -> None:
        policies = self._policies
        if policies is None:
            return
        tools = {(tool.id, tool.definition): tool for tool in self._tools()}
        self._found = {key: faults for key, faults in self._found.items() if key in tools}
        for key, tool in tools.items():
            if key in self._found:
                continue
            # A schema of its own is made and read for each policy: not in the way of calls.
            faults = await anyio.to_thread.run_sync(_misfits, policies, tool)
            if policies is not self._policies:
                return
            self._found[key] = faults
            for fault in faults:
                log.warning("policy.misfit_found", tool=tool.id, policy=fault.path, fault=str(fault))


def _misfits(policies: Policies, tool: Tool) -> tuple[Fault, ...]:
    try:
        return policies.misfits(tool)
    except Exception as error:
        # A server may define anything: what cannot even be looked at is said of this tool, and harms no other.
        log.exception("policy.misfits_unknown", tool=tool.id)
        return (Fault(file="", message=f"whether the policies fit could not be found out ({type(error).__name__})"),)
