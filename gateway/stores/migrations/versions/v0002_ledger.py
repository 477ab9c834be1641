"""The ledger: one row a call."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

from gateway.stores.metadata import DOCUMENT

revision = "0002_ledger"
down_revision = "0001_directory"

_TEXTS_BEFORE = ("tenant", "team", "user_id", "key_id")
_TOKENS = ("input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning")


def upgrade(op: Operations) -> None:
    """Make the table and its indexes."""
    op.create_table(
        "ledger",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("started_ms", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in _TEXTS_BEFORE),
        sa.Column("tags", DOCUMENT, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("agent", "model", "provider", "served")),
        sa.Column("route", DOCUMENT, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("dialect", "operation")),
        sa.Column("stream", sa.Boolean, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("error", "finish_reason")),
        sa.Column("duration", sa.Double, nullable=False),
        sa.Column("first_token", sa.Double),
        *(sa.Column(f"{name}_tokens", sa.BigInteger) for name in _TOKENS),
        sa.Column("estimated", sa.Boolean, nullable=False),
        sa.Column("cost_nano", sa.BigInteger),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("prices", "parent")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger")),
    )
    op.create_index(op.f("ix_ledger_started_ms"), "ledger", ["started_ms", "id"])
    op.create_index(op.f("ix_ledger_tenant"), "ledger", ["tenant", "started_ms", "id"])
    op.create_index(op.f("ix_ledger_user_id"), "ledger", ["tenant", "user_id", "started_ms"])


def downgrade(op: Operations) -> None:
    """Remove the ledger."""
    op.drop_table("ledger")
