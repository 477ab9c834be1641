"""The tables of tools: calls of each run, what was too long of their results, and the definitions that were accepted."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, PrimaryKeyConstraint, Table, Text, text

from gateway.stores.metadata import METADATA, TIME

IS_OWN: Final = text("server = 'switchgear'")
"""Calls of this server's own tools, those that hand over among them; written out so that both databases see that the index serves."""

TOOL_CALLS: Final = Table(
    "tool_calls",
    METADATA,
    *(
        Column(name, Text, nullable=False)
        for name in (
            "run", "id", "server", "tool", "arguments_hash", "definition", "effect", "key", "state", "approval", "error",
        )
    ),
    Column("decision", Text, nullable=False, server_default=""),
    *(Column(name, Integer, nullable=False) for name in ("step", "position", "attempts")),
    *(Column(name, TIME, nullable=True) for name in ("started_at", "ended_at")),
    # Bytes: what a model said may be any text, and the arguments' hash is of exactly these.
    *(Column(name, LargeBinary, nullable=False) for name in ("call_id", "arguments")),
    Column("marks", LargeBinary, nullable=True),
    PrimaryKeyConstraint("run", "id"),
    Index("ix_tool_calls_definition", "definition", sqlite_where=IS_OWN, postgresql_where=IS_OWN),
)  # fmt: skip

TOOL_BLOBS: Final = Table(
    "tool_blobs",
    METADATA,
    *(Column(name, Text, nullable=False) for name in ("run", "name")),
    Column("size", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    PrimaryKeyConstraint("run", "name"),
)

TOOL_PINS: Final = Table(
    "tool_pins",
    METADATA,
    *(Column(name, Text, nullable=False) for name in ("server", "tool", "definition", "accepted_by")),
    Column("accepted_at", TIME, nullable=False),
    Column("body", LargeBinary, nullable=False),
    PrimaryKeyConstraint("server", "tool"),
)
