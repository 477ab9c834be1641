"""The table of what is kept of MCP clients' sessions."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Double, Index, PrimaryKeyConstraint, Table, Text

from gateway.stores.metadata import METADATA

SESSION_NOTES: Final = Table(
    "mcp_session_notes",
    METADATA,
    Column("session", Text, nullable=False),
    Column("kind", Text, nullable=False),
    # Of a resource the digest of its URI: an index takes no name of any length.
    Column("name", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("expires_at", Double, nullable=False),
    PrimaryKeyConstraint("session", "kind", "name", name="pk_mcp_session_notes"),
)
Index("ix_mcp_session_notes_expires_at", SESSION_NOTES.c.expires_at)
