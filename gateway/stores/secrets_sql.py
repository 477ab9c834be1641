"""Encrypted secrets in a SQL database: one adapter for SQLite and PostgreSQL. Every change is in the audit log with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, RowMapping, and_, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.core.caller import DEFAULT_TENANT
from gateway.core.clock import SYSTEM_CLOCK, Clock
from gateway.core.ids import NewId, new_id
from gateway.stores.audit import AuditActor, AuditEvent, AuditObject
from gateway.stores.audit_sql import SqlAudit
from gateway.stores.database import Database
from gateway.stores.secrets import Rewrapped, SecretInfo, SecretUnreadable, check_name, check_value
from gateway.stores.secrets_cipher import Sealed, SecretCipher
from gateway.stores.secrets_tables import SECRETS

_BATCH: Final = 50


class SqlSecrets:
    """The secret store over a database. `audit` is of the same database."""

    def __init__(
        self,
        database: Database,
        cipher: SecretCipher,
        audit: SqlAudit,
        *,
        clock: Clock = SYSTEM_CLOCK,
        new_id: NewId = new_id,
    ) -> None:
        self._database = database
        self._cipher = cipher
        self._audit = audit
        self._clock = clock
        self._new_id = new_id

    async def put(self, name: str, value: str, *, actor: AuditActor, tenant: str = DEFAULT_TENANT) -> SecretInfo:
        """Keep a value under a name, in the place of an older one. Raises ValueError for what is no name or no value."""
        name, value, now = check_name(name), check_value(value), self._now()
        async with self._database.begin() as connection:
            # Locks out others who append, and so whoever sets the same secret now.
            await self._audit.lock(connection)
            old = await _find(connection, tenant, name)
            version = 1 if old is None else old.version + 1
            sealed = self._cipher.seal(value, tenant=tenant, name=name, version=version)
            row = {**msgspec.structs.asdict(sealed), "updated_at": now}
            if old is None:
                await connection.execute(insert(SECRETS).values(**row, created_at=now))
            else:
                await connection.execute(update(SECRETS).where(_is(tenant, name)).values(**row))
            details = {"version": version, "wrapped_by": sealed.master_key}
            action = "secret.created" if old is None else "secret.changed"
            await self._tell(connection, action, actor, AuditObject(kind="secret", id=name, tenant=tenant), details)
        return SecretInfo(
            tenant=tenant,
            name=name,
            version=version,
            master_key=sealed.master_key,
            created_at=now if old is None else old.created_at,
            updated_at=now,
        )

    async def remove(self, name: str, *, actor: AuditActor, tenant: str = DEFAULT_TENANT) -> bool:
        """Forget a secret; False when there is none of that name."""
        async with self._database.begin() as connection:
            await self._audit.lock(connection)
            old = await _find(connection, tenant, name)
            if old is None:
                return False
            await connection.execute(delete(SECRETS).where(_is(tenant, name)))
            about = AuditObject(kind="secret", id=name, tenant=tenant)
            await self._tell(connection, "secret.deleted", actor, about, {"version": old.version})
        return True

    async def find_all(self, *, tenant: str | None = DEFAULT_TENANT) -> tuple[SecretInfo, ...]:
        """Give what there is, by tenant and name; None is every tenant's."""
        found = select(SECRETS).order_by(SECRETS.c.tenant, SECRETS.c.name)
        if tenant is not None:
            found = found.where(SECRETS.c.tenant == tenant)
        async with self._database.connect() as connection:
            return tuple(_info(row) for row in (await connection.execute(found)).mappings())

    async def load(self, *, tenant: str = DEFAULT_TENANT) -> Mapping[str, Callable[[], str]]:
        """Give, for every name, what decrypts its value; that raises SecretUnreadable."""
        found = select(SECRETS).where(SECRETS.c.tenant == tenant)
        async with self._database.connect() as connection:
            rows = (await connection.execute(found)).mappings().all()
        return {row["name"]: partial(self._cipher.open, _sealed(row)) for row in rows}

    async def rewrap(self, *, actor: AuditActor) -> Rewrapped:
        """Wrap every data key with the present master key. It can be cut off anywhere and begun again.

        Each batch is a transaction with its own entry, so that after a crash the log says how far it came.
        """
        done = 0
        unreadable: dict[tuple[str, str], SecretInfo] = {}
        after = ("", "")
        while True:
            async with self._database.begin() as connection:
                await self._audit.lock(connection)
                rows = await self._outdated(connection, after)
                names = [await self._rewrap_one(connection, row, unreadable) for row in rows]
                wrapped = [name for name in names if name is not None]
                if wrapped:
                    await self._tell_batch(connection, actor, wrapped)
            if not rows:
                break
            done += len(wrapped)
            after = (rows[-1]["tenant"], rows[-1]["name"])
        await self._tell_end(actor, done, len(unreadable))
        return Rewrapped(done=done, unreadable=tuple(unreadable.values()))

    async def _outdated(self, connection: AsyncConnection, after: tuple[str, str]) -> list[RowMapping]:
        """Give the next secrets, by tenant and name, that another master key wraps."""
        columns = SECRETS.c
        later = (columns.tenant > after[0]) | ((columns.tenant == after[0]) & (columns.name > after[1]))
        found = select(SECRETS).where(columns.master_key != self._cipher.present.id, later)
        rows = await connection.execute(found.order_by(columns.tenant, columns.name).limit(_BATCH))
        return list(rows.mappings())

    async def _rewrap_one(
        self, connection: AsyncConnection, row: RowMapping, unreadable: dict[tuple[str, str], SecretInfo]
    ) -> str | None:
        try:
            sealed = self._cipher.rewrap(_sealed(row))
        except SecretUnreadable:
            unreadable[row["tenant"], row["name"]] = _info(row)
            return None
        values = {"master_key": sealed.master_key, "wrapped": sealed.wrapped}
        await connection.execute(update(SECRETS).where(_is(sealed.tenant, sealed.name)).values(**values))
        return sealed.name if sealed.tenant == DEFAULT_TENANT else f"{sealed.tenant}/{sealed.name}"

    async def _tell_batch(self, connection: AsyncConnection, actor: AuditActor, names: list[str]) -> None:
        about = AuditObject(kind="master_key", id=self._cipher.present.id)
        await self._tell(connection, "secrets.rewrapped", actor, about, {"names": names})

    async def _tell_end(self, actor: AuditActor, done: int, unreadable: int) -> None:
        async with self._database.begin() as connection:
            about = AuditObject(kind="master_key", id=self._cipher.present.id)
            details = {"rewrapped": done, "unreadable": unreadable}
            await self._tell(connection, "secrets.rotated", actor, about, details)

    async def _tell(
        self, connection: AsyncConnection, action: str, actor: AuditActor, about: AuditObject, details: dict[str, Any]
    ) -> None:
        event = AuditEvent(
            id=self._new_id("aud_"), at=self._now(), action=action, actor=actor, object=about, details=details
        )
        await self._audit.append_within(connection, [event])

    def _now(self) -> int:
        return round(self._clock.wall() * 1000)


def _is(tenant: str, name: str) -> ColumnElement[bool]:
    return and_(SECRETS.c.tenant == tenant, SECRETS.c.name == name)


async def _find(connection: AsyncConnection, tenant: str, name: str) -> SecretInfo | None:
    row = (await connection.execute(select(SECRETS).where(_is(tenant, name)))).mappings().first()
    return None if row is None else _info(row)


def _info(row: RowMapping) -> SecretInfo:
    return SecretInfo(**{name: row[name] for name in SecretInfo.__struct_fields__})


def _sealed(row: RowMapping) -> Sealed:
    return Sealed(**{name: row[name] for name in Sealed.__struct_fields__})
