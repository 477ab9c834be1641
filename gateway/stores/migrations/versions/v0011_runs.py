"""Runs, their events and items, conversations, and which run a call belongs to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

from gateway.stores.metadata import DOCUMENT, TIME

revision = "0011_runs"
down_revision = "0010_cache"

_TEXTS = ("id", "tenant", "model", "status", "previous", "conversation", "continues", "agent", "version", "lease_owner")
_MOMENTS = ("started_at", "ended_at", "deadline_at", "expires_at", "cancel_requested_at", "lease_until")
_LIVE = sa.text("status IN ('queued', 'in_progress')")
_OF_A_RUN = sa.text("run <> ''")


def upgrade(op: Operations) -> None:
    """Make the tables; calls from before belong to no run."""
    _runs(op)
    _of_runs(op)
    _conversations(op)
    op.add_column("ledger", sa.Column("run", sa.Text, nullable=False, server_default=""))
    op.create_index("ix_ledger_run", "ledger", ["run"], sqlite_where=_OF_A_RUN, postgresql_where=_OF_A_RUN)


def _runs(op: Operations) -> None:
    op.create_table(
        "runs",
        *(sa.Column(name, sa.Text, nullable=False) for name in _TEXTS),
        *(sa.Column(name, sa.Boolean, nullable=False) for name in ("background", "streams")),
        sa.Column("created_at", TIME, nullable=False),
        *(sa.Column(name, TIME, nullable=True) for name in _MOMENTS),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("epoch", "next_seq")),
        *(sa.Column(name, DOCUMENT, nullable=False) for name in ("limits", "spent")),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
    )
    op.create_index("ix_runs_tenant_created_at_id", "runs", ["tenant", "created_at", "id"])
    op.create_index("ix_runs_created_at_id", "runs", ["created_at", "id"])
    op.create_index("ix_runs_expires_at", "runs", ["expires_at"])
    op.create_index("ix_runs_live", "runs", ["created_at", "id"], sqlite_where=_LIVE, postgresql_where=_LIVE)
    op.create_index("ix_runs_live_tenant", "runs", ["tenant"], sqlite_where=_LIVE, postgresql_where=_LIVE)


def _of_runs(op: Operations) -> None:
    op.create_table(
        "run_bodies",
        sa.Column("run", sa.Text, nullable=False),
        *(sa.Column(name, sa.LargeBinary, nullable=False) for name in ("caller", "request")),
        sa.Column("response", sa.LargeBinary, nullable=True),
        sa.PrimaryKeyConstraint("run", name="pk_run_bodies"),
    )
    op.create_table(
        "run_events",
        sa.Column("run", sa.Text, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("last", "first")),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("run", "last", name="pk_run_events"),
    )
    op.create_table(
        "run_items",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("run", "place")),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("run", "place", "position", name="pk_run_items"),
    )


def _conversations(op: Operations) -> None:
    op.create_table(
        "conversations",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("id", "tenant")),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("metadata", sa.LargeBinary, nullable=False),
        sa.Column("next_place", sa.BigInteger, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_conversations"),
    )
    op.create_table(
        "conversation_items",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("conversation", "id")),
        sa.Column("place", sa.BigInteger, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("conversation", "id", name="pk_conversation_items"),
    )
    op.create_index(
        "ix_conversation_items_conversation_place", "conversation_items", ["conversation", "place"], unique=True
    )


def downgrade(op: Operations) -> None:
    """Remove them, with what was said in responses and conversations."""
    op.drop_index("ix_ledger_run", "ledger")
    op.drop_column("ledger", "run")
    for name in ("conversation_items", "conversations", "run_items", "run_events", "run_bodies", "runs"):
        op.drop_table(name)
