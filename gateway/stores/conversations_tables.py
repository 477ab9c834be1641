"""The tables of conversations and of their items."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, PrimaryKeyConstraint, Table, Text

from gateway.stores.metadata import METADATA, TIME

CONVERSATIONS: Final = Table(
    "conversations",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("created_at", TIME, nullable=False),
    # JSON in bytes, as in `run_bodies`.
    Column("metadata", LargeBinary, nullable=False),
    # Of its items: the place of the next one, and how many there are.
    Column("next_place", BigInteger, nullable=False),
    Column("size", Integer, nullable=False),
)

CONVERSATION_ITEMS: Final = Table(
    "conversation_items",
    METADATA,
    *(Column(name, Text, nullable=False) for name in ("conversation", "id")),
    Column("place", BigInteger, nullable=False),
    Column("run", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("label", LargeBinary, nullable=True),
    PrimaryKeyConstraint("conversation", "id"),
    Index(None, "conversation", "place", unique=True),
    Index("ix_conversation_items_id", "id"),
)
