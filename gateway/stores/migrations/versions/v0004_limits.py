"""Budgets, what limits have counted, and the number that grows when a budget changes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

from gateway.stores.metadata import DOCUMENT, TIME

revision = "0004_limits"
down_revision = "0003_audit"


def upgrade(op: Operations) -> None:
    """Make the tables, and the first revision."""
    op.create_table(
        "budgets",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("id", "tenant", "name", "count")),
        sa.Column("limit", sa.BigInteger, nullable=False),
        *(sa.Column(name, DOCUMENT, nullable=False) for name in ("per", "match")),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("window", "window_kind", "time_zone")),
        sa.Column("soft", DOCUMENT, nullable=False),
        sa.Column("hard", sa.Boolean, nullable=False),
        *(sa.Column(name, TIME, nullable=False) for name in ("created_at", "updated_at")),
        sa.Column("version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budgets")),
        sa.UniqueConstraint("tenant", "name", name=op.f("uq_budgets_tenant_name")),
    )
    op.create_table(
        "limit_counts",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("slot", sa.BigInteger, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("expires", TIME, nullable=False),
        sa.PrimaryKeyConstraint("key", "slot", name=op.f("pk_limit_counts")),
    )
    op.create_index(op.f("ix_limit_counts_expires"), "limit_counts", ["expires"])
    revisions = op.create_table(
        "budgets_revision",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budgets_revision")),
        sa.CheckConstraint("id = 1", name=op.f("ck_budgets_revision_one_row")),
    )
    op.execute(revisions.insert().values(id=1, number=0))


def downgrade(op: Operations) -> None:
    """Remove the tables. Budgets are gone, and limits begin anew."""
    for name in ("budgets_revision", "limit_counts", "budgets"):
        op.drop_table(name)
