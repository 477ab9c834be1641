"""Files and batches."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

from gateway.stores.metadata import DOCUMENT, TIME

revision = "0006_batches"
down_revision = "0005_secrets"

_MOMENTS = (
    "in_progress_at", "finalizing_at", "completed_at", "failed_at", "expired_at", "cancelling_at", "cancelled_at",
)  # fmt: skip


def upgrade(op: Operations) -> None:
    """Make the tables."""
    op.create_table(
        "files",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("id", "tenant", "owner", "purpose", "filename")),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_files")),
    )
    op.create_index(op.f("ix_files_tenant_created_at_id"), "files", ["tenant", "created_at", "id"])
    op.create_index(op.f("ix_files_expires_at"), "files", ["expires_at"])
    op.create_table(
        "batches",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("id", "tenant")),
        sa.Column("caller", DOCUMENT, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("endpoint", "input_file", "window", "status")),
        *(sa.Column(name, TIME, nullable=False) for name in ("created_at", "expires_at")),
        *(sa.Column(name, TIME, nullable=True) for name in _MOMENTS),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("output_file", "error_file")),
        sa.Column("keep_seconds", TIME, nullable=True),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("total", "completed", "failed")),
        *(sa.Column(name, DOCUMENT, nullable=False) for name in ("faults", "metadata")),
        sa.Column("version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batches")),
    )
    op.create_index(op.f("ix_batches_tenant_created_at_id"), "batches", ["tenant", "created_at", "id"])
    op.create_index(op.f("ix_batches_status"), "batches", ["status"])


def downgrade(op: Operations) -> None:
    """Remove the tables. The bytes of files stay in their folder, where nothing refers to them any more."""
    for name in ("batches", "files"):
        op.drop_table(name)
