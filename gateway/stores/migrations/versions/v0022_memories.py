"""Memories: whose there are, their entries, and what calls of runs have written."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

from gateway.stores.metadata import TIME

revision = "0022_memories"
down_revision = "0021_triggers"


def upgrade(op: Operations) -> None:
    """Make the tables."""
    op.create_table(
        "memories",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("id", "tenant", "name", "scope", "owner")),
        sa.Column("entries", sa.Integer, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("gone", sa.Integer, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_memories")),
    )
    whose = ["tenant", "name", "scope", "owner"]
    op.create_index("uq_memories_tenant_name_scope_owner", "memories", whose, unique=True)
    op.create_table(
        "memory_entries",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("memory", "key")),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("version", "size")),
        *(
            sa.Column(name, sa.Text, nullable=False)
            for name in ("integrity", "confidentiality", "run", "agent", "author")
        ),
        *(sa.Column(name, sa.LargeBinary, nullable=False) for name in ("body", "sources")),
        *(sa.Column(name, TIME, nullable=False) for name in ("created_at", "updated_at")),
        sa.Column("expires_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("memory", "key", name=op.f("pk_memory_entries")),
    )
    some = sa.text("expires_at IS NOT NULL")
    op.create_index(
        "ix_memory_entries_expires_at", "memory_entries", ["expires_at"], sqlite_where=some, postgresql_where=some
    )
    op.create_index(op.f("ix_memory_entries_author"), "memory_entries", ["author"])
    op.create_table(
        "memory_receipts",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("call", "run", "memory", "key")),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("call", name=op.f("pk_memory_receipts")),
    )
    op.create_index(op.f("ix_memory_receipts_at"), "memory_receipts", ["at"])


def downgrade(op: Operations) -> None:
    """Forget it all."""
    for name in ("memory_receipts", "memory_entries", "memories"):
        op.drop_table(name)
