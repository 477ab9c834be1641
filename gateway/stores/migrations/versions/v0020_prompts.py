"""Which prompt template a call was made from, in its row of the ledger."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0020_prompts"
down_revision = "0019_kept_versions"


def upgrade(op: Operations) -> None:
    """Add the column; rows from before name none."""
    op.add_column("ledger", sa.Column("prompt", sa.Text, nullable=False, server_default=""))


def downgrade(op: Operations) -> None:
    """Take it away."""
    op.drop_column("ledger", "prompt")
