"""Grants in a SQL database: one adapter for SQLite and PostgreSQL. A row that is put in another's place does not open."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import structlog
from sqlalchemy import ColumnElement, RowMapping, and_, delete, insert, select, update

from gateway.stores.database import Database
from gateway.stores.durable import be_durable
from gateway.stores.ledger import storable
from gateway.stores.secrets import SecretUnreadable
from gateway.stores.secrets_cipher import Sealed, SecretCipher
from gateway.stores.tool_grants import Consent, Grant, GrantInfo, Holder, Tokens
from gateway.stores.tool_grants_tables import TOOL_CONSENTS, TOOL_GRANTS

log = structlog.get_logger()

_columns = TOOL_GRANTS.c
_SEALED: Final = ("master_key", "wrapped", "ciphertext")
_encode = msgspec.json.Encoder().encode
_tokens = msgspec.json.Decoder(Tokens)
_consent = msgspec.json.Decoder(Consent)


class SqlGrants:
    """The store of grants over a database. `cipher` seals them."""

    def __init__(self, database: Database, cipher: SecretCipher) -> None:
        self._database = database
        self._cipher = cipher

    async def find(self, holder: Holder) -> Grant | None:
        """Give one."""
        async with self._database.connect() as connection:
            row = (await connection.execute(select(TOOL_GRANTS).where(_is(holder)))).mappings().first()
        opened = None if row is None else self._open(holder.tenant, _name(holder), row["version"], row)
        if row is None or opened is None:
            return None
        return Grant(holder=holder, version=row["version"], tokens=_tokens.decode(opened))

    async def list(self, server: str) -> Sequence[GrantInfo]:
        """Give those for a server, the operator's first."""
        found = select(_columns.tenant, _columns.person, _columns.version, _columns.updated_at)
        found = found.where(_columns.server == storable(server)).order_by(_columns.tenant, _columns.person)
        async with self._database.connect() as connection:
            rows = (await connection.execute(found)).all()
        return [
            GrantInfo(
                holder=Holder(server=server, tenant=row.tenant, person=row.person),
                version=row.version,
                updated_at=row.updated_at,
            )
            for row in rows
        ]

    async def put(self, holder: Holder, tokens: Tokens, *, now: float) -> Grant:
        """Keep tokens in the place of those before, whatever they were."""
        async with self._database.begin() as connection:
            await be_durable(connection)
            held = select(_columns.version).where(_is(holder)).with_for_update()
            before = (await connection.execute(held)).scalar_one_or_none()
            version = (before or 0) + 1
            row = self._row(holder, tokens, version, now)
            change = insert(TOOL_GRANTS) if before is None else update(TOOL_GRANTS).where(_is(holder))
            await connection.execute(change.values(row))
        return Grant(holder=holder, version=version, tokens=tokens)

    async def claim(self, grant: Grant, *, now: float, until: float) -> bool:
        """Take the right to renew a grant, which one at a time has; False where another has it, or the grant is another by now."""
        free = and_(_is(grant.holder), _columns.version == grant.version, _columns.renewing_until <= now)
        async with self._database.begin() as connection:
            done = await connection.execute(update(TOOL_GRANTS).where(free).values(renewing_until=until))
        return done.rowcount > 0

    async def renew(self, grant: Grant, tokens: Tokens, *, now: float) -> bool:
        """Put tokens in the place of those of `grant`; False where it is another by now. It gives the right to renew back."""
        there = and_(_is(grant.holder), _columns.version == grant.version)
        row = self._row(grant.holder, tokens, grant.version + 1, now)
        async with self._database.begin() as connection:
            # The old refresh token may be of no use any more: these must not be lost.
            await be_durable(connection)
            done = await connection.execute(update(TOOL_GRANTS).where(there).values(row))
        return done.rowcount > 0

    async def remove(self, holder: Holder) -> bool:
        """Forget one; False where there is none."""
        async with self._database.begin() as connection:
            return (await connection.execute(delete(TOOL_GRANTS).where(_is(holder)))).rowcount > 0

    async def begin(self, state: str, consent: Consent) -> None:
        """Remember where somebody was sent, under the `state` that he comes back with; what is too old is forgotten."""
        name = _digest(state)
        sealed = self._cipher.seal(_encode(consent).decode(), tenant="", name=f"consent {name}", version=1)
        row = {"state": name, "expires_at": consent.expires_at, **_kept(sealed)}
        old = delete(TOOL_CONSENTS).where(TOOL_CONSENTS.c.expires_at < consent.expires_at - 86_400)
        async with self._database.begin() as connection:
            await connection.execute(old)
            await connection.execute(insert(TOOL_CONSENTS).values(row))

    async def take(self, state: str, *, now: float) -> Consent | None:
        """Give what was remembered under a state and forget it: None for one that is unknown, used or too old."""
        name = _digest(state)
        gone = delete(TOOL_CONSENTS).where(TOOL_CONSENTS.c.state == name).returning(TOOL_CONSENTS)
        async with self._database.begin() as connection:
            row = (await connection.execute(gone)).mappings().first()
        if row is None or row["expires_at"] <= now:
            return None
        opened = self._open("", f"consent {name}", 1, row)
        return None if opened is None else _consent.decode(opened)

    def _row(self, holder: Holder, tokens: Tokens, version: int, now: float) -> dict[str, Any]:
        sealed = self._cipher.seal(_encode(tokens).decode(), tenant=holder.tenant, name=_name(holder), version=version)
        return {
            "server": storable(holder.server),
            "tenant": storable(holder.tenant),
            "person": storable(holder.person),
            "version": version,
            "renewing_until": 0.0,
            "updated_at": now,
            **_kept(sealed),
        }

    def _open(self, tenant: str, name: str, version: int, row: RowMapping) -> str | None:
        sealed = Sealed(tenant=tenant, name=name, version=version, **{part: row[part] for part in _SEALED})
        try:
            return self._cipher.open(sealed)
        except SecretUnreadable as error:
            log.warning("tool_grant.unreadable", reason=str(error))
            return None


def _is(holder: Holder) -> ColumnElement[bool]:
    return and_(
        _columns.server == storable(holder.server),
        _columns.tenant == storable(holder.tenant),
        _columns.person == storable(holder.person),
    )


def _kept(sealed: Sealed) -> dict[str, Any]:
    return {name: getattr(sealed, name) for name in _SEALED}


def _name(holder: Holder) -> str:
    # As one text that no other holder has.
    return _encode(["grant", holder.server, holder.person]).decode()


def _digest(state: str) -> str:
    return hashlib.sha256(state.encode("utf-8", "replace")).hexdigest()
