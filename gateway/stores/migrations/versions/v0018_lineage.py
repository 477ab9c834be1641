"""Of runs: which they were made from, session and trace. Of calls of tools: what was decided, what the model's provider put on them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0018_lineage"
down_revision = "0017_item_ids"


def upgrade(op: Operations) -> None:
    """Add the columns; of runs and calls from before nobody has written it."""
    for name in ("lineage", "session", "trace"):
        op.add_column("run_bodies", sa.Column(name, sa.LargeBinary, nullable=True))
    op.add_column("tool_calls", sa.Column("decision", sa.Text, nullable=False, server_default=""))
    for table in ("tool_calls", "run_items"):
        op.add_column(table, sa.Column("marks", sa.LargeBinary, nullable=True))


def downgrade(op: Operations) -> None:
    """Forget it; forks and replays are runs like others then."""
    for table in ("run_items", "tool_calls"):
        op.drop_column(table, "marks")
    op.drop_column("tool_calls", "decision")
    for name in ("trace", "session", "lineage"):
        op.drop_column("run_bodies", name)
