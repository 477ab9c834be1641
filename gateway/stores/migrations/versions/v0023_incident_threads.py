"""The threads in which people are told of incidents; how severe an incident is, and which of them a storm left over."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

from gateway.stores.metadata import TIME

revision = "0023_incident_threads"
down_revision = "0022_memories"

_LEFT = sa.text("held = 'storm' AND ended_at IS NULL")


def upgrade(op: Operations) -> None:
    """Make the table, the column and the index. Incidents that are there are of no known severity."""
    op.create_table(
        "incident_threads",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("incident", "channel", "ts", "shown")),
        sa.Column("told_seq", sa.Integer, nullable=False),
        sa.Column("asked", sa.LargeBinary, nullable=False),
        sa.Column("until", TIME, nullable=False),
        sa.PrimaryKeyConstraint("incident", name=op.f("pk_incident_threads")),
    )
    op.add_column("incidents", sa.Column("severity", sa.Text, nullable=False, server_default=""))
    op.create_index("ix_incidents_left", "incidents", ["trigger"], sqlite_where=_LEFT, postgresql_where=_LEFT)


def downgrade(op: Operations) -> None:
    """Take them away."""
    op.drop_index("ix_incidents_left", table_name="incidents")
    op.drop_column("incidents", "severity")
    op.drop_table("incident_threads")
