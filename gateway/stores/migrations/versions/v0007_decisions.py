"""Where a call went and why, in its row of the ledger."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

from gateway.stores.metadata import DOCUMENT

revision = "0007_decisions"
down_revision = "0006_batches"


def upgrade(op: Operations) -> None:
    """Add the column; rows from before have none."""
    op.add_column("ledger", sa.Column("decision", DOCUMENT, nullable=True))


def downgrade(op: Operations) -> None:
    """Take it away."""
    op.drop_column("ledger", "decision")
