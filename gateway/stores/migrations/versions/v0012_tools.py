"""Calls of tools, approvals, the outbox, spilled results, accepted definitions, and where items came from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

from gateway.stores.metadata import TIME

revision = "0012_tools"
down_revision = "0011_runs"

_WAITING_RUN = sa.text("status = 'waiting'")
_PENDING = sa.text("state = 'pending'")
_WAITING = sa.text("state = 'waiting'")
_WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade(op: Operations) -> None:
    """Make the tables; of the items from before nobody said where they came from."""
    _tools(op)
    _approvals(op)
    _outbox(op)
    for table in ("run_items", "conversation_items"):
        op.add_column(table, sa.Column("label", sa.LargeBinary, nullable=True))
    op.create_index(
        "ix_runs_waiting", "runs", ["created_at", "id"], sqlite_where=_WAITING_RUN, postgresql_where=_WAITING_RUN
    )


def _tools(op: Operations) -> None:
    texts = (
        "run", "id", "server", "tool", "arguments_hash", "definition", "effect", "key", "state", "approval", "error",
    )  # fmt: skip
    op.create_table(
        "tool_calls",
        *(sa.Column(name, sa.Text, nullable=False) for name in texts),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("step", "position", "attempts")),
        *(sa.Column(name, TIME, nullable=True) for name in ("started_at", "ended_at")),
        *(sa.Column(name, sa.LargeBinary, nullable=False) for name in ("call_id", "arguments")),
        sa.PrimaryKeyConstraint("run", "id", name="pk_tool_calls"),
    )
    op.create_table(
        "tool_blobs",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("run", "name")),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("run", "name", name="pk_tool_blobs"),
    )
    op.create_table(
        "tool_pins",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("server", "tool", "definition", "accepted_by")),
        sa.Column("accepted_at", TIME, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("server", "tool", name="pk_tool_pins"),
    )


def _approvals(op: Operations) -> None:
    texts = (
        "id", "tenant", "run", "call", "kind", "agent", "server", "tool", "arguments_hash", "definition", "effect",
        "state", "continuation", "consumed_by",
    )  # fmt: skip
    op.create_table(
        "approvals",
        *(sa.Column(name, sa.Text, nullable=False) for name in texts),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("quorum", "version")),
        sa.Column("four_eyes", sa.Boolean, nullable=False),
        *(sa.Column(name, TIME, nullable=False) for name in ("created_at", "expires_at")),
        sa.Column("decided_at", TIME, nullable=True),
        *(sa.Column(name, sa.LargeBinary, nullable=False) for name in ("edited", "body")),
        sa.PrimaryKeyConstraint("id", name="pk_approvals"),
    )
    op.create_index("ix_approvals_run", "approvals", ["run"])
    op.create_index("ix_approvals_tenant_created_at_id", "approvals", ["tenant", "created_at", "id"])
    op.create_index("ix_approvals_created_at_id", "approvals", ["created_at", "id"])
    op.create_index(
        "ix_approvals_pending", "approvals", ["expires_at", "id"], sqlite_where=_PENDING, postgresql_where=_PENDING
    )
    op.create_table(
        "approval_votes",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("approval", "approver", "channel", "reason")),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("approve", sa.Boolean, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("approval", "version", "approver", name="pk_approval_votes"),
    )


def _outbox(op: Operations) -> None:
    op.create_table(
        "outbox",
        sa.Column("id", _WHOLE, primary_key=True, autoincrement=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("kind", "dedupe", "state", "error")),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_at", TIME, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("kind", "dedupe", name="uq_outbox_kind_dedupe"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_outbox_waiting", "outbox", ["kind", "id"], sqlite_where=_WAITING, postgresql_where=_WAITING)
    op.create_index("ix_outbox_next_at", "outbox", ["next_at"])


def downgrade(op: Operations) -> None:
    """Remove them, with what tools were called for and what people said."""
    op.drop_index("ix_runs_waiting", "runs")
    for table in ("conversation_items", "run_items"):
        op.drop_column(table, "label")
    for name in ("outbox", "approval_votes", "approvals", "tool_pins", "tool_blobs", "tool_calls"):
        op.drop_table(name)
