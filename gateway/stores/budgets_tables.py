"""The tables of budgets, of what limits have counted, and the number that grows when a budget changes."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Index, Integer, Table, Text, UniqueConstraint

from gateway.stores.metadata import DOCUMENT, METADATA, TIME

BUDGETS: Final = Table(
    "budgets",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("count", Text, nullable=False),
    Column("limit", BigInteger, nullable=False),
    Column("per", DOCUMENT, nullable=False),
    Column("match", DOCUMENT, nullable=False),
    Column("window", Text, nullable=False),
    Column("window_kind", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("soft", DOCUMENT, nullable=False),
    Column("hard", Boolean, nullable=False),
    Column("created_at", TIME, nullable=False),
    Column("updated_at", TIME, nullable=False),
    Column("version", Integer, nullable=False),
    UniqueConstraint("tenant", "name"),
)

LIMIT_COUNTS: Final = Table(
    "limit_counts",
    METADATA,
    Column("key", Text, primary_key=True),
    Column("slot", BigInteger, primary_key=True),
    Column("amount", BigInteger, nullable=False),
    Column("expires", TIME, nullable=False),
    Index(None, "expires"),
)

BUDGETS_REVISION: Final = Table(
    "budgets_revision",
    METADATA,
    Column("id", Integer, CheckConstraint("id = 1", name="one_row"), primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
)
