"""Grants of servers of tools: sealed tokens, and who was sent to an authorization server and has not come back."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0016_tool_grants"
down_revision = "0015_children"


def upgrade(op: Operations) -> None:
    """Make the tables."""
    sealed = (("master_key", sa.Text), ("wrapped", sa.LargeBinary), ("ciphertext", sa.LargeBinary))
    op.create_table(
        "tool_grants",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("server", "tenant", "person")),
        sa.Column("version", sa.Integer, nullable=False),
        *(sa.Column(name, kind, nullable=False) for name, kind in sealed),
        *(sa.Column(name, sa.Double, nullable=False) for name in ("renewing_until", "updated_at")),
        sa.PrimaryKeyConstraint("server", "tenant", "person", name="pk_tool_grants"),
    )
    op.create_table(
        "tool_consents",
        sa.Column("state", sa.Text, nullable=False),
        *(sa.Column(name, kind, nullable=False) for name, kind in sealed),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("state", name="pk_tool_consents"),
    )
    op.create_index("ix_tool_consents_expires_at", "tool_consents", ["expires_at"])


def downgrade(op: Operations) -> None:
    """Forget the grants."""
    op.drop_table("tool_consents")
    op.drop_table("tool_grants")
