"""The directory's tables. A reference within a tenant is a pair (tenant, id), so the database itself keeps tenants apart."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
)

from gateway.stores.directory import ROLES
from gateway.stores.metadata import DOCUMENT, METADATA, TIME

_ROLES: Final = ", ".join(f"'{role}'" for role in ROLES)

TENANTS: Final = Table(
    "tenants",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("created_at", TIME, nullable=False),
)

TEAMS: Final = Table(
    "teams",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, ForeignKey("tenants.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("created_at", TIME, nullable=False),
    UniqueConstraint("tenant", "id"),
    UniqueConstraint("tenant", "name"),
)

USERS: Final = Table(
    "users",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, ForeignKey("tenants.id"), nullable=False),
    Column("team", Text),
    Column("name", Text, nullable=False),
    Column("email", Text),
    Column("subject", Text),
    Column("role", Text, CheckConstraint(f"role IN ({_ROLES})", name="role"), nullable=False),
    Column("created_at", TIME, nullable=False),
    UniqueConstraint("tenant", "id"),
    UniqueConstraint("tenant", "email"),
    UniqueConstraint("tenant", "subject"),
    ForeignKeyConstraint(["tenant", "team"], ["teams.tenant", "teams.id"]),
    Index(None, "tenant", "team"),
    Index(None, "tenant", "created_at", "id"),
)

SERVICE_ACCOUNTS: Final = Table(
    "service_accounts",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, ForeignKey("tenants.id"), nullable=False),
    Column("team", Text),
    Column("name", Text, nullable=False),
    Column("created_at", TIME, nullable=False),
    UniqueConstraint("tenant", "id"),
    UniqueConstraint("tenant", "name"),
    ForeignKeyConstraint(["tenant", "team"], ["teams.tenant", "teams.id"]),
    Index(None, "tenant", "team"),
)

VIRTUAL_KEYS: Final = Table(
    "virtual_keys",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, ForeignKey("tenants.id"), nullable=False),
    Column("team", Text),
    Column("user", Text),
    Column("service_account", Text),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("role", Text, CheckConstraint(f"role IN ({_ROLES})", name="role")),
    Column("created_at", TIME, nullable=False),
    Column("expires_at", TIME),
    Column("last_used_at", TIME),
    Column("revoked_at", TIME),
    Column("replaced_by", Text),
    Column("overlap_ends_at", TIME),
    Column("models", DOCUMENT, nullable=False),
    Column("tools", DOCUMENT, nullable=False),
    Column("ips", DOCUMENT, nullable=False),
    Column("origins", DOCUMENT, nullable=False),
    Column("tags", DOCUMENT, nullable=False),
    Column("metadata", DOCUMENT, nullable=False),
    Column("revision", BigInteger, nullable=False),
    ForeignKeyConstraint(["tenant", "team"], ["teams.tenant", "teams.id"]),
    ForeignKeyConstraint(["tenant", "user"], ["users.tenant", "users.id"]),
    ForeignKeyConstraint(["tenant", "service_account"], ["service_accounts.tenant", "service_accounts.id"]),
    CheckConstraint('"user" IS NULL OR service_account IS NULL', name="one_owner"),
    Index(None, "revision"),
    Index(None, "tenant", "created_at", "id"),
    Index(None, "tenant", "team"),
    Index(None, "tenant", "user"),
    Index(None, "tenant", "service_account"),
)

REMOVED_KEYS: Final = Table(
    "removed_keys",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Index(None, "revision"),
)
"""The ids of keys that are gone, so that a replica which was away for long still learns of it."""

KEY_REVISION: Final = Table(
    "key_revision",
    METADATA,
    Column("id", Integer, CheckConstraint("id = 1", name="one_row"), primary_key=True, autoincrement=False),
    Column("revision", BigInteger, nullable=False),
)
"""One row: the number of the latest change to keys. Its lock puts the writers of keys in a row, so numbers commit in order."""
