"""The table of agents' versions."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, LargeBinary, Table, Text

from gateway.stores.metadata import METADATA, TIME

AGENT_VERSIONS: Final = Table(
    "agent_versions",
    METADATA,
    Column("version", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("kept_at", TIME, nullable=False, server_default="0"),
)
