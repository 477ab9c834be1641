"""Runs that were begun by calls of other runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0015_children"
down_revision = "0014_agents"

_IS_CHILD = sa.text("parent <> ''")
_CONTINUES = sa.text("continues <> ''")


def upgrade(op: Operations) -> None:
    """Add whose a run is, and find runs by it."""
    for name in ("parent", "parent_call"):
        op.add_column("runs", sa.Column(name, sa.Text, nullable=False, server_default=""))
    op.add_column("runs", sa.Column("depth", sa.Integer, nullable=False, server_default="0"))
    for name, column, where in (
        ("ix_runs_parent", "parent", _IS_CHILD),
        ("ix_runs_continues", "continues", _CONTINUES),
    ):
        op.create_index(name, "runs", [column], sqlite_where=where, postgresql_where=where)


def downgrade(op: Operations) -> None:
    """Forget whose they are."""
    for name in ("ix_runs_continues", "ix_runs_parent"):
        op.drop_index(name, table_name="runs")
    for name in ("depth", "parent_call", "parent"):
        op.drop_column("runs", name)
