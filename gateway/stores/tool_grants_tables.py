"""The tables of grants: sealed tokens, and those who were sent to an authorization server and have not come back."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Double, Index, Integer, LargeBinary, PrimaryKeyConstraint, Table, Text

from gateway.stores.metadata import METADATA

TOOL_GRANTS: Final = Table(
    "tool_grants",
    METADATA,
    Column("server", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("master_key", Text, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("ciphertext", LargeBinary, nullable=False),
    Column("renewing_until", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    PrimaryKeyConstraint("server", "tenant", "person", name="pk_tool_grants"),
)
TOOL_CONSENTS: Final = Table(
    "tool_consents",
    METADATA,
    Column("state", Text, primary_key=True),
    Column("master_key", Text, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("ciphertext", LargeBinary, nullable=False),
    Column("expires_at", Double, nullable=False),
)
Index("ix_tool_consents_expires_at", TOOL_CONSENTS.c.expires_at)
