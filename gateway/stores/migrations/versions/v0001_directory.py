"""The directory: tenants, teams, users, service accounts, virtual keys; and the default tenant."""

from __future__ import annotations

import time

import sqlalchemy as sa
from alembic.operations import Operations
from sqlalchemy.dialects import postgresql

revision = "0001_directory"
down_revision = None

_ROLES = "role IN ('owner', 'admin', 'auditor', 'approver', 'member')"


def upgrade(op: Operations) -> None:
    """Make the tables, and the default tenant."""
    tenants = op.create_table(
        "tenants",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tenants"),
        sa.UniqueConstraint("name", name="uq_tenants_name"),
    )
    op.bulk_insert(tenants, [{"id": "default", "name": "default", "created_at": time.time()}])
    _create_members(op)
    _create_keys(op)
    op.create_table(
        "removed_keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_removed_keys"),
    )
    op.create_index("ix_removed_keys_revision", "removed_keys", ["revision"])
    key_revision = op.create_table(
        "key_revision",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name="ck_key_revision_one_row"),
        sa.PrimaryKeyConstraint("id", name="pk_key_revision"),
    )
    op.bulk_insert(key_revision, [{"id": 1, "revision": 0}])


def downgrade(op: Operations) -> None:
    """Remove everything that upgrade made, with what it holds."""
    for name in ("key_revision", "removed_keys", "virtual_keys", "service_accounts", "users", "teams", "tenants"):
        op.drop_table(name)


def _create_members(op: Operations) -> None:
    op.create_table(
        "teams",
        *_identity("teams"),
        sa.UniqueConstraint("tenant", "name", name="uq_teams_tenant_name"),
    )
    op.create_table(
        "users",
        *_identity("users"),
        sa.Column("team", sa.Text()),
        sa.Column("email", sa.Text()),
        sa.Column("subject", sa.Text()),
        sa.Column("role", sa.Text(), nullable=False),
        sa.UniqueConstraint("tenant", "email", name="uq_users_tenant_email"),
        sa.UniqueConstraint("tenant", "subject", name="uq_users_tenant_subject"),
        sa.CheckConstraint(_ROLES, name="ck_users_role"),
        _reference("users", "team", "teams"),
    )
    op.create_table(
        "service_accounts",
        *_identity("service_accounts"),
        sa.Column("team", sa.Text()),
        sa.UniqueConstraint("tenant", "name", name="uq_service_accounts_tenant_name"),
        _reference("service_accounts", "team", "teams"),
    )
    for table in ("users", "service_accounts"):
        op.create_index(f"ix_{table}_tenant_team", table, ["tenant", "team"])
    op.create_index("ix_users_tenant_created_at_id", "users", ["tenant", "created_at", "id"])


def _create_keys(op: Operations) -> None:
    op.create_table(
        "virtual_keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("team", sa.Text()),
        sa.Column("user", sa.Text()),
        sa.Column("service_account", sa.Text()),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("role", sa.Text()),
        sa.Column("created_at", sa.Double(), nullable=False),
        *(sa.Column(name, sa.Double()) for name in ("expires_at", "last_used_at", "revoked_at")),
        sa.Column("replaced_by", sa.Text()),
        sa.Column("overlap_ends_at", sa.Double()),
        *(_document(name) for name in ("models", "tools", "ips", "origins", "tags", "metadata")),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_virtual_keys"),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.id"], name="fk_virtual_keys_tenant"),
        sa.UniqueConstraint("digest", name="uq_virtual_keys_digest"),
        sa.CheckConstraint(_ROLES, name="ck_virtual_keys_role"),
        sa.CheckConstraint('"user" IS NULL OR service_account IS NULL', name="ck_virtual_keys_one_owner"),
        _reference("virtual_keys", "team", "teams"),
        _reference("virtual_keys", "user", "users"),
        _reference("virtual_keys", "service_account", "service_accounts"),
    )
    op.create_index("ix_virtual_keys_revision", "virtual_keys", ["revision"])
    op.create_index("ix_virtual_keys_tenant_created_at_id", "virtual_keys", ["tenant", "created_at", "id"])
    for column in ("team", "user", "service_account"):
        op.create_index(f"ix_virtual_keys_tenant_{column}", "virtual_keys", ["tenant", column])


def _identity(table: str) -> tuple[sa.schema.SchemaItem, ...]:
    """What every member of a tenant has."""
    return (
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.id"], name=f"fk_{table}_tenant"),
        sa.UniqueConstraint("tenant", "id", name=f"uq_{table}_tenant_id"),
    )


def _reference(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    """A reference that cannot leave the tenant."""
    return sa.ForeignKeyConstraint(["tenant", column], [f"{to}.tenant", f"{to}.id"], name=f"fk_{table}_tenant_{column}")


def _document(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False)
