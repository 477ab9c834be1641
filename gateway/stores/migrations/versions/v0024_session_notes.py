"""What is kept of MCP clients' sessions: from which level on they hear what is logged, and the resources that they watch."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

from gateway.stores.metadata import TIME

revision = "0024_session_notes"
down_revision = "0023_incident_threads"


def upgrade(op: Operations) -> None:
    """Make the table."""
    op.create_table(
        "mcp_session_notes",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("session", "kind", "name", "value")),
        sa.Column("expires_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("session", "kind", "name", name=op.f("pk_mcp_session_notes")),
    )
    op.create_index(op.f("ix_mcp_session_notes_expires_at"), "mcp_session_notes", ["expires_at"])


def downgrade(op: Operations) -> None:
    """Forget it: clients say it again in their next session."""
    op.drop_table("mcp_session_notes")
