"""Virtual keys in a database. Every change takes the next revision, so that replicas see it by reading one number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
import sqlalchemy
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.core.errors import Conflict, InvalidRequest
from gateway.stores.database import Database
from gateway.stores.directory import KeyChanges, VirtualKey
from gateway.stores.directory_repository import Noun, SqlRepository
from gateway.stores.directory_rules import changed, checked, is_id
from gateway.stores.directory_tables import (
    KEY_REVISION,
    REMOVED_KEYS,
    SERVICE_ACCOUNTS,
    TEAMS,
    TENANTS,
    USERS,
    VIRTUAL_KEYS,
)

VIRTUAL_KEY: Final = Noun(
    name="key",
    record=VirtualKey,
    table=VIRTUAL_KEYS,
    changeable=frozenset(
        {"name", "team", "role", "expires_at", "models", "tools", "ips", "origins", "tags", "metadata"}
    ),
    filters=frozenset({"name", "team", "user", "service_account"}),
    refers={"tenant": TENANTS, "team": TEAMS, "user": USERS, "service_account": SERVICE_ACCOUNTS},
)
_AT_ONCE: Final = 500
"""Rows read between two looks at the event loop."""


class SqlKeys(SqlRepository[VirtualKey]):
    """Virtual keys; the port says what each method does.

    A writer takes the next revision first, and with it a lock until it commits. So revisions are committed in their order,
    and who has read one has seen every change up to it.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database, VIRTUAL_KEY)

    async def create(self, record: VirtualKey) -> VirtualKey:
        """Add a key."""
        record = _checked(record)
        async with self._database.begin() as connection:
            await self._insert(connection, record, revision=await next_revision(connection))
        return record

    async def update(self, record_id: str, changes: Mapping[str, object], *, tenant: str | None) -> VirtualKey:
        """Change some fields."""
        async with self._database.begin() as connection:
            revision = await next_revision(connection)
            key = changed(await self._load(connection, record_id, tenant), changes, VIRTUAL_KEY.changeable)
            await self._refer(connection, key, only=changes)
            row = self._row(key)
            await self._change(connection, record_id, {name: row[name] for name in changes} | {"revision": revision})
        return key

    async def delete(self, record_id: str, *, tenant: str | None) -> None:
        """Remove a key."""
        async with self._database.begin() as connection:
            revision = await next_revision(connection)
            await self._load(connection, record_id, tenant)
            await remove_keys(connection, VIRTUAL_KEYS.c.id == record_id, revision)

    async def revoke(self, key_id: str, *, tenant: str | None, at: float) -> VirtualKey:
        """End a key."""
        async with self._database.begin() as connection:
            revision = await next_revision(connection)
            key = await self._load(connection, key_id, tenant)
            if key.revoked_at is None:
                key = checked(msgspec.structs.replace(key, revoked_at=at))
                await self._change(connection, key_id, {"revoked_at": key.revoked_at, "revision": revision})
        return key

    async def rotate(
        self, key_id: str, successor: VirtualKey, *, tenant: str | None, overlap_ends_at: float
    ) -> VirtualKey:
        """Replace a key."""
        successor = _checked(successor)
        async with self._database.begin() as connection:
            revision = await next_revision(connection)
            key = await self._load(connection, key_id, tenant)
            if key.revoked_at is not None or key.replaced_by:
                raise Conflict("The key was revoked or rotated before.")
            if successor.tenant != key.tenant:
                raise InvalidRequest("A key's successor is in the same tenant.", param="tenant")
            old = checked(msgspec.structs.replace(key, replaced_by=successor.id, overlap_ends_at=overlap_ends_at))
            await self._insert(connection, successor, revision=revision)
            ended = {"replaced_by": old.replaced_by, "overlap_ends_at": old.overlap_ends_at, "revision": revision}
            await self._change(connection, key_id, ended)
        return successor

    async def revision(self) -> int:
        """Return the number of the latest change."""
        async with self._database.connect() as connection:
            return await _revision(connection)

    async def changed_since(self, revision: int) -> KeyChanges:
        """Return what happened to keys after this revision."""
        async with self._database.connect() as connection:
            latest = await _revision(connection)
            if latest == revision:
                return KeyChanges(revision=latest)
            keys = await self._keys_after(connection, revision)
            gone = sqlalchemy.select(REMOVED_KEYS.c.id).where(REMOVED_KEYS.c.revision > revision)
            removed = tuple((await connection.scalars(gone)).all())
        return KeyChanges(revision=latest, keys=keys, removed=removed)

    async def touch(self, used: Mapping[str, float]) -> None:
        """Note when keys were last used."""
        # In the order of ids: two replicas that touch the same keys never wait for each other.
        rows = [{"key": key, "at": at} for key, at in sorted(used.items()) if is_id(key)]
        if not rows:
            return
        last = VIRTUAL_KEYS.c.last_used_at
        at = sqlalchemy.bindparam("at", type_=last.type)
        statement = (
            VIRTUAL_KEYS.update()
            .where(VIRTUAL_KEYS.c.id == sqlalchemy.bindparam("key"), last.is_(None) | (last < at))
            .values(last_used_at=at)
        )
        async with self._database.begin() as connection:
            await connection.execute(statement, rows)

    async def _keys_after(self, connection: AsyncConnection, revision: int) -> tuple[VirtualKey, ...]:
        keys: list[VirtualKey] = []
        query = sqlalchemy.select(VIRTUAL_KEYS).where(VIRTUAL_KEYS.c.revision > revision).order_by(VIRTUAL_KEYS.c.id)
        while True:
            after = query.where(VIRTUAL_KEYS.c.id > keys[-1].id) if keys else query
            rows = (await connection.execute(after.limit(_AT_ONCE))).mappings().all()
            keys += map(self._record, rows)
            if len(rows) < _AT_ONCE:
                return tuple(keys)


async def next_revision(connection: AsyncConnection) -> int:
    """Take the next revision, and the lock that goes with it until the transaction ends."""
    column = KEY_REVISION.c.revision
    statement = KEY_REVISION.update().values(revision=column + 1).returning(column)
    return int((await connection.execute(statement)).scalar_one())


async def remove_keys(connection: AsyncConnection, which: sqlalchemy.ColumnElement[bool], revision: int) -> None:
    """Remove keys, and leave word of it for replicas."""
    ids = sqlalchemy.select(VIRTUAL_KEYS.c.id, sqlalchemy.literal(revision)).where(which)
    await connection.execute(REMOVED_KEYS.insert().from_select(["id", "revision"], ids))
    await connection.execute(VIRTUAL_KEYS.delete().where(which))


async def _revision(connection: AsyncConnection) -> int:
    return int((await connection.execute(sqlalchemy.select(KEY_REVISION.c.revision))).scalar_one())


def _checked(key: VirtualKey) -> VirtualKey:
    if key.user and key.service_account:
        raise InvalidRequest("A key belongs to a user or to a service account, not to both.", param="service_account")
    if not key.digest:
        raise InvalidRequest("'digest' is empty.", param="digest")
    return checked(key)
