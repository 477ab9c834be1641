"""The audit log in a SQL database: one adapter for SQLite and PostgreSQL. The chain's rules are `audit_chain`'s."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final

import msgspec
from sqlalchemy import RowMapping, Select, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.core.clock import SYSTEM_CLOCK, Clock
from gateway.stores.audit import (
    MOST_FOUND,
    Appended,
    AuditActor,
    AuditEntry,
    AuditEvent,
    AuditObject,
    AuditQuery,
)
from gateway.stores.audit_chain import (
    AuditHead,
    AuditLink,
    AuditVerdict,
    ChainCheck,
    HeadSigner,
    digest_of,
    hash_of,
)
from gateway.stores.audit_details import canonical
from gateway.stores.audit_export import end_line, entry_line
from gateway.stores.audit_tables import ENTRIES, HEADS
from gateway.stores.database import Database

_PAGE: Final = 500


class SqlAudit:
    """The audit store over a database. `key` signs heads: the audit key, or None for heads without a signature."""

    def __init__(self, database: Database, *, key: str | None = None, clock: Clock = SYSTEM_CLOCK) -> None:
        self._database = database
        self._signer = HeadSigner(key)
        self._clock = clock

    async def append(self, events: Iterable[AuditEvent]) -> Appended:
        """Put events at the end of the chain, in their order, all or none; one whose id is there already is left out."""
        async with self._database.begin() as connection:
            return await self.append_within(connection, events)

    async def append_within(self, connection: AsyncConnection, events: Iterable[AuditEvent]) -> Appended:
        """Do the same within a transaction of the caller's: what is done there and its entry are kept together, or neither is."""
        head = await self._head(connection, lock=True)
        written = round(self._clock.wall() * 1000)
        entries = []
        seq, previous = head.seq, head.hash
        for event in await _new(connection, events):
            seq += 1
            entry = _entry(event, seq=seq, previous=previous, written=written)
            previous = entry.hash
            entries.append(entry)
        if not entries:
            return Appended(entries=(), head=head)
        head = self._signer.sign(seq=seq, hash_=previous, at=written)
        await connection.execute(insert(ENTRIES), [_row(entry) for entry in entries])
        await connection.execute(update(HEADS).where(HEADS.c.id == 1).values(**msgspec.structs.asdict(head)))
        return Appended(entries=tuple(entries), head=head)

    async def lock(self, connection: AsyncConnection) -> None:
        """Let nobody else append before this transaction ends: for who reads, decides, and appends what came of it."""
        await self._head(connection, lock=True)

    async def find(self, query: AuditQuery) -> tuple[AuditEntry, ...]:
        """Give the newest entries first, at most `query.limit` (`MOST_FOUND` at the outside)."""
        async with self._database.connect() as connection:
            rows = await connection.execute(_selected(query))
            return tuple(_read_entry(row) for row in rows.mappings())

    async def head(self) -> AuditHead:
        """Give the end of the chain."""
        async with self._database.connect() as connection:
            return await self._head(connection)

    async def export(self, *, tenant: str | None = None) -> AsyncIterator[bytes]:
        """Give the chain up to its present end as lines of JSON, page by page; no connection is held between pages."""
        head = await self.head()
        count = 0
        after: int | None = None
        while links := await self._page(after, upto=head.seq, tenant=tenant):
            for link in links:
                yield entry_line(link)
            count, after = count + len(links), links[-1].seq
        yield end_line(count, head, tenant=tenant)

    async def verify(self, *, anchors: Iterable[AuditHead] = ()) -> AuditVerdict:
        """Go through the whole chain and say what is wrong with it, and where. It may grow meanwhile."""
        check = ChainCheck(self._signer, anchors)
        after: int | None = None
        while True:
            while links := await self._page(after):
                for link in links:
                    check.take(link)
                after = links[-1].seq
            # Read after the entries: what it knows and they do not was appended in between, or is gone.
            head = await self._find_head()
            if head is None or head.seq <= check.last_seq or not await self._page(after):
                return check.finish(head)

    async def _page(self, after: int | None, *, upto: int | None = None, tenant: str | None = None) -> list[AuditLink]:
        page = select(ENTRIES).order_by(ENTRIES.c.seq).limit(_PAGE)
        if after is not None:
            page = page.where(ENTRIES.c.seq > after)
        if upto is not None:
            page = page.where(ENTRIES.c.seq <= upto)
        async with self._database.connect() as connection:
            rows = await connection.execute(page)
            return [_link(row, shown=tenant is None or row["tenant"] == tenant) for row in rows.mappings()]

    async def _find_head(self) -> AuditHead | None:
        async with self._database.connect() as connection:
            row = (await connection.execute(_select_head())).mappings().first()
        return None if row is None else AuditHead(**row)

    async def _head(self, connection: AsyncConnection, *, lock: bool = False) -> AuditHead:
        found = await connection.execute(_select_head().with_for_update() if lock else _select_head())
        return AuditHead(**found.mappings().one())


