"""Memories in a SQL database: one adapter for SQLite and PostgreSQL.

Whoever changes what is in one holds its row until the commit: its totals are true, versions have no gaps, and of two writes one comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, RowMapping, and_, delete, exists, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.stores.database import Database
from gateway.stores.durable import be_durable
from gateway.stores.ledger import storable
from gateway.stores.memories import (
    MemoryBounds,
    MemoryChanged,
    MemoryEntry,
    MemoryFull,
    MemoryGuarded,
    MemoryInfo,
    MemoryPlace,
    person,
)
from gateway.stores.memories_tables import MEMORIES, MEMORY_ENTRIES, MEMORY_RECEIPTS
from gateway.stores.runs_tables import IS_LIVE, RUNS

_columns = MEMORY_ENTRIES.c
_encode = msgspec.json.Encoder().encode
_sources = msgspec.json.Decoder(tuple[str, ...])
_WHOSE: Final = ("tenant", "name", "scope", "owner")
_PLAIN: Final = ("integrity", "confidentiality", "agent", "author", "run", "created_at", "updated_at", "expires_at")
_BATCH: Final = 200
_RECEIPTS_KEPT: Final = 86_400.0
"""Seconds beyond the end of its run that a receipt is kept at least: who was held up meanwhile may still come."""


class SqlMemories:
    """The memories over a database. `new_id` names new ones."""

    def __init__(self, database: Database, new_id: Callable[[str], str]) -> None:
        self._database = database
        self._new_id = new_id
        self._dialect: Any = postgresql if database.kind == "postgres" else sqlite

    async def find(self, place: MemoryPlace, key: str, *, now: float) -> MemoryEntry | None:
        """Give an entry."""
        wanted = _entries_of(place).where(_columns.key == storable(key), _is_there(now))
        async with self._database.connect() as connection:
            row = (await connection.execute(wanted)).mappings().first()
        return None if row is None else _read(row)

    async def entries(self, place: MemoryPlace, *, now: float) -> Sequence[MemoryEntry]:
        """Give all entries, what was written last first."""
        wanted = _entries_of(place).where(_is_there(now)).order_by(_columns.updated_at.desc(), _columns.key)
        async with self._database.connect() as connection:
            return [_read(row) for row in (await connection.execute(wanted)).mappings()]

    async def write(
        self,
        place: MemoryPlace,
        entry: MemoryEntry,
        *,
        call: str,
        bounds: MemoryBounds,
        expected: int | None = None,
        guarded: bool = False,
    ) -> MemoryEntry:
        """Keep an entry in the place of the one under its key; give it with its version. Raises MemoryChanged, MemoryFull and MemoryGuarded."""
        async with self._database.begin() as connection:
            # What the run is told must not be lost: the call is not made again.
            await be_durable(connection)
            held = await self._hold(connection, place, entry.updated_at)
            if (version := await _told(connection, call)) is not None:
                return msgspec.structs.replace(entry, version=version)
            held = await _without_expired(connection, held, entry.updated_at)
            before = await _one(connection, held["id"], entry.key)
            _require_version(entry.key, before, expected)
            if guarded and before is not None and (before["integrity"], entry.integrity) == ("trusted", "untrusted"):
                raise MemoryGuarded(f"The entry {entry.key!r} was written from what is trusted, and this is not.")
            there, taken = (0, 0) if before is None else (1, before["size"])
            entries, size = held["entries"] - there + 1, held["bytes"] - taken + entry.size
            # Bounds that were narrowed keep nobody from writing shorter what is there.
            if entries > max(bounds.entries, held["entries"]) or size > max(bounds.bytes, held["bytes"]):
                raise MemoryFull(_full(held, bounds))
            version = 1 + (held["gone"] if before is None else before["version"])
            kept = msgspec.structs.replace(
                entry, version=version, created_at=entry.updated_at if before is None else before["created_at"]
            )
            await _put(connection, held["id"], kept, new=before is None)
            await _settle(connection, held["id"], entry.updated_at, entries=entries, bytes=size, gone=held["gone"])
            await _note(connection, call, kept, held["id"])
        return kept

    async def remove(
        self, place: MemoryPlace, key: str, *, call: str, run: str, now: float, expected: int | None = None
    ) -> bool:
        """Forget an entry; False where there is none. A call that has done so is told the same again. Raises MemoryChanged."""
        async with self._database.begin() as connection:
            await be_durable(connection)
            held = await self._hold(connection, place, now)
            if await _told(connection, call) is not None:
                return True
            held = await _without_expired(connection, held, now)
            before = await _one(connection, held["id"], key)
            if before is None and not expected:
                return False
            _require_version(key, before, expected)
            if before is None:
                return False
            await _take_out(connection, held, [before], now)
            gone = MemoryEntry(
                key=key, text="", version=before["version"], run=run, author="", created_at=0, updated_at=now
            )
            await _note(connection, call, gone, held["id"])
        return True

    async def list(
        self, tenant: str | None, *, name: str = "", owner: str = "", after: str = "", limit: int = 100
    ) -> Sequence[MemoryInfo]:
        """Give memories of a tenant, or of all (None), by their ids."""
        wanted = select(MEMORIES).where(MEMORIES.c.id > storable(after)).order_by(MEMORIES.c.id).limit(limit)
        for column, value in ((MEMORIES.c.tenant, tenant), (MEMORIES.c.name, name), (MEMORIES.c.owner, owner)):
            if value:
                wanted = wanted.where(column == storable(value))
        async with self._database.connect() as connection:
            return [_info(row) for row in (await connection.execute(wanted)).mappings()]

    async def info(self, tenant: str | None, memory: str) -> MemoryInfo | None:
        """Give what is told of one; None where the tenant has none of that id."""
        wanted = select(MEMORIES).where(MEMORIES.c.id == storable(memory))
        if tenant is not None:
            wanted = wanted.where(MEMORIES.c.tenant == tenant)
        async with self._database.connect() as connection:
            row = (await connection.execute(wanted)).mappings().first()
        return None if row is None else _info(row)

    async def page(self, memory: str, *, now: float, after: str = "", limit: int = 100) -> Sequence[MemoryEntry]:
        """Give entries by their keys."""
        wanted = select(MEMORY_ENTRIES).where(_columns.memory == storable(memory), _is_there(now))
        wanted = wanted.where(_columns.key > storable(after)).order_by(_columns.key).limit(limit)
        async with self._database.connect() as connection:
            return [_read(row) for row in (await connection.execute(wanted)).mappings()]

    async def take_out(self, memory: str, key: str, *, now: float) -> bool:
        """Forget an entry because a person wants it; False where there is none."""
        return await self._forget(memory, now, _columns.key == storable(key)) > 0

    async def erase(self, memory: str) -> int:
        """Forget all entries of a memory; give how many there were."""
        return await self._forget(memory, None)

    async def erase_of(self, *, tenant: str | None, user: str | None, before: float | None = None) -> int:
        """Forget what a user wrote, and all of the user's own memories; or what a tenant has. Give how many entries there were."""
        if tenant is None and user is None:
            raise ValueError("what to erase must be said: a tenant or a user")
        own = person(user=user or "", caller="")
        wanted = select(MEMORIES.c.id, MEMORIES.c.scope, MEMORIES.c.owner)
        if tenant is not None:
            wanted = wanted.where(MEMORIES.c.tenant == tenant)
        if user is not None:
            wrote = exists().where(_columns.memory == MEMORIES.c.id, _columns.author == storable(own))
            wanted = wanted.where(or_(and_(MEMORIES.c.scope == "user", MEMORIES.c.owner == storable(own)), wrote))
        old = () if before is None else (_columns.updated_at < before,)
        async with self._database.connect() as connection:
            found = (await connection.execute(wanted)).all()
        erased = 0
        for memory, scope, owner in found:
            all_of_it = user is None or (scope == "user" and owner == storable(own))
            those = () if all_of_it else (_columns.author == storable(own),)
            erased += await self._forget(memory, None, *old, *those)
        return erased

    async def remove_expired(self, now: float) -> int:
        """Forget some of what has expired, and receipts of calls that are over; give how many entries, 0 where none is left."""
        live = exists().where(RUNS.c.id == MEMORY_RECEIPTS.c.run, IS_LIVE)
        over = delete(MEMORY_RECEIPTS).where(MEMORY_RECEIPTS.c.at < now - _RECEIPTS_KEPT, ~live)
        some = select(_columns.memory).where(_columns.expires_at <= now).limit(_BATCH)
        async with self._database.begin() as connection:
            await connection.execute(over)
        async with self._database.connect() as connection:
            memories = sorted(set((await connection.execute(some)).scalars()))
        return sum([await self._forget(memory, now, _columns.expires_at <= now) for memory in memories])

    async def _forget(self, memory: str, now: float | None, *wanted: ColumnElement[bool]) -> int:
        """Forget entries of a memory; `now` is there where it is a change of the memory like others."""
        held = select(MEMORIES).where(MEMORIES.c.id == storable(memory)).with_for_update()
        those = select(_columns.key, _columns.version, _columns.size).where(_columns.memory == memory, *wanted)
        async with self._database.begin() as connection:
            row = (await connection.execute(held)).mappings().first()
            if row is None:
                return 0
            gone = (await connection.execute(those)).mappings().all()
            if gone:
                await _take_out(connection, dict(row), gone, row["updated_at"] if now is None else now)
        return len(gone)

    async def _hold(self, connection: AsyncConnection, place: MemoryPlace, now: float) -> dict[str, Any]:
        """Give the row of a memory, which is there from now on, for this transaction alone."""
        held = select(MEMORIES).where(_is(place)).with_for_update()
        row = (await connection.execute(held)).mappings().first()
        if row is None:
            new: dict[str, Any] = {name: storable(getattr(place, name)) for name in _WHOSE}
            new |= {"id": self._new_id("mem_"), "entries": 0, "bytes": 0, "gone": 0, "updated_at": now}
            adding = self._dialect.insert(MEMORIES).values(new)
            await connection.execute(adding.on_conflict_do_nothing(index_elements=list(_WHOSE)))
            row = (await connection.execute(held)).mappings().one()
        return dict(row)


