"""The table of the threads in which people are told of incidents."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Integer, LargeBinary, Table, Text

from gateway.stores.metadata import METADATA, TIME

INCIDENT_THREADS: Final = Table(
    "incident_threads",
    METADATA,
    Column("incident", Text, primary_key=True),
    *(Column(name, Text, nullable=False) for name in ("channel", "ts", "shown")),
    Column("told_seq", Integer, nullable=False),
    Column("asked", LargeBinary, nullable=False),
    Column("until", TIME, nullable=False),
)
