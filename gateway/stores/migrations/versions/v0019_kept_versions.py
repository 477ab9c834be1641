"""Agents' versions: since when each was kept last, and which runs, and calls that hand runs over, refer to it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0019_kept_versions"
down_revision = "0018_lineage"

_HAS_VERSION = sa.text("version <> ''")
_IS_OWN = sa.text("server = 'switchgear'")


def upgrade(op: Operations) -> None:
    """Add the column and the indices; what is there is forgotten as soon as nothing refers to it."""
    op.add_column("agent_versions", sa.Column("kept_at", sa.Double, nullable=False, server_default="0"))
    for table, column, where in (("runs", "version", _HAS_VERSION), ("tool_calls", "definition", _IS_OWN)):
        op.create_index(f"ix_{table}_{column}", table, [column], sqlite_where=where, postgresql_where=where)


def downgrade(op: Operations) -> None:
    """Take them away."""
    for table, column in (("tool_calls", "definition"), ("runs", "version")):
        op.drop_index(f"ix_{table}_{column}", table_name=table)
    op.drop_column("agent_versions", "kept_at")
