"""How a call's answer stood to the cache, and what it saved, in its row of the ledger."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0010_cache"
down_revision = "0009_rollouts"

_TEXTS = ("cache", "cache_entry")
_NUMBERS = ("saved_tokens", "saved_nano")


def upgrade(op: Operations) -> None:
    """Add the columns; rows from before have nothing in them."""
    for name in _TEXTS:
        op.add_column("ledger", sa.Column(name, sa.Text, nullable=False, server_default=""))
    for name in _NUMBERS:
        op.add_column("ledger", sa.Column(name, sa.BigInteger, nullable=True))


def downgrade(op: Operations) -> None:
    """Take them away."""
    for name in (*_NUMBERS, *_TEXTS):
        op.drop_column("ledger", name)
