"""Approvals in a SQL database: one adapter for SQLite and PostgreSQL. Whoever changes one holds its row until the commit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, and_, bindparam, func, insert, or_, select, true, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.core.errors import Conflict, InvalidRequest, NotFound
from gateway.stores.approval_story import moment, story
from gateway.stores.approvals import AlreadyDecided, EditedMeanwhile, NotAnswered, Resolution, SameCall, VotedAlready
from gateway.stores.approvals_rows import read_approval, read_vote, vote_row
from gateway.stores.approvals_tables import APPROVAL_VOTES, APPROVALS, IS_PENDING
from gateway.stores.database import Database
from gateway.stores.durable import be_durable
from gateway.stores.ledger import storable
from gateway.stores.outbox_sql import add_notices
from gateway.stores.runs import Run, RunItem
from gateway.stores.runs_tables import IS_CONTINUATION, IS_WAITING, RUNS
from gateway.stores.runs_writing import add_run
from gateway.stores.tool_calls import Approval, ApprovalState, Notice, Vote, approval_notice
from gateway.stores.tool_calls_sql import answer_call, hand_over_calls

_columns = APPROVALS.c
_replace = msgspec.structs.replace

# Built once: building a statement costs more than SQLite takes to execute it.
_asked = APPROVALS.alias("asked")
_HOLD: Final = (
    select(APPROVALS)
    .where(
        tuple_(_columns.run, _columns.call).in_(
            select(_asked.c.run, _asked.c.call).where(_asked.c.id == bindparam("of"))
        )
    )
    # In one order, also of who cancels: two that answer about the same call wait for each other, and not both for ever.
    .order_by(_columns.id)
    .with_for_update(of=APPROVALS)
)
_VOTES: Final = (
    select(APPROVAL_VOTES)
    .where(APPROVAL_VOTES.c.approval == bindparam("of"))
    .order_by(APPROVAL_VOTES.c.at, APPROVAL_VOTES.c.version, APPROVAL_VOTES.c.approver)
)
PENDING_OF: Final = (
    select(APPROVALS)
    .where(
        IS_PENDING,
        # Not a column by itself: what a tenant was ever asked is much, what is pending is little and has an index of its own.
        _columns.tenant + "" == bindparam("of"),
        *(_columns[name] == bindparam(name) for name in ("server", "tool", "definition")),
        or_(_columns.arguments_hash == bindparam("arguments_hash"), func.length(_columns.edited) > 0),
    )
    # As that index has them: any other order is reason enough for SQLite to take another one.
    .order_by(_columns.expires_at, _columns.id)
)
_ADD_VOTE: Final = insert(APPROVAL_VOTES)
_CHANGE: Final = update(APPROVALS).where(_columns.id == bindparam("of"))


class SqlApprovals:
    """The approval store over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, tenant: str | None, approval: str) -> Approval | None:
        """Give one, or None when the tenant has none of that id; a tenant of None is any."""
        async with self._database.connect() as connection:
            row = (await connection.execute(select(APPROVALS).where(_is(tenant, approval)))).mappings().first()
        return None if row is None else read_approval(row)

    async def of_run(self, run: str) -> Sequence[Approval]:
        """Give the approvals that a run asked for, the oldest first."""
        found = select(APPROVALS).where(_columns.run == storable(run)).order_by(_columns.created_at, _columns.id)
        async with self._database.connect() as connection:
            return [read_approval(row) for row in (await connection.execute(found)).mappings()]

    async def votes(self, approval: str) -> Sequence[Vote]:
        """Give what people said, the oldest first."""
        async with self._database.connect() as connection:
            return await _votes(connection, storable(approval))

    async def list(
        self, tenant: str | None, *, state: ApprovalState | None = None, after: str = "", limit: int = 50, run: str = ""
    ) -> Sequence[Approval]:
        """Give a page, the newest first. `after` is the id of the last one before; one that is not there gives nothing."""
        page = select(APPROVALS).where(_of(tenant))
        if state is not None:
            page = page.where(_columns.state == state)
        if run:
            page = page.where(_columns.run == storable(run))
        async with self._database.connect() as connection:
            if after:
                last = select(_columns.created_at, _columns.id).where(_is(tenant, after))
                at = (await connection.execute(last)).first()
                if at is None:
                    return []
                page = page.where(tuple_(_columns.created_at, _columns.id) < tuple_(*at))
            ordered = page.order_by(_columns.created_at.desc(), _columns.id.desc()).limit(limit)
            return [read_approval(row) for row in (await connection.execute(ordered)).mappings()]

    async def pending_of(self, tenant: str, call: SameCall) -> Sequence[Approval]:
        """Give those pending that are about this call, the newest first, and those about this tool whose arguments were edited since."""
        async with self._database.connect() as connection:
            given = msgspec.structs.asdict(call) | {"of": tenant}
            found = await connection.execute(PENDING_OF, {name: storable(value) for name, value in given.items()})
            pending = [read_approval(row) for row in found.mappings()]
        return sorted(pending, key=lambda each: (each.created_at, each.id), reverse=True)

    async def vote(
        self,
        vote: Vote,
        *,
        version: int | None = None,
        edited: tuple[str, str] | None = None,
        notices: Sequence[Notice] = (),
    ) -> Resolution:
        """Count a vote, in one transaction with its consequences. Raises NotFound, the conflicts of the port, and InvalidRequest."""
        if edited is not None and not vote.approve:
            raise InvalidRequest("Who denies a call does not edit its arguments.", param="edited")
        async with self._database.begin() as connection:
            await be_durable(connection)
            held, beside = await _hold(connection, vote.approval)
            before = await _votes(connection, held.id)
            _check(held, before, vote, version)
            counted, cast = _count(held, before, vote, edited)
            if held.version == cast.version and any(_same(cast, other) for other in before):
                raise VotedAlready(f"{vote.approver} has voted on the approval {held.id} already.")
            await connection.execute(_ADD_VOTE, vote_row(cast))
            decided = counted.state != "pending"
            if counted != held:
                await _change(connection, counted)
            if decided:
                await _decide(connection, counted, beside, notices)
        return Resolution(approval=counted, votes=(*before, cast), decided=decided)

    async def continue_by(self, asked_by: str, run: Run, items: Sequence[RunItem]) -> bool:
        """Add `run` as what goes on after the run `asked_by`; False when another does already. Raises NotAnswered, NotFound and Conflict."""
        # Who cancels holds the run that asked as well: one of the two comes first.
        waiting = select(RUNS.c.status).where(RUNS.c.id == storable(asked_by), RUNS.c.tenant == run.tenant)
        asked = select(_columns.id, _columns.state, _columns.continuation).where(_columns.run == storable(asked_by))
        async with self._database.begin() as connection:
            status = (await connection.execute(waiting.with_for_update())).scalar_one_or_none()
            if status is None:
                raise NotFound(f"There is no response {asked_by}.")
            approvals = (await connection.execute(asked.order_by(_columns.id).with_for_update())).all()
            if any(approval.continuation for approval in approvals):
                return False
            if status != "waiting":
                if await _is_continued(connection, asked_by):
                    return False
                raise Conflict(f"The response {asked_by} does not wait for anybody.")
            if missing := [approval.id for approval in approvals if approval.state == "pending"]:
                raise NotAnswered(f"Nobody has answered {', '.join(missing)} yet.")
            await be_durable(connection)
            await add_run(connection, run, items)
            await hand_over_calls(connection, asked_by)
            named = update(APPROVALS).where(_columns.run == asked_by)
            await connection.execute(named.values(continuation=run.id))
            await connection.execute(update(RUNS).where(RUNS.c.id == asked_by).values(status="completed"))
        return True

    async def ready(self, before: float, *, most: int = 100) -> Sequence[str]:
        """Give runs that wait although all they asked was answered before then, and with which nobody has gone on."""
        of_run = select(_columns.id).where(_columns.run == RUNS.c.id)
        unanswered = of_run.where(func.coalesce(_columns.decided_at, before) >= before).exists()
        found = select(RUNS.c.id).where(IS_WAITING, of_run.exists(), ~unanswered)
        async with self._database.connect() as connection:
            ordered = found.order_by(RUNS.c.created_at, RUNS.c.id).limit(most)
            return list((await connection.execute(ordered)).scalars())

    async def expire(self, now: float, *, most: int = 100) -> Sequence[Approval]:
        """Let those pending expire whose time is over, each with its call and a notice; give them."""
        over = select(APPROVALS).where(IS_PENDING, _columns.expires_at <= now)
        # PostgreSQL passes over what somebody votes on at this moment, or another one lets expire.
        over = over.order_by(_columns.expires_at, _columns.id).limit(most).with_for_update(skip_locked=True)
        async with self._database.begin() as connection:
            found = [read_approval(row) for row in (await connection.execute(over)).mappings()]
            expired = [_replace(approval, state="expired", decided_at=now) for approval in found]
            for approval in expired:
                await _change(connection, approval)
                # Those for the same call have the same time.
                await _decide(connection, approval, (), [approval_notice(approval, "expired")])
        return expired


