"""Agents' versions in a SQL database: one adapter for SQLite and PostgreSQL. One that no run has any more goes with the last that had it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import msgspec
from sqlalchemy import bindparam, delete, exists, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.config.agent_settings import AgentDefinition
from gateway.stores.agent_versions_tables import AGENT_VERSIONS
from gateway.stores.database import Database
from gateway.stores.runs_tables import RUNS

_decoder = msgspec.json.Decoder(AgentDefinition)
_IS_KEPT: Final = select(AGENT_VERSIONS.c.name).where(AGENT_VERSIONS.c.version == bindparam("of"))
_REMOVE: Final = delete(AGENT_VERSIONS).where(
    AGENT_VERSIONS.c.version == bindparam("of"), ~exists().where(RUNS.c.version == AGENT_VERSIONS.c.version)
)


class SqlAgentVersions:
    """The agent versions over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._dialect: Any = postgresql if database.kind == "postgres" else sqlite

    async def keep(self, definition: AgentDefinition) -> None:
        """Keep a definition; one of the same version that is there stays."""
        async with self._database.connect() as connection:
            if (await connection.execute(_IS_KEPT, {"of": definition.version})).first() is not None:
                return
        row = {"version": definition.version, "name": definition.name, "body": msgspec.json.encode(definition)}
        adding = self._dialect.insert(AGENT_VERSIONS).values(row)
        async with self._database.begin() as connection:
            await connection.execute(adding.on_conflict_do_nothing(index_elements=["version"]))

    async def find(self, version: str) -> AgentDefinition | None:
        """Give the definition of a version, None where it is not kept."""
        wanted = select(AGENT_VERSIONS.c.body).where(AGENT_VERSIONS.c.version == version)
        async with self._database.connect() as connection:
            found = (await connection.execute(wanted)).scalar_one_or_none()
        return None if found is None else _decoder.decode(found)


async def remove_unused(connection: AsyncConnection, versions: Collection[str]) -> None:
    """Forget those of some versions that no run has, in the caller's transaction."""
    for version in sorted(versions):
        await connection.execute(_REMOVE, {"of": version})
