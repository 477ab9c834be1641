"""Rollouts, and scores of calls."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

from gateway.stores.metadata import DOCUMENT, TIME

revision = "0009_rollouts"
down_revision = "0008_shadows"


def upgrade(op: Operations) -> None:
    """Make the tables."""
    op.create_table(
        "rollouts",
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("state", DOCUMENT, nullable=False),
        sa.PrimaryKeyConstraint("model", name=op.f("pk_rollouts")),
    )
    op.create_table(
        "rollout_sums",
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("replica", sa.Text, nullable=False),
        sa.Column("sums", DOCUMENT, nullable=False),
        sa.PrimaryKeyConstraint("model", "epoch", "replica", name=op.f("pk_rollout_sums")),
    )
    op.create_table(
        "call_scores",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("call", "name")),
        sa.Column("value", TIME, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("comment", "caller", "tenant", "model", "version")),
        sa.Column("at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("call", "name", name=op.f("pk_call_scores")),
    )
    op.create_index(op.f("ix_call_scores_model_at"), "call_scores", ["model", "at"])


def downgrade(op: Operations) -> None:
    """Remove the tables: rollouts begin anew, and scores are lost."""
    for name in ("call_scores", "rollout_sums", "rollouts"):
        op.drop_table(name)
