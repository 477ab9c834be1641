"""Encrypted secrets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0005_secrets"
down_revision = "0004_limits"


def upgrade(op: Operations) -> None:
    """Make the table."""
    op.create_table(
        "secrets",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("master_key", sa.String(64), nullable=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.Column("ciphertext", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "name", name="pk_secrets"),
    )


def downgrade(op: Operations) -> None:
    """Remove the table. The secrets are gone: set them again."""
    op.drop_table("secrets")
