"""The tables of approvals: what is asked, with all that was shown of it, and what people said."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, PrimaryKeyConstraint, Table, Text, text

from gateway.stores.metadata import METADATA, TIME

IS_PENDING: Final = text("state = 'pending'")
"""Written out, not as a parameter: only so do both databases see that the partial index below serves."""

APPROVALS: Final = Table(
    "approvals",
    METADATA,
    *(
        Column(name, Text, nullable=False)
        for name in (
            "id", "tenant", "run", "call", "kind", "agent", "server", "tool", "arguments_hash", "definition", "effect",
            "state", "continuation", "consumed_by",
        )
    ),
    *(Column(name, Integer, nullable=False) for name in ("quorum", "version")),
    Column("four_eyes", Boolean, nullable=False),
    *(Column(name, TIME, nullable=False) for name in ("created_at", "expires_at")),
    Column("decided_at", TIME, nullable=True),
    # What is long, and never asked for by itself: requester, arguments, reason, rules, origins, taint, groups.
    *(Column(name, LargeBinary, nullable=False) for name in ("edited", "body")),
    PrimaryKeyConstraint("id"),
    Index("ix_approvals_run", "run"),
    Index("ix_approvals_tenant_created_at_id", "tenant", "created_at", "id"),
    Index("ix_approvals_created_at_id", "created_at", "id"),
    Index("ix_approvals_pending", "expires_at", "id", sqlite_where=IS_PENDING, postgresql_where=IS_PENDING),
)  # fmt: skip

APPROVAL_VOTES: Final = Table(
    "approval_votes",
    METADATA,
    *(Column(name, Text, nullable=False) for name in ("approval", "approver", "channel", "reason")),
    Column("version", Integer, nullable=False),
    Column("approve", Boolean, nullable=False),
    Column("at", TIME, nullable=False),
    PrimaryKeyConstraint("approval", "version", "approver"),
)
