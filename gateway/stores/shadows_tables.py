"""The table of shadows. Both answers stand side by side, so that figures are one statement."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, Table, Text

from gateway.stores.metadata import DOCUMENT, METADATA, TIME

SIDES: Final = ("original", "shadow")

SHADOWS: Final = Table(
    "shadows",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("call_id", Text, nullable=False),
    *(Column(name, TIME, nullable=False) for name in ("at", "expires_at")),
    *(Column(name, Text, nullable=False) for name in ("tenant", "user_id", "model", "shadow_model", "dialect", "operation")),
    Column("stream", Boolean, nullable=False),
    Column("same", Boolean, nullable=True),
    Column("similarity", Double, nullable=True),
    *(
        column
        for side in SIDES
        for column in (
            *(Column(f"{side}_{name}", Text, nullable=False) for name in ("target", "error", "finish_reason")),
            Column(f"{side}_duration", Double, nullable=False),
            Column(f"{side}_first_token", Double, nullable=True),
            *(Column(f"{side}_{name}", BigInteger, nullable=True) for name in ("input_tokens", "output_tokens", "cost_nano")),
            Column(f"{side}_content", DOCUMENT, nullable=True),
            *(Column(f"{side}_{name}", Boolean, nullable=False) for name in ("cut", "withheld")),
        )
    ),
    Index(None, "tenant", "at", "id"),
    Index(None, "model", "at", "id"),
    Index(None, "at", "id"),
    Index(None, "expires_at"),
)  # fmt: skip
