"""Agents' versions in a SQL database: one adapter for SQLite and PostgreSQL."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from sqlalchemy import bindparam, delete, exists, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.config.agent_settings import AgentDefinition
from gateway.core.clock import SYSTEM_CLOCK, Clock
from gateway.stores.agent_versions import SPARED
from gateway.stores.agent_versions_tables import AGENT_VERSIONS
from gateway.stores.database import Database
from gateway.stores.runs_tables import HAS_VERSION, RUNS
from gateway.stores.tool_calls_tables import IS_OWN, TOOL_CALLS

_decoder = msgspec.json.Decoder(AgentDefinition)
_columns = AGENT_VERSIONS.c
_KEPT_AT: Final = select(_columns.kept_at).where(_columns.version == bindparam("of"))
_FORGET: Final = delete(AGENT_VERSIONS).where(
    _columns.kept_at < bindparam("before"),
    ~exists().where(RUNS.c.version == _columns.version, HAS_VERSION),
    # A call that hands a run over has the version of who takes over for its definition.
    ~exists().where(TOOL_CALLS.c.definition == _columns.version, IS_OWN),
)


class SqlAgentVersions:
    """The agent versions over a database."""

    def __init__(self, database: Database, clock: Clock = SYSTEM_CLOCK) -> None:
        self._database = database
        self._clock = clock
        self._dialect: Any = postgresql if database.kind == "postgres" else sqlite

    async def keep(self, definition: AgentDefinition) -> None:
        """Keep a definition for SPARED seconds from now at least; one of the same version that is there stays."""
        now = self._clock.wall()
        async with self._database.connect() as connection:
            kept_at = (await connection.execute(_KEPT_AT, {"of": definition.version})).scalar_one_or_none()
        # Not written for every request: what was written within SPARED is forgotten after twice that.
        if kept_at is not None and now - kept_at < SPARED:
            return
        row = {
            "version": definition.version,
            "name": definition.name,
            "body": msgspec.json.encode(definition),
            "kept_at": now,
        }
        adding = self._dialect.insert(AGENT_VERSIONS).values(row)
        again = adding.on_conflict_do_update(index_elements=["version"], set_={"kept_at": adding.excluded.kept_at})
        async with self._database.begin() as connection:
            await connection.execute(again)

    async def find(self, version: str) -> AgentDefinition | None:
        """Give the definition of a version, None where it is not kept."""
        wanted = select(AGENT_VERSIONS.c.body).where(AGENT_VERSIONS.c.version == version)
        async with self._database.connect() as connection:
            found = (await connection.execute(wanted)).scalar_one_or_none()
        return None if found is None else _decoder.decode(found)


async def forget_unused(connection: AsyncConnection, now: float) -> None:
    """Forget what no run refers to and nobody has kept for SPARED seconds, in the caller's transaction."""
    await connection.execute(_FORGET, {"before": now - 2 * SPARED})
