"""The table of files."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Table, Text

from gateway.stores.metadata import METADATA, TIME

FILES: Final = Table(
    "files",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("filename", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("created_at", TIME, nullable=False),
    Column("expires_at", TIME, nullable=True),
    Index(None, "tenant", "created_at", "id"),
    Index(None, "expires_at"),
)
