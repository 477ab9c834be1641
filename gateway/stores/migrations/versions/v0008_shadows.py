"""Comparisons of two models' answers; which model a batch asked, and what it used."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

from gateway.stores.metadata import DOCUMENT, TIME

revision = "0008_shadows"
down_revision = "0007_decisions"


def upgrade(op: Operations) -> None:
    """Make the table and the columns."""
    op.create_table(
        "shadows",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("id", "call_id")),
        *(sa.Column(name, TIME, nullable=False) for name in ("at", "expires_at")),
        *(
            sa.Column(name, sa.Text, nullable=False)
            for name in ("tenant", "user_id", "model", "shadow_model", "dialect", "operation")
        ),
        sa.Column("stream", sa.Boolean, nullable=False),
        sa.Column("same", sa.Boolean, nullable=True),
        sa.Column("similarity", sa.Double, nullable=True),
        *_side("original"),
        *_side("shadow"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shadows")),
    )
    op.create_index(op.f("ix_shadows_tenant_at_id"), "shadows", ["tenant", "at", "id"])
    op.create_index(op.f("ix_shadows_model_at_id"), "shadows", ["model", "at", "id"])
    op.create_index(op.f("ix_shadows_at_id"), "shadows", ["at", "id"])
    op.create_index(op.f("ix_shadows_expires_at"), "shadows", ["expires_at"])
    op.add_column("batches", sa.Column("model", sa.Text, nullable=False, server_default=""))
    op.add_column("batches", sa.Column("usage", DOCUMENT, nullable=True))


def _side(side: str) -> list[sa.Column[object]]:
    return [
        *(sa.Column(f"{side}_{name}", sa.Text, nullable=False) for name in ("target", "error", "finish_reason")),
        sa.Column(f"{side}_duration", sa.Double, nullable=False),
        sa.Column(f"{side}_first_token", sa.Double, nullable=True),
        *(
            sa.Column(f"{side}_{name}", sa.BigInteger, nullable=True)
            for name in ("input_tokens", "output_tokens", "cost_nano")
        ),
        sa.Column(f"{side}_content", DOCUMENT, nullable=True),
        *(sa.Column(f"{side}_{name}", sa.Boolean, nullable=False) for name in ("cut", "withheld")),
    ]


def downgrade(op: Operations) -> None:
    """Remove the table and the columns."""
    for column in ("usage", "model"):
        op.drop_column("batches", column)
    op.drop_table("shadows")
