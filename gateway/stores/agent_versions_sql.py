"""Agents' versions in a SQL database: one adapter for SQLite and PostgreSQL."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from gateway.config.agent_settings import AgentDefinition
from gateway.stores.agent_versions_tables import AGENT_VERSIONS
from gateway.stores.database import Database

_decoder = msgspec.json.Decoder(AgentDefinition)


class SqlAgentVersions:
    """The agent versions over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._dialect: Any = postgresql if database.kind == "postgres" else sqlite

    async def keep(self, definition: AgentDefinition) -> None:
        """Keep a definition; one of the same version that is there stays."""
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
