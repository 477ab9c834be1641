"""What becomes of approvals beside votes, each in the caller's transaction: they are asked for, used up, cancelled, forgotten.

Whoever locks rows of several tables takes them in one order: the run that asked, the run that goes on, approvals, calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import RowMapping, and_, bindparam, delete, insert, not_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.stores.approval_messages_tables import APPROVAL_MESSAGES
from gateway.stores.approvals_rows import approval_row, read_approval
from gateway.stores.approvals_tables import APPROVAL_VOTES, APPROVALS, IS_PENDING
from gateway.stores.outbox_sql import add_notices
from gateway.stores.runs import LIVE, Entry
from gateway.stores.runs_tables import RUNS
from gateway.stores.tool_calls import Approval, NotConsumed, approval_notice
from gateway.stores.tool_calls_sql import cancel_calls

_columns = APPROVALS.c

# Built once: building a statement costs more than SQLite takes to execute it.
_ADD: Final = insert(APPROVALS)
_CONSUME: Final = (
    update(APPROVALS)
    .where(
        _columns.id == bindparam("of"),
        _columns.arguments_hash == bindparam("arguments"),
        _columns.definition == bindparam("of_tool"),
        or_(_columns.run == bindparam("by"), _columns.continuation == bindparam("by")),
        or_(
            _columns.state == "approved",
            # A writer that tries again, for it did not hear that it was done.
            and_(_columns.state == "consumed", _columns.consumed_by == bindparam("for_call")),
        ),
    )
    .values(state="consumed", consumed_by=bindparam("for_call"))
)
_asked: Final = APPROVALS.alias("asked")
_BESIDE: Final = and_(
    _columns.run == select(_asked.c.run).where(_asked.c.id == bindparam("of")).scalar_subquery(),
    _columns.call == select(_asked.c.call).where(_asked.c.id == bindparam("of")).scalar_subquery(),
    _columns.id != bindparam("of"),
)
"""What other people were asked about the same call."""
_CONSUME_BESIDE: Final = (
    update(APPROVALS)
    .where(
        _BESIDE,
        _columns.arguments_hash == bindparam("arguments"),
        _columns.definition == bindparam("of_tool"),
        _columns.state == "approved",
    )
    .values(state="consumed", consumed_by=bindparam("for_call"))
)
_LEFT_BESIDE: Final = (
    select(_columns.id)
    .where(_BESIDE, not_(and_(_columns.state == "consumed", _columns.consumed_by == bindparam("for_call"))))
    .limit(1)
)


async def add_approvals(connection: AsyncConnection, approvals: Sequence[Approval]) -> None:
    """Add what is asked. An id that is taken breaks the transaction."""
    if approvals:
        await connection.execute(_ADD, [approval_row(approval) for approval in approvals])


def check_tools(run: str, entry: Entry) -> None:
    """Raise ValueError for an entry that nobody may write.

    That is one with what is another run's, with two states of a call (as begun and done at once), or with an approval that
    is used otherwise than for one call that begins, and for exactly what was approved.
    """
    if any(call.run != run for call in entry.calls) or any(approval.run != run for approval in entry.approvals):
        raise ValueError(f"an entry of {run} has a call or an approval of another run")
    if len({call.id for call in entry.calls}) < len(entry.calls):
        raise ValueError(f"an entry of {run} has two states of one call")
    for approval, arguments, definition in entry.consume:
        mine = [call for call in entry.calls if call.approval == approval and call.state == "started"]
        if [(call.arguments_hash, call.definition) for call in mine] != [(arguments, definition)]:
            raise ValueError(f"the approval {approval} is not used for the one call that it was given for")


async def consume_approvals(connection: AsyncConnection, run: str, entry: Entry) -> None:
    """Use up what an entry needs: an approval, and those that other people gave for the same call. Raises NotConsumed where one cannot be used."""
    call_of = {call.approval: call.id for call in entry.calls if call.state == "started"}
    for approval, arguments, definition in sorted(entry.consume):
        values = {
            "of": approval,
            "arguments": arguments,
            "of_tool": definition,
            "by": run,
            "for_call": call_of[approval],
        }
        given = (await connection.execute(_CONSUME, values)).rowcount
        if given:
            await connection.execute(_CONSUME_BESIDE, {name: value for name, value in values.items() if name != "by"})
            left = {name: values[name] for name in ("of", "for_call")}
            given = (await connection.execute(_LEFT_BESIDE, left)).first() is None
        if not given:
            raise NotConsumed(
                f"The approval {approval} cannot be used: it is not approved, or was used already, or is for other arguments, "
                "another definition of the tool or another response."
            )


async def cancel_approvals(connection: AsyncConnection, run: str, now: float) -> None:
    """Cancel what a run asks, and leave that was given and not used; end the run that goes on with it. The run's row is locked."""
    asked = select(_columns.continuation).where(_columns.run == run).distinct()
    continuations = list((await connection.execute(asked)).scalars())
    if not continuations:
        return
    # Its holder ends it; before the approvals, as a holder that uses one up holds its run first.
    marked = update(RUNS).where(
        RUNS.c.id.in_(continuations), RUNS.c.status.in_(LIVE), RUNS.c.cancel_requested_at.is_(None)
    )
    await connection.execute(marked.values(cancel_requested_at=now))
    # In the order of who answers: he holds all that is asked about a call.
    await connection.execute(select(_columns.id).where(_columns.run == run).order_by(_columns.id).with_for_update())
    revoked = update(APPROVALS).where(_columns.run == run, _columns.state.in_(("pending", "approved")))
    cancelled = await connection.execute(revoked.values(state="cancelled", decided_at=now).returning(APPROVALS))
    await cancel_calls(connection, run, now)
    await _announce(connection, cancelled.mappings().all())


async def remove_approvals(connection: AsyncConnection, runs: Sequence[str]) -> None:
    """Forget what these runs asked, and what people said; whoever still shows it as a question is told."""
    of_runs = _columns.run.in_(runs)
    asked = await connection.execute(select(APPROVALS).where(of_runs, IS_PENDING))
    await _announce(connection, asked.mappings().all())
    # Of what is pending the message is still to be changed, and is forgotten then.
    shown = APPROVAL_MESSAGES.c.approval.in_(select(_columns.id).where(of_runs, _columns.state != "pending"))
    await connection.execute(delete(APPROVAL_MESSAGES).where(shown))
    votes = APPROVAL_VOTES.c.approval.in_(select(_columns.id).where(of_runs))
    await connection.execute(delete(APPROVAL_VOTES).where(votes))
    await connection.execute(delete(APPROVALS).where(of_runs))


async def _announce(connection: AsyncConnection, cancelled: Sequence[RowMapping]) -> None:
    await add_notices(connection, [approval_notice(read_approval(row), "cancelled") for row in cancelled])
