"""The tables of rollouts: how far each is, what each replica has counted under it, and the scores of calls."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Index, Integer, Table, Text

from gateway.stores.metadata import DOCUMENT, METADATA, TIME

ROLLOUTS: Final = Table(
    "rollouts",
    METADATA,
    Column("model", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("state", DOCUMENT, nullable=False),
)

ROLLOUT_SUMS: Final = Table(
    "rollout_sums",
    METADATA,
    Column("model", Text, primary_key=True),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("replica", Text, primary_key=True),
    Column("sums", DOCUMENT, nullable=False),
)

CALL_SCORES: Final = Table(
    "call_scores",
    METADATA,
    Column("call", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", TIME, nullable=False),
    *(Column(name, Text, nullable=False) for name in ("comment", "caller", "tenant", "model", "version")),
    Column("at", TIME, nullable=False),
    Index(None, "model", "at"),
)
