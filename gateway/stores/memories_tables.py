"""The tables of memories: whose there are, with their totals; their entries; and what calls of runs have written."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, PrimaryKeyConstraint, Table, Text, text

from gateway.stores.metadata import METADATA, TIME

EXPIRES: Final = text("expires_at IS NOT NULL")

MEMORIES: Final = Table(
    "memories",
    METADATA,
    Column("id", Text, primary_key=True),
    *(Column(name, Text, nullable=False) for name in ("tenant", "name", "scope", "owner")),
    # True at every commit: whoever writes an entry holds this row until then.
    Column("entries", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    # The highest version of what is gone: no version comes twice under a key.
    Column("gone", Integer, nullable=False),
    Column("updated_at", TIME, nullable=False),
    Index("uq_memories_tenant_name_scope_owner", "tenant", "name", "scope", "owner", unique=True),
)

MEMORY_ENTRIES: Final = Table(
    "memory_entries",
    METADATA,
    *(Column(name, Text, nullable=False) for name in ("memory", "key")),
    Column("version", Integer, nullable=False),
    Column("size", Integer, nullable=False),
    *(Column(name, Text, nullable=False) for name in ("integrity", "confidentiality", "run", "agent", "author")),
    # Bytes: what a model writes may be any text.
    *(Column(name, LargeBinary, nullable=False) for name in ("body", "sources")),
    *(Column(name, TIME, nullable=False) for name in ("created_at", "updated_at")),
    Column("expires_at", TIME, nullable=True),
    PrimaryKeyConstraint("memory", "key"),
    Index("ix_memory_entries_expires_at", "expires_at", sqlite_where=EXPIRES, postgresql_where=EXPIRES),
    Index(None, "author"),
)

MEMORY_RECEIPTS: Final = Table(
    "memory_receipts",
    METADATA,
    Column("call", Text, primary_key=True),
    *(Column(name, Text, nullable=False) for name in ("run", "memory", "key")),
    Column("version", Integer, nullable=False),
    Column("at", TIME, nullable=False),
    Index(None, "at"),
)