def _is(place: MemoryPlace) -> ColumnElement[bool]:
    return and_(*(MEMORIES.c[name] == storable(getattr(place, name)) for name in _WHOSE))


def _is_there(now: float) -> ColumnElement[bool]:
    return or_(_columns.expires_at.is_(None), _columns.expires_at > now)


def _entries_of(place: MemoryPlace) -> Any:
    return select(MEMORY_ENTRIES).join(MEMORIES, MEMORIES.c.id == _columns.memory).where(_is(place))


async def _told(connection: AsyncConnection, call: str) -> int | None:
    """Give the version that a call has written or removed; None where it has done neither."""
    wanted = select(MEMORY_RECEIPTS.c.version).where(MEMORY_RECEIPTS.c.call == storable(call))
    return (await connection.execute(wanted)).scalar_one_or_none()


async def _without_expired(connection: AsyncConnection, held: Mapping[str, Any], now: float) -> dict[str, Any]:
    """Forget what has expired in a memory: it takes no room from what is written."""
    those = select(_columns.key, _columns.version, _columns.size)
    those = those.where(_columns.memory == held["id"], _columns.expires_at <= now)
    gone = (await connection.execute(those)).mappings().all()
    return await _take_out(connection, held, gone, now) if gone else dict(held)


async def _take_out(
    connection: AsyncConnection, held: Mapping[str, Any], gone: Sequence[RowMapping], now: float
) -> dict[str, Any]:
    """Delete entries, and give the memory's row as it is after that."""
    totals = {
        "entries": held["entries"] - len(gone),
        "bytes": held["bytes"] - sum(row["size"] for row in gone),
        "gone": max(held["gone"], *(row["version"] for row in gone)),
    }
    for start in range(0, len(gone), _BATCH):
        keys = [row["key"] for row in gone[start : start + _BATCH]]
        await connection.execute(delete(MEMORY_ENTRIES).where(_columns.memory == held["id"], _columns.key.in_(keys)))
    await _settle(connection, held["id"], now, **totals)
    return {**held, **totals}