def _of(tenant: str | None) -> ColumnElement[bool]:
    return true() if tenant is None else _columns.tenant == tenant


def _is(tenant: str | None, approval: str) -> ColumnElement[bool]:
    return and_(_columns.id == storable(approval), _of(tenant))


async def _is_continued(connection: AsyncConnection, run: str) -> bool:
    going_on = select(RUNS.c.id).where(RUNS.c.continues == storable(run), IS_CONTINUATION)
    return (await connection.execute(going_on)).first() is not None


async def _hold(connection: AsyncConnection, approval: str) -> tuple[Approval, Sequence[Approval]]:
    """Give an approval, and what other people are asked about the same call."""
    rows = (await connection.execute(_HOLD, {"of": storable(approval)})).mappings()
    found = {row["id"]: read_approval(row) for row in rows}
    held = found.pop(storable(approval), None)
    if held is None:
        raise NotFound(f"There is no approval {approval}.")
    return held, tuple(found.values())


async def _votes(connection: AsyncConnection, approval: str) -> list[Vote]:
    return [read_vote(row) for row in (await connection.execute(_VOTES, {"of": approval})).mappings()]


def _check(approval: Approval, votes: Sequence[Vote], vote: Vote, version: int | None) -> None:
    """Raise where the vote comes too late."""
    if approval.state != "pending":
        raise AlreadyDecided(story(approval, votes))
    if vote.at >= approval.expires_at:
        raise AlreadyDecided(f"The approval {approval.id} expired at {moment(approval.expires_at)}.")
    if version is not None and version != approval.version:
        raise EditedMeanwhile(
            f"The arguments of {approval.id} were edited meanwhile; this is version {approval.version}."
        )


