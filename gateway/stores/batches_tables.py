"""The table of batches."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Index, Integer, Table, Text

from gateway.stores.metadata import DOCUMENT, METADATA, TIME

BATCHES: Final = Table(
    "batches",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("caller", DOCUMENT, nullable=False),
    *(Column(name, Text, nullable=False) for name in ("endpoint", "input_file", "window", "status")),
    *(Column(name, TIME, nullable=False) for name in ("created_at", "expires_at")),
    *(
        Column(name, TIME, nullable=True)
        for name in (
            "in_progress_at", "finalizing_at", "completed_at", "failed_at", "expired_at", "cancelling_at", "cancelled_at",
        )
    ),
    *(Column(name, Text, nullable=False) for name in ("output_file", "error_file")),
    Column("keep_seconds", TIME, nullable=True),
    *(Column(name, Integer, nullable=False) for name in ("total", "completed", "failed")),
    *(Column(name, DOCUMENT, nullable=False) for name in ("faults", "metadata")),
    Column("version", Integer, nullable=False),
    Column("model", Text, nullable=False, server_default=""),
    Column("usage", DOCUMENT, nullable=True),
    Index(None, "tenant", "created_at", "id"),
    Index(None, "status"),
)  # fmt: skip
