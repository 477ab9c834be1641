"""Triggers: incidents with their alerts, events and runs, what was delivered, and how far schedules have come."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

from gateway.stores.metadata import TIME

revision = "0021_triggers"
down_revision = "0020_prompts"


def upgrade(op: Operations) -> None:
    """Make the tables."""
    _make_incidents(op)
    op.create_table(
        "incident_alerts",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("trigger", "fingerprint", "incident")),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("firing", sa.Boolean, nullable=False),
        sa.Column("at", TIME, nullable=False),
        *(sa.Column(name, sa.LargeBinary, nullable=False) for name in ("began", "shown")),
        sa.PrimaryKeyConstraint("trigger", "fingerprint", name=op.f("pk_incident_alerts")),
    )
    op.create_index(op.f("ix_incident_alerts_incident_seq"), "incident_alerts", ["incident", "seq"])
    op.create_table(
        "incident_events",
        sa.Column("incident", sa.Text, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("incident", "seq", name=op.f("pk_incident_events")),
    )
    op.create_table(
        "incident_runs",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("run", "incident", "trigger")),
        sa.Column("at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("run", name=op.f("pk_incident_runs")),
    )
    op.create_index(op.f("ix_incident_runs_incident"), "incident_runs", ["incident"])
    op.create_index(op.f("ix_incident_runs_trigger_at"), "incident_runs", ["trigger", "at"])
    op.create_table(
        "trigger_deliveries",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("trigger", "dedupe")),
        sa.Column("at", TIME, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("outcome", "incident")),
        sa.PrimaryKeyConstraint("trigger", "dedupe", name=op.f("pk_trigger_deliveries")),
    )
    op.create_index(op.f("ix_trigger_deliveries_trigger_at"), "trigger_deliveries", ["trigger", "at"])
    op.create_table(
        "trigger_schedules",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("trigger", "spec")),
        sa.Column("last", TIME, nullable=False),
        sa.PrimaryKeyConstraint("trigger", name=op.f("pk_trigger_schedules")),
    )


def _make_incidents(op: Operations) -> None:
    texts = ("id", "trigger", "tenant", "kind", "key", "title", "state", "held", "part_of", "run", "phase")
    counts = ("firing", "alerts", "last_seq", "news_seq", "told_seq", "telling_seq", "runs", "tries")
    op.create_table(
        "incidents",
        *(sa.Column(name, sa.Text, nullable=False) for name in texts),
        *(sa.Column(name, TIME, nullable=False) for name in ("opened_at", "updated_at")),
        *(sa.Column(name, TIME, nullable=True) for name in ("held_until", "due_at", "until", "ended_at")),
        *(sa.Column(name, sa.Integer, nullable=False) for name in counts),
        sa.Column("cancel", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incidents")),
    )
    for name, columns, where, unique in (
        ("uq_incidents_open", ["trigger", "key"], "ended_at IS NULL", True),
        ("ix_incidents_due", ["trigger", "due_at"], "due_at IS NOT NULL", False),
        ("ix_incidents_with_run", ["trigger"], "phase <> ''", False),
    ):
        some = sa.text(where)
        op.create_index(name, "incidents", columns, unique=unique, sqlite_where=some, postgresql_where=some)
    for columns in (["tenant", "opened_at", "id"], ["part_of"], ["trigger", "ended_at"]):
        op.create_index(op.f(f"ix_incidents_{'_'.join(columns)}"), "incidents", columns)


def downgrade(op: Operations) -> None:
    """Forget it all. Runs that triggers began stay: they are runs like others."""
    for name in (
        "trigger_schedules", "trigger_deliveries", "incident_runs", "incident_events", "incident_alerts", "incidents",
    ):  # fmt: skip
        op.drop_table(name)
