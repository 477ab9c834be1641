"""The table of messages by which people were asked."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, PrimaryKeyConstraint, Table, Text

from gateway.stores.metadata import METADATA, TIME

APPROVAL_MESSAGES: Final = Table(
    "approval_messages",
    METADATA,
    *(Column(name, Text, nullable=False) for name in ("approval", "channel", "nonce", "ts", "shown")),
    Column("at", TIME, nullable=False),
    PrimaryKeyConstraint("approval", "channel"),
)
