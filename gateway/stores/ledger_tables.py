"""The ledger's table. Its indexes serve the usage queries and the deletion by tenant, user and age."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, Integer, Table, Text, text

from gateway.stores.metadata import DOCUMENT, METADATA

OF_A_RUN: Final = text("run <> ''")
"""Most rows are of none; written out, so that both databases see that the partial index serves."""

LEDGER: Final = Table(
    "ledger",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    # Whole milliseconds since 1970: both databases divide whole numbers alike.
    Column("started_ms", BigInteger, nullable=False),
    Column("status", Integer, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("team", Text, nullable=False),
    # `user` and `key` are words of SQL.
    Column("user_id", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("tags", DOCUMENT, nullable=False),
    Column("agent", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("served", Text, nullable=False),
    Column("route", DOCUMENT, nullable=False),
    Column("dialect", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("stream", Boolean, nullable=False),
    Column("error", Text, nullable=False),
    Column("finish_reason", Text, nullable=False),
    Column("duration", Double, nullable=False),
    Column("first_token", Double),
    Column("input_tokens", BigInteger),
    Column("cache_read_tokens", BigInteger),
    Column("cache_write_tokens", BigInteger),
    Column("cache_write_1h_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    Column("reasoning_tokens", BigInteger),
    Column("estimated", Boolean, nullable=False),
    Column("cost_nano", BigInteger),
    Column("prices", Text, nullable=False),
    Column("parent", Text, nullable=False),
    Column("decision", DOCUMENT),
    Column("cache", Text, nullable=False, server_default=""),
    Column("cache_entry", Text, nullable=False, server_default=""),
    Column("saved_tokens", BigInteger),
    Column("saved_nano", BigInteger),
    Column("run", Text, nullable=False, server_default=""),
    Column("prompt", Text, nullable=False, server_default=""),
    Index("ix_ledger_started_ms", "started_ms", "id"),
    Index("ix_ledger_tenant", "tenant", "started_ms", "id"),
    Index("ix_ledger_user_id", "tenant", "user_id", "started_ms"),
    Index("ix_ledger_run", "run", sqlite_where=OF_A_RUN, postgresql_where=OF_A_RUN),
)
