"""The audit log: a chain that only grows, and its head. Triggers refuse to change or remove an entry."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0003_audit"
down_revision = "0002_ledger"

_GENESIS = "0" * 64
_WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_SQLITE_TRIGGERS = (
    """CREATE TRIGGER audit_entries_no_update BEFORE UPDATE ON audit_entries
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
    """CREATE TRIGGER audit_entries_no_delete BEFORE DELETE ON audit_entries
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
    """CREATE TRIGGER audit_entries_append BEFORE INSERT ON audit_entries
       WHEN NEW.seq <= (SELECT seq FROM audit_head WHERE id = 1)
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
    """CREATE TRIGGER audit_head_forward BEFORE UPDATE ON audit_head WHEN NEW.seq <= OLD.seq OR NEW.id <> OLD.id
       BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END""",
    """CREATE TRIGGER audit_head_no_delete BEFORE DELETE ON audit_head
       BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END""",
)
_POSTGRES_FUNCTIONS = (
    """CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$""",
    """CREATE FUNCTION audit_append() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN
         IF NEW.seq <= (SELECT seq FROM audit_head WHERE id = 1) THEN
           RAISE EXCEPTION 'the audit log is append-only';
         END IF;
         RETURN NEW;
       END $$""",
    """CREATE FUNCTION audit_forward() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN
         IF NEW.seq <= OLD.seq OR NEW.id <> OLD.id THEN RAISE EXCEPTION 'the audit log only grows'; END IF;
         RETURN NEW;
       END $$""",
)
_POSTGRES_TRIGGERS = (
    """CREATE TRIGGER audit_entries_fixed BEFORE UPDATE OR DELETE ON audit_entries
       FOR EACH ROW EXECUTE FUNCTION audit_refuse()""",
    """CREATE TRIGGER audit_entries_kept BEFORE TRUNCATE ON audit_entries
       FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()""",
    """CREATE TRIGGER audit_entries_append BEFORE INSERT ON audit_entries
       FOR EACH ROW EXECUTE FUNCTION audit_append()""",
    """CREATE TRIGGER audit_head_forward BEFORE UPDATE ON audit_head
       FOR EACH ROW EXECUTE FUNCTION audit_forward()""",
    """CREATE TRIGGER audit_head_no_delete BEFORE DELETE ON audit_head
       FOR EACH ROW EXECUTE FUNCTION audit_refuse()""",
    """CREATE TRIGGER audit_head_kept BEFORE TRUNCATE ON audit_head
       FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()""",
)


def upgrade(op: Operations) -> None:
    """Make the tables, the head of an empty chain, and the triggers."""
    _make_entries(op)
    heads = op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("seq", _WHOLE, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("at", _WHOLE, nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("signature", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_head")),
        sa.CheckConstraint("id = 1", name=op.f("ck_audit_head_one_row")),
    )
    op.execute(heads.insert().values(id=1, seq=0, hash=_GENESIS, at=0, key="", signature=""))
    postgres = op.get_bind().dialect.name == "postgresql"
    for statement in (*_POSTGRES_FUNCTIONS, *_POSTGRES_TRIGGERS) if postgres else _SQLITE_TRIGGERS:
        op.execute(statement)


def downgrade(op: Operations) -> None:
    """Remove the chain; triggers go with their tables."""
    op.drop_table("audit_head")
    op.drop_table("audit_entries")
    if op.get_bind().dialect.name == "postgresql":
        for function in ("audit_refuse", "audit_append", "audit_forward"):
            op.execute(f"DROP FUNCTION {function}()")


def _make_entries(op: Operations) -> None:
    texts = ("action", "actor_id", "actor_tenant", "actor_role", "actor_address", "object_kind", "object_id", "tenant")
    op.create_table(
        "audit_entries",
        sa.Column("seq", _WHOLE, autoincrement=False, nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("at", _WHOLE, nullable=False),
        sa.Column("written", _WHOLE, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in (*texts, "details")),
        *(sa.Column(name, sa.String(64), nullable=False) for name in ("previous", "digest", "hash")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit_entries")),
        sa.UniqueConstraint("id", name=op.f("uq_audit_entries_id")),
    )
    op.create_index("ix_audit_entries_tenant_seq", "audit_entries", ["tenant", "seq"])
    op.create_index("ix_audit_entries_action_seq", "audit_entries", ["action", "seq"])
    op.create_index("ix_audit_entries_object_seq", "audit_entries", ["object_kind", "object_id", "seq"])
    op.create_index("ix_audit_entries_actor_id_seq", "audit_entries", ["actor_id", "seq"])
