"""What is kept of a call beside its run: a record for metrics, log and ledger, and an entry of the audit log."""

from __future__ import annotations

import asyncio
from typing import Final

from gateway.api.mcp.asking import Answer, Asked
from gateway.api.mcp.desk import McpDesk
from gateway.api.mcp.names import Named
from gateway.api.mcp.status import RUNNING, WAITING
from gateway.config.agent_settings import AGENTS
from gateway.core.errors import ClientLeft, SwitchgearError, Unavailable
from gateway.core.record import Record
from gateway.stores.audit import AuditActor, AuditObject

OPERATION: Final = "tool_call"


class Noted:
    """One call's. `run` is set when there is one."""

    def __init__(self, desk: McpDesk, asked: Asked, named: Named) -> None:
        self.run = ""
        self._desk = desk
        self._asked = asked
        self._tool = f"{named.server or AGENTS}/{named.tool or named.agent}" if named.server or named.agent else ""
        self._began = desk.edge.clock.monotonic()

    def end(self, error: BaseException | None, answer: Answer | None = None) -> None:
        """Note the end of it: with an error, or with an answer. How calls stand is asked without a note."""
        if not self._tool:
            return
        status, code = _outcome(error, answer, left=self._asked.left)
        waits = "" if answer is None else _waits(answer)
        self._record(status, code, waits or None)
        self._desk.counts.ended.add((self._tool, code or waits or "ok"))
        if self._desk.audit is not None:
            caller = self._asked.caller
            self._desk.audit.record_later(
                "mcp.tool_called",
                actor=AuditActor.of(caller, address=self._asked.address),
                about=AuditObject(kind="tool", id=self._tool, tenant=caller.tenant),
                details={"run": self.run, "outcome": code or waits or "ok"},
            )

    def _record(self, status: int, code: str | None, waits: str | None) -> None:
        edge, caller = self._desk.edge, self._asked.caller
        duration = edge.clock.monotonic() - self._began
        edge.take_record(
            Record(
                id=self._asked.id,
                started_at=edge.clock.wall() - duration,
                operation=OPERATION,
                dialect="mcp",
                stream=False,
                caller=caller.id,
                model=self._tool,
                provider=None,
                served=None,
                route=(),
                status=status,
                duration=duration,
                first_token=None,
                upstream=None,
                usage=None,
                cost=None,
                finish_reason=waits,
                error=code,
                parameters={},
                trace=self._asked.trace,
                tenant=caller.tenant,
                team=caller.team,
                user=caller.user,
                tags=caller.tags,
                run=self.run,
            )
        )


def _outcome(error: BaseException | None, answer: Answer | None, *, left: bool) -> tuple[int, str | None]:
    """Give the status and the code of a call's end; where its client has not `left`, what was cut off was so by a server that goes down."""
    if isinstance(error, SwitchgearError):
        return error.status, error.code
    if isinstance(error, asyncio.CancelledError):
        gone = ClientLeft if left else Unavailable
        return gone.status, gone.code
    if error is not None:
        return 500, "internal_error"
    said = answer or {}
    return 200, "tool_error" if said.get("isError") and not _waits(said) else None


def _waits(answer: Answer) -> str:
    """Say for what an answer is none yet; empty for one that is the call's result."""
    if answer.get("resultType") == "input_required":
        return WAITING
    told = answer.get("structuredContent")
    standing = (
        told.get("status") if isinstance(told, dict) and "switchgear/run" not in answer.get("_meta", {}) else None
    )
    return standing if standing in (WAITING, RUNNING) else ""
