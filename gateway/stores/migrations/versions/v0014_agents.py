"""Agents' versions: what an agent was when a run began with it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0014_agents"
down_revision = "0013_approval_messages"


def upgrade(op: Operations) -> None:
    """Make the table."""
    op.create_table(
        "agent_versions",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("version", "name")),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("version", name="pk_agent_versions"),
    )


def downgrade(op: Operations) -> None:
    """Forget the versions."""
    op.drop_table("agent_versions")
