"""The tables of runs: what changes with each write, apart from what is long, and what is only added to."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, PrimaryKeyConstraint, Table, Text, text

from gateway.stores.metadata import DOCUMENT, METADATA, TIME

IS_LIVE: Final = text("status IN ('queued', 'in_progress')")
"""Written out, not as parameters: only so do both databases see that the partial indices below serve."""

IS_WAITING: Final = text("status = 'waiting'")

IS_CHILD: Final = text("parent <> ''")
IS_CONTINUATION: Final = text("continues <> ''")
HAS_VERSION: Final = text("version <> ''")

TEXTS: Final = (
    "id", "tenant", "model", "status", "previous", "conversation", "continues", "agent", "version", "lease_owner", "parent",
    "parent_call",
)  # fmt: skip
MOMENTS: Final = ("started_at", "ended_at", "deadline_at", "expires_at", "cancel_requested_at", "lease_until")

RUNS: Final = Table(
    "runs",
    METADATA,
    *(Column(name, Text, nullable=False) for name in TEXTS),
    *(Column(name, Boolean, nullable=False) for name in ("background", "streams")),
    Column("created_at", TIME, nullable=False),
    *(Column(name, TIME, nullable=True) for name in MOMENTS),
    *(Column(name, Integer, nullable=False) for name in ("epoch", "next_seq", "depth")),
    *(Column(name, DOCUMENT, nullable=False) for name in ("limits", "spent")),
    PrimaryKeyConstraint("id"),
    Index("ix_runs_tenant_created_at_id", "tenant", "created_at", "id"),
    Index("ix_runs_created_at_id", "created_at", "id"),
    Index("ix_runs_expires_at", "expires_at"),
    Index("ix_runs_live", "created_at", "id", sqlite_where=IS_LIVE, postgresql_where=IS_LIVE),
    Index("ix_runs_live_tenant", "tenant", sqlite_where=IS_LIVE, postgresql_where=IS_LIVE),
    Index("ix_runs_waiting", "created_at", "id", sqlite_where=IS_WAITING, postgresql_where=IS_WAITING),
    Index("ix_runs_parent", "parent", sqlite_where=IS_CHILD, postgresql_where=IS_CHILD),
    Index("ix_runs_version", "version", sqlite_where=HAS_VERSION, postgresql_where=HAS_VERSION),
    Index("ix_runs_continues", "continues", sqlite_where=IS_CONTINUATION, postgresql_where=IS_CONTINUATION),
)

RUN_BODIES: Final = Table(
    "run_bodies",
    METADATA,
    # Apart from `runs`: SQLite writes a row anew with all that is in it, and `next_seq` changes many times a second.
    # Bytes of JSON, not documents: jsonb would not take every text, and would change the order of names.
    Column("run", Text, primary_key=True),
    *(Column(name, LargeBinary, nullable=False) for name in ("caller", "request")),
    Column("response", LargeBinary, nullable=True),
    Column("lineage", LargeBinary, nullable=True),
    *(Column(name, LargeBinary, nullable=True) for name in ("session", "trace")),
)

RUN_EVENTS: Final = Table(
    "run_events",
    METADATA,
    # What was written at once is one row, found by its last number: what follows any number begins with one step into the index.
    Column("run", Text, nullable=False),
    *(Column(name, BigInteger, nullable=False) for name in ("last", "first")),
    Column("epoch", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    PrimaryKeyConstraint("run", "last"),
)

RUN_ITEMS: Final = Table(
    "run_items",
    METADATA,
    *(Column(name, Text, nullable=False) for name in ("run", "place")),
    Column("position", Integer, nullable=False),
    Column("id", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    *(Column(name, LargeBinary, nullable=True) for name in ("label", "marks")),
    PrimaryKeyConstraint("run", "place", "position"),
    Index("ix_run_items_id", "id"),
)
