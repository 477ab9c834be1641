"""Items by their ids: a request may name an item of an earlier response or of a conversation."""

from __future__ import annotations

from alembic.operations import Operations

revision = "0017_item_ids"
down_revision = "0016_tool_grants"

_TABLES = ("run_items", "conversation_items")


def upgrade(op: Operations) -> None:
    """Make the indices."""
    for table in _TABLES:
        op.create_index(f"ix_{table}_id", table, ["id"])


def downgrade(op: Operations) -> None:
    """Take them away."""
    for table in _TABLES:
        op.drop_index(f"ix_{table}_id", table)
