"""The directory in a database: the five nouns, and what each needs beyond keeping records."""

from __future__ import annotations

from typing import Final

import sqlalchemy

from gateway.core.caller import DEFAULT_TENANT
from gateway.core.errors import Conflict
from gateway.stores.database import Database
from gateway.stores.directory import Keys, Repository, ServiceAccount, Team, Tenant, User
from gateway.stores.directory_keys import SqlKeys, next_revision, remove_keys
from gateway.stores.directory_repository import Noun, R, SqlRepository
from gateway.stores.directory_tables import SERVICE_ACCOUNTS, TEAMS, TENANTS, USERS, VIRTUAL_KEYS


class SqlDirectory:
    """The directory. It holds no connection of its own; the database stays its maker's to close."""

    def __init__(self, database: Database) -> None:
        self.tenants: Repository[Tenant] = SqlTenants(database, TENANT)
        self.teams: Repository[Team] = SqlRepository(database, TEAM)
        self.users: Repository[User] = SqlOwners(database, USER, VIRTUAL_KEYS.c.user)
        self.service_accounts: Repository[ServiceAccount] = SqlOwners(
            database, SERVICE_ACCOUNT, VIRTUAL_KEYS.c.service_account
        )
        self.keys: Keys = SqlKeys(database)


class SqlTenants(SqlRepository[Tenant]):
    """Tenants: the default one stays."""

    async def delete(self, record_id: str, *, tenant: str | None) -> None:
        """Remove a tenant that nothing belongs to."""
        if record_id == DEFAULT_TENANT and tenant in (None, DEFAULT_TENANT):
            raise Conflict("The default tenant stays.")
        await super().delete(record_id, tenant=tenant)


class SqlOwners(SqlRepository[R]):
    """Those who hold keys, which go with them."""

    def __init__(self, database: Database, noun: Noun[R], holder: sqlalchemy.Column[str]) -> None:
        super().__init__(database, noun)
        self._holder = holder

    async def delete(self, record_id: str, *, tenant: str | None) -> None:
        """Remove a holder of keys, and the keys."""
        async with self._database.begin() as connection:
            # Before anything else is locked, as everybody who changes keys does: no two wait for each other.
            revision = await next_revision(connection)
            await self._load(connection, record_id, tenant)
            await remove_keys(connection, self._holder == record_id, revision)
            await self._remove(connection, record_id)


_MEMBER: Final = {"tenant": TENANTS, "team": TEAMS}

TENANT: Final = Noun(
    name="tenant",
    record=Tenant,
    table=TENANTS,
    changeable=frozenset({"name"}),
    filters=frozenset({"name"}),
    refers={},
)
TEAM: Final = Noun(
    name="team",
    record=Team,
    table=TEAMS,
    changeable=frozenset({"name"}),
    filters=frozenset({"name"}),
    refers={"tenant": TENANTS},
)
USER: Final = Noun(
    name="user",
    record=User,
    table=USERS,
    changeable=frozenset({"name", "team", "email", "subject", "role"}),
    filters=frozenset({"name", "team", "email", "subject", "role"}),
    refers=_MEMBER,
)
SERVICE_ACCOUNT: Final = Noun(
    name="service account",
    record=ServiceAccount,
    table=SERVICE_ACCOUNTS,
    changeable=frozenset({"name", "team"}),
    filters=frozenset({"name", "team"}),
    refers=_MEMBER,
)
