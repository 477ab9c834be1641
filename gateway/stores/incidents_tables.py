"""The tables of triggers: incidents with their alerts, events and runs; deliveries; and how far schedules have come."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, Table, Text, text

from gateway.stores.metadata import METADATA, TIME

IS_OPEN: Final = text("ended_at IS NULL")
HAS_RUN: Final = text("phase <> ''")
IS_DUE: Final = text("due_at IS NOT NULL")
IS_LEFT: Final = text("held = 'storm' AND ended_at IS NULL")
"""Written out, not as parameters: only so do both databases see that the partial indexes below serve."""

SEVERITIES: Final = {
    **dict.fromkeys(("emergency", "disaster", "fatal", "sev0", "p0"), 0),
    **dict.fromkeys(("critical", "crit", "page", "sev1", "p1"), 1),
    **dict.fromkeys(("high", "error", "major", "sev2", "p2"), 2),
    **dict.fromkeys(("warning", "warn", "medium", "minor", "sev3", "p3"), 4),
    **dict.fromkeys(("low", "info", "notice", "none", "debug", "sev4", "sev5", "p4", "p5"), 5),
}
"""What alerts commonly call their severity, the worst first."""
UNKNOWN_SEVERITY: Final = 3
"""Where another word stands: before a warning."""

INCIDENTS: Final = Table(
    "incidents",
    METADATA,
    Column("id", Text, primary_key=True),
    *(
        Column(name, Text, nullable=False)
        for name in ("trigger", "tenant", "kind", "key", "title", "state", "held", "part_of", "run", "phase")
    ),
    Column("severity", Text, nullable=False, server_default=""),
    *(Column(name, TIME, nullable=False) for name in ("opened_at", "updated_at")),
    *(Column(name, TIME, nullable=True) for name in ("held_until", "due_at", "until", "ended_at")),
    *(
        Column(name, Integer, nullable=False)
        for name in ("firing", "alerts", "last_seq", "news_seq", "told_seq", "telling_seq", "runs", "tries")
    ),
    Column("cancel", Boolean, nullable=False),
    Index("uq_incidents_open", "trigger", "key", unique=True, sqlite_where=IS_OPEN, postgresql_where=IS_OPEN),
    Index("ix_incidents_due", "trigger", "due_at", sqlite_where=IS_DUE, postgresql_where=IS_DUE),
    Index("ix_incidents_with_run", "trigger", sqlite_where=HAS_RUN, postgresql_where=HAS_RUN),
    Index("ix_incidents_left", "trigger", sqlite_where=IS_LEFT, postgresql_where=IS_LEFT),
    Index(None, "tenant", "opened_at", "id"),
    Index(None, "part_of"),
    Index(None, "trigger", "ended_at"),
)

INCIDENT_ALERTS: Final = Table(
    "incident_alerts",
    METADATA,
    *(Column(name, Text, primary_key=True) for name in ("trigger", "fingerprint")),
    Column("incident", Text, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("firing", Boolean, nullable=False),
    Column("at", TIME, nullable=False),
    *(Column(name, LargeBinary, nullable=False) for name in ("began", "shown")),
    Index(None, "incident", "seq"),
)

INCIDENT_EVENTS: Final = Table(
    "incident_events",
    METADATA,
    Column("incident", Text, primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", TIME, nullable=False),
    Column("name", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

INCIDENT_RUNS: Final = Table(
    "incident_runs",
    METADATA,
    Column("run", Text, primary_key=True),
    Column("incident", Text, nullable=False),
    Column("trigger", Text, nullable=False),
    Column("at", TIME, nullable=False),
    Index(None, "incident"),
    Index(None, "trigger", "at"),
)

TRIGGER_DELIVERIES: Final = Table(
    "trigger_deliveries",
    METADATA,
    *(Column(name, Text, primary_key=True) for name in ("trigger", "dedupe")),
    Column("at", TIME, nullable=False),
    *(Column(name, Text, nullable=False) for name in ("outcome", "incident")),
    Index(None, "trigger", "at"),
)

TRIGGER_SCHEDULES: Final = Table(
    "trigger_schedules",
    METADATA,
    Column("trigger", Text, primary_key=True),
    Column("spec", Text, nullable=False),
    Column("last", TIME, nullable=False),
)