def _select_head() -> Select[*tuple[Any, ...]]:
    return select(HEADS.c.seq, HEADS.c.hash, HEADS.c.at, HEADS.c.key, HEADS.c.signature).where(HEADS.c.id == 1)


async def _new(connection: AsyncConnection, events: Iterable[AuditEvent]) -> list[AuditEvent]:
    """Leave out events that are in the chain: they come again from a queue whose process died after it had appended them."""
    once = {event.id: event for event in events}
    found = await connection.execute(select(ENTRIES.c.id).where(ENTRIES.c.id.in_(list(once))))
    there = set(found.scalars())
    return [event for event in once.values() if event.id not in there]


def _content(event: AuditEvent, written: int) -> dict[str, Any]:
    content: dict[str, Any] = msgspec.to_builtins(event)
    return {**content, "written": written}


def _entry(event: AuditEvent, *, seq: int, previous: str, written: int) -> AuditEntry:
    digest = digest_of(_content(event, written))
    hash_ = hash_of(seq=seq, previous=previous, digest=digest)
    return AuditEntry(seq=seq, event=event, written=written, previous=previous, digest=digest, hash=hash_)


def _row(entry: AuditEntry) -> dict[str, Any]:
    event = entry.event
    return {
        "seq": entry.seq,
        "id": event.id,
        "at": event.at,
        "written": entry.written,
        "action": event.action,
        "actor_id": event.actor.id,
        "actor_tenant": event.actor.tenant,
        "actor_role": event.actor.role,
        "actor_address": event.actor.address,
        "object_kind": event.object.kind,
        "object_id": event.object.id,
        "tenant": event.object.tenant,
        "details": canonical(event.details).decode(),
        "previous": entry.previous,
        "digest": entry.digest,
        "hash": entry.hash,
    }


def _link(row: RowMapping, *, shown: bool = True) -> AuditLink:
    """Give a row as it is, not as an event: making one would mend what somebody put there."""
    content = None
    if shown:
        content = {
            "action": row["action"],
            "actor": {
                "address": row["actor_address"],
                "id": row["actor_id"],
                "role": row["actor_role"],
                "tenant": row["actor_tenant"],
            },
            "at": row["at"],
            "details": _details(row["details"]),
            "id": row["id"],
            "object": {"id": row["object_id"], "kind": row["object_kind"], "tenant": row["tenant"]},
            "written": row["written"],
        }
    return AuditLink(
        seq=row["seq"],
        # SQLite takes bytes for text.
        previous=str(row["previous"]),
        digest=str(row["digest"]),
        hash=str(row["hash"]),
        content=content,
    )


def _details(text: str) -> Any:
    """Read details; what is not in the one spelling that we write stays text, and its digest is then another."""
    try:
        details = json.loads(text)
        return details if canonical(details).decode() == text else text
    except (ValueError, RecursionError):
        return text


def _read_entry(row: RowMapping) -> AuditEntry:
    details = _details(row["details"])
    event = AuditEvent(
        id=row["id"],
        at=row["at"],
        action=row["action"],
        actor=AuditActor(
            id=row["actor_id"], tenant=row["actor_tenant"], role=row["actor_role"], address=row["actor_address"]
        ),
        object=AuditObject(kind=row["object_kind"], id=row["object_id"], tenant=row["tenant"]),
        details=details if isinstance(details, dict) else {"unreadable": str(details)},
    )
    return AuditEntry(
        seq=row["seq"],
        event=event,
        written=row["written"],
        previous=row["previous"],
        digest=row["digest"],
        hash=row["hash"],
    )


def _selected(query: AuditQuery) -> Select[*tuple[Any, ...]]:
    columns = ENTRIES.c
    equal = (
        (columns.tenant, query.tenant),
        (columns.actor_id, query.actor),
        (columns.object_kind, query.kind),
        (columns.object_id, query.object),
    )
    found = select(ENTRIES).order_by(columns.seq.desc()).limit(max(0, min(query.limit, MOST_FOUND)))
    for column, value in equal:
        if value is not None:
            found = found.where(column == value)
    if query.action is not None:
        prefix = query.action.endswith(".")
        found = found.where(
            columns.action.startswith(query.action, autoescape=True) if prefix else columns.action == query.action
        )
    if query.since is not None:
        found = found.where(columns.at >= query.since)
    if query.until is not None:
        found = found.where(columns.at < query.until)
    return found if query.before is None else found.where(columns.seq < query.before)