async def _settle(connection: AsyncConnection, memory: str, now: float, **totals: int) -> None:
    await connection.execute(update(MEMORIES).where(MEMORIES.c.id == memory).values(**totals, updated_at=now))


async def _one(connection: AsyncConnection, memory: str, key: str) -> RowMapping | None:
    wanted = select(MEMORY_ENTRIES).where(_columns.memory == memory, _columns.key == storable(key))
    return (await connection.execute(wanted)).mappings().first()


async def _put(connection: AsyncConnection, memory: str, entry: MemoryEntry, *, new: bool) -> None:
    row = {name: getattr(entry, name) for name in _PLAIN}
    row |= {name: storable(row[name]) for name in ("agent", "author", "run")}
    row |= {
        "version": entry.version,
        "size": entry.size,
        "body": entry.text.encode("utf-8", "replace"),
        "sources": _encode(entry.sources),
    }
    if new:
        await connection.execute(insert(MEMORY_ENTRIES).values(memory=memory, key=storable(entry.key), **row))
        return
    there = and_(_columns.memory == memory, _columns.key == storable(entry.key))
    await connection.execute(update(MEMORY_ENTRIES).where(there).values(row))


async def _note(connection: AsyncConnection, call: str, entry: MemoryEntry, memory: str) -> None:
    """Keep what a call has done, for who makes it again."""
    row = {"call": storable(call), "run": storable(entry.run), "memory": memory, "key": storable(entry.key)}
    await connection.execute(insert(MEMORY_RECEIPTS).values(**row, version=entry.version, at=entry.updated_at))


def _require_version(key: str, before: RowMapping | None, expected: int | None) -> None:
    version = 0 if before is None else before["version"]
    if expected is not None and expected != version:
        is_there = f"has version {version} by now" if version else "is not there"
        raise MemoryChanged(f"The entry {key!r} {is_there}, and not version {expected}.", version)


def _full(held: Mapping[str, Any], bounds: MemoryBounds) -> str:
    return (
        f"The memory has no room: it holds {held['entries']} of {bounds.entries} entries, and {held['bytes']} of {bounds.bytes} bytes. "
        "Delete or shorten entries first."
    )


def _read(row: RowMapping) -> MemoryEntry:
    return MemoryEntry(
        key=row["key"],
        text=row["body"].decode(),
        version=row["version"],
        sources=_sources.decode(row["sources"]),
        **{name: row[name] for name in _PLAIN},
    )


def _info(row: RowMapping) -> MemoryInfo:
    place = MemoryPlace(**{name: row[name] for name in _WHOSE})
    return MemoryInfo(
        id=row["id"], place=place, entries=row["entries"], bytes=row["bytes"], updated_at=row["updated_at"]
    )
