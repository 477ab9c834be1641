"""Calls of tools in a SQL database: one adapter for SQLite and PostgreSQL. They are written by the entries of runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

from sqlalchemy import RowMapping, bindparam, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.core.errors import Conflict
from gateway.core.tools import Effect
from gateway.stores.approvals_tables import APPROVALS
from gateway.stores.database import Database
from gateway.stores.ledger import storable
from gateway.stores.runs_rows import read_marks, write_marks
from gateway.stores.tool_calls import ToolCall, ToolCallState
from gateway.stores.tool_calls_tables import TOOL_CALLS

_FOR_GOOD: Final = ("approved", "cancelled", "denied", "done", "failed")
_UNANSWERED: Final = ("awaiting_approval", "planned", "unknown")
_REVOCABLE: Final = ("approved", "awaiting_approval", "planned")
_CHANGES: Final = ("state", "attempts", "approval", "error", "started_at", "ended_at")
_PLAIN: Final = (
    "run", "id", "step", "arguments_hash", "definition", "key", "state", "attempts", "approval", "decision", "started_at", "ended_at",
)  # fmt: skip
_columns = TOOL_CALLS.c


def _putting(dialect: Any) -> Any:
    adding = dialect.insert(TOOL_CALLS)
    open_ = or_(_columns.state.not_in(_FOR_GOOD), _columns.state == adding.excluded.state)
    changed = {name: adding.excluded[name] for name in _CHANGES}
    return adding.on_conflict_do_update(index_elements=["run", "id"], set_=changed, where=open_)


# Built once: building a statement costs more than SQLite takes to execute it.
_PUT: Final = {"postgresql": _putting(postgresql), "sqlite": _putting(sqlite)}
_IS: Final = (_columns.run == bindparam("of_run"), _columns.id == bindparam("of_call"))
_FINISH: Final = (
    update(TOOL_CALLS)
    .where(*_IS, _columns.state.in_(("started", "unknown", "done")))
    .values({name: bindparam(f"new_{name}") for name in _CHANGES})
)
_ANSWER: Final = update(TOOL_CALLS).where(*_IS, _columns.state.in_(_UNANSWERED)).values(state=bindparam("new_state"))
_HAND_OVER: Final = (
    update(TOOL_CALLS)
    .where(
        _columns.run == bindparam("of_run"),
        _columns.state == "awaiting_approval",
        _columns.started_at.is_not(None),
    )
    .values(state="approved")
)
_USED: Final = select(APPROVALS.c.id).where(APPROVALS.c.run == bindparam("of_run"), APPROVALS.c.state == "consumed")
_CANCEL: Final = (
    update(TOOL_CALLS)
    .where(_columns.run == bindparam("of_run"), _columns.state.in_(_REVOCABLE), _columns.approval.not_in(_USED))
    .values(state="cancelled", ended_at=bindparam("at"))
)


class SqlToolCalls:
    """Reads the journal of calls from a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def calls(self, run: str) -> Sequence[ToolCall]:
        """Give the calls of a run in the order in which they were asked for."""
        found = select(TOOL_CALLS).where(_columns.run == storable(run))
        async with self._database.connect() as connection:
            rows = await connection.execute(found.order_by(_columns.step, _columns.position, _columns.id))
            return [_read(row) for row in rows.mappings()]


async def write_calls(connection: AsyncConnection, calls: Sequence[ToolCall]) -> None:
    """Write calls as they are now, in the caller's transaction. Raises Conflict for what a call cannot become any more, or not yet."""
    for call in calls:
        row = _row(call)
        if call.state == "done":
            # What was not written as started was not done, as far as the journal is to know.
            changed = {f"new_{name}": row[name] for name in _CHANGES}
            done = await connection.execute(_FINISH, {"of_run": call.run, "of_call": call.id, **changed})
        else:
            done = await connection.execute(_PUT[connection.dialect.name], row)
        if not done.rowcount:
            raise Conflict(f"The call {call.id} cannot become {call.state}.")


async def answer_call(connection: AsyncConnection, run: str, call: str, *, approved: bool) -> None:
    """Let a call that waits for people be `approved` or `denied`; one that does not wait any more is left as it is."""
    state: ToolCallState = "approved" if approved else "denied"
    await connection.execute(_ANSWER, {"of_run": run, "of_call": call, "new_state": state})


async def hand_over_calls(connection: AsyncConnection, run: str) -> None:
    """Let the calls of a run be `approved` that were begun and wait for people below it: another run goes on with them."""
    await connection.execute(_HAND_OVER, {"of_run": run})


async def cancel_calls(connection: AsyncConnection, run: str, now: float) -> None:
    """Cancel the calls of a run that were not begun, here or by the run that goes on."""
    await connection.execute(_CANCEL, {"of_run": run, "at": now})


def _row(call: ToolCall) -> dict[str, Any]:
    return {name: getattr(call, name) for name in _PLAIN} | {
        "server": storable(call.server),
        "tool": storable(call.tool),
        "effect": call.effect,
        "error": storable(call.error),
        "position": call.index,
        "call_id": _bytes(call.call_id),
        "arguments": _bytes(call.arguments),
        "marks": write_marks(call.marks),
    }


def _read(row: RowMapping) -> ToolCall:
    fields: dict[str, Any] = {name: row[name] for name in _PLAIN}
    return ToolCall(
        **fields,
        server=row["server"],
        tool=row["tool"],
        effect=cast("Effect", row["effect"]),
        error=row["error"],
        index=row["position"],
        call_id=_text(row["call_id"]),
        arguments=_text(row["arguments"]),
        marks=read_marks(row["marks"]),
    )


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")
