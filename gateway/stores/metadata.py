"""The one catalogue of tables. Each noun adds its own in `<noun>_tables.py`; nothing here knows what they are."""

from __future__ import annotations

from typing import Final

import sqlalchemy
from sqlalchemy.dialects import postgresql

METADATA: Final = sqlalchemy.MetaData(
    naming_convention={
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)

DOCUMENT: Final = sqlalchemy.JSON().with_variant(postgresql.JSONB(), "postgresql")
"""A column of JSON: text on SQLite, jsonb on PostgreSQL."""

TIME: Final[sqlalchemy.Double[float]] = sqlalchemy.Double()
"""A column of seconds since 1970 (UTC); 64 bits on both databases."""
