"""The audit log's tables: the chain, and its head. Triggers of the migration refuse to change or remove an entry."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, String, Table, Text

from gateway.stores.metadata import METADATA

# SQLite counts rows by INTEGER alone; both hold 64 bits.
_WHOLE: Final = BigInteger().with_variant(Integer(), "sqlite")

ENTRIES: Final = Table(
    "audit_entries",
    METADATA,
    Column("seq", _WHOLE, primary_key=True, autoincrement=False),
    Column("id", String(64), nullable=False, unique=True),
    Column("at", _WHOLE, nullable=False),
    Column("written", _WHOLE, nullable=False),
    Column("action", Text, nullable=False),
    Column("actor_id", Text, nullable=False),
    Column("actor_tenant", Text, nullable=False),
    Column("actor_role", Text, nullable=False),
    Column("actor_address", Text, nullable=False),
    Column("object_kind", Text, nullable=False),
    Column("object_id", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    # Text, not jsonb: its bytes are hashed.
    Column("details", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index("ix_audit_entries_tenant_seq", "tenant", "seq"),
    Index("ix_audit_entries_action_seq", "action", "seq"),
    Index("ix_audit_entries_object_seq", "object_kind", "object_id", "seq"),
    Index("ix_audit_entries_actor_id_seq", "actor_id", "seq"),
)

HEADS: Final = Table(
    "audit_head",
    METADATA,
    # One row: whoever appends locks it, so entries come one after the other however many replicas there are.
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", _WHOLE, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("at", _WHOLE, nullable=False),
    Column("key", String(64), nullable=False),
    Column("signature", String(64), nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)