def _count(
    approval: Approval, votes: Sequence[Vote], vote: Vote, edited: tuple[str, str] | None
) -> tuple[Approval, Vote]:
    """Give the approval as it is with this vote, and the vote with its version."""
    if edited is not None:
        arguments, digest = edited
        approval = _replace(approval, edited=arguments, arguments_hash=digest, version=approval.version + 1)
    vote = _replace(vote, approval=approval.id, version=approval.version)
    if not vote.approve:
        return _replace(approval, state="denied", decided_at=vote.at), vote
    others = sum(other.approve and other.version == approval.version for other in votes)
    if others + 1 < approval.quorum:
        return approval, vote
    return _replace(approval, state="approved", decided_at=vote.at), vote


def _same(vote: Vote, other: Vote) -> bool:
    return (storable(vote.approver), vote.version) == (other.approver, other.version)


async def _change(connection: AsyncConnection, approval: Approval) -> None:
    values: dict[str, Any] = {
        name: getattr(approval, name) for name in ("arguments_hash", "decided_at", "state", "version")
    }
    await connection.execute(_CHANGE.values(**values, edited=approval.edited.encode()), {"of": approval.id})


async def _decide(
    connection: AsyncConnection, approval: Approval, beside: Sequence[Approval], notices: Sequence[Notice]
) -> None:
    """Write what follows from a decision: whether the call may be done, and what is said outside. All have to agree, and one denial is enough."""
    approved = approval.state == "approved"
    # Nobody is asked in vain, and no run waits for an answer that changes nothing.
    closed = [
        _replace(other, state="denied", decided_at=approval.decided_at)
        for other in beside
        if other.state == "pending" and not approved
    ]
    for other in closed:
        await _change(connection, other)
    if not approved or all(other.state == "approved" for other in beside):
        await answer_call(connection, approval.run, approval.call, approved=approved)
    await add_notices(connection, [*notices, *(approval_notice(other, "denied") for other in closed)])
