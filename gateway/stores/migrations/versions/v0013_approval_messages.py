"""Where the messages stand by which people were asked."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

from gateway.stores.metadata import TIME

revision = "0013_approval_messages"
down_revision = "0012_tools"


def upgrade(op: Operations) -> None:
    """Make the table."""
    op.create_table(
        "approval_messages",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("approval", "channel", "nonce", "ts", "shown")),
        sa.Column("at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("approval", "channel", name="pk_approval_messages"),
    )


def downgrade(op: Operations) -> None:
    """Remove it: messages that were posted are not changed any more."""
    op.drop_table("approval_messages")
