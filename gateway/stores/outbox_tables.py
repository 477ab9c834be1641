"""The table of the outbox. What was sent stays for a time, so that the same is not said again."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table, Text, UniqueConstraint, text

from gateway.stores.metadata import METADATA, TIME

IS_WAITING: Final = text("state = 'waiting'")
"""Written out, not as a parameter: only so do both databases see that the partial index below serves."""

# SQLite counts rows by INTEGER alone; both hold 64 bits.
_WHOLE: Final = BigInteger().with_variant(Integer(), "sqlite")

OUTBOX: Final = Table(
    "outbox",
    METADATA,
    Column("id", _WHOLE, primary_key=True, autoincrement=True),
    *(Column(name, Text, nullable=False) for name in ("kind", "dedupe", "state", "error")),
    Column("attempts", Integer, nullable=False),
    Column("next_at", TIME, nullable=False),
    Column("body", LargeBinary, nullable=False),
    UniqueConstraint("kind", "dedupe"),
    Index("ix_outbox_waiting", "kind", "id", sqlite_where=IS_WAITING, postgresql_where=IS_WAITING),
    Index("ix_outbox_next_at", "next_at"),
    # A number is never given twice: who is late with one would mean another letter.
    sqlite_autoincrement=True,
)
